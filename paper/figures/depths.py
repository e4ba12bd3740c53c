"""How deep the component networks of networks are, in the form of Figure 11."""

import itertools

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paper.figures import COLORS
from symbols.analysis.paths import moments


def draw(counted: list[tuple[str, list[int]]], what: str) -> Figure:
    """A curve for each network: the share of its component networks, in percent, at each depth that any of them has.

    Args:
        counted: (title, counts) of each network; counts[k] is the number of component networks of k layers.
        what: how they were counted.
    """
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for color, (title, counts) in zip(itertools.cycle(COLORS), counted):
        total = sum(counts)
        depths = [depth for depth, count in enumerate(counts) if count]
        mean, deviation = moments(counts)
        axis.plot(
            depths,
            [100 * counts[depth] / total for depth in depths],
            color=color,
            marker='o',
            markersize=3,
            linewidth=1.4,
            label=f'{title}: {mean:.1f} ± {deviation:.1f}',
        )
    axis.set_xlabel('depth of a component network (layers)')
    axis.set_ylabel('share of the component networks (%)')
    axis.set_title(f'component networks, {what}', fontsize='medium')
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(title='mean ± std', fontsize='small')
    figure.tight_layout()
    return figure
