"""Print the size of a network of the paper:

    python -m symbols summary --net dfn-mr --depth 56
"""
import math

import symbols
from errors import Parser, positive_int, run
from symbols.options import add_network_options
from symbols.summary import summarise


def summary(args):
    """Print parameters, multiply-adds, depth and ensemble size."""
    symbol = symbols.get_symbol(args.net, args.depth, args.classes, args.widen)
    counted = summarise(symbol)
    size = symbols.network(args.net).ensemble_size(symbols.units_per_group(args.depth))
    print('network        %s %d%s, %d classes' % (
        args.net, args.depth, ', %d times wider' % args.widen if args.widen > 1 else '', args.classes))
    print('parameters     {:,}'.format(counted.parameters))
    print('multiply-adds  {:,} an image of 32×32'.format(counted.multiply_adds))
    print('depth          %d' % counted.depth)
    print('ensemble size  ' + ('{:,}'.format(size) if size < 10 ** 6 else '2^%.6g' % math.log2(size)))


def main():
    """Parse the command line and do what it says."""
    parser = Parser(prog='python -m symbols', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    command = commands.add_parser('summary', help='parameters, multiply-adds, depth, ensemble size')
    add_network_options(command)
    command.add_argument('--classes', type=positive_int, default=10, help='number of classes')
    summary(parser.parse_args())


if __name__ == '__main__':
    run(main)
