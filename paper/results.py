"""The runs in a log directory that make what the paper shows, and how they differ from the paper's.

    measurement, = experiments.of_cell(4, '26/14', 'CIFAR-10 DFN-MR')
    results.find(measurement, 'logs')      # [Found(runs=['logs/cifar10/dfn-mr-14/seed1', …], differences=(), …)]

compare.py, plot.py, reproduce.py, the report and the claims find the runs of a cell, bar or curve by this module.
"""

from collections import Counter
from collections.abc import Callable, Sequence
import contextlib
import functools
import glob
import json
import math
import os
from typing import Literal, NamedTuple

import numpy as np

from common.errors import UserError
from paper import ensembles, recipes
from paper.experiments import DEPTH, TOGETHER, Experiment, Measurement
import symbols
from symbols import gluoncv, imagenet
from symbols.analysis.summary import summarize
from training import options, run_directory
from training.options import CELL, NOTE, OPTIONS
from training.run_directory import FAIL, check_columns, count_devices, is_run, read_config, read_metrics, status

Kind = Literal['network', 'unfinished', 'schedule', 'devices', 'option', 'files', 'seed']


class Difference(str):
    """One difference between a run and the paper's, as a text; `kind` classifies it."""

    kind: Kind

    def __new__(cls, kind: Kind, text: str) -> 'Difference':
        """A text that knows its kind."""
        self = super().__new__(cls, text)
        self.kind = kind
        return self


class Found(NamedTuple):
    """Runs that differ in the seed alone, one for each seed. Errors are in percent, infinite after a divergence.

    runs: their directories. differences: from the paper's run, none where it is the paper's. last: the error after the
    last epoch of each. best: the smallest error after any epoch; empty where only the last is known.
    """

    runs: list
    differences: tuple
    last: list
    best: list

    @property
    def only_devices_differ(self) -> bool:
        """Whether the runs differ from the paper's in the number of devices alone."""
        return all(difference.kind == 'devices' for difference in self.differences)


def check(log_dir: str) -> None:
    """Raise UserError where there is no such folder."""
    if not os.path.isdir(log_dir):
        raise UserError(f'--log-dir {log_dir}: there is no such folder')


def own_images(log_dir: str) -> list[str]:
    """The names of the user's own data sets that have runs in a log directory."""
    names = []
    for name in sorted(os.listdir(log_dir)):
        found = glob.glob(os.path.join(glob.escape(os.path.join(log_dir, name)), '*', '*', run_directory.CONFIG))
        with contextlib.suppress(UserError):  # another program's folder, or a damaged run that no table shows
            if found and 'size' in read_config(os.path.dirname(found[0]))['options']:
                names.append(name)
    return names


def defaults_of(experiment: Experiment) -> dict:
    """The defaults of the experiment's training script: {option: value}."""
    return {**{name: options.default(name) for name in OPTIONS}, **recipes.of_dataset(experiment.dataset)}


def options_of(experiment: Experiment) -> dict:
    """The options of the experiment as in the paper."""
    return {
        **defaults_of(experiment),
        'net': experiment.net,
        'depth': experiment.depth,
        'widen': experiment.widen,
        **{name: options.parse(name, text) for name, text in experiment.options},
    }


def arguments(experiment: Experiment, seed: int = 1, epochs: int | None = None) -> list[str]:
    """The words of the experiment's command line after the script, without those that are the script's defaults.

    Args:
        epochs: of the schedule, by default the paper's.
    """
    words = ['--dataset', experiment.dataset] if experiment.dataset not in ('cifar10', *recipes.OF_DATASET) else []
    words += ['--net', experiment.net, *(['--depth', str(experiment.depth)] if experiment.depth else [])]
    words += ['--widen', str(experiment.widen)] if experiment.widen > 1 else []
    words += [word for name, value in experiment.options for word in (f'--{name}', value)]
    words += ['--epochs', str(epochs)] if epochs not in (None, experiment.epochs) else []
    return words + (['--seed', str(seed)] if seed != options.default('seed') else [])


def directory(experiment: Experiment, **changes) -> str:
    """The run directory of the experiment with these options; those that are not given are the paper's."""
    return options.directory_of({**options_of(experiment), **changes}, defaults_of(experiment))


def find(measurement: Measurement, log_dir: str, epochs: int | None = None) -> list[Found]:
    """The groups of runs that make a bar or a cell, those as in the paper first.

    Runs without a finished epoch are left out.

    Args:
        measurement: its measure is a column of metrics.csv, or TOGETHER.
        epochs: of the schedule that counts as the paper's, by default its own.

    Raises:
        UserError: a run is damaged.
    """
    experiment = measurement.experiment
    read = _together if measurement.measure == TOGETHER else _runs
    groups: dict[tuple, list] = {}
    seen: Counter = Counter()
    for place, config, done, last, best in read(measurement, log_dir):
        how = differences(config, done, experiment, epochs)
        seed = config['options'].get('seed')
        copies, seen[how, seed] = seen[how, seed], seen[how, seed] + 1
        if copies:  # a group has each seed once
            how += (Difference('seed', f'seed {seed} once more' + (f' ({copies})' if copies > 1 else '')),)
        groups.setdefault(how, []).append((place, last, best))
    return [
        Found(
            [place for place, _, _ in group],
            how,
            [last for _, last, _ in group],
            [best for _, _, best in group if best is not None],
        )
        for how, group in sorted(groups.items(), key=lambda item: (len(item[0]), item[0]))
    ]


