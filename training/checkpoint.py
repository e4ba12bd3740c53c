"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder of the run directory, checkpoint-0008 after eight epochs, or checkpoint-0008-00412 after 412
more steps:

    model-symbol.json, model-0008.params    the network, as MXNet writes and reads it
    momentum.params                         the optimizer, and the running statistics of each device of all workers
    progress.json                           position, metrics so far, options, generator
    SHA256SUMS                              the digests of the other files, which `sha256sum -c` checks too

The first two are enough to evaluate, or to use the network elsewhere: `mx.model.load_checkpoint('…/model', 8)`. The
folder is written under another name, flushed to the disk and then renamed, so it is complete or not there.

A run goes on from the newest checkpoint that is intact. Damaged ones that are newer are kept aside, as
damaged-checkpoint-0008. Earlier versions wrote no SHA256SUMS: their progress.json, without the entry `format`, has the
digests of the other files, {name: digest}, in its entry `sha256`. Of what it says itself, the position, the types and
the ranges are checked.
"""

from collections.abc import Callable, Iterable
import itertools
import json
import os
import re
import shutil
from typing import NamedTuple

import numpy as np

from common import sums
from common.errors import UserError
from common.files import MISSING, fsync
from common.mxnet import mx
from common.sums import Damaged
from training import arrays_file, symbol_file
from training.optimizer import NesterovSGD
from training.replicas import Replicas, mean_statistics

NAME = re.compile(r'checkpoint-(\d{4,})(?:-(\d{5,}))?')
KEEP = 2  # the newest ones, beside the best
FORMAT = 2  # of progress.json; 1, which has no such entry, goes without SHA256SUMS
SYMBOL, MOMENTUM, PROGRESS = 'model-symbol.json', 'momentum.params', 'progress.json'
UNFINISHED = '.unfinished-checkpoint'  # on its way in or out
NO_WEIGHTS = 'has no weights: it has saved none yet, or they were not kept'  # what is said of a run without any

Model = tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray], dict[str, mx.nd.NDArray]]  # symbol, parameters, statistics


def folder_name(epoch: int, step: int) -> str:
    """The name of the checkpoint after `epoch` whole epochs and `step` steps of the next."""
    return f'checkpoint-{epoch:04}-{step:05}' if step else f'checkpoint-{epoch:04}'


def position(folder: str) -> tuple[int, int]:
    """(epoch, step) of a checkpoint's folder."""
    _, epoch, *step = os.path.basename(folder).split('-')
    return int(epoch), int(step[0]) if step else 0


def find(run_dir: str) -> list[str]:
    """The paths of a run directory's checkpoints, oldest first; none where there is no such directory."""
    names = [name for name in os.listdir(run_dir) if NAME.fullmatch(name)] if os.path.isdir(run_dir) else []
    return sorted((os.path.join(run_dir, name) for name in names), key=position)


def is_one(path: str) -> bool:
    """Whether a path is the folder of a checkpoint."""
    return bool(NAME.fullmatch(os.path.basename(os.path.normpath(path)))) and os.path.isdir(path)


def resolve(path: str) -> str | None:
    """The checkpoint that a path names: its own folder, or a run's newest one; None where there is none."""
    return os.path.normpath(path) if is_one(path) else next(reversed(find(path)), None)


def save(run_dir: str, symbol: mx.sym.Symbol, replicas: Replicas, optimizer: NesterovSGD, progress: dict) -> None:
    """Write a checkpoint and remove those no longer needed. Every worker has to call this; rank 0 writes.

    Args:
        symbol: the network as drawn.
        progress: the contents of progress.json, without what is added here.
    """
    statistics = replicas.statistics()
    if replicas.collectives.rank != 0:
        return
    target = os.path.join(run_dir, folder_name(progress['epoch'], progress['step']))
    temporary = os.path.join(run_dir, UNFINISHED)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        os.mkdir(temporary)
        _write(temporary, symbol, replicas.replicas[0].parameters, statistics, optimizer, progress)
        os.rename(temporary, target)
        fsync(run_dir)
    except (OSError, arrays_file.NotSaved) as error:
        shutil.rmtree(temporary, ignore_errors=True)  # it would take what little room there is
        why = error.strerror if isinstance(error, OSError) else 'is the disk full?'
        raise UserError(f'{target} cannot be written ({why}): the last checkpoint is as it was') from error
    _prune(run_dir, progress['rows'])


