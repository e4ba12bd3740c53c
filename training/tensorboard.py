"""TensorBoard's event file of a run: every column of metrics.csv against the epoch.

tensorboard --logdir logs        # TensorBoard itself is not among the requirements
"""

import glob
import os
import time

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
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
        self._writer: EventsWriter | None = EventsWriter(os.path.join(os.path.abspath(directory), 'events'))
        self._written = 0

    def write(self, rows: list[dict]) -> None:
        """Add the rows of metrics.csv that are not there yet, without the cells that are None.

        Where the file cannot be written, as on a full disk, one line says so, and the training goes on without it.
        """
        try:
            if self._writer:
                self._add(self._writer, rows[self._written :])
                self._written = len(rows)
                self._writer.flush()
        except OSError as error:
            if error.errno not in NO_SYNC:
                LOGGER.warning("TensorBoard's events cannot be written (%s): the training goes on", error.strerror)
                self._writer = None

    def _add(self, writer, rows):
        for row in rows:
            for column, value in row.items():
                if column != 'epoch' and value is not None:
                    summary = scalar(tag(column), value)
                    writer.write_event(Event(wall_time=time.time(), step=row['epoch'], summary=summary))


def tag(column: str) -> str:
    """`test_error` → `test/error`: TensorBoard shows what precedes the slash as a group."""
    return column.replace('_', '/', 1) if column.startswith(('train_', 'test_')) else column
