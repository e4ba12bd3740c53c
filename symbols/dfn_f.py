"""N_f3 and N_f6: the plain network with 3 or 6 fusions (section 3, Figure 3(b) and (c)).

A block B_k has a right side, basic layers of which the last has no ReLU, and a left side, and gives
relu(left(x) + right(x)). The left side is a 3×3 convolution + BatchNorm for the first block and
wherever the width changes, else the identity.
"""
from symbols.layers import GROUPS, relu


def build(layers, n, fusions):
    """Symbol of N_f3 or N_f6 of depth 6n + 2: `fusions` blocks of 6n / fusions layers."""
    x = layers.first()
    for name, channels, stride, changes in _blocks(layers, fusions):
        left = layers.linear(x, name + '_left', channels, stride) if changes else x
        x = relu(left + _right(layers, x, name + '_right', channels, stride, 6 * n // fusions))
    return layers.classifier(x)


def _blocks(layers, fusions):
    """(name, channels, stride, whether the left side is a convolution) of B_1 … B_K."""
    per_group = fusions // len(GROUPS)
    for block in range(fusions):
        group, first = block // per_group + 1, block % per_group == 0
        yield 'block%d' % (block + 1), layers.widths[group], 2 if first and group > 1 else 1, first


def _right(layers, x, name, channels, stride, length):
    for layer in range(1, length):
        x = layers.basic(x, '%s%d' % (name, layer), channels, stride)
        stride = 1
    return layers.linear(x, '%s%d' % (name, length), channels, stride)
