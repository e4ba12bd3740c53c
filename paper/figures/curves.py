"""Training loss and test error against epochs, several runs in one figure (the form of Figure 12)."""
import itertools
import os
import re

import numpy as np

import paper.figures  # noqa: F401  chooses the backend before pyplot is imported
from paper import results
import symbols
from common.errors import UserError
from paper.experiments import CURVES, ERROR, Makes
from symbols import imagenet
from training.runlog import check_columns, group_runs, read_config, read_metrics, without_seed

from matplotlib import pyplot as plt  # isort: skip

COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']  # Okabe and Ito's
PANELS = (('train_loss', 'training loss'), ('test_error', 'test error (%)'))


def group(paths):
    """[(title, list of metrics' rows)]: runs that differ in their seeds alone are one group.

    Runs without a finished epoch are left out, and UserError raised where there is no other.
    """
    groups = []
    for run_dirs in group_runs(paths).values():
        rows = [of_run for of_run in map(_rows, run_dirs) if of_run]
        if rows:
            groups.append((_title(run_dirs[0]), rows))
    if not groups:
        raise UserError('no run in %s has finished an epoch yet' % ' '.join(paths))
    return groups


def _rows(run_dir):
    rows = read_metrics(run_dir)
    check_columns(run_dir, rows, [column for column, _ in PANELS])
    return rows


def _title(run_dir):
    """Such as `DFN-MR 14 on cifar10 (epochs8)`: network, data, and the options off the default."""
    options = read_config(run_dir)['options']
    extra = without_seed(os.path.basename(os.path.abspath(run_dir)))
    known = imagenet if options['dataset'] == 'imagenet' else symbols
    wide = ', %d× wide' % options['widen'] if options.get('widen', 1) > 1 else ''
    return '%s%s on %s' % (known.title(options['net'], options['depth']), wide, options['dataset']) + (
        ' (%s)' % extra if extra else '')


def describe(found):
    """Which runs a picture shows, for its caption; found: a list of results.Found."""
    places = {}
    for of_one in found:
        for run in of_one.runs:
            places.setdefault((without_seed(run), of_one.differences), []).append(re.search(r'\d+$', run).group())
    if not places:
        return 'No run yet.'
    return 'Runs: %s.' % '; '.join('%s%s%s%s' % (
        place, '' if place.endswith(os.sep) else '-', 'seed' + ',seed'.join(seeds),
        ' (%s)' % ', '.join(differences) if differences else '') for (place, differences), seeds in places.items())


def draw_figure(number, log_dir, epochs=None):
    """(figure, texts of the runs that are missing, caption) of Figure 8 or 12.

    A row of axes for each panel that has a run; for the first where none has. epochs: of the schedule, the paper's
    unless given. A run that is not finished is drawn as far as it is.
    """
    wanted = CURVES[number]
    found = {run: find_curve(run, log_dir, epochs) for _, runs in wanted.panels for run in runs}
    panels = [panel for panel in wanted.panels if any(found[run] for run in panel[1])] or wanted.panels[:1]
    figure, grid = plt.subplots(len(panels), len(wanted.axes), squeeze=False,
                                figsize=(5.5 * len(wanted.axes), 3.6 * len(panels)))
    for row, (title, runs) in zip(grid, panels):
        for axis, (label, columns) in zip(row, wanted.axes):
            for colour, run in zip(COLOURS, runs):
                if found[run]:
                    _draw_run(axis, columns, found[run], colour)
            axis.set(title=title, xlabel='epoch', ylabel=label, xlim=(0, epochs or runs[0].epochs), ylim=(0, None))
            axis.grid(alpha=0.3)
            if not axis.get_lines():
                axis.set_yticks([])
        row[0].legend(handles=[plt.Line2D([], [], color=colour, label='%s: %s' % (
            _name(run), results.text(found[run].last) + ' %' if found[run] else 'no run'))
            for colour, run in zip(COLOURS, runs)], fontsize='small')
    figure.tight_layout()
    dashes = ' Dashed: training.' if any(len(columns) > 1 for _, columns in wanted.axes) else ''
    return (figure, ['%s on %s' % (_name(run), run.dataset) for run in found if not found[run]],
            '%s%s.%s %s' % (wanted.title[0].upper(), wanted.title[1:], dashes, describe(filter(None, found.values()))))


def _name(run):
    return '%s %d' % (symbols.NETWORKS[run.net].title, run.depth)


def find_curve(run, log_dir, epochs=None):
    """The results.Found of a curve: runs as in the paper but for devices, and perhaps not finished; or None."""
    for found in results.find(Makes(ERROR, run), log_dir, epochs):
        if all('device' in text or text.startswith('stopped after') for text in found.differences):
            return found
    return None


def _draw_run(axis, columns, found, colour):
    rows = [read_metrics(place) for place in found.runs]
    for column in columns:
        _curves(axis, [np.array([(row['epoch'], row[column]) for row in of_run]).T for of_run in rows], colour,
                '--' if len(columns) > 1 and column.startswith('train') else '-')


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


def _curves(axis, curves, colour, line='-'):
    style = {'color': colour, 'linestyle': line, 'clip_on': False,
             'marker': 'o' if max(len(epochs) for epochs, _ in curves) <= 20 else None, 'markersize': 3,
             'linewidth': 1.4}
    if len({len(epochs) for epochs, _ in curves}) > 1:
        for epochs, values in curves:
            axis.plot(epochs, values, **style)
        return
    epochs, values = curves[0][0], np.array([values for _, values in curves])
    axis.plot(epochs, values.mean(axis=0), **style)
    if len(curves) > 1:
        axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.25, linewidth=0)
