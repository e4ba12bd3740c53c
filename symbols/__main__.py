"""What the paper's networks consist of:

    python -m symbols summary --net dfn-mr --depth 56                     # parameters, multiply-adds, depth
    python -m symbols paths --net dfn-f3 --depth 14                       # component networks and their depths
    python -m symbols paths --net dfn-mr --depth 44 --dataset imagenet
"""
import math
from itertools import zip_longest

import symbols
from common.cli import Parser, positive_int, run
from symbols.ensemble import COMPONENTS
from symbols.options import add_choice_options, add_network_options
from symbols.analysis.paths import COUNTS, DATASETS, NETS, moments, paths_of
from symbols.analysis.summary import summarise

HOW_COUNTED = """\
nominal: 4 paths a merge-and-run unit, one from each stream through the average and two through the branches.
routes: each way from node to node; an average gives its two streams as two ways, both going on to both streams.
distinct: routes that pass the same layers in the same order are one."""
FUSED_IN_THREE = ('dfn-f3', 'ensemble', 'tandem')  # whose component networks have names


def number(count, exact=False):
    """A count in full, or where it is long and need not be exact as a power of two, rounded if it is none."""
    if exact or count < 10 ** 6:
        return '{:,}'.format(count)
    return '2^%d' % math.log2(count) if count & (count - 1) == 0 else '≈2^%.2f' % math.log2(count)


def summary(args):
    """Print parameters, multiply-adds, depth and ensemble size."""
    symbol = symbols.get_symbol(args.net, args.depth, args.classes, args.widen, path=args.path,
                                components=args.components)
    counted = summarise(symbol)
    _, paths = paths_of(args.net, args.depth, path=args.path, components=args.components)
    print('network        %s %d%s, %d classes' % (
        args.net, args.depth, ', %d times wider' % args.widen if args.widen > 1 else '', args.classes))
    print('parameters     {:,}'.format(counted.parameters))
    print('multiply-adds  {:,} an image of 32×32'.format(counted.multiply_adds))
    print('depth          %d' % counted.depth)
    print('ensemble size  ' + number(sum(paths.nominal)))


def paths(args):
    """Print number, mean depth and distribution of the depths of the component networks, by each way of counting."""
    title, paths = paths_of(args.net, args.depth, args.dataset, args.path, args.components)
    counts = paths._asdict()
    print(title)
    if args.dataset != 'imagenet' and args.net in FUSED_IN_THREE:  # a row of Table 1
        print('  '.join('%s %d' % (path, summarise(symbols.get_symbol('component', args.depth, path=path)).depth)
                        for path in args.components or COMPONENTS))
    print('\n%-42s %12s   %s' % ('component networks', 'number', 'depth, mean ± std'))
    for name, of_depth in counts.items():
        print('%-42s %12s   %.2f ± %.2f' % (('%s (%s)' % (name, COUNTS[name]), number(sum(of_depth), args.exact))
                                            + moments(of_depth)))
    if paths.nominal == paths.routes == paths.distinct:
        counts = {'number': paths.nominal}
    else:
        print('\n' + HOW_COUNTED)
    print_distribution(counts, args.exact)


def print_distribution(counts, exact):
    """A line a depth; counts: {name: list of the numbers of component networks of 0, 1, 2, … layers}."""
    rows = [(depth, of_depth) for depth, of_depth in enumerate(zip_longest(*counts.values(), fillvalue=0))
            if any(of_depth)]
    width = max(14, *(2 + len(number(count, exact)) for _, of_depth in rows for count in of_depth))
    print('\ndepth ' + ''.join('%*s  share' % (width, name) for name in counts))
    for depth, of_depth in rows:
        print('%5d ' % depth + ''.join('%*s %5.1f%%' % (width, number(count, exact), 100 * count / sum(whole))
                                       for count, whole in zip(of_depth, counts.values())))


def parser():
    """The command line."""
    parser = Parser(prog='python -m symbols', description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='summary|paths', required=True)
    command = commands.add_parser('summary', help='parameters, multiply-adds, depth, ensemble size')
    add_network_options(command)
    command.add_argument('--classes', type=positive_int, default=10, help='number of classes')
    command.set_defaults(print=summary)
    command = commands.add_parser(
        'paths', help='component networks: number, and distribution of their depths',
        description='Component networks, counted exactly in three ways; they differ in merge-and-run networks '
                    'and the tandem ensemble alone. %s Projection shortcuts are layers, C and FC too.' % (
                        ' '.join(HOW_COUNTED.split())))
    command.add_argument('--net', required=True, choices=NETS, help='the network')
    command.add_argument('--depth', type=int, required=True, help="the network's own depth as in the paper's tables")
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='whose networks')
    command.add_argument('--exact', action='store_true', help='print long numbers in full, not as powers of two')
    add_choice_options(command)
    command.set_defaults(print=paths)
    return parser


def main():
    """Parse the command line and do what it says."""
    args = parser().parse_args()
    args.print(args)


if __name__ == '__main__':
    run(main)
