"""TensorBoard's event file of a run: every column of metrics.csv against the epoch.

tensorboard --logdir logs        # TensorBoard itself is not among the requirements
"""

import contextlib
import glob
import os
import socket
import time

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from common.files import NO_SYNC
from training.run_log import LOGGER


class Events:
    """The event file in a run directory. Each start replaces it, so that a resumed run has one.

    tensorboardX's SummaryWriter would write it in a thread of its own. If a write failed there, training would wait for
    it forever.
    """

    def __init__(self, directory: str):
        for old in glob.glob(os.path.join(glob.escape(directory), 'events.out.tfevents.*')):
            os.remove(old)
        name = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
        self._file: RecordWriter | None = RecordWriter(os.path.join(os.path.abspath(directory), name))
        _add(self._file, file_version='brain.Event:2')
        self._written = 0

    def write(self, rows: list[dict]) -> None:
        """Add the rows of metrics.csv that are not there yet, without the cells that are None.

        Where the file cannot be written, as on a full disk, one line says so, and the training goes on without it.
        """
        if not self._file:
            return
        try:
            for row in rows[self._written :]:
                for column, value in row.items():
                    if column != 'epoch' and value is not None:
                        _add(self._file, step=row['epoch'], summary=scalar(tag(column), value))
            self._written = len(rows)
            self._file.flush()
        except OSError as error:
            if error.errno in NO_SYNC:
                return
            LOGGER.warning("TensorBoard's events cannot be written (%s): the training goes on", error.strerror)
            with contextlib.suppress(OSError):  # without it, Python 3.13 prints a traceback when it collects the file
                self._file.close()
            self._file = None


def _add(file, **fields):
    file.write(Event(wall_time=time.time(), **fields).SerializeToString())


def tag(column: str) -> str:
    """`test_error` → `test/error`: TensorBoard shows what precedes the slash as a group."""
    return column.replace('_', '/', 1) if column.startswith(('train_', 'test_')) else column
