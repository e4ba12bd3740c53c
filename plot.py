"""Draw runs, networks and the paper's figures, as PNG and SVG.

python plot.py curves logs/cifar10/resnet-110 logs/cifar10/dfn-mr-56         # in the form of Figure 12
python plot.py network --net dfn-mr --depth 14                               # in the form of Figure 7
python plot.py network --net resnet dfn-il dfn-mr --depth 26 14 14           # side by side
python plot.py network --net resnet dfn-mr --depth 50 44 --dataset imagenet  # in the form of Figure 9
python plot.py network --net dfn-f3 tandem ensemble --depth 14               # in the form of Figure 1
python plot.py depths --net resnet dfn1 dfn2 --depth 50 --dataset imagenet   # in the form of Figure 11
python plot.py figure 2                                                      # any figure of the paper, 1 to 12
"""

from common.cli import Parser, positive_int, run

import os
import sys

from common.errors import UserError
import data
from paper import results
from paper.experiments import BARS, FIGURES
from paper.figures import curves, depths, network, numbered, save
import symbols
from symbols import imagenet
from symbols.analysis.paths import COUNTS, DATASETS, NETS, paths_of
from symbols.options import add_options


def draw_curves(args):
    """Training loss and test error of runs against epochs."""
    return curves.draw(curves.group(args.runs)), args.out or os.path.join('figures', 'curves')


def draw_network(args):
    """Networks side by side."""
    networks = _networks(args)
    if args.dataset == 'imagenet':
        for net, depth, arguments in networks:
            imagenet.find(net, depth)
            if arguments:
                raise UserError(f'no network for ImageNet has --{next(iter(arguments))}')
        named = [(imagenet.title(net, depth), imagenet.get_symbol(net, depth)) for net, depth, _ in networks]
    elif not {net for net, *_ in networks} <= set(symbols.NETWORKS):
        raise UserError('dfn1 and dfn2 are networks for ImageNet alone: add --dataset imagenet')
    else:
        named = [
            (
                symbols.title(net, depth, **arguments),
                symbols.get_symbol(net, depth, DATASETS[args.dataset], **arguments),
            )
            for net, depth, arguments in networks
        ]
    blocks = args.dataset == 'imagenet'  # a bottleneck is one box
    return network.draw(named, blocks), args.out or _default_stem(networks)


def draw_depths(args):
    """The distributions of the depths of component networks."""
    networks = _networks(args)
    counted = [paths_of(net, depth, args.dataset, **arguments) for net, depth, arguments in networks]
    figure = depths.draw([(title, getattr(paths, args.count)) for title, paths in counted], COUNTS[args.count])
    return figure, args.out or f'{_default_stem(networks)}-depths'


def draw_figure(args):
    """A figure of the paper; what has no run is listed on standard error."""
    options = {name: value for name, value in (('depths', args.depth), ('dataset', args.dataset)) if value}
    if options and args.number not in BARS:
        raise UserError(f'--depth and --dataset are for Figures {_listed(BARS)}')
    if args.epochs and args.number not in numbered.FROM_LOGS:
        raise UserError(f'--epochs is for the figures that are drawn from runs: {_listed(numbered.FROM_LOGS)}')
    if args.number in numbered.FROM_LOGS:
        results.check(args.log_dir)
    for depth in args.depth or ():
        symbols.units_per_group(depth)
    figure, missing = numbered.draw(args.number, args.log_dir, args.epochs, **options)
    if missing:
        epochs = f'{args.epochs} epochs' if args.epochs else "the paper's epochs"
        print(f'no run of {epochs} in {args.log_dir}: {", ".join(missing)}', file=sys.stderr)
    return figure, args.out or os.path.join('figures', f'figure{args.number}')


def _listed(numbers):
    *others, last = map(str, numbers)
    return f'{", ".join(others)} and {last}'


def _networks(args):
    """(net, depth, arguments of this network alone) for each network of --net and --depth."""
    if len(args.depth) not in (1, len(args.net)):
        raise UserError(f'give one --depth, or one for each of the {len(args.net)} networks')
    arguments = {net: known.argument for net, known in symbols.NETWORKS.items() if known.argument}
    for net, name in arguments.items():
        if getattr(args, name) is not None and net not in args.net:
            raise UserError(f'--{name} is for --net {net}')
    each = args.depth * len(args.net) if len(args.depth) == 1 else args.depth
    return [
        (net, depth, {arguments[net]: getattr(args, arguments[net])} if net in arguments else {})
        for net, depth in zip(args.net, each, strict=True)
    ]


def _default_stem(networks):
    return os.path.join('figures', '-'.join(f'{net}-{depth}' for net, depth, _ in networks))


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='curves|network|depths|figure', required=True)

    command = commands.add_parser('curves', help='training loss and test error of runs against epochs')
    command.add_argument(
        'runs',
        nargs='+',
        metavar='DIR',
        help='run directories, or directories above them; runs that differ in the seed alone become one curve',
    )
    command.set_defaults(draw=draw_curves)

    command = commands.add_parser('network', help='the convolutions, FC and fusions of networks')
    _add_networks(command)
    command.set_defaults(draw=draw_network)

    command = commands.add_parser('depths', help='how deep the component networks of networks are')
    _add_networks(command)
    command.add_argument(
        '--count',
        choices=list(COUNTS),
        default='nominal',
        help='what is counted; `python -m symbols paths --help` explains it',
    )
    command.set_defaults(draw=draw_depths)

    command = commands.add_parser(
        'figure',
        help=f'a figure of the paper: {_listed(numbered.FROM_LOGS)} are drawn from runs, the others from the networks',
    )
    command.add_argument('number', type=int, choices=FIGURES, metavar='N', help='1 to 12')
    command.add_argument('--log-dir', default='logs', help='folder with the run directories')
    command.add_argument('--epochs', type=positive_int, help="the schedule of the runs to show (default: the paper's)")
    command.add_argument(
        '--depth',
        type=int,
        nargs='+',
        help=f'the depths to show in Figures {_listed(BARS)} (default: those in the paper)',
    )
    command.add_argument(
        '--dataset',
        choices=list(data.SOURCES),
        help=f'the data set of the runs in Figures {_listed(BARS)} (default: cifar10)',
    )
    command.set_defaults(draw=draw_figure)

    for command in commands.choices.values():
        command.add_argument('--out', metavar='STEM', help='path of the pictures without ending (default: in figures/)')
    return parser


def _add_networks(command):
    command.add_argument('--net', nargs='+', required=True, choices=NETS, help='the networks')
    command.add_argument('--depth', nargs='+', required=True, type=int, help='one depth for all, or one for each')
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='the data set of the networks')
    add_options(command, *symbols.ARGUMENTS)


def main():
    """Draw, and print the paths of the pictures."""
    args = parser().parse_args()
    figure, stem = args.draw(args)
    print('\n'.join(save(figure, stem)))


if __name__ == '__main__':
    run(main)
