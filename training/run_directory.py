"""The run directory: config.json, metrics.csv and train.log beside the checkpoints.

config.json holds everything that is needed to do the run again, and its outcome. metrics.csv has a row for each epoch.
It is written anew from the rows in the checkpoint, so the two always agree. train.log holds what the terminal showed,
in the line format of MXNet's own training scripts, which count epochs from 0.
"""

from collections.abc import Iterable
import csv
import json
import logging
import os
import re
import resource
import sys
import weakref

from tqdm import tqdm

from common.errors import UserError
from common.files import lock, write_atomically
from common.output import printable
from training import checkpoint, options

# The columns of metrics.csv, and those that an ensemble has for each of its members.
EACH, WITHOUT = 'test_error_{}', 'test_error_without_{}'
COLUMNS = 'epoch lr train_loss train_error test_loss test_error images_per_second seconds'.split()


def read_config(run_dir: str) -> dict:
    """The config.json of a run directory, or a .json file of the same form, its options completed.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = run_dir if run_dir.endswith('.json') else os.path.join(run_dir, 'config.json')
    try:
        with open(path) as file:
            config = json.load(file)
        config['options'] = options.complete(config['options'])
        config['options']['epochs'], config['environment']['devices'], (config['outcome'] or {'status': ''})['status']
    except FileNotFoundError:
        raise UserError(f'{run_dir} is not a run directory: it has no config.json') from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is damaged, or does not belong to a run of this repository') from None
    return config


def read_metrics(run_dir: str) -> list[dict[str, float]]:
    """The rows of metrics.csv, an empty cell as nan; no rows before the first epoch is finished.

    Raises:
        UserError: it is damaged.
    """
    path = os.path.join(run_dir, 'metrics.csv')
    try:
        with open(path, newline='') as file:
            return [
                {name: float(cell) if cell else float('nan') for name, cell in row.items()}
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError):
        raise UserError(f'{path} is damaged: it is not a table of numbers') from None


def check_columns(run_dir: str, rows: list[dict], columns: Iterable[str]) -> None:
    """Raise UserError where the rows of a run's metrics.csv lack one of the columns."""
    for column in columns:
        if any(column not in row for row in rows):
            raise UserError(f'{os.path.join(run_dir, "metrics.csv")} has no column {column}: is the run damaged?')


def status(config: dict) -> str | None:
    """How a run ended, `finished` or `not finite`; None where it has not."""
    return (config['outcome'] or {}).get('status')


def count_devices(config: dict) -> int:
    """The number of devices of all workers that a run used."""
    return len(config['environment']['devices']) * config['environment'].get('workers', 1)


def find_runs(paths: Iterable[str]) -> list[str]:
    """The run directories among `paths` and below them, in order.

    Raises:
        UserError: a path has none.
    """
    runs: list[str] = []
    for path in paths:
        inside = [os.path.normpath(folder) for folder, _, files in sorted(os.walk(path)) if 'config.json' in files]
        if not inside:
            raise UserError(f'there is no run in {path}')
        runs += [folder for folder in inside if folder not in runs]
    return runs


def without_seed(path: str) -> str:
    """A run directory's path, or name, without the seed at its end, which is what the seeds of one network share."""
    return re.sub(r'-?seed\d+$', '', path)


def group_runs(paths: Iterable[str]) -> dict[str, list[str]]:
    """The runs of `paths`, those that differ in the seed alone together: {path without the seed: run directories}."""
    groups: dict[str, list[str]] = {}
    for run_dir in find_runs(paths):
        groups.setdefault(without_seed(run_dir), []).append(run_dir)
    return groups


def find_outcome(directory: str, config: dict) -> dict | None:
    """How the run in a directory ended; None where it has not, or where there is none. Changes nothing there.

    Raises:
        UserError: the directory holds another run than `config` describes.
    """
    if not os.path.exists(os.path.join(directory, 'config.json')):
        return None
    old = read_config(directory)
    _check_same(directory, old, config)
    return old['outcome']


def identity(config: dict) -> dict:
    """What has to be equal for a run to be resumed: options, kinds and number of devices, workers, training images."""
    same = options.fixed(config['options'])
    same['devices'] = ','.join(device.partition('(')[0] for device in config['environment']['devices'])
    same['workers'] = config['environment'].get('workers', 1)
    if 'dataset' in config:
        same['data'] = config['dataset']['splits']['train']['content_sha256'][:12]
    if 'init_from' in config:
        same['init'] = config['init_from']['weights_sha256'][:12]
    return same


