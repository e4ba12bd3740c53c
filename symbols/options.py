"""The options that name a network, as argparse takes them: {name: keywords of add_argument}."""
from argparse import ArgumentTypeError

from common.cli import positive_int
from common.errors import UserError
from symbols import NETWORKS
from symbols.ensemble import COMPONENTS, ENSEMBLE_7, check_components

NAMED_SETS = {'all': COMPONENTS, '7': ENSEMBLE_7}


def components(text: str) -> list[str] | None:
    """argparse type: the component networks that --components names; None stands for all eight."""
    try:
        paths = check_components(NAMED_SETS.get(text, [path for path in text.split(',') if path]))
    except UserError as error:
        raise ArgumentTypeError(str(error)) from None
    return None if len(paths) == len(COMPONENTS) else paths


def components_label(paths: list[str]) -> str:
    """The name of a set of components in a run directory: `7`, or the paths."""
    return '7' if tuple(paths) == ENSEMBLE_7 else '+'.join(paths)


KEYWORDS = {
    'net': dict(choices=list(NETWORKS), help='the network'),
    'depth': dict(type=int, help="the network's own depth as in the paper's tables, 6n + 2"),
    'widen': dict(type=positive_int, default=1, help='factor on the channels 16, 32, 64'),
    'path': dict(choices=COMPONENTS, metavar='RLR',
                 help="which of N_f3's eight component networks `component` is: the sides that it takes, right or left, "
                      'in the three blocks'),
    'components': dict(type=components, metavar='PATH,PATH,...',
                       help='the component networks in `ensemble`; 7 stands for all but RRR (default: all)'),
}


def add_options(parser, *names: str, **keywords) -> None:
    """Add the options of these names to a parser or group; keywords go to each of them."""
    for name in names:
        parser.add_argument(f'--{name}', **{**KEYWORDS[name], **keywords})
