"""The paper's figures, each from our logs or from the networks.

What only a picture of the paper shows is not known and is not drawn: bars and curves are ours alone.
"""
import paper.figures
import symbols
from paper.experiments import BARS, CURVES, DISTRIBUTIONS, NETWORKS, UNITS
from paper.figures import bars, curves, depths, network
from symbols import imagenet
from symbols.analysis.paths import paths_of
from paper.figures.units import fusion_units

FROM_LOGS = sorted({*BARS, *CURVES})
DRAWN = ('Drawn from the symbols that are trained: boxes are convolutions%s, trapezoids have stride 2, dashed lines '
         'are projections, circles sums.')
BLOCKS = ' or blocks (B) of three of them'
INFERRED = ' DFN1 and DFN2 are inferences from what Appendix A.1 says of them.'


def draw(number, log_dir='logs', epochs=None, **options):
    """(figure with its caption, texts of the bars or curves that have no run) of Figure 1 … 12.

    epochs: the schedule of the runs to show, the paper's unless given. options: depths and dataset, for bars. Raises
    UserError for a damaged run.
    """
    missing = []
    if number in BARS:
        figure, missing, caption = bars.draw(number, log_dir, epochs, **options)
    elif number in CURVES:
        figure, missing, caption = curves.draw_figure(number, log_dir, epochs)
    elif number in DISTRIBUTIONS:
        figure = depths.draw([(title, paths.nominal) for title, paths in (
            paths_of(run.net, run.depth, run.dataset) for run in DISTRIBUTIONS[number])], 'as the paper counts')
        caption = 'Computed from the networks, all component networks counted.' + INFERRED
    elif number == UNITS:
        figure, caption = network.draw(fusion_units()), DRAWN % ''
    else:
        runs = NETWORKS[number]
        blocks = runs[0].dataset == 'imagenet'
        figure = network.draw([_titled(run) for run in runs], blocks)
        caption = DRAWN % (BLOCKS if blocks else '') + INFERRED * (runs == NETWORKS[10])
    paper.figures.add_caption(figure, 'Figure %d. %s' % (number, caption))
    return figure, missing


def _titled(run):
    if run.dataset == 'imagenet':
        return imagenet.network(run.net, run.depth).title, imagenet.get_symbol(run.net, run.depth)
    return symbols.title(run.net, run.depth), symbols.get_symbol(run.net, run.depth)
