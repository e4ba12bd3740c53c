"""DFN-IL, inception-like fusion: relu(shortcut(x) + branch1(x) + branch2(x)) (Figures 6(a) and 7(b)).

`build_without_identity` leaves the shortcut out: relu(branch1(x) + branch2(x)).
"""
from symbols.layers import relu


def _branches(layers, x, name, channels, stride):
    return (layers.branch(x, name + '_branch1', channels, stride),
            layers.branch(x, name + '_branch2', channels, stride))


def build(layers, n):
    """Symbol of DFN-IL of depth 6n + 2."""
    x = layers.first()
    for name, channels, stride in layers.units(n):
        shortcut = layers.shortcut(x, name + '_shortcut', channels, stride)
        branch1, branch2 = _branches(layers, x, name, channels, stride)
        x = relu(shortcut + branch1 + branch2)
    return layers.classifier(x)


def build_without_identity(layers, n):
    """Symbol of DFN-IL without the identity, of depth 6n + 2."""
    x = layers.first()
    for name, channels, stride in layers.units(n):
        branch1, branch2 = _branches(layers, x, name, channels, stride)
        x = relu(branch1 + branch2)
    return layers.classifier(x)
