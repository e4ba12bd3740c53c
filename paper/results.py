"""The runs in a log directory that make what the paper shows, and how they differ from the paper's.

    makes, = paper.runs.of_cell(4, '26/14', 'CIFAR-10 DFN-MR')
    results.find(makes, 'logs')      # [Found(runs=['logs/cifar10/dfn-mr-14/seed1', …], differences=(), …)]

compare.py, plot.py, reproduce.py and the report read the logs through this alone.
"""
import functools
import json
import os
import re
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from training import job
import symbols
import train_cifar
import train_imagenet
import train_svhn
from paper.experiments import DEPTH, TOGETHER
from symbols import imagenet
from symbols.analysis.summary import summarise
from paper import together
from training.loop import FAIL
from training.runlog import check_columns, count_devices, read_config, read_metrics, status

SCRIPTS = {'svhn': train_svhn, 'imagenet': train_imagenet}  # train_cifar for all others
# Options that do not make a run another one: besides those that a resumed run may change, what other columns tell
# apart.
IGNORED = job.FREE | {'seed', 'epochs'}
IDENTITY = ('path', 'components', 'schedule')  # another value makes another bar or cell, not the same one otherwise


class Found(NamedTuple):
    """Runs that differ in the seed alone, one a seed. Errors are in percent, infinite after a divergence."""

    runs: list          # directories
    differences: tuple  # from the paper's run, as texts; none where it is the paper's
    last: list          # error after the last epoch of each
    best: list          # smallest error after any; none where only the last is known

    @property
    def only_devices_differ(self):
        """Whether the number of devices is all that is not as in the paper."""
        return all(' instead of ' in text and 'device' in text for text in self.differences)


def check(log_dir):
    """UserError where there is no such folder."""
    if not os.path.isdir(log_dir):
        raise UserError('--log-dir %s: there is no such folder' % log_dir)


def script(run):
    """The training script of a paper.runs.Run, a module."""
    return SCRIPTS.get(run.dataset, train_cifar)


def arguments(run, seed=1, epochs=None):
    """The words of its command line after the script's name, without those that are the defaults.

    epochs: of the schedule, the paper's unless given.
    """
    defaults = script(run).parser().parse_args([])
    words = ['--dataset', run.dataset] if run.dataset != defaults.dataset else []
    words += ['--net', run.net, '--depth', str(run.depth)]
    words += ['--widen', str(run.widen)] if run.widen > 1 else []
    words += [word for name, value in run.options for word in ('--' + name, value)]
    words += ['--epochs', str(epochs)] if epochs not in (None, run.epochs) else []
    return words + (['--seed', str(seed)] if seed != defaults.seed else [])


def directory(run, words):
    """The run directory that the command line with these words has."""
    module = script(run)
    parser = module.parser()
    return job.run_directory(parser.parse_args(words), vars(parser.parse_args([])), {**module.NAMED, **job.NAMED})


def folder_of(run, log_dir):
    """The folder with all runs of its network on its data set."""
    return os.path.dirname(directory(run, arguments(run) + ['--log-dir', log_dir]))


def find(makes, log_dir, epochs=None):
    """The groups of runs that make a bar or a cell: a list of Found, those as in the paper first.

    makes: a paper.runs.Makes with a column of metrics.csv or TOGETHER for its measure. epochs: of the schedule that
    counts as the paper's; its own unless given. Runs without a finished epoch are left out. Raises UserError for a
    damaged run.
    """
    run, epochs = makes.run, epochs or makes.run.epochs
    wanted = _as_json(vars(script(run).parser().parse_args(arguments(run))))
    groups, seeds = {}, set()
    read = _together if makes.measure == TOGETHER else _runs
    for place, config, done, last, best in read(makes, log_dir, wanted):
        differences = _differences(config, done, wanted, run, epochs)
        seed = config['options'].get('seed')
        if (differences, seed) in seeds:
            differences += ('seed %s once more' % seed,)
        seeds.add((differences, seed))
        groups.setdefault(differences, []).append((place, last, best))
    return [Found([place for place, _, _ in group], differences, [last for _, last, _ in group],
                  [best for _, _, best in group if best is not None])
            for differences, group in sorted(groups.items(), key=lambda item: (len(item[0]), item[0]))]


