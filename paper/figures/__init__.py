"""Pictures: convergence curves of runs, and the networks themselves; matplotlib only, no window."""
import os
import re
import textwrap

import matplotlib

from common.errors import UserError

matplotlib.use('Agg')
matplotlib.rcParams['svg.hashsalt'] = 'dfn'  # the same picture gives the same SVG


def add_caption(figure, text):
    """Write a caption below all that is drawn."""
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    lines = '\n'.join(line for part in text.split('\n') for line in textwrap.wrap(part, int(18 * box.width)))
    figure.text(box.x0 / width, box.y0 / height - 0.08 / height, lines, va='top', fontsize=6.5, color='#444444')


def save(figure, stem):
    """Write STEM.png and STEM.svg and return their paths; an ending that is already there is not doubled."""
    stem = re.sub(r'\.(png|svg)$', '', stem)
    if not os.path.basename(stem):
        raise UserError('--out %s: give a name without ending, such as figures/curves' % stem)
    os.makedirs(os.path.dirname(stem) or '.', exist_ok=True)
    paths = [stem + '.png', stem + '.svg']
    figure.savefig(paths[0], dpi=150, bbox_inches='tight')
    figure.savefig(paths[1], bbox_inches='tight', metadata={'Date': None})
    return paths
