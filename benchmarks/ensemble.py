"""A training step of the eight-component ensemble beside its parts.

The ensemble computes what its components share once: C, 2 + 4 + 8 sides of blocks, eight classifiers. Here each side is
timed by itself, forward and back, on an input of its own, and counted as often as the ensemble has it. C and the
classifiers are in the ensemble's time alone. The update of the weights is in neither.
"""

from collections.abc import Iterator
import statistics

from benchmarks.remote import mean_seconds
from benchmarks.rounds import Row, Setting, median_ratio
from common.mxnet import mx
import symbols
from symbols import dfn_f, ensemble
from symbols.analysis.graph import output_kinds
from symbols.fused import fuse
from symbols.layers import Layers, relu

DEPTH, BATCH, STEPS = 14, 64, 4
MOST = 1.15  # times the sides that the ensemble may take


def sides(n: int, batch: int) -> Iterator[tuple[mx.sym.Symbol, tuple[int, ...], int]]:
    """Yield each side of the N_f3 of depth 6n + 2: a symbol of `x`, the shape of x, its number in the ensemble."""
    layers = Layers()
    shape = (batch, layers.widths[1], 32, 32)
    for index, block in enumerate(dfn_f.blocks(layers, n, ensemble.FUSIONS)):
        for build in ensemble.SIDES.values():
            yield fuse(relu(build(Layers(), mx.sym.var('x'), block))), shape, 2**index
        shape = (batch, block.channels, shape[2] // block.stride, shape[3] // block.stride)


class ForwardAndBack:
    """A symbol with random weights and inputs, whose pass forward and back is timed.

    Args:
        shapes: of the inputs.
    """

    def __init__(self, symbol: mx.sym.Symbol, **shapes: tuple[int, ...]):
        requests = {name: 'null' if name in ('data', 'softmax_label') else 'write' for name in symbol.list_arguments()}
        self.executor = symbol.simple_bind(mx.cpu(), grad_req=requests, **shapes)
        for name, value in self.executor.arg_dict.items():
            value[:] = 0 if name == 'softmax_label' else mx.nd.random.normal(0, 0.1, value.shape)
        has_loss = output_kinds(symbol) == {'SoftmaxOutput'}
        self.gradients = None if has_loss else [mx.nd.ones(output.shape) for output in self.executor.outputs]

    def seconds(self) -> float:
        """The mean duration of STEPS passes, in seconds."""
        return mean_seconds(self._step, STEPS, mx.nd.waitall)

    def _step(self):
        self.executor.forward(is_train=True)
        self.executor.backward(self.gradients)


def measure(setting: Setting) -> Iterator[Row]:
    """The 14 sides of the ensemble of depth 14, one by one, beside the whole ensemble. On the CPU alone."""
    if setting.gpus is not None:
        return
    parts = [
        (ForwardAndBack(symbol, x=shape), count)
        for symbol, shape, count in sides(symbols.units_per_group(DEPTH), BATCH)
    ]
    whole = ForwardAndBack(fuse(symbols.get_symbol('ensemble', DEPTH)), data=(BATCH, 3, 32, 32))
    rounds = [
        (whole.seconds(), sum(count * part.seconds() for part, count in parts)) for _ in range(setting.rounds + 1)
    ][1:]
    ours, apart = zip(*rounds, strict=True)
    yield Row(
        f'14 sides / ensemble {DEPTH} (ms)',
        1000 * statistics.median(ours),
        1000 * statistics.median(apart),
        median_ratio(apart, ours),
        1 / MOST,
    )
