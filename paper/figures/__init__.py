"""Pictures: networks, and curves and bars of runs. matplotlib draws them without a window."""

import os
import re
import warnings

import matplotlib
from matplotlib.figure import Figure

from common.errors import UserError
from common.files import replacing

matplotlib.rcdefaults()  # without the user's own settings, such as text by LaTeX
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
    options: dict[str, dict] = {'png': {'dpi': 150}, 'svg': {'metadata': {'Date': None}}}
    for kind, settings in options.items():
        with replacing(f'{stem}.{kind}') as temporary:
            figure.savefig(temporary, format=kind, bbox_inches='tight', **settings)
    return [f'{stem}.{kind}' for kind in options]
