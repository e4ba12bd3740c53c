"""Figures 2, 4 and 5: test errors of finished runs as bars, in groups of equal depth.

A bar is the mean over the seeds found, with a line of ± their standard deviation. Where there is no finished run, there
is no bar, and the picture says so.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paper import results
from paper.experiments import BARS, Measurement
from paper.figures import COLORS
from paper.figures.captions import describe


def find(measurement: Measurement, log_dir: str, epochs: int | None = None) -> results.Found | None:
    """The runs of a bar: finished ones that may differ from the paper's in their devices alone."""
    return next((found for found in results.find(measurement, log_dir, epochs) if found.only_devices_differ), None)


def draw(
    number: int, log_dir: str, epochs: int | None = None, depths: Sequence[int] | None = None, dataset: str = 'cifar10'
) -> tuple[Figure, list[str], str]:
    """Figure 2, 4 or 5.

    Args:
        epochs: the schedule of the runs to show (default: the paper's).
        depths: the depths to show (default: those in the paper).

    Returns:
        The figure, the titles of the bars that have no run, and the caption.

    Raises:
        UserError: a run is damaged.
    """
    bars = BARS[number]
    depths = depths or bars.depths
    found = {
        (series, depth): find(series.at(dataset, depth), log_dir, epochs) for series in bars.series for depth in depths
    }
    figure, axis = plt.subplots(figsize=(max(5, 1.1 * len(depths) + 2), 4))
    width = 0.8 / len(bars.series)
    for index, (color, series) in enumerate(zip(COLORS, bars.series)):
        axis.bar(0, 0, color=color, label=series.title)  # for the legend, even if all bars are missing
        for group, depth in enumerate(depths):
            x = group + (index - (len(bars.series) - 1) / 2) * width
            bar = found[series, depth]
            _draw_bar(axis, x, width, bar.last if bar else [], color)
    _label(axis, f'Figure {number}: {bars.title}', depths)
    figure.tight_layout()
    figure.legend(loc='upper center', bbox_to_anchor=(0.5, 0), ncol=len(bars.series), fontsize='small')

    missing = [f'{series.title} {depth}' for (series, depth), bar in found.items() if not bar]
    papers = bars.series[0].at(dataset, depths[0]).experiment.epochs
    comparison = '' if epochs in (None, papers) else f' (the paper: {papers})'
    caption = (
        f'Test errors of the last of {epochs or papers} epochs on {dataset}{comparison}; a bar is the mean of '
        f'its runs ± their deviation. {describe(filter(None, found.values()))}'
    )
    return figure, missing, caption


def _draw_bar(axis, x, width, errors, color):
    (mean, deviation), (_, failed) = results.mean_and_deviation(errors), results.split(errors)
    if mean is None:
        axis.text(
            x,
            0.01,
            'fail' if failed else 'no run',
            rotation=90,
            ha='center',
            va='bottom',
            fontsize=6.5,
            color='#888888',
            transform=axis.get_xaxis_transform(),
        )
        return
    axis.bar(x, mean, width * 0.92, color=color, yerr=deviation, capsize=2)
    text = f'{mean:.2f}, {failed} fail' if failed else f'{mean:.2f}'
    axis.text(x, mean + (deviation or 0), text, ha='center', va='bottom', fontsize=6.5)


def _label(axis, title, depths):
    axis.set_title(title, fontsize='medium')
    axis.set_xticks(range(len(depths)))
    axis.set_xticklabels(depths)
    axis.set_xlim(-0.6, len(depths) - 0.4)
    axis.set_ylim(bottom=0)
    axis.set_xlabel('depth')
    axis.set_ylabel('test error (%)')
    axis.grid(axis='y', alpha=0.3)
    axis.set_axisbelow(True)
