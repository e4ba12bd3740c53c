"""The pieces that every network for 32×32 images is made of (section 6.2).

Names: a layer `x` has the parameters `x_conv_weight`, `x_bn_gamma`, `x_bn_beta` and the running
statistics `x_bn_moving_mean`, `x_bn_moving_var`; the last layer has `fc_weight` and `fc_bias`.
"""
from compat import mx

GROUPS = (1, 2, 3)
BN_EPSILON = 2e-5


def relu(x):
    """ReLU, without a name of its own."""
    return mx.sym.Activation(x, act_type='relu')


class Layers:
    """Makes layers of one network: holds what they have in common.

    widths: channels of the three groups, 16, 32, 64 times `widen` (Table 5 has 4).
    bn_momentum: of BatchNorm's running statistics; the authors' code has 0.9, and in the paper's month 0.99.
    """

    def __init__(self, num_classes=10, widen=1, bn_momentum=0.9):
        self.num_classes = num_classes
        self.widths = {group: widen * 16 * 2 ** (group - 1) for group in GROUPS}
        self.bn_momentum = bn_momentum

    def first(self):
        """Layer C: `data` (batch, 3, height, width), normalised → (batch, widths[1], height, width)."""
        return self.basic(mx.sym.var('data'), 'C', self.widths[1])

    def units(self, n):
        """(name, channels, stride) of the n units of each group; groups 2 and 3 begin with stride 2."""
        for group in GROUPS:
            for unit in range(1, n + 1):
                stride = 2 if group > 1 and unit == 1 else 1
                yield 'group%d_unit%d' % (group, unit), self.widths[group], stride

    def linear(self, x, name, channels, stride=1, kernel=3):
        """Convolution without bias → BatchNorm: a basic layer before its ReLU."""
        x = mx.sym.Convolution(x, num_filter=channels, kernel=(kernel, kernel), stride=(stride, stride),
                               pad=(kernel // 2, kernel // 2), no_bias=True, name=name + '_conv')
        return mx.sym.BatchNorm(x, fix_gamma=False, eps=BN_EPSILON, momentum=self.bn_momentum,
                                name=name + '_bn')

    def basic(self, x, name, channels, stride=1):
        """A basic layer: 3×3 convolution → BatchNorm → ReLU."""
        return relu(self.linear(x, name, channels, stride))

    def branch(self, x, name, channels, stride=1):
        """Two basic layers, the second without its ReLU, which comes after the fusion."""
        x = self.basic(x, name + '_layer1', channels, stride)
        return self.linear(x, name + '_layer2', channels)

    def shortcut(self, x, name, channels, stride):
        """The identity, or where the width changes a 1×1 convolution with the group's stride."""
        return x if stride == 1 else self.linear(x, name, channels, stride, kernel=1)

    def classifier(self, x):
        """Global average pooling → FC → softmax named `softmax`, its loss summed over the batch.

        The mean over the two spatial axes is the pooling, but its backward pass on the CPU takes
        0.2 ms where that of MXNet's global pooling takes 22 of a 220 ms step (DFN-MR 14, batch 64).
        """
        x = mx.sym.mean(x, axis=(2, 3))
        x = mx.sym.FullyConnected(x, num_hidden=self.num_classes, name='fc')
        return mx.sym.SoftmaxOutput(x, label=mx.sym.var('softmax_label'), name='softmax')
