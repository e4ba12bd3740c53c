"""The options that name a network, as argparse takes them: {name: keywords of add_argument}."""

from common.cli import positive_int

from symbols import NETWORKS, imagenet
from symbols.gluoncv import Nets

ALL_NETS = Nets(sorted({*NETWORKS, *imagenet.NAMES}))  # for images of either size
KEYWORDS: dict[str, dict] = {
    'net': dict(choices=Nets(NETWORKS), help='the network'),
    'depth': dict(type=int, help="the network's own depth as in the paper's tables, 6n + 2"),
    'widen': dict(type=positive_int, default=1, help='factor on the channels 16, 32, 64'),
    **{network.argument: network.keywords for network in NETWORKS.values() if network.argument},
}


def add_options(parser, *names: str, **keywords) -> None:
    """Add the options of these names to a parser or group; keywords go to each of them."""
    for name in names:
        parser.add_argument(f'--{name}', **{**KEYWORDS[name], **keywords})
