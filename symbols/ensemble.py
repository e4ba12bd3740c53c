"""The component networks of N_f3, and their two ensembles (sections 3.1 and 4, Figure 1).

A component network takes one side of each of N_f3's three blocks and is named by them: RLR goes right,
left, right. Each side ends in a ReLU. `build_ensemble` has them side by side, N_e of Figure 1(c): weights
shared, the running statistics of BatchNorm not, a softmax and a loss for each. `build_tandem` is N_ce of
Figure 1(b), N_f3 written out: the same columns, which exchange what they have after every block.

All have N_f3's parameter names, so weights move between them.
"""
from common.mxnet import mx
from common.errors import UserError
from symbols import dfn_f
from symbols.layers import relu

COMPONENTS = ('LLL', 'RLL', 'LRL', 'LLR', 'RRL', 'RLR', 'LRR', 'RRR')  # in the order of Tables 1 to 3
ENSEMBLE_7 = COMPONENTS[:-1]                                           # without the deepest (Figure 5)
SIDES = {'L': dfn_f.left, 'R': dfn_f.right}


def check_components(paths):
    """The component networks named, in the tables' order; UserError for a name that is none, or for none at all."""
    paths = [paths] if isinstance(paths, str) else list(paths)
    unknown = [path for path in paths if path not in COMPONENTS]
    if unknown or not paths:
        raise UserError('%s: choose from %s' % (
            'unknown component network %s' % unknown[0] if unknown else 'no component network is named',
            ', '.join(COMPONENTS)))
    return [path for path in COMPONENTS if path in paths]


def build_component(layers, n, path=None):
    """Symbol of one component network of the N_f3 of depth 6n + 2."""
    if path is None:
        raise UserError('which component network? Give its path (--path), one of %s' % ', '.join(COMPONENTS))
    path, = check_components(path)
    x = layers.first()
    for side, block in zip(path, _blocks(layers, n)):
        x = relu(SIDES[side](layers, x, block))
    return layers.classifier(x)


def build_ensemble(layers, n, components=COMPONENTS):
    """Group of the component networks' softmax outputs, each named by its path.

    What components have in common is computed once: C, then 2 + 4 + 8 sides for all eight. The running
    statistics of a layer belong to the sides taken before it.
    """
    components = check_components(components)
    reached = {'': layers.first()}  # sides taken so far → value
    for depth, block in enumerate(_blocks(layers, n)):
        for taken in sorted({path[:depth + 1] for path in components}):
            before, side = taken[:-1], SIDES[taken[-1]]
            reached[taken] = relu(side(layers.copy(before), reached[before], block))
    return mx.sym.Group([layers.softmax(layers.copy(path).scores(reached[path]), path) for path in components])


def build_tandem(layers, n):
    """Symbol of N_ce: eight columns, after each block an exchange, at the end the mean of the eight scores.

    Of the sum over the columns, each side of the block is in four: a quarter of it is N_f3's fused value.
    """
    columns = {path: layers.copy(path) for path in COMPONENTS}
    x = layers.first()
    for index, block in enumerate(_blocks(layers, n)):
        x = relu(_sum(SIDES[path[index]](column, x, block) for path, column in columns.items()) * 0.25)
    return layers.softmax(_sum(column.scores(x) for column in columns.values()) * (1 / len(columns)))


def paths_of_blocks(layers, n):
    """The layers on each side of a block, block by block: N_ce's component networks without its duplicates."""
    return [[1, block.length] for block in _blocks(layers, n)]


def _blocks(layers, n):
    return dfn_f.blocks(layers, n, 3)


def _sum(values):
    return mx.sym.add_n(*values)
