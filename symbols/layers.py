"""The pieces that every network for 32×32 images is made of (section 6.2).

Names: a layer `x` has the parameters `x_conv_weight`, `x_bn_gamma`, `x_bn_beta` and the running
statistics `x_bn_moving_mean`, `x_bn_moving_var`; the last layer has `fc_weight` and `fc_bias`. Where a
layer is used again on another input (`Layers.copy`), the parameters are the same ones and the running
statistics have the copy's name in front: `RL_x_bn_moving_mean`.

Every network has two forms, because MXNet 1.9.1 does on the CPU what is written, operator by operator: *as drawn*,
which is saved, evaluated and trained on GPUs; and *fused*, for training on the CPU, the same function of the same
parameters, the scores to the last bit, in fewer passes over memory. The fused form has BatchNorm and the ReLU behind it
in one operator, and, in merge-and-run, sums of streams that nothing halves (dfn_mr.py). `mirror` makes it compute the
input of each branch's last layer again in the backward pass instead of keeping it: a quarter less memory.
"""
import copy
from typing import NamedTuple

import numpy as np

from common.mxnet import mx

GROUPS = (1, 2, 3)
BN_EPSILON = 2e-5
DTYPES = {'float32': None, 'float16': 'float16', 'bfloat16': np.dtype([('bfloat16', np.uint16)])}  # as MXNet wants them

# MXNet computes an operator that is marked again in the backward pass, where something there reads it. Marked are a
# convolution and the operator that it reads: one not marked would keep its input. The convolution itself is not
# computed again, because nothing in the backward pass reads its output but BatchNorm, which is not marked.
# MXNET_BACKWARD_DO_MIRROR marks all but convolutions, and so needs more memory than it saves.
MIRRORED = {'__force_mirroring__': 'True'}


def relu(x):
    """ReLU, without a name of its own."""
    return mx.sym.Activation(x, act_type='relu')


def times(x, factor):
    """x multiplied, where the factor is not 1."""
    return x if factor == 1 else x * factor


class Unit(NamedTuple):
    """A fusion unit: its name, output channels and stride, whether its shortcut is a projection."""

    name: str
    channels: int
    stride: int
    projects: bool


