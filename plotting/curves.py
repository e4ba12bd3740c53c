"""Training loss and test error against epochs, several runs in one figure (the form of Figure 12)."""
import os
import re

import numpy as np

import plotting  # noqa: F401  chooses the backend before pyplot is imported
import symbols
from errors import UserError
from training.runlog import group_runs, read_config, read_metrics

from matplotlib import pyplot as plt  # isort: skip

COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']  # Okabe and Ito's
PANELS = (('train_loss', 'training loss'), ('test_error', 'test error (%)'))


def group(paths):
    """{title: list of metrics' rows}: runs that differ in their seeds alone are one group.

    Runs without a finished epoch are left out, and UserError raised where there is no other.
    """
    groups = {}
    for run_dirs in group_runs(paths).values():
        rows = [read_metrics(run_dir) for run_dir in run_dirs]
        if any(rows):
            groups[_title(run_dirs[0])] = [of_run for of_run in rows if of_run]
    if not groups:
        raise UserError('no run in %s has finished an epoch yet' % ' '.join(paths))
    return groups


def _title(run_dir):
    """Such as `DFN-MR 14 on cifar10, epochs8`: network, data, and the options off the default."""
    options = read_config(run_dir)['options']
    extra = re.sub(r'-?seed\d+$', '', os.path.basename(os.path.abspath(run_dir)))
    return '%s %d%s on %s' % (symbols.network(options['net']).title, options['depth'],
                              ', %d× wide' % options['widen'] if options['widen'] > 1 else '',
                              options['dataset']) + (', ' + extra if extra else '')


def draw(groups):
    """A figure with two panels; a group of several runs is its mean, with the range in a lighter shade."""
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.2))
    for colour, (title, runs) in zip(_cycle(COLOURS), groups.items()):
        for axis, (column, _) in zip(axes, PANELS):
            _curve(axis, [_column(rows, column) for rows in runs], colour,
                   '%s (%d runs)' % (title, len(runs)) if len(runs) > 1 else title)
    for axis, (_, label) in zip(axes, PANELS):
        axis.set_xlabel('epoch')
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[-1].legend(fontsize='small')
    figure.tight_layout()
    return figure


def _cycle(colours):
    while True:
        yield from colours


def _column(rows, column):
    return [row['epoch'] for row in rows], [row[column] for row in rows]


def _curve(axis, curves, colour, label):
    marker = 'o' if max(len(epochs) for epochs, _ in curves) <= 20 else None
    length = min(len(epochs) for epochs, _ in curves)
    values = np.array([value[:length] for _, value in curves])
    epochs = curves[0][0][:length]
    axis.plot(epochs, values.mean(axis=0), color=colour, label=label, marker=marker, markersize=3, linewidth=1.4)
    if len(curves) > 1:
        axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
