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
import subprocess
import sys

import numpy as np
from tqdm import tqdm

from compat import mx
from errors import UserError

COLUMNS = 'epoch lr train_loss train_error test_loss test_error images_per_second seconds'.split()


def environment():
    """Versions and threads of this process, and the commit of the code."""
    return {'python': platform.python_version(), 'numpy': np.__version__, 'mxnet': mx.__version__,
            'threads': int(os.environ['OMP_NUM_THREADS']), 'commit': _commit()}


def _commit():
    """The checkout's commit, `-dirty` with uncommitted changes to tracked files; None outside git."""
    git = ['git', '-C', os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    try:
        head = subprocess.run(git + ['rev-parse', 'HEAD'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True, universal_newlines=True).stdout.strip()
        dirty = subprocess.run(git + ['diff', '--quiet', 'HEAD'], stderr=subprocess.DEVNULL).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ('-dirty' if dirty else '')


def write_atomically(path, text):
    """Replace a file's contents whole or not at all."""
    with open(path + '.tmp', 'w', newline='') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + '.tmp', path)


def read_config(run_dir):
    """config.json of a run directory as a dict; UserError where there is none."""
    path = os.path.join(run_dir, 'config.json')
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        raise UserError('%s is not a run directory: it has no config.json' % run_dir) from None
    except ValueError:
        raise UserError('%s is damaged: not JSON' % path) from None


def read_metrics(run_dir):
    """Rows of metrics.csv as dicts of numbers, an empty cell as nan; none before the first epoch is finished."""
    path = os.path.join(run_dir, 'metrics.csv')
    try:
        with open(path, newline='') as file:
            return [{name: float(cell) if cell else float('nan') for name, cell in row.items()}
                    for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []


def find_runs(paths):
    """Run directories among `paths` and in the directories above them (all seeds), in order."""
    runs = []
    for path in paths:
        inside = [os.path.normpath(folder) for folder, _, files in sorted(os.walk(path)) if 'config.json' in files]
        if not inside:
            raise UserError('there is no run in %s' % path)
        runs += [folder for folder in inside if folder not in runs]
    return runs


def group_runs(paths):
    """{directory and options: run directories}: the runs of `paths`, those that differ in the seed alone together."""
    groups = {}
    for run_dir in find_runs(paths):
        groups.setdefault(re.sub(r'-?seed\d+$', '', run_dir), []).append(run_dir)
    return groups


class RunLog:
    """An open run directory. `config` is the dict of config.json."""

    def __init__(self, directory, config, same):
        """Open or create it; UserError if it holds another run.

        same: the part of `config` that has to be equal for the run to be the same, as a function of it.
        """
        self.directory, self.config = directory, config
        os.makedirs(directory, exist_ok=True)
        self._lock()
        if os.path.exists(self.path('config.json')):
            self.config = self._compare(read_config(directory), config, same)
        else:
            self._write_config()
        self.logger = self._open_log()
        self._note_threads(config)

    def path(self, name):
        """Path of a file in the run directory."""
        return os.path.join(self.directory, name)

    def _lock(self):
        """One process at a time: a lock on the directory itself, which ends with the process."""
        self._handle = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError('another process is training in %s' % self.directory) from None

    def _compare(self, old, new, same):
        before, now = same(old), same(new)
        other = ['%s %s instead of %s' % (key, before.get(key), now.get(key))
                 for key in {**before, **now} if before.get(key) != now.get(key)]
        if other:
            raise UserError('%s holds a run with another configuration (%s): choose another --log-dir, '
                            'or delete it' % (self.directory, '; '.join(other)))
        return old

    def _note_threads(self, config):
        before, now = self.config['environment']['threads'], config['environment']['threads']
        if before != now:
            self.logger.warning('OMP_NUM_THREADS is %d, the run began with %d: the last bits of its weights '
                                'depend on it', now, before)

    def _write_config(self):
        write_atomically(self.path('config.json'), json.dumps(self.config, indent=1) + '\n')

    def finish(self, **outcome):
        """Record how the run ended."""
        self.config['outcome'] = outcome
        self._write_config()

    def write_metrics(self, rows):
        """Write metrics.csv: a row per epoch, dicts with COLUMNS as keys; None is an empty cell."""
        lines = [','.join(COLUMNS)]
        lines += [','.join('' if row[name] is None else _number(row[name]) for name in COLUMNS) for row in rows]
        write_atomically(self.path('metrics.csv'), '\n'.join(lines) + '\n')

    def _open_log(self):
        logger = logging.getLogger('train')
        logger.setLevel(logging.DEBUG)
        logger.handlers[:] = [logging.FileHandler(self.path('train.log')), _Console()]
        for handler in logger.handlers:
            handler.setFormatter(logging.Formatter('%(asctime)s %(message)s'))
        return logger


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
