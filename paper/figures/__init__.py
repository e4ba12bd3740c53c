"""Pictures: networks, and curves and bars of runs. matplotlib draws them without a window."""

import os
import re
import warnings

import matplotlib
from matplotlib.figure import Figure

from common.errors import UserError

matplotlib.use('Agg')
matplotlib.rcParams['svg.hashsalt'] = 'dfn'  # the same picture gives the same SVG
matplotlib.rcParams['text.parse_math'] = False  # names of folders may have a $
warnings.filterwarnings('ignore', 'Glyph .* missing from')  # and characters that the font lacks, which become boxes

COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']  # by Okabe and Ito


def save(figure: Figure, stem: str) -> list[str]:
    """Write STEM.png and STEM.svg and return their paths; a stem may end in one of the two already."""
    stem = re.sub(r'\.(png|svg)$', '', stem)
    if not os.path.basename(stem):
        raise UserError(f'--out {stem}: give a name without ending, such as figures/curves')
    os.makedirs(os.path.dirname(stem) or '.', exist_ok=True)
    paths = [f'{stem}.png', f'{stem}.svg']
    figure.savefig(paths[0], dpi=150, bbox_inches='tight')
    figure.savefig(paths[1], bbox_inches='tight', metadata={'Date': None})
    return paths
