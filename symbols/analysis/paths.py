"""The component networks of a network: how many there are, and how deep (sections 3.1 and 3.2, Table 1, Figure 11).

A component network is a sequence of layers from the image to the scores: it takes one of the values at every sum.
DFN-MR 98 has nominally 2^96, too many to enumerate. They are counted by generating functions instead, lists of
coefficients: the k-th is the number of component networks of k layers, including C, FC and projections. A sum of values
adds their functions, and a layer multiplies by z. All numbers are exact.

There are three ways of counting. They agree for networks of one stream. In merge-and-run networks they differ, because
the average of two streams offers the way without a layer twice:

- *nominal*, as the paper counts: 4 paths through a merge-and-run unit, one from each stream through the average and two
  through the branches. This gives the size of a ResNet with the same number of layers (section 5).
- *routes*: every way through the graph, from node to node. A stream that enters an average twice, as C's output does in
  the first unit, is one way.
- *distinct*: routes that pass the same layers in the same order count once. Layers with the same weights are the same.
"""

from fractions import Fraction
import itertools
import math
from typing import Any, NamedTuple

from common.errors import UserError
from common.mxnet import mx
import symbols
from symbols import imagenet
from symbols.analysis.graph import is_layer, nodes, outputs, weight_of
from symbols.layers import Layers

COUNTS = {
    'nominal': 'as the paper counts',
    'routes': 'ways through the graph',
    'distinct': 'different sequences of layers',
}
NETS = sorted({*symbols.NETWORKS, *imagenet.NAMES})
DATASETS = {'cifar10': 10, 'cifar100': 100, 'svhn': 10, 'imagenet': 1000}  # and their classes


class Paths(NamedTuple):
    """Generating functions, lists of integers: element k is the number of component networks of k layers."""

    nominal: list
    routes: list
    distinct: list


def paths_of(net: str, depth: int | None, dataset: str = 'cifar10', **arguments) -> tuple[str, Paths]:
    """The title of a network of the paper, and its component networks; arguments as in `get_symbol`.

    Raises:
        UserError: there is no such network.
    """
    layers: Layers
    n: Any
    if dataset == 'imagenet':
        if symbols.arguments_of(arguments):
            raise UserError('no network for ImageNet has --' + ' or --'.join(symbols.ARGUMENTS))
        network, layers = imagenet.find(net, depth), imagenet.ImageNetLayers()
        title, n, symbol = network.title, network.units, imagenet.get_symbol(net, depth)
    else:
        check_for_small_images(net)
        network, layers, n = symbols.find(net), Layers(), symbols.units_per_group(depth)
        title, symbol = symbols.title(net, depth, **arguments), symbols.get_symbol(net, depth, **arguments)
    return title, count_paths(symbol, network.paths_of_units and network.paths_of_units(layers, n))


def check_for_small_images(net: str) -> None:
    """Raise UserError for a network of the paper that is for ImageNet alone."""
    if net in NETS and net not in symbols.NETWORKS:
        raise UserError(f'{net} is a network for ImageNet alone: add --dataset imagenet')


def count_paths(symbol: mx.sym.Symbol, paths_of_units: list | None = None) -> Paths:
    """The component networks of a symbol.

    Args:
        paths_of_units: the layers on each path through a unit, unit by unit, where the paper counts by units.
    """
    routes = _routes(symbol)
    return Paths(_by_units(paths_of_units) if paths_of_units else routes, routes, _distinct(symbol))


def moments(counts: list[int]) -> tuple[float, float]:
    """Mean and population standard deviation of the depth, in layers."""
    total = sum(counts)
    mean = Fraction(sum(depth * count for depth, count in enumerate(counts)), total)
    variance = Fraction(sum(depth**2 * count for depth, count in enumerate(counts)), total) - mean**2
    return float(mean), math.sqrt(variance)


def _by_units(paths_of_units):
    counts = [0, 0, 1]  # C and FC
    for unit in paths_of_units:
        counts = _add(*(_shift(counts, layers) for layers in unit))
    return counts


def _routes(symbol):
    """A node has the routes of its sources, each source once; a layer adds one to their length."""
    graph = nodes(symbol)
    routes = []
    for node in graph:
        if node['op'] == 'null':
            routes.append([1] if node['name'] == 'data' else [])
        else:
            of_sources = _add(*(routes[source] for source in {source for source, *_ in node['inputs']}))
            routes.append(_shift(of_sources, 1) if is_layer(node) else of_sources)
    return _add(*(routes[output] for output in outputs(symbol)))


def _distinct(symbol):
    """Sequences of weights. All layers of one weight that a sequence leads to are followed at once."""
    graph = nodes(symbol)
    followers = _followers(graph)
    (image,) = (index for index, node in enumerate(graph) if node['name'] == 'data')
    start = frozenset([image])
    onward, waiting = {}, [start]  # onward: layers reached → sets of layers that the next step reaches
    while waiting:
        reached = waiting.pop()
        if reached not in onward:
            by_weight = {}
            for follower in sorted(set().union(*(followers.get(layer, ()) for layer in reached))):
                by_weight.setdefault(weight_of(graph[follower], graph), []).append(follower)
            onward[reached] = [frozenset(layers) for layers in by_weight.values()]
            waiting += onward[reached]
    counts = {}
    for reached in sorted(onward, key=min, reverse=True):  # a follower comes after the layer it reads
        counts[reached] = _add([] if onward[reached] else [1], *(_shift(counts[after], 1) for after in onward[reached]))
    return counts[start]


def _followers(graph):
    """{layer, or the image: layers that read its value, alone or in a sum}, as indices of nodes."""
    followers, sources = {}, []
    for index, node in enumerate(graph):
        if node['op'] == 'null':
            sources.append({index} if node['name'] == 'data' else set())
            continue
        sources.append(set().union(*(sources[source] for source, *_ in node['inputs'])))
        if is_layer(node):
            for source in sources[index]:
                followers.setdefault(source, set()).add(index)
            sources[index] = {index}
    return followers


def _add(*polynomials):
    return [sum(coefficients) for coefficients in itertools.zip_longest(*polynomials, fillvalue=0)]


def _shift(polynomial, layers):
    return [0] * layers + polynomial if polynomial else []
