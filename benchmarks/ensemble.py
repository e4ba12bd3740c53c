"""A training step of the eight-component ensemble beside its distinct group evaluations.

What the components share is computed once: C, 2 + 4 + 8 sides of blocks, eight classifiers. Each side is timed by
itself, forward and back, on an input of its own, and counted as often as it is needed; C and the classifiers, which
the ensemble computes too, are not in that sum. No update of the weights, which is the same in both.
"""
import statistics
import time

import symbols
from benchmarks.rounds import Row
from common.mxnet import mx
from symbols import dfn_f, ensemble
from symbols.analysis.graph import output_kinds
from symbols.fused import fuse
from symbols.layers import Layers, relu

DEPTH, BATCH, STEPS = 14, 64, 4
MOST = 1.15  # times the sides


def sides(n, batch):
    """[(symbol of x, shape of x, how often the ensemble has it)]."""
    layers = Layers()
    shape = (batch, layers.widths[1], 32, 32)
    for index, block in enumerate(dfn_f.blocks(layers, n, 3)):
        for build in ensemble.SIDES.values():
            yield fuse(relu(build(Layers(), mx.sym.var('x'), block))), shape, 2 ** index
        shape = (batch, block.channels, shape[2] // block.stride, shape[3] // block.stride)


class Pass:
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
        """Mean of STEPS passes."""
        mx.nd.waitall()
        begun = time.perf_counter()
        for _ in range(STEPS):
            self.executor.forward(is_train=True)
            self.executor.backward(self.heads)
        mx.nd.waitall()
        return (time.perf_counter() - begun) / STEPS


def measure(setting):
    """The 14 sides of the ensemble of depth 14 beside the ensemble; on the CPU alone."""
    if setting.gpus is not None:
        return
    parts = [(Pass(symbol, x=shape), count) for symbol, shape, count in sides(symbols.units_per_group(DEPTH), BATCH)]
    whole = Pass(fuse(symbols.get_symbol('ensemble', DEPTH)), data=(BATCH, 3, 32, 32))
    rounds = [(sum(part.seconds() * count for part, count in parts), whole.seconds())
              for _ in range(setting.rounds + 1)][1:]
    yield Row('14 sides / ensemble %d (ms)' % DEPTH, 1000 * statistics.median(all_ for _, all_ in rounds),
              1000 * statistics.median(alone for alone, _ in rounds),
              statistics.median(alone / all_ for alone, all_ in rounds), 1 / MOST)
