"""A training step of the eight-component ensemble beside its distinct group evaluations (target: ratio at most 1.15).

    python benchmarks/ensemble.py [--depth 14] [--batch-size 64]

What the components share is computed once: C, 2 + 4 + 8 sides of blocks, eight classifiers. Each of these
pieces is timed by itself, forward and back, on an input of its own. The target is about the sides, each as
often as it is needed; C and the classifiers, which the ensemble computes too, are not in that sum. The plain
network, with its 3 groups, is timed beside them. No update of the weights, which is the same in all. Medians
of alternating rounds.
"""
import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import symbols  # noqa: E402
from compat import mx  # noqa: E402
from symbols import dfn_f, ensemble  # noqa: E402
from symbols.layers import Layers, relu  # noqa: E402
from symbols.summary import output_kinds  # noqa: E402

ROUNDS, STEPS = 15, 4


def pieces(n, batch):
    """{name: (symbol, shape of its input, how often the ensemble has it)}; every input but the image has a gradient."""
    layers = Layers()
    found = {'C': (layers.first(), (batch, 3, 32, 32), 1)}
    shape = (batch, layers.widths[1], 32, 32)
    for index, block in enumerate(dfn_f.blocks(layers, n, 3)):
        for side, build in ensemble.SIDES.items():
            found['%s%d' % (side, index + 1)] = (relu(build(Layers(), mx.sym.var('x'), block)), shape, 2 ** index)
        shape = (batch, block.channels, shape[2] // block.stride, shape[3] // block.stride)
    found['FC'] = (Layers().classifier(mx.sym.var('x')), shape, 8)
    return found


class Step:
    """Forward and back through a symbol with random numbers."""

    def __init__(self, symbol, **shapes):
        names = symbol.list_arguments()
        needs = {name: 'null' if name in ('data', 'softmax_label') else 'write' for name in names}
        self.executor = symbol.simple_bind(mx.cpu(), grad_req=needs, **shapes)
        for name, value in self.executor.arg_dict.items():
            value[:] = 0 if name == 'softmax_label' else mx.nd.random.normal(0, 0.1, value.shape)
        self.heads = None if output_kinds(symbol) == {'SoftmaxOutput'} else [
            mx.nd.ones(output.shape) for output in self.executor.outputs]

    def seconds(self):
        """Mean of STEPS steps."""
        mx.nd.waitall()
        begun = time.perf_counter()
        for _ in range(STEPS):
            self.executor.forward(is_train=True)
            self.executor.backward(self.heads)
        mx.nd.waitall()
        return (time.perf_counter() - begun) / STEPS


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--depth', type=int, default=14, help='depth of N_f3, 6n + 2')
    parser.add_argument('--batch-size', type=int, default=64, help='images a step')
    args = parser.parse_args()
    images = {'data': (args.batch_size, 3, 32, 32)}
    parts = pieces(symbols.units_per_group(args.depth), args.batch_size)
    steps = {name: Step(symbol, **{symbol.list_arguments()[0]: shape}) for name, (symbol, shape, _) in parts.items()}
    steps.update({net: Step(symbols.get_symbol(net, args.depth), **images) for net in ('ensemble', 'plain')})
    for step in steps.values():
        step.seconds()
    rounds = [{name: step.seconds() for name, step in steps.items()} for _ in range(ROUNDS)]
    times = {name: statistics.median(round_[name] for round_ in rounds) for name in steps}
    sides = [sum(round_[name] * count for name, (_, _, count) in parts.items() if name not in ('C', 'FC'))
             for round_ in rounds]

    print('piece     ms  times')
    for name, (_, _, count) in parts.items():
        print('%-5s %6.1f  %5d' % (name, 1000 * times[name], count))
    print('the 14 sides, each as often as needed  %6.1f ms' % (1000 * statistics.median(sides)))
    print('ensemble of depth %-3d, batch %-3d        %6.1f ms' % (
        args.depth, args.batch_size, 1000 * times['ensemble']))
    print('plain network                          %6.1f ms' % (1000 * times['plain']))
    print('ensemble / sides: %.3f (median of %d rounds; target: at most 1.15)' % (
        statistics.median(round_['ensemble'] / of_sides for round_, of_sides in zip(rounds, sides)), ROUNDS))


if __name__ == '__main__':
    main()
