"""N_f3 and N_f6: the plain network with 3 or 6 fusions (section 3, Figure 3(b) and (c)).

A block B_k has a right side, basic layers of which the last has no ReLU, and a left side, and gives
relu(left(x) + right(x)). The left side is a 3×3 convolution + BatchNorm for the first block and
wherever the width changes, else the identity.
"""
from typing import NamedTuple

from symbols.layers import GROUPS, relu


def build(layers, n, fusions):
    """Symbol of N_f3 or N_f6 of depth 6n + 2: `fusions` blocks of 6n / fusions layers."""
    x = layers.first()
    for block in blocks(layers, n, fusions):
        x = relu(left(layers, x, block) + right(layers, x, block))
    return layers.classifier(x)


class Block(NamedTuple):
    """B_k: its name, channels and stride, the layers of its right side, whether its left side is a layer."""

    name: str
    channels: int
    stride: int
    length: int
    has_left_layer: bool


def blocks(layers, n, fusions):
    """B_1 … B_K of depth 6n + 2, K = fusions."""
    per_group = fusions // len(GROUPS)
    for block in range(fusions):
        group, first = block // per_group + 1, block % per_group == 0
        yield Block('block%d' % (block + 1), layers.widths[group], 2 if first and group > 1 else 1,
                    6 * n // fusions, first)


def left(layers, x, block):
    """B_k^L: a convolution + BatchNorm, or the identity."""
    return layers.linear(x, block.name + '_left', block.channels, block.stride) if block.has_left_layer else x


def right(layers, x, block):
    """B_k^R: basic layers, the last without its ReLU."""
    stride = block.stride
    for layer in range(1, block.length):
        x = layers.basic(x, '%s_right%d' % (block.name, layer), block.channels, stride)
        stride = 1
    return layers.linear(x, '%s_right%d' % (block.name, block.length), block.channels, stride)
