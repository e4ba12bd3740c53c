"""Training loss and test error against epochs, several runs in one figure (the form of Figure 12)."""
import itertools
import os

import numpy as np

import plotting  # noqa: F401  chooses the backend before pyplot is imported
import symbols
from errors import UserError
from training.runlog import group_runs, read_config, read_metrics, without_seed

from matplotlib import pyplot as plt  # isort: skip

COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']  # Okabe and Ito's
PANELS = (('train_loss', 'training loss'), ('test_error', 'test error (%)'))


def group(paths):
    """[(title, list of metrics' rows)]: runs that differ in their seeds alone are one group.

    Runs without a finished epoch are left out, and UserError raised where there is no other.
    """
    groups = []
    for run_dirs in group_runs(paths).values():
        rows = [of_run for of_run in map(read_metrics, run_dirs) if of_run]
        if rows:
            groups.append((_title(run_dirs[0]), rows))
    if not groups:
        raise UserError('no run in %s has finished an epoch yet' % ' '.join(paths))
    return groups


def _title(run_dir):
    """Such as `DFN-MR 14 on cifar10 (epochs8)`: network, data, and the options off the default."""
    options = read_config(run_dir)['options']
    extra = without_seed(os.path.basename(os.path.abspath(run_dir)))
    return '%s%s on %s' % (symbols.title(options['net'], options['depth']),
                           ', %d× wide' % options['widen'] if options['widen'] > 1 else '',
                           options['dataset']) + (' (%s)' % extra if extra else '')


def draw(groups):
    """A figure with two panels; a group of several runs is their mean, with their range in a lighter shade.

    Where the runs of a group are not equally long, each is a curve of its own.
    """
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.2))
    handles = []
    for colour, (title, runs) in zip(itertools.cycle(COLOURS), groups):
        for axis, (column, _) in zip(axes, PANELS):
            _curves(axis, [np.array([(row['epoch'], row[column]) for row in rows]).T for rows in runs], colour)
        handles.append(plt.Line2D([], [], color=colour, label=_label(title, runs)))
    for axis, (_, label) in zip(axes, PANELS):
        axis.set_xlabel('epoch')
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.tight_layout()
    figure.legend(handles=handles, loc='upper center', bbox_to_anchor=(0.5, 0), fontsize='small')
    return figure


def _label(title, runs):
    """Title and final test error."""
    last = [rows[-1]['test_error'] for rows in runs]
    if len(runs) == 1:
        return '%s: %.2f %%' % (title, last[0])
    if len({len(rows) for rows in runs}) > 1:
        return '%s, %d runs, not equally long' % (title, len(runs))
    return '%s, %d runs: %.2f ± %.2f %%, shade: range' % (title, len(runs), np.mean(last), np.std(last))


def _curves(axis, curves, colour):
    style = {'color': colour, 'marker': 'o' if max(len(epochs) for epochs, _ in curves) <= 20 else None,
             'markersize': 3, 'linewidth': 1.4, 'clip_on': False}
    if len({len(epochs) for epochs, _ in curves}) > 1:
        for epochs, values in curves:
            axis.plot(epochs, values, **style)
        return
    epochs, values = curves[0][0], np.array([values for _, values in curves])
    axis.plot(epochs, values.mean(axis=0), **style)
    if len(curves) > 1:
        axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.25, linewidth=0)
