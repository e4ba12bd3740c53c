"""The paper's networks as MXNet symbols.

    import symbols                                    # sets MXNet up as well
    net = symbols.get_symbol('dfn-mr', 56)            # mx.sym.Symbol, inputs data and softmax_label

A table of names, one file per network, and layers.py for what they share; the networks for ImageNet are in
symbols.imagenet. `python -m symbols summary` prints a network's size, `python -m symbols paths` its component
networks.
"""
from typing import Callable, NamedTuple

import common.mxnet  # noqa: F401  MXNet is set up before anything here imports it
from common.errors import UserError
from symbols import dfn_f, dfn_il, dfn_mr, ensemble, plain, resnet
from symbols.layers import MIRRORED, Layers


IMAGE_SHAPE = (3, 32, 32)  # channels, height, width of what the networks here are for


class Network(NamedTuple):
    """A line of the table of networks."""

    build: Callable                  # (layers, n) → symbol of depth 6n + 2
    title: str                       # its name in the paper
    choice: str = None               # the argument that `build` takes as well
    paths_of_units: Callable = None  # where the paper counts other paths than the graph has; see paths.py


NETWORKS = {
    'plain': Network(plain.build, 'Plain'),
    'resnet': Network(resnet.build, 'ResNet'),
    'dfn-il': Network(dfn_il.build, 'DFN-IL'),
    'dfn-il-noid': Network(dfn_il.build_without_identity, 'DFN-IL without identity'),
    'dfn-mr': Network(dfn_mr.build, 'DFN-MR', paths_of_units=dfn_mr.paths_of_units),
    'dfn-f3': Network(lambda layers, n: dfn_f.build(layers, n, 3), 'N_f3'),
    'dfn-f6': Network(lambda layers, n: dfn_f.build(layers, n, 6), 'N_f6'),
    'component': Network(ensemble.build_component, 'Component', 'path'),
    'ensemble': Network(ensemble.build_ensemble, 'Ensemble', 'components'),
    'tandem': Network(ensemble.build_tandem, 'Tandem ensemble', paths_of_units=ensemble.paths_of_blocks),
}


def network(net):
    """The table's line for a name; UserError for a name that is not there."""
    if net not in NETWORKS:
        raise UserError('unknown network %r: choose one of %s' % (net, ', '.join(NETWORKS)))
    return NETWORKS[net]


def units_per_group(depth):
    """n of a network of depth 6n + 2; UserError names the nearest valid depths for any other."""
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        near = [6 * k + 2 for k in (n, n + 1) if k >= 1] or [8]
        raise UserError('depth %d is not 6n + 2: the nearest %s %s' % (
            depth, 'is' if len(near) == 1 else 'are', ' and '.join(map(str, near))))
    return n


def title(net, depth, path=None, components=None):
    """What a picture or a table calls a network: its name in the paper, its depth, and which components it has."""
    choice = path or '+'.join(components or ())
    return '%s %d' % (network(net).title, depth) + (' (%s)' % choice if choice else '')


def get_symbol(net, depth, num_classes=10, widen=1, bn_momentum=0.9, path=None, components=None, **form):
    """The network for 32×32 images as an `mx.sym.Symbol`.

    net: a name of NETWORKS. depth: the network's own depth as in the paper's tables, 6n + 2; of N_f3 for its
    components and ensembles. widen: factor on the channels 16, 32, 64 (Table 5). bn_momentum: of the running
    statistics. path: of a 'component', such as 'RLR'. components: of an 'ensemble', a list of paths, in
    any order; all eight without. form: `dtype` and `loss_scale` for training with 16 bits, `fused` for training on the
    CPU, `mirror` for that with less memory; see layers.py.
    Inputs: `data` (batch, 3, 32, 32), normalised; `softmax_label` (batch,), 0 … num_classes - 1.
    Output: one SoftmaxOutput `softmax` (batch, num_classes), whose gradient is summed over the batch; for an
    ensemble a Group with one for each component, named by its path.
    Raises UserError (a ValueError) for an unknown network, component, or another depth.
    """
    known = network(net)
    if widen < 1 or num_classes < 2:
        raise UserError('widen %s and %s classes: need a factor from 1 and two classes' % (widen, num_classes))
    choices = {name: value for name, value in (('path', path), ('components', components)) if value is not None}
    for name in choices:
        if name != known.choice:
            raise UserError('%s has no --%s' % (net, name))
    symbol = known.build(Layers(num_classes, widen, bn_momentum, **form), units_per_group(depth), **choices)
    if form.get('mirror') and not any(MIRRORED.keys() & marks.keys() for marks in symbol.attr_dict().values()):
        raise UserError('%s has no units, so there is nothing to --mirror' % net)
    return symbol
