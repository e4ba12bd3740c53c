"""The pieces that every network for 32×32 images is made of (section 6.2).

Names: a layer `x` has the parameters `x_conv_weight`, `x_bn_gamma` and `x_bn_beta` and the running statistics
`x_bn_moving_mean` and `x_bn_moving_var`. The last layer has `fc_weight` and `fc_bias`. Where a layer is applied to a
second input (`Layers.copy`), it shares its parameters, and the name of the copy precedes its running statistics:
`RL_x_bn_moving_mean`.
"""

from collections.abc import Iterator
import copy
from typing import Any, NamedTuple

import numpy as np

from common.mxnet import mx

GROUPS = (1, 2, 3)
BN_EPSILON = 2e-5
# As MXNet spells them.
DTYPES = {'float32': None, 'float16': 'float16', 'bfloat16': np.dtype([('bfloat16', np.uint16)])}


def relu(x: mx.sym.Symbol) -> mx.sym.Symbol:
    """ReLU, without a name of its own."""
    return mx.sym.Activation(x, act_type='relu')


class Unit(NamedTuple):
    """A fusion unit: its name, output channels and stride, and whether its shortcut is a projection."""

    name: str
    channels: int
    stride: int
    projects: bool


class Layers:
    """Makes the layers of one network for 32×32 images, and holds what they have in common.

    Args:
        num_classes: outputs of the last layer.
        widen: factor on the channels 16, 32 and 64 of the three groups (Table 5 has 4).
        bn_momentum: momentum of BatchNorm's running statistics.
        dtype: 'float16' (GPUs) or 'bfloat16' (CPUs) computes everything between C and FC in 16 bits. Parameters,
            statistics, C, FC and softmax stay in float32.
        loss_scale: factor on the gradients, so that 16 bits lose no small ones.
    """

    branch_length = 2  # layers

    def __init__(
        self,
        num_classes: int = 10,
        widen: int = 1,
        bn_momentum: float = 0.9,
        dtype: str = 'float32',
        loss_scale: float = 1,
    ):
        self.num_classes, self.bn_momentum, self.loss_scale = num_classes, bn_momentum, loss_scale
        self.dtype = DTYPES[dtype]
        self.widths = {group: widen * 16 * 2 ** (group - 1) for group in GROUPS}
        self._prefix, self._variables = '', {}

    def copy(self, name: str) -> 'Layers':
        """The same layers for another input: they share the parameters, but not the running statistics."""
        other = copy.copy(self)
        other._prefix = f'{name}_' if name else ''
        return other

    def in_float32(self) -> 'Layers':
        """The same layers, computed in float32."""
        other = copy.copy(self)
        other.dtype = None
        return other

    def variable(self, name: str) -> mx.sym.Symbol:
        """The variable of this name; the network has one."""
        if name not in self._variables:
            self._variables[name] = mx.sym.var(name)
        return self._variables[name]

    def cast(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """x in the 16 bits that the network computes in, if it does."""
        return mx.sym.amp_cast(x, dtype=self.dtype) if self.dtype else x

    def first(self) -> mx.sym.Symbol:
        """Layer C: `data` (batch, 3, height, width), normalized → (batch, widths[1], height, width).

        It stays in float32. In bfloat16 MXNet's fused BatchNorm and ReLU would give 7 of 8 of its channels no gradient:
        for images of 3 channels oneDNN chooses a memory layout in which the operator misreads the mask of the ReLU.
        """
        return self.cast(self.in_float32().basic(self.variable('data'), 'C', self.widths[1]))

    def units(self, n: Any) -> Iterator[Unit]:
        """The n units of each group; groups 2 and 3 begin with stride 2."""
        for group in GROUPS:
            for unit in range(1, n + 1):
                changes = group > 1 and unit == 1
                yield Unit(f'group{group}_unit{unit}', self.widths[group], 2 if changes else 1, changes)

    def linear(self, x: mx.sym.Symbol, name: str, channels: int, stride: int = 1, kernel: int = 3) -> mx.sym.Symbol:
        """Convolution without bias → BatchNorm: a basic layer before its ReLU."""
        x = mx.sym.Convolution(
            x,
            self.cast(self.variable(f'{name}_conv_weight')),
            num_filter=channels,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(kernel // 2, kernel // 2),
            no_bias=True,
            name=f'{self._prefix}{name}_conv',
        )
        return mx.sym.BatchNorm(
            x,
            self.variable(f'{name}_bn_gamma'),
            self.variable(f'{name}_bn_beta'),
            fix_gamma=False,
            eps=BN_EPSILON,
            momentum=self.bn_momentum,
            name=f'{self._prefix}{name}_bn',
        )

    def basic(self, x: mx.sym.Symbol, name: str, channels: int, stride: int = 1, kernel: int = 3) -> mx.sym.Symbol:
        """A basic layer: convolution → BatchNorm → ReLU."""
        return relu(self.linear(x, name, channels, stride, kernel))

    def branch(self, x: mx.sym.Symbol, unit: Unit, name: str = 'branch') -> mx.sym.Symbol:
        """Two basic layers, the second without its ReLU, which comes after the fusion."""
        x = self.basic(x, f'{unit.name}_{name}_layer1', unit.channels, unit.stride)
        return self.linear(x, f'{unit.name}_{name}_layer2', unit.channels)

    def shortcut(self, x: mx.sym.Symbol, unit: Unit, name: str = 'shortcut') -> mx.sym.Symbol:
        """The identity, or where the width changes a 1×1 convolution with the unit's stride."""
        return self.linear(x, f'{unit.name}_{name}', unit.channels, unit.stride, 1) if unit.projects else x

    def classifier(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Global average pooling → FC → softmax: the end of a network with one output."""
        return self.softmax(self.scores(x))

    def scores(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Global average pooling → FC: (batch, num_classes).

        The pooling is written as a mean over the two spatial axes. On the CPU its backward pass takes 0.2 ms where the
        one of MXNet's global pooling takes 22 ms of a step of 220 ms (DFN-MR 14, batch 64).
        """
        x = mx.sym.mean(mx.sym.amp_cast(x, dtype='float32') if self.dtype else x, axis=(2, 3))
        return mx.sym.FullyConnected(
            x,
            self.variable('fc_weight'),
            self.variable('fc_bias'),
            num_hidden=self.num_classes,
            name=f'{self._prefix}fc',
        )

    def softmax(self, scores: mx.sym.Symbol, name: str = 'softmax') -> mx.sym.Symbol:
        """Softmax of the scores. Its gradient is the one of the cross-entropy, summed over the batch."""
        scale = {} if self.loss_scale == 1 else {'grad_scale': self.loss_scale}
        return mx.sym.SoftmaxOutput(scores, label=self.variable('softmax_label'), name=name, **scale)
