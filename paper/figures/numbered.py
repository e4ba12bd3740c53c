"""Figures 1 to 12 of the paper, drawn from our logs or from the networks.

The paper's own bars and curves are not drawn: its text does not give their values.
"""

from matplotlib.figure import Figure

from common.mxnet import mx
from paper.experiments import BARS, CURVES, DISTRIBUTIONS, DRAWINGS, UNITS
from paper.figures import bars, curves, depths, network
from paper.figures.captions import add_caption
import symbols
from symbols import dfn_il, dfn_mr, imagenet, resnet
from symbols.analysis.paths import paths_of
from symbols.layers import Layers

FROM_LOGS = sorted({*BARS, *CURVES})
DRAWN = (
    'Drawn from the symbols that are trained: boxes are convolutions{blocks}, trapezoids have stride 2, dashed '
    'lines are projections, circles sums.'
)
BLOCKS = ' or blocks (B) of three of them'
INFERRED = ' DFN1 and DFN2 are inferences from what Appendix A.1 says of them.'


def draw(number: int, log_dir: str = 'logs', epochs: int | None = None, **options) -> tuple[Figure, list[str]]:
    """A figure of the paper.

    Args:
        number: 1 … 12.
        epochs: the schedule of the runs to show (default: the paper's).
        options: for bars, the `depths` and the `dataset` to show.

    Returns:
        The figure with its caption, and the titles of the bars or curves that have no run.

    Raises:
        UserError: a run is damaged.
    """
    missing: list[str] = []
    if number in BARS:
        figure, missing, caption = bars.draw(number, log_dir, epochs, **options)
    elif number in CURVES:
        figure, missing, caption = curves.draw_papers(number, log_dir, epochs)
    elif number in DISTRIBUTIONS:
        counted = [paths_of(net, depth, dataset) for dataset, net, depth, *_ in DISTRIBUTIONS[number]]
        figure = depths.draw([(title, paths.nominal) for title, paths in counted], 'as the paper counts')
        caption = f'Computed from the networks, all component networks counted.{INFERRED}'
    elif number == UNITS:
        figure, caption = network.draw(fusion_units()), DRAWN.format(blocks='')
    else:
        blocks = all(experiment.dataset == 'imagenet' for experiment in DRAWINGS[number])
        figure = network.draw([_titled(experiment) for experiment in DRAWINGS[number]], blocks)
        inferred = DRAWINGS[number] == DISTRIBUTIONS[11]
        caption = DRAWN.format(blocks=BLOCKS if blocks else '') + (INFERRED if inferred else '')
    add_caption(figure, f'Figure {number}. {caption}')
    return figure, missing


def _titled(experiment):
    _, net, depth, *_ = experiment
    if experiment.dataset == 'imagenet':
        return imagenet.find(net, depth).title, imagenet.get_symbol(net, depth)
    return symbols.title(net, depth), symbols.get_symbol(net, depth)


def fusion_units() -> list[tuple[str, mx.sym.Symbol]]:
    """The units of Figure 6, (title, symbol): inception-like, merge-and-run, and the two ResNet units they replace.

    Their inputs are the variables `x`, or `a` and `b`, (batch, 16, height, width).
    """
    layers = Layers()
    first, second, *_ = layers.units(2)
    a, b, x = map(mx.sym.var, 'abx')
    return [
        ('(a) inception-like', dfn_il.fuse(layers, x, first)),
        ('(b) merge-and-run', mx.sym.Group(dfn_mr.merge_and_run(layers, a, b, first))),
        ('(c) two units of a ResNet', resnet.fuse(layers, resnet.fuse(layers, x, first), second)),
    ]
