"""DFN-MR, merge-and-run fusion (section 5, Figures 6(b) and 7(c)).

Two streams run from C's output to FC. A unit merges them, m = ½·(shortcut1(a) + shortcut2(b)), and
runs on: a' = relu(m + branch1(a)), b' = relu(m + branch2(b)). Where the width changes each stream
has its own projection. The last unit gives one output, relu(m + branch1(a) + branch2(b)).
"""
from symbols.layers import relu


def build(layers, n):
    """Symbol of DFN-MR of depth 6n + 2."""
    a = b = layers.first()
    *units, last = layers.units(n)
    for unit in units:
        merged, branch1, branch2 = _merge_and_run(layers, a, b, *unit)
        a, b = relu(merged + branch1), relu(merged + branch2)
    merged, branch1, branch2 = _merge_and_run(layers, a, b, *last)
    return layers.classifier(relu(merged + branch1 + branch2))


def _merge_and_run(layers, a, b, name, channels, stride):
    merged = 0.5 * (layers.shortcut(a, name + '_shortcut1', channels, stride)
                    + layers.shortcut(b, name + '_shortcut2', channels, stride))
    return (merged, layers.branch(a, name + '_branch1', channels, stride),
            layers.branch(b, name + '_branch2', channels, stride))
