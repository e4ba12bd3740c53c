"""What a symbol costs: parameters, multiply-adds and depth, counted in its graph."""

import math
from typing import NamedTuple

from common.mxnet import mx
from symbols import IMAGE_SHAPE
from symbols.analysis.graph import is_layer, nodes, weight_of

INPUTS = ('data', 'softmax_label')


class Summary(NamedTuple):
    """The cost of a network.

    parameters: weights, gamma, beta and biases. multiply_adds: of convolutions and FC, for one image. depth: layers on
    the longest path.
    """

    parameters: int
    multiply_adds: int
    depth: int


def summarize(symbol: mx.sym.Symbol, image_shape: tuple = IMAGE_SHAPE) -> Summary:
    """The cost of a symbol for one image of `image_shape` (channels, height, width)."""
    return Summary(count_parameters(symbol, image_shape), _multiply_adds(symbol, image_shape), _depth(symbol))


def parameter_shapes(symbol: mx.sym.Symbol, image_shape: tuple = IMAGE_SHAPE) -> dict[str, tuple]:
    """{name: shape} of what is trained, in the order of the symbol's arguments."""
    shapes, _, _ = symbol.infer_shape(data=(1, *image_shape))
    return {name: shape for name, shape in zip(symbol.list_arguments(), shapes) if name not in INPUTS}


def statistics_shapes(symbol: mx.sym.Symbol, image_shape: tuple = IMAGE_SHAPE) -> dict[str, tuple]:
    """{name: shape} of BatchNorm's running means and variances, in the symbol's order."""
    _, _, shapes = symbol.infer_shape(data=(1, *image_shape))
    return dict(zip(symbol.list_auxiliary_states(), shapes))


def count_parameters(symbol: mx.sym.Symbol, image_shape: tuple = IMAGE_SHAPE) -> int:
    """The number of trained scalars."""
    return sum(map(math.prod, parameter_shapes(symbol, image_shape).values()))


def _multiply_adds(symbol, image_shape):
    """Each output value of a layer takes as many multiply-adds as one of its filters has weights."""
    weights = parameter_shapes(symbol, image_shape)
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(data=(1, *image_shape))
    outputs = dict(zip(internals.list_outputs(), shapes))
    graph = nodes(symbol)
    return sum(
        math.prod(weights[weight_of(node, graph)][1:]) * math.prod(outputs[f'{node["name"]}_output'])
        for node in graph
        if is_layer(node)
    )


def _depth(symbol):
    depth = []  # of each node; sources come before the nodes that read them
    for node in nodes(symbol):
        depth.append(max([depth[source] for source, *_ in node['inputs']], default=0) + is_layer(node))
    return max(depth)