def _write(folder, symbol, parameters, statistics, optimizer, progress):
    prefix, state = os.path.join(folder, 'model'), optimizer.state_dict()
    symbol_file.save(os.path.join(folder, SYMBOL), symbol)
    arrays_file.save(
        f'{prefix}-{progress["epoch"]:04}.params',
        {
            **{f'arg:{name}': value for name, value in parameters.items()},
            **{f'aux:{name}': mx.nd.array(value) for name, value in mean_statistics(statistics).items()},
        },
    )
    arrays_file.save(
        os.path.join(folder, MOMENTUM),
        {
            **{f'momentum:{name}': value for name, value in state['buffers'].items()},
            **{
                f'aux{device}:{name}': mx.nd.array(value)
                for device, own in enumerate(statistics)
                for name, value in own.items()
            },
        },
    )

    with open(os.path.join(folder, PROGRESS), 'w', encoding='utf-8') as file:
        json.dump({'format': FORMAT, **progress, 'rate': state['learning_rate']}, file, indent=1)
    sums.write(folder, os.listdir(folder))
    for file in os.listdir(folder):
        fsync(os.path.join(folder, file))


def _prune(run_dir, rows):
    """Keep the newest KEEP checkpoints and the one with the smallest test error."""
    keep = find(run_dir)[-KEEP:]
    if rows:
        best = min(rows, key=lambda row: row['test_error'])['epoch']
        keep.append(os.path.join(run_dir, folder_name(best, 0)))
    for folder in find(run_dir):
        if folder not in keep:  # renamed first, so that no half of it is taken for a checkpoint
            shutil.rmtree(os.path.join(run_dir, UNFINISHED), ignore_errors=True)
            os.rename(folder, os.path.join(run_dir, UNFINISHED))
            shutil.rmtree(os.path.join(run_dir, UNFINISHED))


def params_path(folder: str) -> str:
    """The file of weights and statistics in a checkpoint's folder."""
    epoch, _ = position(folder)
    return os.path.join(folder, f'model-{epoch:04}.params')


def load_model(folder: str) -> Model:
    """The network in a checkpoint's folder, checked by the digests that the checkpoint and its run have.

    Raises:
        UserError: a file is missing, damaged, or not MXNet's.
    """
    run_dir, name = os.path.split(os.path.normpath(folder))
    names = [SYMBOL, os.path.basename(params_path(folder))]
    sums.check(run_dir, [f'{name}/{file}' for file in names])
    if not sums.check(folder, names) and os.path.lexists(os.path.join(folder, PROGRESS)):
        read_progress(folder, names)
    return load_files(*(os.path.join(folder, file) for file in names))


