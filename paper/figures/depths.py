"""How deep the component networks of networks are: the form of Figure 11."""
import itertools

import paper.figures  # noqa: F401  chooses the backend before pyplot is imported
from paper.figures.curves import COLOURS
from symbols.analysis.paths import moments

from matplotlib import pyplot as plt  # isort: skip


def draw(counted, what):
    """A figure with a curve for each network: the share of its component networks, in percent, that have a depth.

    counted: [(title, counts)], counts[k] the number of component networks of k layers. what: how they were counted.
    Depths that no component has are left out, so that a network with few of them is not all zeros.
    """
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for colour, (title, counts) in zip(itertools.cycle(COLOURS), counted):
        total = sum(counts)
        there = [(depth, 100 * count / total) for depth, count in enumerate(counts) if count]
        axis.plot(*zip(*there), color=colour, marker='o', markersize=3, linewidth=1.4,
                  label='%s: %.1f ± %.1f' % ((title,) + moments(counts)))
    axis.set_xlabel('depth of a component network (layers)')
    axis.set_ylabel('share of the component networks (%)')
    axis.set_title('component networks, %s' % what, fontsize='medium')
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(title='mean ± std', fontsize='small')
    figure.tight_layout()
    return figure
