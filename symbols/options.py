"""The options that name a network."""
from errors import positive_int
from symbols import NETWORKS


def add_network_options(parser, default_net=None, default_depth=None):
    """--net, --depth and --widen, the same in every command."""
    parser.add_argument('--net', choices=list(NETWORKS), default=default_net,
                        required=default_net is None, help='the network')
    parser.add_argument('--depth', type=int, default=default_depth, required=default_depth is None,
                        help="the network's own depth as in the paper's tables, 6n + 2")
    parser.add_argument('--widen', type=positive_int, default=1, help='factor on the channels 16, 32, 64')
