"""The plain network: basic layers only, 2n a group (Figure 3(a); the baseline of Table 4)."""


def build(layers, n):
    """Symbol of the plain network of depth 6n + 2."""
    x = layers.first()
    for name, channels, stride in layers.units(n):
        x = layers.basic(x, name + '_layer1', channels, stride)
        x = layers.basic(x, name + '_layer2', channels)
    return layers.classifier(x)
