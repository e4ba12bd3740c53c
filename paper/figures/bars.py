"""Figures 2, 4 and 5: test errors of finished runs as bars, in groups of equal depth.

A bar is the mean over the seeds found, with a line of ± their standard deviation. Where there is no finished run
there is no bar, and the picture says so.
"""
import paper.figures  # noqa: F401  chooses the backend before pyplot is imported
from paper import results
from paper.experiments import BARS
from paper.figures.curves import COLOURS, describe

from matplotlib import pyplot as plt  # isort: skip


def find(makes, log_dir, epochs=None):
    """The results.Found of a bar: finished runs that may differ from the paper's in their devices alone; or None."""
    return next((found for found in results.find(makes, log_dir, epochs) if found.only_devices_differ), None)


def draw(number, log_dir, epochs=None, depths=None, dataset='cifar10'):
    """(figure, texts of the bars without a run, caption).

    epochs: of the schedule, the paper's unless given; depths: to show, those of the paper unless given.
    """
    wanted = BARS[number]
    depths = depths or wanted.depths
    found = {(series, depth): find(series.makes(dataset, depth), log_dir, epochs)
             for series in wanted.series for depth in depths}
    figure, axis = plt.subplots(figsize=(max(5, 1.1 * len(depths) + 2), 4))
    width = 0.8 / len(wanted.series)
    for index, (colour, series) in enumerate(zip(COLOURS, wanted.series)):
        axis.bar(0, 0, color=colour, label=series.title)  # for the legend, where all are missing too
        for group, depth in enumerate(depths):
            x = group + (index - (len(wanted.series) - 1) / 2) * width
            of_bar = found[series, depth]
            _bar(axis, x, width, of_bar and of_bar.last, colour)
    axis.set_xticks(range(len(depths)))
    axis.set_xticklabels(depths)
    axis.set_xlim(-0.6, len(depths) - 0.4)
    axis.set_ylim(bottom=0)
    axis.set_xlabel('depth')
    axis.set_ylabel('test error (%)')
    axis.set_title('Figure %d: %s' % (number, wanted.title), fontsize='medium')
    axis.grid(axis='y', alpha=0.3)
    axis.set_axisbelow(True)
    figure.tight_layout()
    figure.legend(loc='upper center', bbox_to_anchor=(0.5, 0), ncol=len(wanted.series), fontsize='small')
    papers = wanted.series[0].makes(dataset, depths[0]).run.epochs
    caption = 'Test errors of the last of %d epochs on %s%s; a bar is the mean of its runs ± their deviation. %s' % (
        epochs or papers, dataset, '' if epochs in (None, papers) else ' (the paper: %d)' % papers,
        describe([of_bar for of_bar in found.values() if of_bar]))
    return figure, ['%s %d' % (series.title, depth) for (series, depth), of_bar in found.items() if not of_bar], caption


def _bar(axis, x, width, errors, colour):
    (mean, deviation), (_, failed) = results.mean_and_deviation(errors or []), results.split(errors or [])
    if mean is None:
        axis.text(x, 0.01, 'fail' if failed else 'no run', rotation=90, ha='center', va='bottom', fontsize=6.5,
                  color='#888888', transform=axis.get_xaxis_transform())
        return
    axis.bar(x, mean, width * 0.92, color=colour, yerr=deviation, capsize=2)
    axis.text(x, mean, '%.2f' % mean + (', %d fail' % failed if failed else ''), ha='center', va='bottom', fontsize=6.5)
