"""ResNet: relu(shortcut(x) + branch(x)), n units a group (Figures 6(c) and 7(a), [8])."""
from symbols.layers import relu


def build(layers, n):
    """Symbol of the ResNet of depth 6n + 2."""
    x = layers.first()
    for name, channels, stride in layers.units(n):
        shortcut = layers.shortcut(x, name + '_shortcut', channels, stride)
        x = relu(shortcut + layers.branch(x, name + '_branch', channels, stride))
    return layers.classifier(x)
