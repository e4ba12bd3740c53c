"""The options that name a network."""

from common.cli import Parser

import symbols
from symbols.options import KEYWORDS, add_options


def test_every_argument_of_a_network_is_an_option():
    assert set(symbols.OPTIONS) == set(KEYWORDS)
    parser = Parser()
    add_options(parser, *symbols.OPTIONS)
    args = parser.parse_args(['--net', 'component', '--depth', '14', '--path', 'RLR'])
    assert (args.net, args.depth, args.path, args.components, args.widen) == ('component', 14, 'RLR', None, 1)