def load_files(symbol_path: str, params_path: str) -> Model:
    """A network from MXNet's two files.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    for path in (symbol_path, params_path):
        if not os.path.isfile(path):
            raise UserError(f'there is no file {path}')
    symbol, arrays = symbol_file.load(symbol_path), arrays_file.load(params_path)
    parts: dict[str, dict] = {'arg': {}, 'aux': {}}
    for name, value in arrays.items():
        kind, _, name = name.partition(':')
        if kind not in parts:
            raise UserError(f'{params_path} is not a checkpoint of a symbol: its arrays are not named arg:… and aux:…')
        parts[kind][name] = value
    return symbol, parts['arg'], parts['aux']


def read_progress(folder: str, others: Iterable[str] = ()) -> dict:
    """The contents of a checkpoint's progress.json; it and the other files named are checked.

    Raises:
        Damaged: one of them is not as it was written.
    """
    try:
        wrong, progress = _read(folder, others)
    except Damaged:
        raise
    except (*MISSING, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        wrong = f'{PROGRESS} is missing or cannot be read'
    if wrong:
        raise Damaged(f'{folder} is damaged: {wrong}')
    return progress


def _read(folder, others):
    """(what is wrong, or None; the contents of progress.json); the exceptions of read_progress tell more."""
    digests = sums.read(folder)
    wrong = digests and sums.difference(folder, [PROGRESS, *others], digests)
    if wrong:
        return wrong, None
    progress = sums.read_json(os.path.join(folder, PROGRESS))
    if digests is None:
        if 'format' in progress:
            return f'{sums.NAME} is missing', None
        if set(progress['sha256']) != {SYMBOL, os.path.basename(params_path(folder)), MOMENTUM}:
            return f'{PROGRESS} has the digests of other files', None
        wrong = sums.difference(folder, others, progress['sha256'])
    return wrong or _unsound(progress, *position(folder)), progress


def _unsound(progress, epoch, step):
    """What is wrong in progress.json, apart from its digest; None if nothing is."""
    rows, tally = progress['rows'], progress['tally']
    numbers = [progress['seconds'], progress['rate'], *tally.values(), *(cell for row in rows for cell in row.values())]
    whole = [progress['epoch'], progress['step'], tally['wrong'], tally['seen'], *(row['epoch'] for row in rows)]
    if any(type(number) is not int for number in whole) or [progress['epoch'], progress['step']] != [epoch, step]:
        return f'{PROGRESS} does not belong to this position'
    if not all(type(number) in (int, float) and 0 <= number < 1e300 for number in numbers):
        return f'{PROGRESS} has numbers that cannot be'
    if not max(tally['wrong'], tally.get('wrong5', 0)) <= tally['seen'] or bool(tally['seen']) != bool(step):
        return f'{PROGRESS} counts the images wrongly'
    if [row['epoch'] for row in rows] != list(range(1, epoch + 1)) or any(list(row) != list(rows[0]) for row in rows):
        return f'{PROGRESS} has not a row for each epoch'
    return None


class State(NamedTuple):
    """What a checkpoint holds: the contents of progress.json, and arrays by the names of parameters and statistics.

    statistics: of each device of all workers.
    """

    folder: str
    progress: dict
    parameters: dict[str, mx.nd.NDArray]
    momentum: dict[str, mx.nd.NDArray]
    statistics: list[dict[str, np.ndarray]]


def load(folder: str, replicas: Replicas) -> State:
    """Read a checkpoint of the network that the replicas hold, on as many devices.

    Raises:
        Damaged: a file is not as it was written, or does not fit the network.
    """
    one, devices = replicas.replicas[0], range(replicas.collectives.shard.total)
    symbol, params, momentum = os.path.join(folder, SYMBOL), params_path(folder), os.path.join(folder, MOMENTUM)
    progress = read_progress(folder, map(os.path.basename, (symbol, params, momentum)))
    try:
        _, parameters, _ = load_files(symbol, params)
        arrays = arrays_file.load(momentum)
    except UserError as error:
        raise Damaged(str(error)) from error
    statistics = {f'aux{device}:{name}': value for device in devices for name, value in one.statistics.items()}
    _check_fit(params, parameters, one.parameters)
    _check_fit(
        momentum, arrays, {**{f'momentum:{name}': one.parameters[name] for name in one.flat.arrays}, **statistics}
    )
    return State(
        folder,
        progress,
        parameters,
        {name: arrays[f'momentum:{name}'] for name in one.flat.arrays},
        [{name: arrays[f'aux{device}:{name}'].asnumpy() for name in one.statistics} for device in devices],
    )


def _check_fit(path, arrays, expected):
    """Raise Damaged unless arrays have the names and shapes of the expected ones."""
    there, wanted = ({name: value.shape for name, value in own.items()} for own in (arrays, expected))
    for name in {**wanted, **there}:
        if there.get(name) != wanted.get(name):
            raise Damaged(
                f'{path} does not belong to the network: {name} is {there.get(name, "missing")}, should be '
                f'{wanted.get(name, "missing")}'
            )


def newest_intact(
    run_dir: str, replicas: Replicas, difference: Callable[[dict], str | None] = lambda progress: None
) -> tuple[State | None, list[tuple[str, str]]]:
    """The newest checkpoint that is intact, None where there is no checkpoint yet, and the damaged ones that are newer.

    Args:
        difference: says what in the contents of progress.json cannot be of this run.

    Returns:
        The state, and (folder, what is wrong) of each damaged one, the newest first.

    Raises:
        UserError: there are checkpoints, and all are damaged.
    """
    damaged: list[tuple[str, str]] = []
    for folder in reversed(find(run_dir)):
        try:
            state = load(folder, replicas)
            wrong = difference(state.progress)
            if not wrong:
                return state, damaged
            damaged.append((folder, f'{folder} is damaged: {wrong}'))
        except Damaged as error:
            damaged.append((folder, str(error)))
    if damaged:
        raise UserError(
            f'{damaged[0][1]}, and no other checkpoint is intact: put one back from a copy, or delete {run_dir} to '
            'begin again'
        )
    return None, []


def set_aside(folder: str) -> str:
    """Rename a damaged checkpoint so that it is none any more; returns its new path."""
    run_dir, name = os.path.split(folder)
    for number in itertools.count(1):
        target = os.path.join(run_dir, f'damaged-{name}' + (f'.{number}' if number > 1 else ''))
        if not os.path.lexists(target):
            os.rename(folder, target)
            fsync(run_dir)
            return target
    raise AssertionError


def restore(state: State | None, replicas: Replicas, optimizer: NesterovSGD) -> None:
    """Put a checkpoint's weights, statistics and momentum into place.

    Every worker has to call this. Rank 0's state counts.
    """
    if state:
        for replica in replicas.replicas:
            for name, value in replica.parameters.items():
                state.parameters[name].copyto(value)
    replicas.broadcast_parameters()
    replicas.restore_statistics(state.statistics if state else [])
    optimizer.load_state_dict({'learning_rate': state.progress['rate'], 'buffers': state.momentum} if state else {})
