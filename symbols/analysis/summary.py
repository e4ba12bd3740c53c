"""What a symbol costs, counted in its graph: parameters, multiply-adds, depth."""
import json
from typing import NamedTuple

from symbols import IMAGE_SHAPE

INPUTS = ('data', 'softmax_label')


class Summary(NamedTuple):
    """parameters: weights, gamma, beta, biases. multiply_adds: of convolutions and FC, per image."""

    parameters: int
    multiply_adds: int
    depth: int


def parameter_shapes(symbol, image_shape=IMAGE_SHAPE):
    """{name: shape} of what is trained, in the symbol's order; image_shape is (channels, height, width)."""
    shapes, _, _ = symbol.infer_shape(data=(1,) + tuple(image_shape))
    return {name: shape for name, shape in zip(symbol.list_arguments(), shapes) if name not in INPUTS}


def statistics_shapes(symbol, image_shape=IMAGE_SHAPE):
    """{name: shape} of BatchNorm's running means and variances, in the symbol's order."""
    _, _, shapes = symbol.infer_shape(data=(1,) + tuple(image_shape))
    return dict(zip(symbol.list_auxiliary_states(), shapes))


def count_parameters(symbol, image_shape=IMAGE_SHAPE):
    """Number of trained scalars."""
    return sum(_product(shape) for shape in parameter_shapes(symbol, image_shape).values())


def summarise(symbol, image_shape=IMAGE_SHAPE):
    """Summary of a symbol for one image of image_shape."""
    return Summary(count_parameters(symbol, image_shape), _multiply_adds(symbol, image_shape), _depth(symbol))


def _multiply_adds(symbol, image_shape):
    """Each output value of a convolution or FC takes as many multiply-adds as one filter has weights."""
    weights = parameter_shapes(symbol, image_shape)
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(data=(1,) + tuple(image_shape))
    outputs = dict(zip(internals.list_outputs(), shapes))
    graph = nodes(symbol)
    return sum(_product(weights[weight_of(node, graph)][1:]) * _product(outputs[node['name'] + '_output'])
               for node in graph if is_layer(node))


def _depth(symbol):
    """Layers on the longest path; nodes come in topological order."""
    graph = nodes(symbol)
    depth = []
    for node in graph:
        depth.append(max([depth[source] for source, *_ in node['inputs']], default=0) + is_layer(node))
    return max(depth)


def nodes(symbol):
    """The graph's nodes, sources first, as MXNet's JSON has them: op, name, inputs [[node, output, …]]."""
    return json.loads(symbol.tojson())['nodes']


def outputs(symbol):
    """Indices, in `nodes`, of the nodes whose values the symbol puts out."""
    return [output for output, *_ in json.loads(symbol.tojson())['heads']]


def output_kinds(symbol):
    """The operators that the symbol's outputs come from, a set of names."""
    graph = nodes(symbol)
    return {graph[output]['op'] for output in outputs(symbol)}


def is_layer(node):
    """Whether a node counts as a layer: a convolution or FC."""
    return node['op'] in ('Convolution', 'FullyConnected')


def weight_of(layer, graph):
    """The name of a layer's weight, which layers may share; graph as `nodes` gives it."""
    return graph[layer['inputs'][1][0]]['name']


def _product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result
