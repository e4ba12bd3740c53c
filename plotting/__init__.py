"""Pictures: convergence curves of runs, and the networks themselves; matplotlib only, no window."""
import os

import matplotlib

matplotlib.use('Agg')
matplotlib.rcParams['svg.hashsalt'] = 'dfn'  # the same picture gives the same SVG


def save(figure, stem):
    """Write STEM.png and STEM.svg and return their paths."""
    os.makedirs(os.path.dirname(stem) or '.', exist_ok=True)
    paths = [stem + '.png', stem + '.svg']
    figure.savefig(paths[0], dpi=150, bbox_inches='tight')
    figure.savefig(paths[1], bbox_inches='tight', metadata={'Date': None})
    return paths
