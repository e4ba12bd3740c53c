"""The plain network: basic layers only, 2n in each group (Figure 3(a); the baseline of Table 4)."""


def build(layers, n):
    """The symbol of the plain network of depth 6n + 2."""
    x = layers.first()
    for unit in layers.units(n):
        x = layers.basic(x, f'{unit.name}_layer1', unit.channels, unit.stride)
        x = layers.basic(x, f'{unit.name}_layer2', unit.channels)
    return layers.classifier(x)