def _runs(makes, log_dir, wanted):
    """Yield (directory, config, epochs done, last error, smallest) of the network's runs with the wanted identity."""
    folder = folder_of(makes.run, log_dir)
    there = os.listdir(folder) if os.path.isdir(folder) else []
    for name in sorted(there, key=lambda name: (len(name), name)):  # the least options first
        place = os.path.join(folder, name)
        if not re.fullmatch(r'(.+-)?seed\d+', name) or not os.path.exists(os.path.join(place, 'config.json')):
            continue
        config, rows = read_config(place), read_metrics(place)
        if rows and all(config['options'].get(name) == wanted.get(name) for name in IDENTITY):
            check_columns(place, rows, [makes.measure])
            values = [row[makes.measure] for row in rows]
            last = np.inf if status(config) == 'not finite' else values[-1]
            yield place, config, len(rows), last, np.nanmin([np.inf] + values)


def _together(makes, log_dir, wanted):
    """As _runs, of the files that `eval.py --ensemble --save` wrote, which have the last epoch alone."""
    for place in together.find(folder_of(makes.run, log_dir)):
        config = read_config(place)
        yield place, config, config['options']['epochs'], config['outcome']['test_error'], None


def _as_json(values):
    return json.loads(json.dumps(values))


def _differences(config, done, wanted, run, epochs):
    """What is not as in the paper, as texts."""
    options = {**job.LATER, **config['options']}
    result = []
    if not status(config) or (status(config) == 'finished' and done != options['epochs']):
        result.append('stopped after %d of %d epochs' % (done, options['epochs']))
    if options['epochs'] != epochs:
        result.append('a schedule of %d epochs instead of %d' % (options['epochs'], epochs)
                      if not status(config) else '%d of %d epochs' % (options['epochs'], epochs))
    devices = count_devices(config)
    if devices != run.devices:
        result.append('%d device%s instead of %d' % (devices, 's' * (devices > 1), run.devices))
    ignored = IGNORED | (set() if options['dtype'] == 'float16' else {'loss_scale'})
    result += ['--%s %s' % (name.replace('_', '-'), options[name]) for name in sorted(wanted)
               if name not in ignored and options.get(name, wanted[name]) != wanted[name]]
    if not all(split.get('verified') for split in config.get('dataset', {}).get('splits', {}).values()):
        result.append('files that are not the official ones')
    return tuple(result)


def network(run):
    """(function to the symbol, image shape) of a run's network; CIFAR-100's, which differs in its last layer, as on
    CIFAR-10."""
    if run.dataset == 'imagenet':
        return functools.partial(imagenet.get_symbol, run.net, run.depth), imagenet.IMAGE_SHAPE
    parsed = train_cifar.parser().parse_args(arguments(run._replace(dataset='cifar10')))
    return functools.partial(symbols.get_symbol, run.net, run.depth, widen=run.widen, path=parsed.path,
                             components=parsed.components), symbols.IMAGE_SHAPE


def computed(makes):
    """A measure of the network alone: its depth in layers, or its parameters in millions."""
    build, image_shape = network(makes.run)
    summary = summarise(build(), image_shape)
    return summary.depth if makes.measure == DEPTH else summary.parameters / 1e6


def split(errors):
    """(errors up to 50 %, number of the others): the paper calls these "fail"."""
    good = [error for error in errors if error <= FAIL]
    return good, len(errors) - len(good)


def mean_and_deviation(errors):
    """Mean and population standard deviation, as in the paper, of those that did not fail; None where there is none.

    Of one error there is no deviation.
    """
    good, _ = split(errors)
    return float(np.mean(good)) if good else None, float(np.std(good)) if len(good) > 1 else None


def text(errors):
    """Such as `6.48 ± 0.04 (5)`: mean, deviation and number; `fail (2)` for those over 50 %."""
    (mean, deviation), (good, failed) = mean_and_deviation(errors), split(errors)
    parts = ['%.2f%s (%d)' % (mean, '' if deviation is None else ' ± %.2f' % deviation, len(good))] if good else []
    return ', '.join(parts + (['fail (%d)' % failed] if failed else []))
