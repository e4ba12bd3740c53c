"""The fusion units by themselves (Figure 6)."""
from common.mxnet import mx
from symbols import dfn_il, dfn_mr, resnet
from symbols.layers import Layers


def fusion_units():
    """[(title, symbol)] of an inception-like unit, a merge-and-run unit, and two units of a ResNet, which they replace.

    The variables `x`, or `a` and `b`, (batch, 16, height, width) are what goes in.
    """
    layers = Layers()
    first, second, *_ = layers.units(2)
    a, b, x = map(mx.sym.var, 'abx')
    return [('(a) inception-like', dfn_il.fuse(layers, x, first)),
            ('(b) merge-and-run', mx.sym.Group(dfn_mr.fuse(layers, a, b, first)[:2])),
            ('(c) two units of a ResNet', resnet.fuse(layers, resnet.fuse(layers, x, first), second))]
