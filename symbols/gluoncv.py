"""GluonCV's residual networks as symbols, beside the paper's: `--net gluoncv:cifar_resnet110_v1`.

    net = symbols.gluoncv.get_symbol('gluoncv:cifar_wideresnet28_10', num_classes=100)

Layers and names are GluonCV's; the softmax at the end is the one of layers.py. Importing GluonCV takes seconds, so it
is imported when such a network is made, and not before.
"""

import difflib
import re

from common.errors import UserError
from common.mxnet import mx
from symbols.analysis.graph import with_attribute

PREFIX = 'gluoncv:'
MODULES = ('cifarresnet', 'cifarresnext', 'cifarwideresnet', 'resnet', 'resnetv1b', 'resnext')  # of its model zoo
# eval.py does not read the operators of squeeze-and-excitation and GroupNorm, and resnext101e cannot be made.
LEFT_OUT = re.compile('se_|.*_gn$|resnext101e')


class Nets(tuple):
    """Names of networks that an option takes, and with them any name of GluonCV's."""

    def __new__(cls, names):
        return super().__new__(cls, (*names, f'{PREFIX}NAME'))

    def __contains__(self, net):
        return super().__contains__(net) or (isinstance(net, str) and is_one(net))


def is_one(net: str) -> bool:
    """Whether a name is one of GluonCV's."""
    return net.startswith(PREFIX)


def title(net: str) -> str:
    """The name of a network in pictures and tables."""
    return f"GluonCV's {net.removeprefix(PREFIX)}"


def names(small: bool) -> list[str]:
    """GluonCV's residual networks, in its spelling: for 32×32 images, or for ImageNet."""
    return [name for name in _factories() if name.startswith('cifar_') == small and not LEFT_OUT.match(name)]


def _factories():
    from common.gluoncv import gluoncv  # takes seconds

    home = [f'gluoncv.model_zoo.{module}' for module in MODULES]
    every = gluoncv.model_zoo.model_zoo._models
    return {name: factory for name, factory in every.items() if factory.__module__ in home}


def get_symbol(
    net: str,
    num_classes: int = 10,
    bn_momentum: float = 0.9,
    dtype: str = 'float32',
    loss_scale: float = 1,
    small: bool = True,
) -> mx.sym.Symbol:
    """A network of GluonCV's as an `mx.sym.Symbol`, with inputs and output as those of `symbols.get_symbol`.

    Args:
        net: its name in GluonCV, after `gluoncv:`.
        small: whether the images have 32×32 pixels, not ImageNet's 224×224.

    Raises:
        UserError: there is no such network, or it is asked for in 16 bits.
    """
    name, there = net.removeprefix(PREFIX), names(small)
    if name not in there:
        near = difflib.get_close_matches(name, there, 4, 0.4) or there[:4]
        images = 'small images' if small else 'ImageNet'
        raise UserError(f'GluonCV has no residual network {name!r} for {images}: near ones are {", ".join(near)}')
    if dtype != 'float32':
        raise UserError(f"GluonCV's networks are computed in float32: leave out --dtype {dtype}")
    with mx.name.NameManager():  # which numbers what has no name from 0, whatever was made before
        scores = _factories()[name](classes=num_classes)(mx.sym.var('data'))
        symbol = mx.sym.SoftmaxOutput(scores, label=mx.sym.var('softmax_label'), name='softmax')
    return symbol if bn_momentum == 0.9 else with_attribute(symbol, 'BatchNorm', 'momentum', str(bn_momentum))


def check_alone(net: str, **others) -> None:
    """Raise UserError where another option than the name is given, {name: value}: the name says everything."""
    given = [f'--{name}' for name, value in others.items() if value is not None]
    if given:
        raise UserError(f'{net} has no {" or ".join(given)}: its name says how deep and wide it is')
