"""TensorBoard's event file of a run: every column of metrics.csv against the epoch.

    tensorboard --logdir logs        # TensorBoard itself is not among the requirements
"""
import glob
import os

from tensorboardX import SummaryWriter


class Events:
    """The event file in a run directory. It is made anew each time, so that a run taken up again has one."""

    def __init__(self, directory):
        for old in glob.glob(os.path.join(glob.escape(directory), 'events.out.tfevents.*')):
            os.remove(old)
        self._writer, self._written = SummaryWriter(directory), 0

    def write(self, rows):
        """Add the rows of metrics.csv, dicts, that are not there yet; None is left out."""
        for row in rows[self._written:]:
            for column, value in row.items():
                if column != 'epoch' and value is not None:
                    self._writer.add_scalar(tag(column), value, row['epoch'])
        self._written = len(rows)
        self._writer.flush()


def tag(column):
    """`test_error` → `test/error`: TensorBoard shows what stands before the stroke as a group."""
    return column.replace('_', '/', 1) if column.startswith(('train_', 'test_')) else column
