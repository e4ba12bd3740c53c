"""The run directory: config.json, metrics.csv and train.log beside the checkpoints.

config.json has all that is needed to do the run again, and its outcome. metrics.csv has a row per
epoch; it is written anew from the checkpoint's rows each time, so the two always agree. train.log is
what the terminal showed, in the line format of MXNet's own training scripts (which count epochs from 0).
"""
import csv
import fcntl
import json
import logging
import os
import platform
import re
import resource
import subprocess
import sys

import numpy as np
from tqdm import tqdm

from common.mxnet import mx
from common.errors import UserError
from common.files import write_atomically
from training import checkpoint

# The columns of metrics.csv, and those that an ensemble has for each of its members.
EACH, WITHOUT = 'test_error_%s', 'test_error_without_%s'
COLUMNS = 'epoch lr train_loss train_error test_loss test_error images_per_second seconds'.split()


def environment():
    """Versions and threads of this process, and the commit of the code."""
    return {'python': platform.python_version(), 'numpy': np.__version__, 'mxnet': mx.__version__,
            'threads': int(os.environ['OMP_NUM_THREADS']), 'commit': _commit()}


def _commit():
    """The checkout's commit, `-dirty` with uncommitted changes but to logs; None outside git."""
    git = ['git', '-C', os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    try:
        head = subprocess.run(git + ['rev-parse', 'HEAD'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True, universal_newlines=True).stdout.strip()
        dirty = subprocess.run(git + ['diff', '--quiet', 'HEAD', '--', ':/', ':(exclude,top)logs'],
                               stderr=subprocess.DEVNULL).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ('-dirty' if dirty else '')


def read_config(run_dir):
    """config.json of a run directory, or a file of together.py, as a dict; UserError where there is none."""
    path = run_dir if run_dir.endswith('.json') else os.path.join(run_dir, 'config.json')
    try:
        with open(path) as file:
            config = json.load(file)
        config['options']['epochs'], config['environment']['devices'], (config['outcome'] or {'status': ''})['status']
    except FileNotFoundError:
        raise UserError('%s is not a run directory: it has no config.json' % run_dir) from None
    except (ValueError, KeyError, TypeError):
        raise UserError('%s is damaged, or not of a run of this repository' % path) from None
    return config


def read_metrics(run_dir):
    """Rows of metrics.csv as dicts of numbers, an empty cell as nan; none before the first epoch is finished.

    UserError where it is damaged.
    """
    path = os.path.join(run_dir, 'metrics.csv')
    try:
        with open(path, newline='') as file:
            return [{name: float(cell) if cell else float('nan') for name, cell in row.items()}
                    for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError):
        raise UserError('%s is damaged: it is not a table of numbers' % path) from None


def check_columns(run_dir, rows, columns):
    """UserError where the rows that read_metrics gave for a run lack one of the columns."""
    for column in columns:
        if any(column not in row for row in rows):
            raise UserError('%s has no column %s: is the run damaged?' % (os.path.join(run_dir, 'metrics.csv'), column))


def status(config):
    """How a run ended, `finished` or `not finite`; None where it has not. config: as read_config gives it."""
    return (config['outcome'] or {}).get('status')


def count_devices(config):
    """On how many devices a run was made, of all its workers."""
    return len(config['environment']['devices']) * config['environment'].get('workers', 1)


def find_runs(paths):
    """Run directories among `paths` and in the directories above them (all seeds), in order."""
    runs = []
    for path in paths:
        inside = [os.path.normpath(folder) for folder, _, files in sorted(os.walk(path)) if 'config.json' in files]
        if not inside:
            raise UserError('there is no run in %s' % path)
        runs += [folder for folder in inside if folder not in runs]
    return runs


def without_seed(path):
    """A run directory's path, or name, less the seed at its end: what the seeds of one configuration share."""
    return re.sub(r'-?seed\d+$', '', path)


def group_runs(paths):
    """{directory and options: run directories}: the runs of `paths`, those that differ in the seed alone together."""
    groups = {}
    for run_dir in find_runs(paths):
        groups.setdefault(without_seed(run_dir), []).append(run_dir)
    return groups


def outcome(directory, config, same):
    """How the run in a directory ended, None where it has not; changes nothing there. Arguments as of RunLog."""
    if not os.path.exists(os.path.join(directory, 'config.json')):
        return None
    old = read_config(directory)
    _check_same(directory, same(old), same(config))
    return old['outcome']


def _check_same(directory, before, now):
    other = ['%s %s instead of %s' % (key, before.get(key), now[key]) for key in now if before.get(key) != now[key]]
    if other:
        raise UserError('%s holds a run with another configuration (%s): choose another --log-dir, or delete it'
                        % (directory, '; '.join(other)))


class RunLog:
    """An open run directory. `config` is the dict of config.json; a run that has an outcome is left as it is."""

    def __init__(self, directory, config, same):
        """Open or create it; UserError if it holds another run, or another process works in it.

        same: the part of a config that has to be equal for the run to be the same, as a function of it. With the
        option `tensorboard` it has an event file as well.
        """
        self.directory, self.config = directory, config
        self._lock()
        if os.path.exists(self.path('config.json')):
            self.config = read_config(directory)
            _check_same(directory, same(self.config), same(config))
        elif checkpoint.find(directory):
            raise UserError('%s has checkpoints but no config.json that says of what: delete it' % directory)
        self._events = None
        if not self.config['outcome']:
            self.logger = self._open_log()
            self._begin(config)
            if config['options'].get('tensorboard'):
                from training.tensorboard import Events  # here, because it takes a while
                self._events = Events(directory)

    def path(self, name):
        """Path of a file in the run directory."""
        return os.path.join(self.directory, name)

    def _lock(self):
        """One process at a time: a lock on the directory itself, which ends with the process."""
        try:
            os.makedirs(self.directory, exist_ok=True)
            self._handle = os.open(self.directory, os.O_RDONLY)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError('another process is training in %s' % self.directory) from None
        except OSError as error:
            raise UserError('%s cannot be made (%s): choose another --log-dir' % (
                self.directory, error.strerror)) from None

    def _begin(self, config):
        """Record who works on the run now: the first time in config.json as it is, later in its list `resumed`."""
        if self.config is not config:
            now = config['environment']
            self.config.setdefault('resumed', []).append({'command': config['command'], 'environment': now})
            if now['threads'] != self.config['environment']['threads']:
                self.logger.warning('OMP_NUM_THREADS is %d, the run began with %d: the last bits of its weights '
                                    'depend on it', now['threads'], self.config['environment']['threads'])
        self._write_config()

    def _write_config(self):
        write_atomically(self.path('config.json'), json.dumps(self.config, indent=1) + '\n')

    def finish(self, **outcome):
        """Record how the run ended, and the most memory that this process has had."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # from KiB
        self.config['outcome'] = dict(outcome, peak_memory_mib=peak)
        self._write_config()

    def write_metrics(self, rows):
        """Write metrics.csv: a row per epoch, dicts with COLUMNS and any others as keys; None is an empty cell."""
        columns = list(rows[0]) if rows else COLUMNS
        lines = [','.join(columns)]
        lines += [','.join('' if row[name] is None else _number(row[name]) for name in columns) for row in rows]
        write_atomically(self.path('metrics.csv'), '\n'.join(lines) + '\n')
        if self._events:
            self._events.write(rows)

    def _open_log(self):
        logger = logging.getLogger('train')
        logger.setLevel(logging.DEBUG)
        logger.handlers[:] = [logging.FileHandler(self.path('train.log')), _Console()]
        for handler in logger.handlers:
            handler.setFormatter(logging.Formatter('%(asctime)s %(message)s'))
        return logger


class NoLog:
    """What a worker has that keeps no run directory: it says and writes nothing."""

    directory = None

    def __init__(self, config):
        self.config, self.logger = config, logging.getLogger('worker')
        self.logger.disabled = True

    def write_metrics(self, rows):
        """Nothing."""

    def finish(self, **outcome):
        """Nothing."""


def _number(value):
    """As short as it can be while precise to seven digits; counts stay whole."""
    return str(value) if isinstance(value, int) else '%.7g' % value


class _Console(logging.Handler):
    """Standard output, above the progress bar; on a terminal, where the bar tells the speed, without DEBUG."""

    def __init__(self):
        super().__init__(logging.INFO if sys.stderr.isatty() else logging.DEBUG)

    def emit(self, record):
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()
