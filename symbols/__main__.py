"""What the paper's networks consist of:

    python -m symbols summary --net dfn-mr --depth 56                     # parameters, multiply-adds, depth
    python -m symbols paths --net dfn-f3 --depth 14                       # component networks and their depths
    python -m symbols paths --net dfn-mr --depth 44 --dataset imagenet
"""
import math

import symbols
from errors import Parser, positive_int, run
from symbols import imagenet
from symbols.ensemble import COMPONENTS
from symbols.options import add_choice_options, add_network_options
from symbols.paths import DATASETS, moments, paths_of
from symbols.summary import summarise

COUNTS = {'nominal': 'as the paper counts', 'routes': 'ways through the graph',
          'distinct': 'different sequences of layers'}


def number(count):
    """A count in full, or where it is long as a power of two, rounded if it is none."""
    if count < 10 ** 6:
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
    print(title)
    if args.dataset != 'imagenet' and args.net in ('dfn-f3', 'ensemble', 'tandem'):  # a row of Table 1
        for path in args.components or COMPONENTS:
            print('%s %d' % (path, summarise(symbols.get_symbol('component', args.depth, path=path)).depth), end='  ')
        print()
    counts = paths._asdict()
    print('\n%-42s %12s   %s' % ('component networks', 'number', 'depth, mean ± std'))
    for name, of_depth in counts.items():
        print('%-42s %12s   %.2f ± %.2f' % (('%s (%s)' % (name, COUNTS[name]), number(sum(of_depth)))
                                            + moments(of_depth)))
    if paths.nominal == paths.routes == paths.distinct:
        counts = {'number': paths.nominal}
    print('\ndepth ' + ''.join('%14s  share' % name for name in counts))
    for depth in range(max(map(len, counts.values()))):
        here = [of_depth[depth] if depth < len(of_depth) else 0 for of_depth in counts.values()]
        if any(here):
            print('%5d ' % depth + ''.join('%14s %5.1f%%' % (number(count), 100 * count / sum(of_depth))
                                           for count, of_depth in zip(here, counts.values())))


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
        description='Component networks, counted exactly in three ways; they differ in merge-and-run networks and '
                    'the tandem ensemble alone. nominal: the paper\'s, 4 a merge-and-run unit. routes: ways through '
                    'the graph; either stream may go on, through the average, to either. distinct: routes through '
                    'the same layers in the same order are one. Projection shortcuts are layers, C and FC as well.')
    command.add_argument('--net', required=True, help='the network',
                         choices=sorted(set(symbols.NETWORKS) | {net for net, _ in imagenet.NETWORKS}))
    command.add_argument('--depth', type=int, required=True, help="the network's own depth as in the paper's tables")
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='whose networks')
    add_choice_options(command)
    command.set_defaults(print=paths)
    return parser


def main():
    """Parse the command line and do what it says."""
    args = parser().parse_args()
    args.print(args)


if __name__ == '__main__':
    run(main)
