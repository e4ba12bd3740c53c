"""Component networks against the paper's numbers and against an enumeration, path by path, of small graphs."""

import json

import numpy as np
import pytest

from common.errors import UserError
import symbols
from symbols import imagenet
from symbols.analysis.paths import count_paths, moments, paths_of
from tests.symbols.test_ensemble import COMPONENT_DEPTHS

SMALL = [(net, {}) for net in ('plain', 'resnet', 'dfn-il', 'dfn-il-noid', 'dfn-mr', 'dfn-f3', 'dfn-f6', 'ensemble')]


def enumerate_paths(symbol):
    """Every path from the image to an output, followed one by one: a list of (nodes, weights of its layers)."""
    graph = json.loads(symbol.tojson())

    def back(index):
        node = graph['nodes'][index]
        if node['op'] == 'null':
            return [((index,), ())] if node['name'] == 'data' else []
        passed = weight(graph, node)
        return [
            (before + (index,), weights + passed)
            for source in sorted({source for source, *_ in node['inputs']})
            for before, weights in back(source)
        ]

    return [path for head, *_ in graph['heads'] for path in back(head)]


def enumerate_weights(symbol):
    """The weights of the layers on every path, each sequence once; quicker than all paths."""
    graph = json.loads(symbol.tojson())
    reached = []  # the sequences that lead to each node
    for node in graph['nodes']:
        if node['op'] == 'null':
            reached.append({()} if node['name'] == 'data' else set())
        else:
            before, passed = set().union(*(reached[source] for source, *_ in node['inputs'])), weight(graph, node)
            reached.append({weights + passed for weights in before} if passed else before)
    return set().union(*(reached[head] for head, *_ in graph['heads']))


def weight(graph, node):
    """The name of a layer's weight in a tuple, an empty one for other nodes."""
    is_layer = node['op'] in ('Convolution', 'FullyConnected')
    return (graph['nodes'][node['inputs'][1][0]]['name'],) if is_layer else ()


def as_dict(counts):
    return {depth: count for depth, count in enumerate(counts) if count}


def histogram(sequences):
    return {depth: count for depth, count in enumerate(np.bincount([len(sequence) for sequence in sequences])) if count}


@pytest.mark.parametrize(
    'net, choice, depth',
    [(net, choice, 8) for net, choice in SMALL]
    + [('tandem', {}, 8), ('dfn-mr', {}, 14), ('resnet', {}, 14), ('dfn-il', {}, 14)]
    + [('component', {'path': 'LRL'}, 14)],
)
def test_counts_are_those_of_an_enumeration(net, choice, depth):
    symbol = symbols.get_symbol(net, depth, **choice)
    paths = enumerate_paths(symbol)
    assert len({nodes for nodes, _ in paths}) == len(paths)
    counted = count_paths(symbol)
    assert as_dict(counted.routes) == histogram([weights for _, weights in paths])
    assert (
        as_dict(counted.distinct)
        == histogram({weights for _, weights in paths})
        == histogram(enumerate_weights(symbol))
    )
    depths = [len(weights) for _, weights in paths]
    assert moments(counted.routes) == (pytest.approx(np.mean(depths)), pytest.approx(np.std(depths)))


@pytest.mark.parametrize('depth', COMPONENT_DEPTHS)
def test_depths_of_table_1_and_sizes_of_section_3_2(depth):
    n = (depth - 2) // 6
    for net in ('dfn-f3', 'ensemble', 'tandem'):
        _, paths = paths_of(net, depth)
        assert (
            as_dict(paths.nominal)
            == as_dict(paths.distinct)
            == histogram(['x' * layers for layers in COMPONENT_DEPTHS[depth]])
        )
    sizes = {
        'plain': 1,
        'dfn-f3': 2**3,
        'dfn-f6': 2**6,
        'resnet': 2 ** ((depth - 2) // 2),
        'dfn-il': 3 ** (3 * n),
        'dfn-mr': 4 ** (3 * n),
    }
    for net, size in sizes.items():
        assert sum(paths_of(net, depth)[1].nominal) == size


def test_a_merge_and_run_network_has_nominally_the_components_of_the_resnet_with_as_many_layers():
    """Section 5: each of its units corresponds to two of the ResNet; depth 98 has 2^96."""
    _, paths = paths_of('dfn-mr', 98)
    assert sum(paths.nominal) == sum(paths_of('resnet', 194)[1].nominal) == 2**96
    # 47 units have 3 routes from each stream to the next, the first 2 (both streams are C's output), the last 4
    assert sum(paths.routes) == 2 * 3**46 * 4


@pytest.mark.parametrize('net', ['plain', 'dfn-f3', 'dfn-f6', 'ensemble'])
def test_very_deep_networks_are_counted_too(net):
    """Deeper than Python's stack."""
    _, paths = paths_of(net, 1202)
    assert paths.nominal == paths.distinct and len(paths.distinct) == 1203


def test_components_of_n_f6_contain_those_of_n_f3_in_depth():
    for depth in (20, 26, 110):
        assert set(as_dict(paths_of('dfn-f3', depth)[1].nominal)) < set(as_dict(paths_of('dfn-f6', depth)[1].nominal))


def test_dfn1_and_dfn2_have_the_properties_of_appendix_a_1():
    resnet, dfn1, dfn2 = (paths_of(net, 50, 'imagenet')[1].nominal for net in ('resnet', 'dfn1', 'dfn2'))
    assert sum(resnet) == sum(dfn1) == 2**16 > 16 * sum(dfn2)  # equation 1; "much smaller"
    assert moments(dfn1)[0] > moments(resnet)[0] + 5  # "much deeper"
    shallow = [min(as_dict(counts)) for counts in (resnet, dfn1)]
    assert shallow[1] > 2 * shallow[0]  # "still deeper than the shallow networks"
    assert all(len(counts) - 1 == 50 for counts in (resnet, dfn1, dfn2))
    of_dfn2, of_resnet = (enumerate_weights(imagenet.get_symbol(net, 50)) for net in ('dfn2', 'resnet'))
    assert of_dfn2 < of_resnet  # "all belong to" ResNet-50's


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(net='dfn1', depth=50), 'is a network for ImageNet alone: add --dataset imagenet'),
        (dict(net='resnet', depth=51), 'is not 6n'),
        (
            dict(net='resnet', depth=34, dataset='imagenet'),
            'there is no resnet 34 for ImageNet: choose one of resnet 50',
        ),
        (dict(net='resnet', depth=50, dataset='imagenet', path='LLL'), 'no network for ImageNet has --path'),
    ],
)
def test_what_is_not_there_is_said(arguments, message):
    with pytest.raises(UserError, match=message):
        paths_of(**arguments)
