"""N_f3 and N_f6: the plain network with 3 or 6 fusions (section 3, Figure 3(b) and (c)).

A block B_k gives relu(left(x) + right(x)). Its right side consists of basic layers, the last one without ReLU. Its left
side is a 3×3 convolution + BatchNorm in the first block and wherever the width changes, else the identity.
"""

from typing import NamedTuple

from symbols.layers import GROUPS, relu


def build_f3(layers, n):
    """The symbol of N_f3 of depth 6n + 2: three blocks of 2n layers."""
    return build(layers, n, 3)


def build_f6(layers, n):
    """The symbol of N_f6 of depth 6n + 2: six blocks of n layers."""
    return build(layers, n, 6)


def build(layers, n, fusions):
    """The symbol of depth 6n + 2 with `fusions` blocks of 6n / fusions layers."""
    x = layers.first()
    for block in blocks(layers, n, fusions):
        x = relu(left(layers, x, block) + right(layers, x, block))
    return layers.classifier(x)


class Block(NamedTuple):
    """B_k: its name, channels and stride, the number of layers of its right side, whether its left side is a layer."""

    name: str
    channels: int
    stride: int
    length: int
    has_left_layer: bool


def blocks(layers, n, fusions):
    """B_1 … B_K of a network of depth 6n + 2, where K is `fusions`."""
    per_group = fusions // len(GROUPS)
    for block in range(fusions):
        group, first = block // per_group + 1, block % per_group == 0
        yield Block(f'block{block + 1}', layers.widths[group], 2 if first and group > 1 else 1, 6 * n // fusions, first)


def left(layers, x, block):
    """B_k^L: a convolution + BatchNorm, or the identity."""
    return layers.linear(x, f'{block.name}_left', block.channels, block.stride) if block.has_left_layer else x


def right(layers, x, block):
    """B_k^R: basic layers, the last without its ReLU."""
    stride = block.stride
    for layer in range(1, block.length):
        x = layers.basic(x, f'{block.name}_right{layer}', block.channels, stride)
        stride = 1
    return layers.linear(x, f'{block.name}_right{block.length}', block.channels, stride)
