"""The component networks of N_f3, and their two ensembles (sections 3.1 and 4, Figure 1).

A component network takes one side of each of N_f3's three blocks and is named after them: RLR goes right, left, right.
Each side ends in a ReLU. `build_ensemble` puts the components side by side, N_e of Figure 1(c): they share the weights
but not BatchNorm's running statistics, and each has a softmax and a loss. `build_tandem` is N_ce of Figure 1(b), N_f3
written out: the same columns, which exchange their values after every block.

All of them have N_f3's parameter names, so that weights move between them.
"""

from argparse import ArgumentTypeError
from collections.abc import Sequence

from common.errors import UserError
from common.mxnet import mx
from symbols import dfn_f
from symbols.layers import relu

COMPONENTS = ('LLL', 'RLL', 'LRL', 'LLR', 'RRL', 'RLR', 'LRR', 'RRR')  # in the order of Tables 1 to 3
ENSEMBLE_7 = COMPONENTS[:-1]  # without the deepest (Figure 5)
SIDES = {'L': dfn_f.left, 'R': dfn_f.right}
FUSIONS = 3


def check_components(paths: str | Sequence[str]) -> list[str]:
    """The component networks of these names, in the order of the tables.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    paths = [paths] if isinstance(paths, str) else list(paths)
    unknown = [path for path in paths if path not in COMPONENTS]
    if unknown or not paths:
        problem = f'unknown component network {unknown[0]}' if unknown else 'no component network is named'
        raise UserError(f'{problem}: choose from {", ".join(COMPONENTS)}')
    return [path for path in COMPONENTS if path in paths]


def build_component(layers, n, path=None):
    """The symbol of one component network of the N_f3 of depth 6n + 2."""
    if path is None:
        raise UserError(f'which component network? Give its path (--path), one of {", ".join(COMPONENTS)}')
    (path,) = check_components(path)
    x = layers.first()
    for side, block in zip(path, dfn_f.blocks(layers, n, FUSIONS)):
        x = relu(SIDES[side](layers, x, block))
    return layers.classifier(x)


def build_ensemble(layers, n, components=COMPONENTS):
    """A Group of the component networks' softmax outputs, each named by its path.

    What several components share is computed once: C, then 2 + 4 + 8 sides for all eight. The running statistics of a
    layer belong to the sides taken before it.
    """
    components = check_components(components)
    reached = {'': layers.first()}  # sides taken so far → value
    for depth, block in enumerate(dfn_f.blocks(layers, n, FUSIONS)):
        for taken in sorted({path[: depth + 1] for path in components}):
            before, side = taken[:-1], SIDES[taken[-1]]
            reached[taken] = relu(side(layers.copy(before), reached[before], block))
    return mx.sym.Group([layers.softmax(layers.copy(path).scores(reached[path]), path) for path in components])


def build_tandem(layers, n):
    """The symbol of N_ce: eight columns, an exchange after each block, and at the end the mean of the eight scores.

    Four columns take the left side of a block and four the right, so a quarter of their sum is N_f3's fused value.
    """
    columns = {path: layers.copy(path) for path in COMPONENTS}
    x = layers.first()
    for index, block in enumerate(dfn_f.blocks(layers, n, FUSIONS)):
        x = relu(_add(SIDES[path[index]](column, x, block) for path, column in columns.items()) * 0.25)
    return layers.softmax(_add(column.scores(x) for column in columns.values()) * (1 / len(columns)))


def paths_of_blocks(layers, n):
    """The layers on each side of a block, block by block: N_ce's component networks without its duplicates."""
    return [[1, block.length] for block in dfn_f.blocks(layers, n, FUSIONS)]


def _add(values):
    return mx.sym.add_n(*values)


def parse_components(text: str) -> list[str] | None:
    """argparse type: the component networks that --components names; None stands for all eight."""
    named = {'all': COMPONENTS, '7': ENSEMBLE_7}
    try:
        paths = check_components(named.get(text, [path for path in text.split(',') if path]))
    except UserError as error:
        raise ArgumentTypeError(str(error)) from None
    return None if len(paths) == len(COMPONENTS) else paths


def components_label(paths: Sequence[str]) -> str:
    """The name of a set of components in a run directory: `7`, or the paths."""
    return '7' if tuple(paths) == ENSEMBLE_7 else '+'.join(paths)


# The options --path and --components, as argparse takes them.
PATH = dict(
    choices=COMPONENTS,
    metavar='RLR',
    help="which of N_f3's eight component networks `component` is: the sides that it takes, right or left, in "
    'the three blocks',
)
PATHS = dict(
    type=parse_components,
    metavar='PATH,PATH,...',
    help='the component networks in `ensemble`; 7 stands for all but RRR (default: all)',
)
