"""DFN-MR, merge-and-run fusion (section 5, Figures 6(b) and 7(c)).

Two streams run from C's output to FC. A unit merges them, m = ½·(shortcut1(a) + shortcut2(b)), and
runs on: a' = relu(m + branch1(a)), b' = relu(m + branch2(b)). Where the width changes each stream
has its own projection. The last unit gives one output, relu(m + branch1(a) + branch2(b)).
"""
from symbols.layers import relu


def build(layers, n):
    """Symbol of DFN-MR of depth 6n + 2."""
    merged, branch1, branch2 = streams_to_the_last_sum(layers, n)
    return layers.classifier(relu(merged + branch1 + branch2))


def streams_to_the_last_sum(layers, n):
    """All units but the sum of the last one; returns that one's (merged, branch1, branch2)."""
    a = b = layers.first()
    *before, last = layers.units(n)
    for unit in before:
        a, b = fuse(layers, a, b, unit)
    return _merge_and_run(layers, a, b, last)


def fuse(layers, a, b, unit):
    """One unit but the last: both streams."""
    merged, branch1, branch2 = _merge_and_run(layers, a, b, unit)
    return relu(merged + branch1), relu(merged + branch2)


def _merge_and_run(layers, a, b, unit):
    merged = 0.5 * (layers.shortcut(a, unit, 'shortcut1') + layers.shortcut(b, unit, 'shortcut2'))
    return merged, layers.branch(a, unit, 'branch1'), layers.branch(b, unit, 'branch2')


def paths_of_units(layers, n):
    """The layers on each of the four paths that the paper counts in a unit (section 5), unit by unit.

    Two come through the merge, one from each stream, and two through the branches.
    """
    return [2 * [int(unit.projects)] + 2 * [layers.branch_length] for unit in layers.units(n)]
