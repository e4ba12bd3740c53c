"""The networks for ImageNet: bottleneck units [8] in the fusions of the 32×32 networks (section 6.5, Appendix A.1).

    import symbols.imagenet
    net = symbols.imagenet.get_symbol('dfn-mr', 44)

ResNet-50, ResNet-101 and DFN-MR are those of Figure 9, as the authors' released code defines them. DFN1 and DFN2 are
**inferences**. Figure 10, which shows them, is not available as numbers; these two have the properties that
Appendix A.1 states (tests/symbols/analysis/test_paths.py):

- *DFN1* has as many component networks as ResNet-50, but much deeper ones, also among the shallow ones. Here every
  shortcut of ResNet-50 becomes a projection, which is a layer, so that a component has 18 to 50 layers instead of
  6 to 50.
- *DFN2* has far fewer component networks, and all of them are ResNet-50's. Here a fusion spans two units of ResNet-50
  and takes both or neither: 9 fusions instead of 16.
"""

from collections.abc import Iterator
from typing import Any

from common.errors import UserError
from common.mxnet import mx
from symbols import dfn_mr, gluoncv, resnet
from symbols.layers import Layers, Unit, relu
from symbols.network import Network

IMAGE_SHAPE = (3, 224, 224)  # channels, height, width
WIDTHS = (256, 512, 1024, 2048)


class ImageNetLayers(Layers):
    """Layers of the networks for 224×224 images."""

    branch_length = 3

    def __init__(
        self, num_classes: int = 1000, bn_momentum: float = 0.9, dtype: str = 'float32', loss_scale: float = 1
    ):
        super().__init__(num_classes, 1, bn_momentum, dtype, loss_scale)
        self.widths = dict(enumerate(WIDTHS, 1))

    def first(self) -> mx.sym.Symbol:
        """Layer C and max pooling: `data` (batch, 3, 224, 224), normalized → (batch, 64, 55, 55).

        The pooling has no padding, as in the released code; with padding there would be 56×56.
        """
        x = self.cast(self.in_float32().basic(self.variable('data'), 'C', 64, stride=2, kernel=7))
        return mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type='max')

    def units(self, n: Any) -> Iterator[Unit]:
        """The units of the four groups, whose numbers n holds; the first of a group changes the width."""
        for group, count in enumerate(n, 1):
            for unit in range(1, count + 1):
                stride = 2 if group > 1 and unit == 1 else 1
                yield Unit(f'group{group}_unit{unit}', self.widths[group], stride, unit == 1)

    def branch(self, x: mx.sym.Symbol, unit: Unit, name: str = 'branch') -> mx.sym.Symbol:
        """A bottleneck: 1×1, 3×3 with the unit's stride, 1×1 without ReLU; a quarter of the channels inside."""
        name, inside = f'{unit.name}_{name}', unit.channels // 4
        x = self.basic(x, f'{name}_layer1', inside, kernel=1)
        x = self.basic(x, f'{name}_layer2', inside, unit.stride)
        return self.linear(x, f'{name}_layer3', unit.channels, kernel=1)


def build_dfn_mr(layers, n):
    """DFN-MR. Its last unit adds up both streams, so that the merge counts twice."""
    m, branch1, branch2 = dfn_mr.last_unit(layers, n)
    return layers.classifier(relu((m + branch1) + (m + branch2)))


def build_dfn1(layers, n):
    """DFN1, an inference: ResNet with a projection for every shortcut."""
    x = layers.first()
    for unit in layers.units(n):
        x = relu(layers.shortcut(x, unit._replace(projects=True)) + layers.branch(x, unit))
    return layers.classifier(x)


def build_dfn2(layers, n):
    """DFN2, an inference: ResNet's units fused two by two; the last one of an odd group stays alone."""
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


NETWORKS = {
    ('resnet', 50): Network(resnet.build, 'ResNet-50', (3, 4, 6, 3)),
    ('resnet', 101): Network(resnet.build, 'ResNet-101', (3, 4, 23, 3)),
    ('dfn-mr', 44): Network(build_dfn_mr, 'DFN-MR', (2, 2, 8, 2), paths_of_units=dfn_mr.paths_of_units),
    ('dfn1', 50): Network(build_dfn1, 'DFN1', (3, 4, 6, 3)),
    ('dfn2', 50): Network(build_dfn2, 'DFN2', (3, 4, 6, 3)),
}
NAMES = sorted({net for net, _ in NETWORKS})


def find(net: str, depth: int | None) -> Network:
    """The table's line for a name and depth.

    Raises:
        UserError: there is no such network.
    """
    if depth is None or (net, depth) not in NETWORKS:
        there = ', '.join(f'{name} {depth_}' for name, depth_ in NETWORKS)
        raise UserError(f'there is no {net} {depth} for ImageNet: choose one of {there}')
    return NETWORKS[net, depth]


def title(net: str, depth: int | None) -> str:
    """The name of a network in pictures and tables: the paper's name, and the depth where the name lacks it."""
    if gluoncv.is_one(net):
        return gluoncv.title(net)
    name = find(net, depth).title
    return name if str(depth) in name else f'{name} {depth}'


def get_symbol(
    net: str,
    depth: int | None,
    num_classes: int = 1000,
    bn_momentum: float = 0.9,
    dtype: str = 'float32',
    loss_scale: float = 1,
) -> mx.sym.Symbol:
    """A network for ImageNet as an `mx.sym.Symbol`.

    Its inputs are `data` (batch, 3, 224, 224), normalized, and `softmax_label` (batch,), 0 … num_classes - 1. Its
    output is one SoftmaxOutput `softmax` (batch, num_classes), whose gradient is summed over the batch.

    Args:
        net, depth: a key of NETWORKS, or one of GluonCV's names, `gluoncv:NAME`, and None.
        dtype, loss_scale: 'float16' or 'bfloat16' for training in 16 bits; see layers.py.

    Raises:
        UserError: there is no such network. It is a ValueError.
    """
    if gluoncv.is_one(net):
        gluoncv.check_alone(net, depth=depth)
        return gluoncv.get_symbol(net, num_classes, bn_momentum, dtype, loss_scale, small=False)
    network = find(net, depth)
    return network.build(ImageNetLayers(num_classes, bn_momentum, dtype, loss_scale), network.units)
