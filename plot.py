"""Draw runs and networks, as PNG and SVG.

    python plot.py curves logs/cifar10/resnet-110 logs/cifar10/dfn-mr-56    # Figure 12's form
    python plot.py network --net dfn-mr --depth 14                          # Figure 7's form
    python plot.py network --net resnet dfn-il dfn-mr --depth 26 14 14      # side by side
    python plot.py network --net dfn-f3 tandem ensemble --depth 14          # Figure 1
    python plot.py depths --net resnet dfn1 dfn2 --depth 50 --dataset imagenet   # Figure 11
    python plot.py figure 2                                                 # any of the paper's, 1 to 12
"""
import os
import sys

from common.cli import Parser, positive_int, run

from common.errors import UserError
import data
import symbols
from paper.experiments import BARS, FIGURES
from paper.figures import save
from symbols.options import add_choice_options
from symbols.analysis.paths import COUNTS, DATASETS, NETS, paths_of


def curves(args):
    """Figure of training loss and test error against epochs."""
    from paper.figures.curves import draw, group

    return draw(group(args.runs)), args.out or os.path.join('figures', 'curves')


def network(args):
    """Figure of networks, side by side."""
    from paper.figures.network import draw

    pairs = _pairs(args)
    named = [(symbols.title(net, depth, **_choice(args, net)), symbols.get_symbol(net, depth, **_choice(args, net)))
             for net, depth in pairs]
    return draw(named), args.out or _default_stem(pairs)


def depths(args):
    """Figure of the distributions of component networks' depths."""
    from paper.figures.depths import draw

    pairs = _pairs(args)
    counted = [paths_of(net, depth, args.dataset, **_choice(args, net)) for net, depth in pairs]
    return (draw([(title, getattr(paths, args.count)) for title, paths in counted], COUNTS[args.count]),
            args.out or _default_stem(pairs) + '-depths')


def figure(args):
    """Figure of the paper from the runs found, or from the networks; and a line for what has no run."""
    from paper import results
    from paper.figures.figure import FROM_LOGS, draw

    options = {name: value for name, value in (('depths', args.depth), ('dataset', args.dataset)) if value}
    if options and args.number not in BARS:
        raise UserError('--depth and --dataset are for Figures %s' % ', '.join(map(str, BARS)))
    if args.epochs and args.number not in FROM_LOGS:
        raise UserError('--epochs is for the figures that are drawn from runs: %s' % ', '.join(map(str, FROM_LOGS)))
    results.check(args.log_dir)
    for depth in args.depth or ():
        symbols.units_per_group(depth)
    drawn, missing = draw(args.number, args.log_dir, args.epochs, **options)
    if missing:
        print('no run of %s in %s: %s' % ('%d epochs' % args.epochs if args.epochs else "the paper's epochs",
                                          args.log_dir, ', '.join(missing)), file=sys.stderr)
    return drawn, args.out or os.path.join('figures', 'figure%d' % args.number)


def _pairs(args):
    """[(net, depth)] of --net and --depth."""
    if len(args.depth) not in (1, len(args.net)):
        raise UserError('give one --depth, or one for each of the %d networks' % len(args.net))
    for net, known in symbols.NETWORKS.items():
        if known.choice and getattr(args, known.choice) is not None and net not in args.net:
            raise UserError('--%s is for --net %s' % (known.choice, net))
    return list(zip(args.net, args.depth * len(args.net) if len(args.depth) == 1 else args.depth))


def _choice(args, net):
    """--path or --components, as the arguments of the network that takes it."""
    choice = symbols.NETWORKS[net].choice if net in symbols.NETWORKS else None
    return {choice: getattr(args, choice)} if choice else {}


def _default_stem(pairs):
    return os.path.join('figures', '-'.join('%s-%d' % pair for pair in pairs))


def parser():
    """The command line."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='curves|network|depths|figure', required=True)
    command = commands.add_parser('curves', help='training loss and test error against epochs')
    command.add_argument('runs', nargs='+', metavar='DIR', help='run directories, or directories above them: runs '
                                                                'that differ in the seed alone become one curve')
    command.set_defaults(draw=curves)
    command = commands.add_parser('network', help='convolutions, FC and fusions of a network')
    _add_networks(command, list(symbols.NETWORKS))
    command.set_defaults(draw=network)
    command = commands.add_parser('depths', help='how deep the component networks of networks are (Figure 11)')
    _add_networks(command, NETS)
    command.add_argument('--dataset', choices=DATASETS, default='cifar10', help='whose networks')
    command.add_argument('--count', choices=list(COUNTS), default='nominal',
                         help='what is counted; `python -m symbols paths --help` explains')
    command.set_defaults(draw=depths)
    command = commands.add_parser('figure', help='a figure of the paper: 2, 4, 5, 8 and 12 from logs, the others '
                                                 'from the networks')
    command.add_argument('number', type=int, choices=FIGURES, metavar='N', help='1 to 12')
    command.add_argument('--log-dir', default='logs', help='where the run directories are')
    command.add_argument('--epochs', type=positive_int, help="runs with this schedule (default: the paper's)")
    command.add_argument('--depth', type=int, nargs='+', help='depths to show in Figures 2, 4 and 5 (default: those of '
                                                              'the paper)')
    command.add_argument('--dataset', choices=list(data.SOURCES), help='whose runs Figures 2, 4 and 5 show (default: '
                                                                       'cifar10)')
    command.set_defaults(draw=figure)
    for command in commands.choices.values():
        command.add_argument('--out', metavar='STEM', help='path of the pictures without ending (default: in figures/)')
    return parser


def _add_networks(command, nets):
    command.add_argument('--net', nargs='+', required=True, choices=nets, help='the networks')
    command.add_argument('--depth', nargs='+', required=True, type=int, help='one for all, or one for each')
    add_choice_options(command)


def main():
    """Draw and say where the files lie."""
    args = parser().parse_args()
    figure, stem = args.draw(args)
    print('\n'.join(save(figure, stem)))


if __name__ == '__main__':
    run(main)