def is_of(options: dict, experiment: Experiment) -> bool:
    """Whether a run with these options is one of the experiment: its data set, network, path, schedule and the like."""
    wanted = json.loads(json.dumps({**options_of(experiment), 'dataset': experiment.dataset}))
    cell = [name for name, option in OPTIONS.items() if option.in_tables == CELL]
    return all(options.get(name, wanted[name]) == wanted[name] for name in cell)


def _runs(measurement, log_dir):
    """Yield (directory, config, epochs done, last error, smallest) of the network's runs that belong to the cell."""
    folder = os.path.dirname(directory(measurement.experiment, log_dir=log_dir))
    there = os.listdir(folder) if os.path.isdir(folder) else []
    for name in sorted(there, key=lambda name: (len(name), name)):  # the fewest options first
        place = os.path.join(folder, name)
        if not run_directory.NAME.fullmatch(name) or not os.path.isdir(place) or not is_run(place, os.listdir(place)):
            continue
        config, rows = read_config(place), read_metrics(place)
        if rows and is_of(config['options'], measurement.experiment):
            if 'imported' in config and math.isnan(rows[-1].get(measurement.measure, math.nan)):
                continue  # what trained it elsewhere did not record this measure
            check_columns(place, rows, [measurement.measure])
            values = [row[measurement.measure] for row in rows]
            last = np.inf if status(config) == 'not finite' else values[-1]
            yield place, config, len(rows), last, np.nanmin([np.inf, *values])


def _together(measurement, log_dir):
    """As _runs, for the files that `eval.py --ensemble --save` writes, which have the last epoch alone."""
    for place in ensembles.find(os.path.dirname(directory(measurement.experiment, log_dir=log_dir))):
        config = read_config(place)
        if is_of(config['options'], measurement.experiment):
            yield place, config, config['options']['epochs'], config['outcome']['test_error'], None


def differences(config: dict, done: int, experiment: Experiment, epochs: int | None = None) -> tuple[Difference, ...]:
    """The differences between a run that has done some epochs and the paper's.

    Args:
        epochs: of the schedule that counts as the paper's, by default its own.
    """
    wanted, epochs = json.loads(json.dumps(options_of(experiment))), epochs or experiment.epochs
    own, ended = config['options'], status(config)
    result = []
    if gluoncv.is_one(experiment.net):
        result.append(Difference('network', f'{gluoncv.title(experiment.net)}, trained here'))
    if not ended:
        result.append(Difference('unfinished', f'stopped after {done} of {own["epochs"]} epochs'))
    if own['epochs'] != epochs:
        text = f'{own["epochs"]} of {epochs} epochs'
        if not ended:
            text = f'a schedule of {own["epochs"]} epochs instead of {epochs}'
        result.append(Difference('schedule', text))
    devices = count_devices(config)
    if devices != experiment.devices:
        text = f'{devices} device{"s" if devices > 1 else ""} instead of {experiment.devices}'
        result.append(Difference('devices', text))
    result += [
        Difference('option', f'--{name.replace("_", "-")} {own[name]}')
        for name, option in sorted(OPTIONS.items())
        if option.in_tables == NOTE and options.has_effect(name, own) and own.get(name, wanted[name]) != wanted[name]
    ]
    if not all(split.get('verified') for split in config.get('dataset', {}).get('splits', {}).values()):
        result.append(Difference('files', 'files that are not the official ones'))
    return tuple(result)


def title(options: dict) -> str:
    """The name of a run's network, from its options: DFN-MR 32, 4× wide; Component 14 (RLR)."""
    large = options['dataset'] == 'imagenet' or options.get('size') == imagenet.IMAGE_SHAPE[-1]
    networks = imagenet if large else symbols
    wide = f', {options["widen"]}× wide' if options.get('widen', 1) > 1 else ''
    return networks.title(options['net'], options['depth'], **symbols.arguments_of(options)) + wide


def network(experiment: Experiment) -> tuple[Callable, tuple]:
    """(function to the symbol, image shape) of an experiment's network.

    CIFAR-100's networks, which differ in the last layer, come with the ten classes of CIFAR-10.
    """
    if experiment.dataset == 'imagenet':
        return functools.partial(imagenet.get_symbol, experiment.net, experiment.depth), imagenet.IMAGE_SHAPE
    return symbols.network_of(options_of(experiment)), symbols.IMAGE_SHAPE


def computed(measurement: Measurement) -> float:
    """A measure of the network alone: its depth in layers, or its parameters in millions."""
    build, image_shape = network(measurement.experiment)
    cost = summarize(build(), image_shape)
    return cost.depth if measurement.measure == DEPTH else cost.parameters / 1e6


def split(errors: Sequence[float]) -> tuple[list[float], int]:
    """(errors up to 50 %, number of the others): the paper calls these "fail"."""
    good = [error for error in errors if error <= FAIL]
    return good, len(errors) - len(good)


def mean_and_deviation(errors: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and population standard deviation, as in the paper, of the errors that are no "fail".

    The mean of no error is None, and so is the deviation of one.
    """
    good, _ = split(errors)
    return float(np.mean(good)) if good else None, float(np.std(good)) if len(good) > 1 else None


def text(errors: Sequence[float]) -> str:
    """Mean, deviation and number, such as `6.48 ± 0.04 (5)`; `fail (2)` for those over 50 %."""
    (mean, deviation), (good, failed) = mean_and_deviation(errors), split(errors)
    spread = '' if deviation is None else f' ± {deviation:.2f}'
    parts = [f'{mean:.2f}{spread} ({len(good)})'] if good else []
    return ', '.join(parts + ([f'fail ({failed})'] if failed else []))
