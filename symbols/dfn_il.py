"""DFN-IL, inception-like fusion: relu(shortcut(x) + branch1(x) + branch2(x)) (Figures 6(a) and 7(b)).

`build_without_identity` leaves out the shortcut: relu(branch1(x) + branch2(x)).
"""

from symbols.layers import relu


def build(layers, n):
    """The symbol of DFN-IL of depth 6n + 2."""
    x = layers.first()
    for unit in layers.units(n):
        x = fuse(layers, x, unit)
    return layers.classifier(x)


def fuse(layers, x, unit):
    """One unit."""
    return relu(layers.shortcut(x, unit) + layers.branch(x, unit, 'branch1') + layers.branch(x, unit, 'branch2'))


def build_without_identity(layers, n):
    """The symbol of DFN-IL without the identity, of depth 6n + 2."""
    x = layers.first()
    for unit in layers.units(n):
        x = relu(layers.branch(x, unit, 'branch1') + layers.branch(x, unit, 'branch2'))
    return layers.classifier(x)
