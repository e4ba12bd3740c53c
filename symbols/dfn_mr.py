"""DFN-MR, merge-and-run fusion (section 5, Figures 6(b) and 7(c)).

Two streams, a and b, run from the output of C to FC. A fusion unit merges them and runs on:

    m  = ½ · (shortcut1(a) + shortcut2(b))
    a' = relu(m + branch1(a))
    b' = relu(m + branch2(b))

Where the width changes, each stream has a projection of its own. The last unit gives one output,
relu(m + branch1(a) + branch2(b)).
"""

from symbols.layers import relu


def build(layers, n):
    """The symbol of DFN-MR of depth 6n + 2."""
    m, branch1, branch2 = last_unit(layers, n)
    return layers.classifier(relu(m + branch1 + branch2))


def last_unit(layers, n):
    """The three terms of the last unit's sum, (m, branch1(a), branch2(b)), after all units before it."""
    a = b = layers.first()
    *units, last = layers.units(n)
    for unit in units:
        a, b = merge_and_run(layers, a, b, unit)
    return terms(layers, a, b, last)


def merge_and_run(layers, a, b, unit):
    """One unit: streams (a, b) → streams (a', b')."""
    m, branch1, branch2 = terms(layers, a, b, unit)
    return relu(m + branch1), relu(m + branch2)


def terms(layers, a, b, unit):
    """(m, branch1(a), branch2(b)): what a unit adds up."""
    m = 0.5 * (layers.shortcut(a, unit, 'shortcut1') + layers.shortcut(b, unit, 'shortcut2'))
    return m, layers.branch(a, unit, 'branch1'), layers.branch(b, unit, 'branch2')


def paths_of_units(layers, n):
    """The number of layers on each of the four paths that the paper counts in a unit (section 5), unit by unit.

    Two paths lead through the merge, one from each stream, and two through the branches.
    """
    return [2 * [int(unit.projects)] + 2 * [layers.branch_length] for unit in layers.units(n)]
