"""Training loss and test error against epochs: of any runs, and of those of Figures 8 and 12.

Runs that differ in the seed alone are one curve, their mean, with their range as a lighter shade. A run that ends with
an error over 50 % is a thin line of its own, as the paper leaves it out of its means. If the runs are not equally long,
each is a curve of its own.
"""

import itertools
import os
import sys

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
import numpy as np

from common.errors import UserError
from common.output import printable
from paper import results
from paper.experiments import CURVES, ERROR, Experiment, Measurement
from paper.figures import COLORS
from paper.figures.captions import describe
import symbols
from training.run_directory import check_columns, find_runs, group_runs, read_config, read_metrics, status, without_seed

PANELS = (('train_loss', 'training loss'), ('test_error', 'test error (%)'))
Rows = list[dict[str, float]]  # of metrics.csv


def group(paths: list[str]) -> list[tuple[str, list[Rows]]]:
    """The runs in `paths` that have finished an epoch, as (title, rows of each run); seeds are grouped.

    Raises:
        UserError: no run has finished an epoch, or one is damaged.
    """
    groups, left_out = [], []
    for run_dirs in group_runs(find_runs(paths)):
        read = {run_dir: _read(run_dir) for run_dir in run_dirs}
        runs = [rows for rows in read.values() if rows]
        left_out += [run_dir for run_dir, rows in read.items() if not rows]
        if runs:
            groups.append((_title(run_dirs[0], max(map(len, runs))), runs))
    if not groups:
        raise UserError(f'no run in {" ".join(paths)} has finished an epoch yet')
    for run_dir in left_out:
        print(f'note: {run_dir} has no metrics of an epoch, and is left out', file=sys.stderr)
    return groups


def _read(run_dir):
    rows = read_metrics(run_dir)
    check_columns(run_dir, rows, [column for column, _ in PANELS])
    return rows


def _title(run_dir, done):
    """Network, data set, options off the default, and epochs if not all are done: `DFN-MR 14 on cifar10 (epochs8)`."""
    config = read_config(run_dir)
    options = config['options']
    labels = printable(without_seed(os.path.basename(os.path.abspath(run_dir))))
    under_way = '' if status(config) else f', {done} of {options["epochs"]} epochs'
    return f'{results.title(options)} on {options["dataset"]}' + (f' ({labels})' if labels else '') + under_way


def draw(groups: list[tuple[str, list[Rows]]]) -> Figure:
    """A figure with a panel for the loss and one for the error; groups: from `group`."""
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.2))
    handles = []
    for color, (title, runs) in zip(itertools.cycle(COLORS), groups):
        for axis, (column, _) in zip(axes, PANELS, strict=True):
            _draw_curves(axis, runs, column, color)
        handles.append(plt.Line2D([], [], color=color, label=_label(title, runs)))
    for axis, (_, label) in zip(axes, PANELS, strict=True):
        axis.set_xlabel('epoch')
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.tight_layout()
    figure.legend(handles=handles, loc='upper center', bbox_to_anchor=(0.5, 0), fontsize='small')
    return figure


def _label(title, runs):
    """The title and the final test error."""
    last = [rows[-1]['test_error'] for rows in runs]
    if not np.isfinite(last).all():  # a run diverged, or was imported without its errors
        return f'{title}{f", {len(runs)} runs" if len(runs) > 1 else ""}: no test error at the end'
    if len(runs) == 1:
        return f'{title}: {last[0]:.2f} %'
    if len({len(rows) for rows in runs}) > 1:
        return f'{title}, {len(runs)} runs, not equally long'
    if results.split(last)[1]:
        return f'{title}, {len(runs)} runs: {results.text(last)}, shade: range'
    return f'{title}, {len(runs)} runs: {np.mean(last):.2f} ± {np.std(last):.2f} %, shade: range'


