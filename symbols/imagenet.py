"""The networks for ImageNet: bottleneck units [8] in the fusions of the 32×32 networks (section 6.5, Appendix A.1).

    import symbols.imagenet
    net = symbols.imagenet.get_symbol('dfn-mr', 44)

ResNet-50, ResNet-101 and DFN-MR are Figure 9's, as the authors' released code has them. DFN1 and DFN2 are
**inferences**: Figure 10 is known only by what Appendix A.1 says of it, and these two have those properties
(tests/symbols/test_paths.py):

- *DFN1*, as many component networks as ResNet-50, but much deeper ones, the shallow ones too: here every
  shortcut of ResNet-50 is a projection, a layer, so that a component has 18 to 50 layers instead of 6 to 50.
- *DFN2*, far fewer component networks, all of them ResNet-50's: here a fusion spans two units of ResNet-50 and
  leaves out or takes both, 9 fusions instead of 16.
"""
from typing import Callable, NamedTuple

from common.mxnet import mx
from common.errors import UserError
from symbols import dfn_mr, resnet
from symbols.layers import Layers, Unit, relu

IMAGE_SHAPE = (3, 224, 224)
WIDTHS = (256, 512, 1024, 2048)


class ImageNetLayers(Layers):
    """Layers of the networks for 224×224 images; branch_length: of a bottleneck branch."""

    branch_length = 3

    def __init__(self, num_classes=1000, bn_momentum=0.9, **form):
        super().__init__(num_classes, bn_momentum=bn_momentum, **form)
        self.widths = dict(enumerate(WIDTHS, 1))

    def first(self):
        """Layer C and max pooling: `data` (batch, 3, 224, 224), normalised → (batch, 64, 55, 55).

        The pooling has no padding, as in the released code; with it there would be 56×56.
        """
        x = self.half(self.in_float32().basic(self.variable('data'), 'C', 64, stride=2, kernel=7))
        return mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type='max')

    def units(self, n):
        """The Units of four groups; n: the number of each. The first of a group changes the width."""
        for group, count in enumerate(n, 1):
            for unit in range(1, count + 1):
                stride = 2 if group > 1 and unit == 1 else 1
                yield Unit('group%d_unit%d' % (group, unit), self.widths[group], stride, unit == 1)

    def branch(self, x, unit, name='branch', given=1, wanted=1):
        """A bottleneck: 1×1, 3×3 with the unit's stride, 1×1 without ReLU; a quarter of the channels inside."""
        name, inside = '%s_%s' % (unit.name, name), unit.channels // 4
        x = self.basic(x, name + '_layer1', inside, kernel=1, given=given)
        x = self.basic(x, name + '_layer2', inside, unit.stride, mirror=self.mirror)
        return self.linear(x, name + '_layer3', unit.channels, kernel=1, wanted=wanted, mirror=self.mirror)


def build_dfn_mr(layers, n):
    """DFN-MR; its last unit sums both streams, so that the merge is in the sum twice."""
    merged, branch1, branch2, grown = dfn_mr.streams_to_the_last_sum(layers, n)
    return layers.classifier(relu((merged + branch1) + (merged + branch2)), grown)


def build_dfn1(layers, n):
    """DFN1, an inference: ResNet with a projection for every shortcut."""
    x = layers.first()
    for unit in layers.units(n):
        x = relu(layers.shortcut(x, unit._replace(projects=True)) + layers.branch(x, unit))
    return layers.classifier(x)


def build_dfn2(layers, n):
    """DFN2, an inference: ResNet's units fused two by two; the last of an odd group by itself."""
    x = layers.first()
    units = list(layers.units(n))
    while units:
        fused = 2 if len(units) > 1 and not units[1].projects else 1
        left = right = x
        for unit in units[:fused]:
            left = layers.shortcut(left, unit)
            right = layers.branch(right if unit is units[0] else relu(right), unit)
        x, units = relu(left + right), units[fused:]
    return layers.classifier(x)


class Network(NamedTuple):
    """A line of the table of networks."""

    build: Callable                  # (layers, n) → symbol
    n: tuple                         # units of each group
    title: str                       # its name in the paper
    paths_of_units: Callable = None  # where the paper counts other paths than the graph has; see symbols/paths.py


NETWORKS = {
    ('resnet', 50): Network(resnet.build, (3, 4, 6, 3), 'ResNet-50'),
    ('resnet', 101): Network(resnet.build, (3, 4, 23, 3), 'ResNet-101'),
    ('dfn-mr', 44): Network(build_dfn_mr, (2, 2, 8, 2), 'DFN-MR', dfn_mr.paths_of_units),
    ('dfn1', 50): Network(build_dfn1, (3, 4, 6, 3), 'DFN1'),
    ('dfn2', 50): Network(build_dfn2, (3, 4, 6, 3), 'DFN2'),
}


def network(net, depth):
    """The table's line for a name and depth; UserError for one that is not there."""
    if (net, depth) not in NETWORKS:
        raise UserError('there is no %s %s for ImageNet: choose one of %s' % (
            net, depth, ', '.join('%s %d' % pair for pair in NETWORKS)))
    return NETWORKS[net, depth]


def title(net, depth):
    """What a picture or a table calls a network: its name in the paper, and its depth where that lacks it."""
    name = network(net, depth).title
    return name if str(depth) in name else '%s %d' % (name, depth)


def get_symbol(net, depth, num_classes=1000, bn_momentum=0.9, **form):
    """The network for ImageNet as an `mx.sym.Symbol`.

    (net, depth): ('resnet', 50), ('resnet', 101), ('dfn-mr', 44), ('dfn1', 50) or ('dfn2', 50). form: as in
    symbols.get_symbol.
    Inputs: `data` (batch, 3, 224, 224), normalised; `softmax_label` (batch,), 0 … num_classes - 1.
    Output: one SoftmaxOutput `softmax` (batch, num_classes), whose gradient is summed over the batch.
    Raises UserError (a ValueError) for any other network.
    """
    known = network(net, depth)
    return known.build(ImageNetLayers(num_classes, bn_momentum, **form), known.n)
