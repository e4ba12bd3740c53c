"""ResNet: relu(shortcut(x) + branch(x)), n units in each group (Figures 6(c) and 7(a), [8])."""

from symbols.layers import relu


def build(layers, n):
    """The symbol of the ResNet of depth 6n + 2. For ImageNet, n is a tuple: the units of each group."""
    x = layers.first()
    for unit in layers.units(n):
        x = fuse(layers, x, unit)
    return layers.classifier(x)


def fuse(layers, x, unit):
    """One unit."""
    return relu(layers.shortcut(x, unit) + layers.branch(x, unit))