def _draw_curves(axis, runs, column, color, line='-'):
    """Draw a column of one run, or of several that differ in the seed alone."""
    lengths = {len(rows) for rows in runs}
    style = {
        'color': color,
        'linestyle': line,
        'clip_on': False,
        'marker': 'o' if max(lengths) <= 20 else None,
        'markersize': 3,
        'linewidth': 1.4,
    }
    curves = [([row['epoch'] for row in rows], [row[column] for row in rows]) for rows in runs]
    if len(lengths) > 1:
        for epochs, values in curves:
            axis.plot(epochs, values, **style)
        return
    failed = [rows[-1][ERROR] > results.FAIL for rows in runs]
    if not all(failed):
        for (epochs, values), is_failed in zip(curves, failed):
            if is_failed:
                axis.plot(epochs, values, **{**style, 'linewidth': 0.6, 'marker': None})
        curves = [curve for curve, is_failed in zip(curves, failed) if not is_failed]
    epochs, seeds = curves[0][0], np.array([values for _, values in curves])
    axis.plot(epochs, seeds.mean(axis=0), **style)
    if len(curves) > 1:
        axis.fill_between(epochs, seeds.min(axis=0), seeds.max(axis=0), color=color, alpha=0.25, linewidth=0)


def draw_papers(number: int, log_dir: str, epochs: int | None = None) -> tuple[Figure, list[str], str]:
    """Figure 8 or 12: a row of axes for each panel that has a run, or for the first if none has.

    A run that is not finished is drawn as far as it is.

    Args:
        epochs: the schedule of the runs to show (default: the paper's).

    Returns:
        The figure, the titles of the experiments that have no run, and the caption.

    Raises:
        UserError: a run is damaged.
    """
    wanted = CURVES[number]
    found = {
        experiment: find(experiment, log_dir, epochs) for _, experiments in wanted.panels for experiment in experiments
    }
    panels = [panel for panel in wanted.panels if any(found[experiment] for experiment in panel[1])]
    panels = panels or list(wanted.panels[:1])
    figure, grid = plt.subplots(
        len(panels), len(wanted.axes), squeeze=False, figsize=(5.5 * len(wanted.axes), 3.6 * len(panels))
    )
    for row, (title, experiments) in zip(grid, panels, strict=True):
        runs = {experiment: _read_all(found[experiment]) for experiment in experiments}
        for axis, (label, columns) in zip(row, wanted.axes, strict=True):
            axis.set(title=title, xlabel='epoch', ylabel=label, xlim=(0, epochs or experiments[0].epochs))
            _draw_axis(axis, columns, runs.values())
        row[0].legend(
            handles=[
                plt.Line2D([], [], color=color, label=_legend(experiment, found[experiment]))
                for color, experiment in zip(COLORS, experiments)
            ],
            fontsize='small',
        )
    figure.tight_layout()

    missing = [f'{_name(experiment)} on {experiment.dataset}' for experiment in found if not found[experiment]]
    dashes = ' Dashed: training.' if any(len(columns) > 1 for _, columns in wanted.axes) else ''
    papers = wanted.panels[0][1][0].epochs
    schedule = '' if epochs in (None, papers) else f' Schedules of {epochs} epochs (the paper: {papers}).'
    title = f'{wanted.title[0].upper()}{wanted.title[1:]}.'
    caption = f'{title}{dashes}{schedule} {describe(filter(None, found.values()))}'
    return figure, missing, caption


def find(experiment: Experiment, log_dir: str, epochs: int | None = None) -> results.Found | None:
    """The runs of a curve, which may differ from the paper's in their devices; where none is finished, the longest."""
    fitting = [
        found
        for found in results.find(Measurement(ERROR, experiment), log_dir, epochs)
        if all(difference.kind in ('devices', 'unfinished') for difference in found.differences)
    ]

    def length(found):
        return np.inf if found.only_devices_differ else len(read_metrics(found.runs[0]))

    return max(fitting, key=length, default=None)  # of several finished ones the first


def _read_all(found):
    return [read_metrics(run_dir) for run_dir in found.runs] if found else []


def _draw_axis(axis, columns, experiments):
    for color, runs in zip(COLORS, experiments):
        for column in columns if runs else ():
            _draw_curves(axis, runs, column, color, '--' if len(columns) > 1 and column.startswith('train') else '-')
    axis.set_ylim(0, None)
    axis.grid(alpha=0.3)
    if not axis.get_lines():
        axis.set_yticks([])


def _legend(experiment, found):
    if not found:
        return f'{_name(experiment)}: no run'
    stopped = ''.join(f', {difference}' for difference in found.differences if difference.kind == 'unfinished')
    return f'{_name(experiment)}: {results.text(found.last)} %{stopped}'


def _name(experiment):
    return f'{symbols.NETWORKS[experiment.net].title} {experiment.depth}'
