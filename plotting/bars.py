"""Figures 2, 4 and 5: test errors of finished runs as bars, in groups of equal depth.

A bar is the mean over the seeds found, with a line of ± their standard deviation. Where there is no
finished run there is no bar, and the picture says so. The paper's values are not drawn: its tables have
some of them, the others are in its pictures alone.
"""
import os
from typing import NamedTuple

import numpy as np

import plotting  # noqa: F401  chooses the backend before pyplot is imported
from errors import UserError
from plotting.curves import COLOURS
from training.loop import FAIL
from training.runlog import WITHOUT, group_runs, read_config, read_metrics

from matplotlib import pyplot as plt  # isort: skip

PAPERS_EPOCHS = 400


class Series(NamedTuple):
    """Bars of one colour: a network, its options off the default, and the column of metrics.csv that is shown."""

    title: str
    net: str
    options: str = ''
    column: str = 'test_error'


class Figure(NamedTuple):
    """What a figure of the paper shows."""

    title: str
    depths: tuple
    series: tuple


FIGURES = {
    2: Figure('plain network, its fused net and its ensemble',
              (14, 20, 26, 38, 50, 56, 62, 74, 98, 110),
              (Series('Plain', 'plain'), Series('DFN (N_f3)', 'dfn-f3'), Series('Ensemble', 'ensemble'))),
    4: Figure('fused nets of growing ensemble size',
              (20, 26, 38, 50, 56, 62, 74, 98, 110),
              (Series('N_f3', 'dfn-f3'), Series('N_f6', 'dfn-f6'), Series('ResNet', 'resnet'))),
    5: Figure('with and without the deepest component network',
              (26, 38, 50, 62, 74, 98, 110),
              (Series('Ensemble-8', 'ensemble'), Series('Ensemble-7', 'ensemble', 'components7'),
               Series('Ensemble-7 w/o retraining', 'ensemble', column=WITHOUT % 'RRR'))),
}


def find_errors(folder, series, depth, epochs=PAPERS_EPOCHS):
    """The last epoch's errors in percent of a bar's runs, one for each seed; infinite where the run diverged.

    Runs that have not ended are left out. Raises UserError for a run that lacks the column.
    folder: of a data set's runs. A run directory's name says which options are off the default, so other
    schedules, or the trials of an option, are never taken for the paper's.
    """
    place = os.path.join(os.path.normpath(folder), '%s-%d' % (series.net, depth))
    if not os.path.isdir(place):
        return []
    options = [series.options] if series.options else []
    options += ['epochs%d' % epochs] if epochs != PAPERS_EPOCHS else []
    runs = group_runs([place]).get(os.path.join(place, '-'.join(options)), [])
    outcomes = {run: read_config(run)['outcome'] for run in runs}
    return [_error(run, series.column) if outcome['status'] == 'finished' else np.inf
            for run, outcome in outcomes.items() if outcome]


def _error(run, column):
    rows = read_metrics(run)
    if not rows or column not in rows[-1]:
        raise UserError('%s has no %s in its last row: is the run damaged?' % (
            os.path.join(run, 'metrics.csv'), column))
    return rows[-1][column]


def draw(number, folder, epochs=PAPERS_EPOCHS, depths=None):
    """(figure, texts of the bars without a run); arguments as those of find_errors, depths: the figure's own."""
    wanted = FIGURES[number]
    depths = depths or wanted.depths
    errors = {(series, depth): find_errors(folder, series, depth, epochs)
              for series in wanted.series for depth in depths}
    figure, axis = plt.subplots(figsize=(max(5, 1.1 * len(depths) + 2), 4))
    width = 0.8 / len(wanted.series)
    for index, (colour, series) in enumerate(zip(COLOURS, wanted.series)):
        axis.bar(0, 0, color=colour, label=series.title)  # for the legend, where all are missing too
        for group, depth in enumerate(depths):
            x = group + (index - (len(wanted.series) - 1) / 2) * width
            _bar(axis, x, width, errors[series, depth], colour)
    axis.set_xticks(range(len(depths)))
    axis.set_xticklabels(depths)
    axis.set_xlim(-0.6, len(depths) - 0.4)
    axis.set_ylim(bottom=0)
    axis.set_xlabel('depth')
    axis.set_ylabel('test error (%)')
    made_of = _made_of(epochs, [len(found) for found in errors.values() if found])
    axis.set_title('Figure %d: %s\n%s, %s' % (
        number, wanted.title, os.path.basename(os.path.normpath(folder)), made_of), fontsize='medium')
    axis.grid(axis='y', alpha=0.3)
    axis.set_axisbelow(True)
    figure.tight_layout()
    figure.legend(loc='upper center', bbox_to_anchor=(0.5, 0), ncol=len(wanted.series), fontsize='small')
    return figure, ['%s %d' % (series.title, depth) for (series, depth), found in errors.items() if not found]


def _bar(axis, x, width, errors, colour):
    mean = np.mean(errors) if errors else None
    if mean is None or mean > FAIL:
        axis.text(x, 0.01, 'no run' if mean is None else 'fail', rotation=90, ha='center', va='bottom', fontsize=6.5,
                  color='#888888', transform=axis.get_xaxis_transform())
        return
    axis.bar(x, mean, width * 0.92, color=colour, yerr=np.std(errors) if len(errors) > 1 else None, capsize=2)
    axis.text(x, mean, '%.2f' % mean, ha='center', va='bottom', fontsize=6.5)


def _made_of(epochs, counts):
    """Such as `last of 8 epochs (the paper: 400), 1 run a bar`."""
    schedule = 'last of %d epochs' % epochs + ('' if epochs == PAPERS_EPOCHS else ' (the paper: %d)' % PAPERS_EPOCHS)
    if not counts:
        return schedule + ', no run yet'
    least, most = min(counts), max(counts)
    return schedule + ', %s run%s a bar' % (most if least == most else '%d to %d' % (least, most), 's' * (most > 1))
