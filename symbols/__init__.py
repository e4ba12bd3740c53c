"""The paper's networks as MXNet symbols.

    import symbols                                    # sets up MXNet as well
    net = symbols.get_symbol('dfn-mr', 56)            # mx.sym.Symbol with the inputs data and softmax_label

A table of names, one file per network, and layers.py for what they share. The networks for ImageNet are in imagenet.py.
`python -m symbols summary` prints the size of a network, `python -m symbols paths` its component networks.
"""

import functools

from common.errors import UserError
import common.mxnet  # noqa: F401  sets up MXNet before anything here imports it
from symbols import dfn_f, dfn_il, dfn_mr, ensemble, gluoncv, plain, resnet
from symbols.layers import Layers
from symbols.network import Network

IMAGE_SHAPE = (3, 32, 32)  # channels, height, width

NETWORKS = {
    'plain': Network(plain.build, 'Plain'),
    'resnet': Network(resnet.build, 'ResNet'),
    'dfn-il': Network(dfn_il.build, 'DFN-IL'),
    'dfn-il-noid': Network(dfn_il.build_without_identity, 'DFN-IL without identity'),
    'dfn-mr': Network(dfn_mr.build, 'DFN-MR', paths_of_units=dfn_mr.paths_of_units),
    'dfn-f3': Network(dfn_f.build_f3, 'N_f3'),
    'dfn-f6': Network(dfn_f.build_f6, 'N_f6'),
    'component': Network(ensemble.build_component, 'Component', argument='path', keywords=ensemble.PATH),
    'ensemble': Network(ensemble.build_ensemble, 'Ensemble', argument='components', keywords=ensemble.PATHS),
    'tandem': Network(ensemble.build_tandem, 'Tandem ensemble', paths_of_units=ensemble.paths_of_blocks),
}
ARGUMENTS = tuple(network.argument for network in NETWORKS.values() if network.argument)
OPTIONS = ('net', 'depth', 'widen', *ARGUMENTS)  # what names a network on a command line


def find(net: str) -> Network:
    """The table's line for a name.

    Raises:
        UserError: no network has this name.
    """
    if net not in NETWORKS:
        raise UserError(f'unknown network {net!r}: choose one of {", ".join(NETWORKS)}')
    return NETWORKS[net]


def units_per_group(depth: int | None) -> int:
    """n of a network of depth 6n + 2.

    Raises:
        UserError: no n gives this depth; the text names the nearest depths that exist.
    """
    if depth is None:
        raise UserError('how deep? Give the depth of the network')
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        near = [6 * k + 2 for k in (n, n + 1) if k >= 1] or [8]
        raise UserError(
            f'depth {depth} is not 6n + 2: the nearest {"is" if len(near) == 1 else "are"} '
            f'{" and ".join(map(str, near))}'
        )
    return n


def arguments_of(options: dict) -> dict:
    """The options that only one network takes, {name: value}, without those that are not given."""
    return {name: options[name] for name in ARGUMENTS if options.get(name) is not None}


def network_of(options: dict, **given) -> functools.partial:
    """`get_symbol` with the network that the options of a run name, for all else: (dtype, loss_scale, …) → symbol.

    Args:
        given: other arguments of get_symbol, such as num_classes.
    """
    named = {name: options[name] for name in ('net', 'depth', 'widen', 'bn_momentum')}
    return functools.partial(get_symbol, **named, **arguments_of(options), **given)


def title(net: str, depth: int | None, **arguments) -> str:
    """The name of a network in pictures and tables: the paper's name, the depth, and the arguments in parentheses."""
    if gluoncv.is_one(net):
        return gluoncv.title(net)
    given = arguments_of(arguments).values()
    texts = ['+'.join(value) if isinstance(value, list | tuple) else value for value in given]
    return f'{find(net).title} {depth}' + ''.join(f' ({text})' for text in texts)


def get_symbol(
    net: str,
    depth: int | None,
    num_classes: int = 10,
    widen: int = 1,
    bn_momentum: float = 0.9,
    dtype: str = 'float32',
    loss_scale: float = 1,
    **arguments,
):
    """A network for 32×32 images as an `mx.sym.Symbol`.

    Its inputs are `data` (batch, 3, 32, 32), normalized, and `softmax_label` (batch,), 0 … num_classes - 1. Its output
    is one SoftmaxOutput `softmax` (batch, num_classes), whose gradient is summed over the batch. An ensemble is a Group
    with an output for each component network, named by its path.

    Args:
        net: a name of NETWORKS, or one of GluonCV's, `gluoncv:NAME`, which has no depth, widen or arguments.
        depth: the network's own depth as in the paper's tables, 6n + 2; for component networks and ensembles the depth
            of their N_f3.
        num_classes: number of classes.
        widen: factor on the channels 16, 32, 64 (Table 5).
        bn_momentum: momentum of the running statistics.
        dtype, loss_scale: 'float16' or 'bfloat16' for training in 16 bits; see layers.py.
        arguments: `path` of a 'component', such as 'RLR'; `components` of an 'ensemble', a list of paths in any order
            (default: all eight).

    Raises:
        UserError: there is no such network, component or depth. It is a ValueError.
    """
    given = arguments_of(arguments)
    if gluoncv.is_one(net):
        gluoncv.check_alone(net, depth=depth, widen=widen if widen != 1 else None, **given)
        return gluoncv.get_symbol(net, num_classes, bn_momentum, dtype, loss_scale)
    network = find(net)
    if widen < 1 or num_classes < 2:
        raise UserError(f'widen {widen} and {num_classes} classes: give a factor from 1 and at least two classes')
    for name in given:
        if name != network.argument:
            raise UserError(f'{net} has no --{name}')
    layers = Layers(num_classes, widen, bn_momentum, dtype, loss_scale)
    return network.build(layers, units_per_group(depth), **given)
