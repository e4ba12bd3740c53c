"""What the paper's networks consist of:

python -m symbols summary --net dfn-mr --depth 56                     # parameters, multiply-adds, depth
python -m symbols summary --net dfn-mr --depth 44 --dataset imagenet
python -m symbols summary --net gluoncv:cifar_wideresnet28_10         # a network of GluonCV's
python -m symbols paths --net dfn-f3 --depth 14                       # component networks and their depths
python -m symbols paths --net dfn-mr --depth 44 --dataset imagenet
"""

from common.cli import Parser, positive_int, run

from argparse import Namespace
from itertools import zip_longest
import math

from common.errors import UserError
import symbols
from symbols import imagenet
from symbols.analysis.paths import COUNTS, DATASETS, NETS, check_for_small_images, count_paths, moments, paths_of
from symbols.analysis.summary import summarize
from symbols.ensemble import COMPONENTS
from symbols.gluoncv import Nets, check_alone, is_one
from symbols.options import add_options

HOW_COUNTED = """\
nominal: 4 paths through a merge-and-run unit, one from each stream through the average and two through the branches.
routes: every way from node to node. An average leads on to both streams, from either stream.
distinct: routes that pass the same layers in the same order count once."""
FUSED_IN_THREE = ('dfn-f3', 'ensemble', 'tandem')  # whose component networks have names


def number(count: int, exact: bool = False) -> str:
    """A count in full, or a long one as a power of two, rounded if it is none."""
    if exact or count < 10**6:
        return f'{count:,}'
    return f'2^{count.bit_length() - 1}' if count & (count - 1) == 0 else f'≈2^{math.log2(count):.2f}'


def print_summary(args: Namespace) -> None:
    """Print parameters, multiply-adds, depth and ensemble size."""
    arguments, classes = symbols.arguments_of(vars(args)), args.classes or DATASETS[args.dataset]
    if args.dataset == 'imagenet':
        if args.widen > 1:
            raise UserError('no network for ImageNet has --widen')
        if is_one(args.net):
            check_alone(args.net, **arguments)
        shape = imagenet.IMAGE_SHAPE
        symbol = imagenet.get_symbol(args.net, args.depth, classes)
    else:
        check_for_small_images(args.net)
        shape = symbols.IMAGE_SHAPE
        symbol = symbols.get_symbol(args.net, args.depth, classes, args.widen, **arguments)
    paths = count_paths(symbol) if is_one(args.net) else paths_of(args.net, args.depth, args.dataset, **arguments)[1]
    cost = summarize(symbol, shape)
    depth = '' if args.depth is None else f' {args.depth}'
    wide = f', {args.widen} times wider' if args.widen > 1 else ''
    print(f'network        {args.net}{depth}{wide}, {classes} classes')
    print(f'parameters     {cost.parameters:,}')
    print(f'multiply-adds  {cost.multiply_adds:,} an image of {shape[1]}×{shape[2]}')
    print(f'depth          {cost.depth}')
    print(f'ensemble size  {number(sum(paths.nominal))}')


def print_paths(args: Namespace) -> None:
    """Print number, mean depth and distribution of depths of the component networks, counted in each way."""
    title, paths = paths_of(args.net, args.depth, args.dataset, **symbols.arguments_of(vars(args)))
    counts = paths._asdict()
    print(title)
    if args.dataset != 'imagenet' and args.net in FUSED_IN_THREE:  # a row of Table 1
        depths = {
            path: summarize(symbols.get_symbol('component', args.depth, path=path)).depth
            for path in args.components or COMPONENTS
        }
        print('  '.join(f'{path} {depth}' for path, depth in depths.items()))
    print(f'\n{"component networks":42} {"number":>12}   depth, mean ± std')
    for name, of_depth in counts.items():
        mean, deviation = moments(of_depth)
        print(f'{f"{name} ({COUNTS[name]})":42} {number(sum(of_depth), args.exact):>12}   {mean:.2f} ± {deviation:.2f}')
    if paths.nominal == paths.routes == paths.distinct:
        counts = {'number': paths.nominal}
    else:
        print(f'\n{HOW_COUNTED}')
    print_distribution(counts, args.exact)


def print_distribution(counts: dict[str, list[int]], exact: bool) -> None:
    """Print a line for each depth; counts: {name: generating function}."""
    rows = [
        (depth, of_depth) for depth, of_depth in enumerate(zip_longest(*counts.values(), fillvalue=0)) if any(of_depth)
    ]
    width = max(14, *(2 + len(number(count, exact)) for _, of_depth in rows for count in of_depth))
    print('\ndepth ' + ''.join(f'{name:>{width}}  share' for name in counts))
    for depth, of_depth in rows:
        print(
            f'{depth:5} '
            + ''.join(
                f'{number(count, exact):>{width}} {100 * count / sum(whole):5.1f}%'
                for count, whole in zip(of_depth, counts.values())
            )
        )


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog='python -m symbols', description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='summary|paths', required=True)
    command = commands.add_parser('summary', help='parameters, multiply-adds, depth, ensemble size')
    add_options(command, 'net', required=True, choices=Nets(NETS))
    add_options(command, 'depth')
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='whose networks')
    add_options(command, 'widen', *symbols.ARGUMENTS)
    command.add_argument('--classes', type=positive_int, help="number of classes (default: the data set's)")
    command.set_defaults(print=print_summary)
    command = commands.add_parser(
        'paths',
        help='component networks: their number, and the distribution of their depths',
        description='Counts component networks exactly, in three ways, which differ for merge-and-run networks and the '
        f'tandem ensemble alone. {" ".join(HOW_COUNTED.split())} Projection shortcuts, C and FC are layers '
        'too.',
    )
    add_options(command, 'net', required=True, choices=NETS)
    add_options(command, 'depth', required=True)
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='whose networks')
    command.add_argument('--exact', action='store_true', help='print long numbers in full, not as powers of two')
    add_options(command, *symbols.ARGUMENTS)
    command.set_defaults(print=print_paths)
    return parser


def main() -> None:
    """Parse the command line and do what it says."""
    args = parser().parse_args()
    args.print(args)


if __name__ == '__main__':
    run(main)
