"""Component networks of a network: how many, and how deep (sections 3.1 and 3.2, Table 1, Figure 11).

A component network is a sequence of layers from the image to the scores: at every sum one of the summed
values is taken. DFN-MR 98 has nominally 2^96, so none is enumerated: a generating function, here the list
of its coefficients, has for its k-th one the number of components of k layers, C, FC and projections among
them. Values that are summed add their functions, a layer multiplies by z. All numbers are exact.

Three counts are made. They are the same for networks of one stream; in merge-and-run they are not, because
the average of two streams offers the way without a layer twice:

- *nominal*, the paper's: 4 paths a merge-and-run unit, one from each stream through the average and two
  through the branches, and so the size of a ResNet with the same number of layers (section 5);
- *routes* through the graph: each way from node to node. A stream that enters an average twice, as C's
  output does in the first unit, is one way; either stream may go on to either;
- *distinct* paths: routes that pass the same layers, known by their weights, in the same order are one.
"""
import itertools
import math
from fractions import Fraction
from typing import NamedTuple

import symbols
from common.errors import UserError
from symbols import imagenet
from symbols.layers import Layers
from symbols.analysis.summary import is_layer, nodes, outputs, weight_of

COUNTS = {'nominal': 'as the paper counts', 'routes': 'ways through the graph',
          'distinct': 'different sequences of layers'}
NETS = sorted(set(symbols.NETWORKS) | {net for net, _ in imagenet.NETWORKS})
DATASETS = ('cifar10', 'cifar100', 'svhn', 'imagenet')  # whose networks; the first three have the same


class Paths(NamedTuple):
    """Generating functions, lists of integers: [k] is the number of component networks of k layers."""

    nominal: list
    routes: list
    distinct: list


def paths_of(net, depth, dataset='cifar10', path=None, components=None):
    """(title, Paths) of a network of the paper; arguments as those of `get_symbol`. Raises UserError as that does."""
    if dataset == 'imagenet':
        if path or components:
            raise UserError('no network for ImageNet has --path or --components')
        known = imagenet.network(net, depth)
        title, layers, n, symbol = known.title, imagenet.ImageNetLayers(), known.n, imagenet.get_symbol(net, depth)
    elif net in NETS and net not in symbols.NETWORKS:
        raise UserError('%s is a network for ImageNet alone: add --dataset imagenet' % net)
    else:
        known, n, layers = symbols.network(net), symbols.units_per_group(depth), Layers()
        title = symbols.title(net, depth, path, components)
        symbol = symbols.get_symbol(net, depth, path=path, components=components)
    return title, count_paths(symbol, known.paths_of_units and known.paths_of_units(layers, n))


def count_paths(symbol, paths_of_units=None):
    """Paths of a network's symbol.

    paths_of_units: the layers on each path through a unit, unit by unit, where the paper counts by units.
    """
    routes = _routes(symbol)
    return Paths(_by_units(paths_of_units) if paths_of_units else routes, routes, _distinct(symbol))


def moments(counts):
    """Mean and standard deviation (of all components, not of a sample) of the depth."""
    total = sum(counts)
    mean = Fraction(sum(depth * count for depth, count in enumerate(counts)), total)
    variance = Fraction(sum(depth ** 2 * count for depth, count in enumerate(counts)), total) - mean ** 2
    return float(mean), math.sqrt(variance)


def _by_units(paths_of_units):
    counts = [0, 0, 1]  # C and FC
    for unit in paths_of_units:
        counts = _add(*(_shift(counts, layers) for layers in unit))
    return counts


def _routes(symbol):
    """A node has the routes of its sources, each node once; a layer adds one to their length."""
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
    """Sequences of weights: all layers of one weight that a sequence has led to are followed at once."""
    graph = nodes(symbol)
    followers = _followers(graph)
    image, = (index for index, node in enumerate(graph) if node['name'] == 'data')
    start = frozenset([image])
    onward, waiting = {}, [start]  # onward: layers reached → sets of layers that one more layer leads to
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
    """{layer, or the image: layers that read its value, perhaps with others' in a sum}, as indices of nodes."""
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
