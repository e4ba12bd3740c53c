"""Networks at random weights and statistics, as runs would have them."""

import numpy as np

from interop.trained import Trained, image_shape
import symbols
from symbols import imagenet
from symbols.analysis.summary import parameter_shapes, statistics_shapes

# Every network, with a short depth: the arguments of build and get_symbol.
SMALL = [
    dict(net='plain', depth=8),
    dict(net='resnet', depth=14),
    dict(net='resnet', depth=8, widen=2),
    dict(net='dfn-il', depth=8),
    dict(net='dfn-il-noid', depth=8),
    dict(net='dfn-mr', depth=14),
    dict(net='dfn-mr', depth=8, widen=4),
    dict(net='dfn-f3', depth=8),
    dict(net='dfn-f6', depth=14),
    dict(net='component', depth=14, path='RLR'),
    dict(net='component', depth=8, path='LLL'),
    dict(net='ensemble', depth=8),
    dict(net='ensemble', depth=14, components=['RRR', 'LRL']),
    dict(net='tandem', depth=8),
]
LARGE = [dict(net=net, depth=depth) for net, depth in imagenet.NETWORKS]


def untrained(net, depth, num_classes=10, is_imagenet=False, seed=0, symbol=None, **arguments):
    """A network, or a symbol in its place, with random weights that keep the values of all layers of one size."""
    networks = imagenet if is_imagenet else symbols
    symbol = networks.get_symbol(net, depth, num_classes, **arguments) if symbol is None else symbol
    random, shape = np.random.RandomState(seed), image_shape({'imagenet': is_imagenet})
    parameters = {name: _draw(random, name, shape) for name, shape in parameter_shapes(symbol, shape).items()}
    statistics = {name: _draw(random, name, shape) for name, shape in statistics_shapes(symbol, shape).items()}
    facts = {
        **dict(net=net, depth=depth, num_classes=num_classes, widen=1, imagenet=is_imagenet, bn_momentum=0.9),
        **arguments,
        **dict(mean=(120.0, 110.0, 100.0), std=(60.0, 65.0, 70.0), dataset='cifar10', epochs=3),
    }
    return Trained(symbol, parameters, statistics, facts)


def _draw(random, name, shape):
    if len(shape) == 4:
        values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    elif name.endswith('gamma'):  # small, so that no probability is 1
        values = random.uniform(0.2, 0.6, shape)
    elif name.endswith('var'):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.normal(0, 0.1, shape)
    return values.astype(np.float32)
