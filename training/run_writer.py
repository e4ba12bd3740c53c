"""The directory of a run that trains: it writes what run_directory.py reads."""

import contextlib
import json
import logging
import os
import resource
import weakref

from common import sums
from common.errors import UserError
from common.files import lock_folder, write_atomically
from common.sums import Damaged
from training import checkpoint, run_log
from training.run_directory import COLUMNS, CONFIG, LOG, METRICS, check_same, count_devices, files, number, read_config


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
        if os.path.exists(self._file(CONFIG)):
            self.config = read_config(path)
            check_same(path, self.config, config)
        elif remains := self._remains():
            raise Damaged(
                f'{path} has {remains} but no {CONFIG} that says of what run: put it back from a copy, or delete {path}'
            )
        self.outcome = self.config['outcome']
        self.logger, self._events = run_log.LOGGER, None
        if not self.outcome:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._file(sums.NAME))  # the run was killed as it ended, or committed unfinished
            if self.config is config:
                self._write_config()  # first: without it, nobody knows what the other files are of
            run_log.start(self._file(LOG))
            if self.config is not config:
                self._record_resume(config)
            if config['options'].get('tensorboard'):
                from training.tensorboard import Events  # imported here, because it takes a while

                self._events = Events(path)

    def _file(self, name):
        return os.path.join(self.path, name)

    def _lock(self):
        """One run at a time: a lock on the directory, which ends with this object."""
        try:
            os.makedirs(self.path, exist_ok=True)
            locks = lock_folder(self.path, 'nothing keeps a second process from training there')
            self._handle = os.open(self.path, os.O_RDONLY)
            locks.callback(os.close, self._handle)
            weakref.finalize(self, locks.close)
        except BlockingIOError:
            raise UserError(f'another process is training in {self.path}') from None
        except OSError as error:
            raise UserError(f'{self.path} cannot be made ({error.strerror}): choose another --log-dir') from None

    def _remains(self):
        """What a run left here, as a text."""
        there = [os.path.basename(folder) for folder in checkpoint.find(self.path)]
        return ', '.join(there + [name for name in (METRICS, LOG, sums.NAME) if self._has_content(name)])

    def _has_content(self, name):
        return os.path.exists(self._file(name)) and os.path.getsize(self._file(name)) > 0

    def _record_resume(self, config):
        """Record in config.json who works on the run now, in the list `resumed`, and where its images are."""
        now, began = config['environment'], self.config['environment']
        self.config['options']['data_dir'] = config['options']['data_dir']
        self.config.setdefault('resumed', []).append({'command': config['command'], 'environment': now})
        if now['threads'] != began['threads']:
            self.logger.warning(
                'OMP_NUM_THREADS is %d, but the run began with %d: the last bits of its weights depend on it',
                now['threads'],
                began['threads'],
            )
        summed, before = (one['options'].get('kv_store') for one in (config, self.config))
        if summed != before and count_devices(config) > 2:  # of two, the sum is the same in either order
            self.logger.warning(
                'the gradients are summed by --kv-store %s, but the run began with %s: the last bits of its weights '
                'depend on it',
                summed,
                before,
            )
        known = [name for name in ('processor', 'vectors') if name in began and name in now]
        here, there = (' with '.join(environment[name] for name in known) for environment in (now, began))
        if here != there and now['devices'][0].startswith('cpu'):
            self.logger.warning(
                'this processor is %s, but the run began on %s: the last bits of its weights depend on it', here, there
            )
        self._write_config()

    def _config_text(self):
        return json.dumps(sums.seal(self.config), indent=1) + '\n'

    def _write_config(self):
        write_atomically(self._file(CONFIG), self._config_text())

    def finish(self, **outcome) -> None:
        """Record how the run ended, the most memory that this process had, and the digests of all files."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # from KiB
        self.config['outcome'] = dict(outcome, peak_memory_mib=peak)
        # The digests come first: a run that has ended without them is damaged.
        sums.write(self.path, [name for name in files(self.path) if name != CONFIG], {CONFIG: self._config_text()})
        self._write_config()

    def write_metrics(self, rows: list[dict]) -> None:
        """Write metrics.csv, a row for each epoch, with COLUMNS and any others; None becomes an empty cell."""
        columns = list(rows[0]) if rows else COLUMNS
        lines = [','.join(columns)]
        lines += [','.join('' if row[name] is None else number(row[name]) for name in columns) for row in rows]
        write_atomically(self._file(METRICS), '\n'.join(lines) + '\n')
        if self._events:
            self._events.write(rows)

    def check_there(self) -> None:
        """Raise UserError if the directory was removed while the run used it."""
        if not os.path.isdir(self.path) or not os.fstat(self._handle).st_nlink:
            raise UserError(f'{self.path} was removed while the run was training in it: nothing more can be saved')


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

    def check_there(self) -> None:
        """See RunDirectory."""
