"""TensorBoard's event file of a run: every column of metrics.csv against the epoch.

tensorboard --logdir logs        # TensorBoard itself is not among the requirements
"""

import glob
import os

from tensorboardX import SummaryWriter


class Events:
    """The event file in a run directory. Each start replaces it, so that a resumed run has one."""

    def __init__(self, directory: str):
        for old in glob.glob(os.path.join(glob.escape(directory), 'events.out.tfevents.*')):
            os.remove(old)
        self._writer, self._written = SummaryWriter(directory), 0

    def write(self, rows: list[dict]) -> None:
        """Add the rows of metrics.csv that are not there yet, without the cells that are None."""
        for row in rows[self._written :]:
            for column, value in row.items():
                if column != 'epoch' and value is not None:
                    self._writer.add_scalar(tag(column), value, row['epoch'])
        self._written = len(rows)
        self._writer.flush()


def tag(column: str) -> str:
    """`test_error` → `test/error`: TensorBoard shows what precedes the slash as a group."""
    return column.replace('_', '/', 1) if column.startswith(('train_', 'test_')) else column