class Layers:
    """Makes layers of one network for 32×32 images: holds what they have in common.

    branch_length: layers of a unit's branch. widths: channels of the three groups, 16, 32, 64 times `widen`
    (Table 5 has 4). bn_momentum: of BatchNorm's running statistics; the authors' code has 0.9, and in the
    paper's month 0.99. dtype: 'float16' (GPUs) or 'bfloat16' (CPU) has everything between C and FC computed in
    it, with parameters, statistics, FC and softmax in float32. loss_scale: how many times as large the gradients are.
    fused: the form for training on the CPU; mirror: with less memory.

    Where `given` and `wanted` are arguments, the input is `given` times what it is as drawn, and the output is to be
    `wanted` times; both powers of two, so that no digit is lost. The parameters are multiplied, which are small.
    """

    branch_length = 2

    def __init__(self, num_classes=10, widen=1, bn_momentum=0.9, dtype='float32', loss_scale=1,
                 fused=False, mirror=False):
        if mirror and not fused:
            raise ValueError('mirror is for the fused form: cuDNN\'s BatchNorm would count its statistics twice')
        self.num_classes, self.loss_scale, self.fused, self.mirror = num_classes, loss_scale, fused, mirror
        self.dtype = DTYPES[dtype]
        self.widths = {group: widen * 16 * 2 ** (group - 1) for group in GROUPS}
        self.bn_momentum = bn_momentum
        self._prefix, self._variables = '', {}

    def copy(self, name):
        """The same layers for use on another input: parameters shared, running statistics apart."""
        other = copy.copy(self)
        other._prefix = name + '_' if name else ''
        return other

    def in_float32(self):
        """The same layers computed in float32. C has to be: in bfloat16 MXNet gives 7 of 8 of its channels no gradient,
        because for images of 3 channels oneDNN takes a layout whose mask of the ReLU BatchNormWithReLU misreads."""
        other = copy.copy(self)
        other.dtype = None
        return other

    def variable(self, name):
        """The network's one variable of a name."""
        if name not in self._variables:
            self._variables[name] = mx.sym.var(name)
        return self._variables[name]

    def half(self, x):
        """Cast to the 16 bits that the network computes in, if any."""
        return mx.sym.amp_cast(x, dtype=self.dtype) if self.dtype else x

    def first(self):
        """Layer C: `data` (batch, 3, height, width), normalised → (batch, widths[1], height, width)."""
        return self.half(self.in_float32().basic(self.variable('data'), 'C', self.widths[1]))

    def units(self, n):
        """The n Units of each group; groups 2 and 3 begin with stride 2."""
        for group in GROUPS:
            for unit in range(1, n + 1):
                changes = group > 1 and unit == 1
                yield Unit('group%d_unit%d' % (group, unit), self.widths[group], 2 if changes else 1, changes)

    def linear(self, x, name, channels, stride=1, kernel=3, given=1, wanted=1, mirror=False):
        """Convolution without bias → BatchNorm: a basic layer before its ReLU. mirror: whether x is computed again."""
        x = self._convolve(x, name, channels, stride, kernel, given, mirror)
        return self._normalise(mx.sym.BatchNorm, x, name, wanted)

    def basic(self, x, name, channels, stride=1, kernel=3, given=1, mirror=False):
        """A basic layer: convolution → BatchNorm → ReLU. mirror: whether its output is computed again."""
        if not self.fused:
            return relu(self.linear(x, name, channels, stride, kernel, given))
        x = self._convolve(x, name, channels, stride, kernel, given)
        return self._normalise(mx.sym.contrib.BatchNormWithReLU, x, name, mirror=mirror)[0]  # others are for backward

    def _convolve(self, x, name, channels, stride, kernel, given, mirror=False):
        weight = times(self.variable(name + '_conv_weight'), 1 / given)
        return mx.sym.Convolution(x, self.half(weight), num_filter=channels, kernel=(kernel, kernel),
                                  stride=(stride, stride), pad=(kernel // 2, kernel // 2), no_bias=True,
                                  name=self._prefix + name + '_conv', attr=MIRRORED if mirror else None)

    def _normalise(self, operator, x, name, wanted=1, mirror=False):
        gamma, beta = (times(self.variable(name + part), wanted) for part in ('_bn_gamma', '_bn_beta'))
        return operator(x, gamma, beta, fix_gamma=False, eps=BN_EPSILON, momentum=self.bn_momentum,
                        name=self._prefix + name + '_bn', attr=MIRRORED if mirror else None)

    def branch(self, x, unit, name='branch', given=1, wanted=1):
        """Two basic layers, the second without its ReLU, which comes after the fusion."""
        name = '%s_%s' % (unit.name, name)
        x = self.basic(x, name + '_layer1', unit.channels, unit.stride, given=given, mirror=self.mirror)
        return self.linear(x, name + '_layer2', unit.channels, wanted=wanted, mirror=self.mirror)

    def shortcut(self, x, unit, name='shortcut', given=1, wanted=1):
        """The identity (given is wanted then), or where the width changes a 1×1 convolution with the unit's stride."""
        if not unit.projects:
            return x
        return self.linear(x, '%s_%s' % (unit.name, name), unit.channels, unit.stride, 1, given, wanted)

    def classifier(self, x, given=1):
        """Global average pooling → FC → softmax: the end of a network with one output."""
        return self.softmax(self.scores(x, given))

    def scores(self, x, given=1):
        """Global average pooling → FC: (batch, num_classes).

        The mean over the two spatial axes is the pooling, but its backward pass on the CPU takes
        0.2 ms where that of MXNet's global pooling takes 22 of a 220 ms step (DFN-MR 14, batch 64).
        """
        x = mx.sym.mean(mx.sym.amp_cast(x, dtype='float32') if self.dtype else x, axis=(2, 3))
        x = times(x, 1 / given)
        return mx.sym.FullyConnected(x, self.variable('fc_weight'), self.variable('fc_bias'),
                                     num_hidden=self.num_classes, name=self._prefix + 'fc')

    def softmax(self, scores, name='softmax'):
        """Softmax of the scores; backward it gives the gradient of the loss summed over the batch."""
        scale = {} if self.loss_scale == 1 else {'grad_scale': self.loss_scale}
        return mx.sym.SoftmaxOutput(scores, label=self.variable('softmax_label'), name=name, **scale)
