"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder of the run directory, checkpoint-0008 after eight epochs, or checkpoint-0008-00412 after 412
more steps:

    model-symbol.json, model-0008.params    the network, as MXNet writes and reads it
    momentum.params                         the optimizer, and the running statistics of each device of all workers
    progress.json                           position, metrics so far, options, generator, checksums

The first two are enough to evaluate, or to use the network elsewhere: `mx.model.load_checkpoint('…/model', 8)`. The
folder is written under another name, flushed to the disk and then renamed, so it is complete or not there.
"""

import json
import os
import re
import shutil

from common.errors import UserError
from common.files import file_digest, fsync
from common.mxnet import mx
from training import arrays_file, symbol_file
from training.optimizer import NesterovSGD
from training.replicas import Replicas, mean_statistics

NAME = re.compile(r'checkpoint-(\d{4,})(?:-(\d{5,}))?$')
KEEP = 2  # the newest ones, beside the best

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
    names = [name for name in os.listdir(run_dir) if NAME.match(name)] if os.path.isdir(run_dir) else []
    return sorted((os.path.join(run_dir, name) for name in names), key=position)


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
    temporary = os.path.join(run_dir, '.unfinished-checkpoint')
    if not os.path.isdir(target):  # it is there if a run stopped again where it had been resumed
        shutil.rmtree(temporary, ignore_errors=True)
        os.mkdir(temporary)
        _write(temporary, symbol, replicas.replicas[0].parameters, statistics, optimizer, progress)
        os.rename(temporary, target)
        fsync(run_dir)
    _prune(run_dir, progress['rows'])


def _write(folder, symbol, parameters, statistics, optimizer, progress):
    prefix, state = os.path.join(folder, 'model'), optimizer.state_dict()
    symbol.save(f'{prefix}-symbol.json')
    _save_arrays(
        f'{prefix}-{progress["epoch"]:04}.params',
        {
            **{f'arg:{name}': value for name, value in parameters.items()},
            **{f'aux:{name}': mx.nd.array(value) for name, value in mean_statistics(statistics).items()},
        },
    )
    _save_arrays(
        os.path.join(folder, 'momentum.params'),
        {
            **{f'momentum:{name}': value for name, value in state['buffers'].items()},
            **{
                f'aux{device}:{name}': mx.nd.array(value)
                for device, own in enumerate(statistics)
                for name, value in own.items()
            },
        },
    )

    digests = {file: file_digest(os.path.join(folder, file), 'sha256') for file in os.listdir(folder)}
    with open(os.path.join(folder, 'progress.json'), 'w') as file:
        json.dump({**progress, 'rate': state['learning_rate'], 'sha256': digests}, file, indent=1)
    for file in os.listdir(folder):
        fsync(os.path.join(folder, file))


def _save_arrays(path, arrays):
    """mx.nd.save, and read the file back: MXNet does not report a disk that is full when it closes the file."""
    try:
        mx.nd.save(path, {name: value.as_in_context(mx.cpu()) for name, value in arrays.items()})
        mx.nd.load(path)
    except mx.MXNetError as error:
        raise UserError(f'{path} cannot be written: is the disk full? The last checkpoint is as it was') from error


def _prune(run_dir, rows):
    """Keep the newest KEEP checkpoints and the one with the smallest test error."""
    keep = find(run_dir)[-KEEP:]
    if rows:
        best = min(rows, key=lambda row: row['test_error'])['epoch']
        keep.append(os.path.join(run_dir, folder_name(best, 0)))
    for folder in find(run_dir):
        if folder not in keep:
            shutil.rmtree(folder)


def params_path(folder: str) -> str:
    """The file of weights and statistics in a checkpoint's folder."""
    epoch, _ = position(folder)
    return os.path.join(folder, f'model-{epoch:04}.params')


def load_model(folder: str) -> Model:
    """The network in a checkpoint's folder."""
    return load_files(os.path.join(folder, 'model-symbol.json'), params_path(folder))


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


def load_progress(folder: str) -> dict:
    """The contents of progress.json.

    Raises:
        UserError: a file of the checkpoint is not as it was written.
    """
    try:
        with open(os.path.join(folder, 'progress.json')) as file:
            progress = json.load(file)
        intact = all(
            file_digest(os.path.join(folder, name), 'sha256') == digest for name, digest in progress['sha256'].items()
        )
    except (FileNotFoundError, ValueError, KeyError):
        intact = False
    if not intact:
        raise UserError(f'{folder} is damaged: delete it to go on from the checkpoint before it')
    return progress


def restore(folder: str, replicas: Replicas, optimizer: NesterovSGD) -> dict | None:
    """Put a checkpoint's weights, statistics and momentum into place.

    Every worker has to call this. Rank 0 reads the folder and returns its progress, the others None.
    """
    progress, state, statistics = None, {}, []
    if replicas.collectives.rank == 0:
        progress = load_progress(folder)
        _, parameters, _ = load_model(folder)
        arrays = arrays_file.load(os.path.join(folder, 'momentum.params'))
        state = {
            'learning_rate': progress['rate'],
            'buffers': {name: arrays[f'momentum:{name}'] for name in replicas.replicas[0].flat.arrays},
        }
        statistics = [
            {name: arrays[f'aux{device}:{name}'].asnumpy() for name in replicas.replicas[0].statistics}
            for device in range(replicas.collectives.shard.total)
        ]
        for replica in replicas.replicas:
            for name, value in replica.parameters.items():
                parameters[name].copyto(value)
    replicas.broadcast_parameters()
    replicas.restore_statistics(statistics)
    optimizer.load_state_dict(state)
    return progress