def _check_same(directory, old, new):
    before, now = identity(old), identity(new)
    other = '; '.join(f'{key} {before.get(key)} instead of {now[key]}' for key in now if before.get(key) != now[key])
    if other:
        raise UserError(
            f'{directory} holds a run with another configuration ({other}): choose another --log-dir, or delete it'
        )


class RunDirectory:
    """An open run directory.

    Attributes:
        config: the contents of config.json; where the directory holds a run already, that run's.
        outcome: how that run ended, None for one that has not. A run that has ended is left as it is.
    """

    def __init__(self, path: str, config: dict):
        """Create the directory, or open it.

        Raises:
            UserError: it holds another run, or another process works in it.
        """
        self.path, self.config = path, config
        self._lock()
        if os.path.exists(self._file('config.json')):
            self.config = read_config(path)
            _check_same(path, self.config, config)
        elif checkpoint.find(path):
            raise UserError(f'{path} has checkpoints but no config.json that says of what: delete it')
        self.outcome = self.config['outcome']
        self.logger = logging.getLogger('train')
        self._events = None
        if not self.outcome:
            self._open_log()
            self._record_start(config)
            if config['options'].get('tensorboard'):
                from training.tensorboard import Events  # imported here, because it takes a while

                self._events = Events(path)

    def _file(self, name):
        return os.path.join(self.path, name)

    def _lock(self):
        """One run at a time: a lock on the directory itself, which ends with this object."""
        try:
            os.makedirs(self.path, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, handle)
            lock(handle, self.path, 'nothing keeps a second process from training there')
        except BlockingIOError:
            raise UserError(f'another process is training in {self.path}') from None
        except OSError as error:
            raise UserError(f'{self.path} cannot be made ({error.strerror}): choose another --log-dir') from None

    def _record_start(self, config):
        """Record who works on the run now: first in config.json itself, later in its list `resumed`."""
        if self.config is not config:
            now = config['environment']
            self.config.setdefault('resumed', []).append({'command': config['command'], 'environment': now})
            began = self.config['environment']
            if now['threads'] != began['threads']:
                self.logger.warning(
                    'OMP_NUM_THREADS is %d, but the run began with %d: the last bits of its weights depend on it',
                    now['threads'],
                    began['threads'],
                )
        self._write_config()

    def _write_config(self):
        write_atomically(self._file('config.json'), json.dumps(self.config, indent=1) + '\n')

    def finish(self, **outcome) -> None:
        """Record how the run ended, and the most memory that this process had."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # from KiB
        self.config['outcome'] = dict(outcome, peak_memory_mib=peak)
        self._write_config()

    def write_metrics(self, rows: list[dict]) -> None:
        """Write metrics.csv, a row for each epoch, with COLUMNS and any others; None becomes an empty cell."""
        columns = list(rows[0]) if rows else COLUMNS
        lines = [','.join(columns)]
        lines += [','.join('' if row[name] is None else _number(row[name]) for name in columns) for row in rows]
        write_atomically(self._file('metrics.csv'), '\n'.join(lines) + '\n')
        if self._events:
            self._events.write(rows)

    def _open_log(self):
        self.logger.setLevel(logging.DEBUG)
        self.logger.handlers[:] = [
            logging.FileHandler(self._file('train.log'), encoding='utf-8'),
            _Console(),
        ]
        for handler in self.logger.handlers:
            handler.setFormatter(_OneLine('%(asctime)s %(message)s'))


class NoRunDirectory:
    """The run directory of a worker that keeps none: it says and writes nothing."""

    path, outcome = '', None

    def __init__(self, config: dict):
        self.config, self.logger = config, logging.getLogger('worker')
        self.logger.disabled = True

    def write_metrics(self, rows: list[dict]) -> None:
        """See RunDirectory."""

    def finish(self, **outcome) -> None:
        """See RunDirectory."""


def _number(value):
    """As short as seven digits allow; counts stay whole."""
    return str(value) if isinstance(value, int) else f'{value:.7g}'


class _OneLine(logging.Formatter):
    """A message is a line, whatever names are in it."""

    def formatMessage(self, record):
        return printable(super().formatMessage(record), keep='\t')


class _Console(logging.Handler):
    """Standard output, above the progress bar. On a terminal, where the bar tells the speed, it omits DEBUG lines."""

    def __init__(self):
        super().__init__(logging.INFO if sys.stderr.isatty() else logging.DEBUG)

    def emit(self, record):
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()
