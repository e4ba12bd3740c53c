"""DFN-MR, merge-and-run fusion (section 5, Figures 6(b) and 7(c)).

Two streams run from C's output to FC. A unit merges them, m = ½·(shortcut1(a) + shortcut2(b)), and
runs on: a' = relu(m + branch1(a)), b' = relu(m + branch2(b)). Where the width changes each stream
has its own projection. The last unit gives one output, relu(m + branch1(a) + branch2(b)).

The fused form (layers.py) does not halve: its streams are 2, 4, 8, … times as large after each unit, until a
projection or the classifier brings them back, and so are the branches that are added to them, by their last gamma and
beta. Halving would cost four passes over memory each way, two of them to take the values out of the layout in which
MXNet's convolutions have them and back.
"""
from symbols.layers import relu

LARGEST = 2 ** 16  # how many times as large streams become before they are halved all the same


def build(layers, n):
    """Symbol of DFN-MR of depth 6n + 2."""
    merged, branch1, branch2, grown = streams_to_the_last_sum(layers, n)
    return layers.classifier(relu(merged + branch1 + branch2), grown)


def streams_to_the_last_sum(layers, n):
    """All units but the sum of the last one; returns that one's (merged, branch1, branch2), and how many times as
    large these are as drawn."""
    a = b = layers.first()
    grown = 1
    *before, last = layers.units(n)
    for unit in before:
        a, b, grown = fuse(layers, a, b, unit, grown)
    return _merge_and_run(layers, a, b, last, grown)


def fuse(layers, a, b, unit, grown=1):
    """One unit but the last: both streams, and how many times as large they are as drawn."""
    merged, branch1, branch2, grown = _merge_and_run(layers, a, b, unit, grown)
    return relu(merged + branch1), relu(merged + branch2), grown


def _merge_and_run(layers, a, b, unit, given):
    halves = not layers.fused or given == LARGEST
    grown = 1 if unit.projects else given if halves else 2 * given
    each = grown if halves else grown / 2  # times as large as drawn: what either shortcut brings
    merged = layers.shortcut(a, unit, 'shortcut1', given, each) + layers.shortcut(b, unit, 'shortcut2', given, each)
    if halves:
        merged = 0.5 * merged
    return (merged, layers.branch(a, unit, 'branch1', given, grown), layers.branch(b, unit, 'branch2', given, grown),
            grown)


def paths_of_units(layers, n):
    """The layers on each of the four paths that the paper counts in a unit (section 5), unit by unit.

    Two come through the merge, one from each stream, and two through the branches.
    """
    return [2 * [int(unit.projects)] + 2 * [layers.branch_length] for unit in layers.units(n)]
