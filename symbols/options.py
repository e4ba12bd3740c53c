"""The options that name a network."""
from argparse import ArgumentTypeError

from common.cli import positive_int

from common.errors import UserError
from symbols import NETWORKS
from symbols.ensemble import COMPONENTS, ENSEMBLE_7, check_components

NAMED_SETS = {'all': COMPONENTS, '7': ENSEMBLE_7}


def add_network_options(parser, default_net=None, default_depth=None):
    """--net, --depth, --widen, --path and --components, the same in every command."""
    parser.add_argument('--net', choices=list(NETWORKS), default=default_net,
                        required=default_net is None, help='the network')
    parser.add_argument('--depth', type=int, default=default_depth, required=default_depth is None,
                        help="the network's own depth as in the paper's tables, 6n + 2")
    parser.add_argument('--widen', type=positive_int, default=1, help='factor on the channels 16, 32, 64')
    add_choice_options(parser)


def add_choice_options(parser):
    """--path of `component` and --components of `ensemble`."""
    parser.add_argument('--path', choices=COMPONENTS, metavar='RLR',
                        help='which of N_f3\'s eight component networks `component` is: its sides, right or left, '
                             'of the three blocks')
    parser.add_argument('--components', type=components, metavar='PATH,PATH,...',
                        help='the component networks in `ensemble`; 7 stands for all but RRR (default: all)')


def components(text):
    """argparse type: the list of paths that --components names; None for all eight."""
    try:
        paths = check_components(NAMED_SETS.get(text, [path for path in text.split(',') if path]))
    except UserError as error:
        raise ArgumentTypeError(str(error)) from None
    return None if len(paths) == len(COMPONENTS) else paths


def components_label(paths):
    """How a run directory names a set of components: `7`, or the paths."""
    return '7' if tuple(paths) == ENSEMBLE_7 else '+'.join(paths)
