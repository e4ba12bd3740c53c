"""Draw runs and networks, as PNG and SVG.

    python plot.py curves logs/cifar10/resnet-110 logs/cifar10/dfn-mr-56    # Figure 12's form
    python plot.py network --net dfn-mr --depth 14                          # Figure 7's form
    python plot.py network --net resnet dfn-il dfn-mr --depth 26 14 14      # side by side
"""
import os

from errors import Parser, UserError, run
import symbols
from plotting import save


def curves(args):
    """Figure of training loss and test error against epochs."""
    from plotting.curves import draw, group

    return draw(group(args.runs)), args.out or os.path.join('figures', 'curves')


def network(args):
    """Figure of networks, side by side."""
    from plotting.network import draw

    if len(args.depth) not in (1, len(args.net)):
        raise UserError('give one --depth, or one for each of the %d networks' % len(args.net))
    depths = args.depth * len(args.net) if len(args.depth) == 1 else args.depth
    named = [('%s %d' % (symbols.network(net).title, depth), symbols.get_symbol(net, depth))
             for net, depth in zip(args.net, depths)]
    return draw(named), args.out or os.path.join(
        'figures', '-'.join('%s-%d' % pair for pair in zip(args.net, depths)))


def parser():
    """The command line."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='curves|network', required=True)
    command = commands.add_parser('curves', help='training loss and test error against epochs')
    command.add_argument('runs', nargs='+', metavar='DIR', help='run directories, or directories above them: runs '
                                                                'that differ in the seed alone become one curve')
    command.set_defaults(draw=curves)
    command = commands.add_parser('network', help='convolutions, FC and fusions of a network')
    command.add_argument('--net', nargs='+', required=True, choices=list(symbols.NETWORKS), help='the networks')
    command.add_argument('--depth', nargs='+', required=True, type=int, help='one for all, or one for each')
    command.set_defaults(draw=network)
    for command in commands.choices.values():
        command.add_argument('--out', metavar='STEM', help='path of the pictures without ending (default: in figures/)')
    return parser


def main():
    """Draw and say where the files lie."""
    args = parser().parse_args()
    figure, stem = args.draw(args)
    print('\n'.join(save(figure, stem)))


if __name__ == '__main__':
    run(main)
