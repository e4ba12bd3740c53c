"""Symbols: every network here passes and stays what it is, others' networks do, and hostile ones are one line."""

import json

import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from symbols import fused, imagenet
from symbols.analysis.graph import to_dict
from training import symbol_file

SHAPE = symbols.IMAGE_SHAPE


def load(tmp_path, graph):
    """Write a graph, and read it."""
    path = tmp_path / 'net-symbol.json'
    path.write_text(graph if isinstance(graph, str) else json.dumps(graph))
    return symbol_file.load(str(path))


def structure(symbol):
    """Operators, attributes and wires, without what only hints."""
    return [
        (node['op'], node['name'], node['inputs'], node.get('attrs') if node['op'] != 'null' else None)
        for node in to_dict(symbol)['nodes']
    ]


def networks():
    """Every network here, in each form and type."""
    for dtype in ('float32', 'bfloat16'):
        for net in symbols.NETWORKS:
            arguments = {'path': 'RLR'} if net == 'component' else {}
            drawn = symbols.get_symbol(net, 14, dtype=dtype, loss_scale=1 if dtype == 'float32' else 128, **arguments)
            yield drawn, SHAPE
            yield fused.fuse(drawn), SHAPE
        for net, depth in imagenet.NETWORKS:
            yield imagenet.get_symbol(net, depth, dtype=dtype), imagenet.IMAGE_SHAPE


def test_every_network_passes_and_stays_what_it_is(tmp_path):
    for symbol, shape in networks():
        loaded = load(tmp_path, to_dict(symbol))
        assert structure(loaded) == structure(symbol)
        symbol_file.check_cost(loaded, shape)


@pytest.mark.parametrize(
    'name', ['cifar_resnet20_v1', 'cifar_resnet20_v2', 'cifar_wideresnet16_10', 'cifar_resnext29_32x4d', 'densenet121']
)
def test_gluoncvs_networks_pass(tmp_path, name):
    from common.gluoncv import gluoncv

    symbol = gluoncv.model_zoo.get_model(name)(mx.sym.var('data'))
    loaded = load(tmp_path, to_dict(symbol))
    assert structure(loaded) == structure(symbol)
    symbol_file.check_cost(loaded, SHAPE if 'cifar' in name else imagenet.IMAGE_SHAPE)


@pytest.mark.slow
def test_the_largest_network_that_is_read_can_be_computed(tmp_path):
    symbol = mx.sym.var('data')
    for index in range(symbol_file.MAX_NODES - 1):
        symbol = mx.sym.Activation(symbol, act_type='relu', name=f'relu{index}')
    loaded = load(tmp_path, symbol.tojson(remove_amp_cast=False))
    symbol_file.check_cost(loaded, (1, 2, 2))
    executor = loaded.simple_bind(mx.cpu(), grad_req='null', data=(1, 1, 2, 2))
    assert executor.forward(data=mx.nd.ones((1, 1, 2, 2)))[0].asnumpy().sum() == 4


def node(graph, op, last=False):
    """A node of an operator: the first, or the last."""
    return [node for node in graph['nodes'] if node['op'] == op][-last]


def attribute(op, key, value):
    """A change of an attribute."""
    return lambda graph: node(graph, op)['attrs'].__setitem__(key, value)


def wire(op, slot, entry):
    """A change of an input."""
    return lambda graph: node(graph, op)['inputs'].__setitem__(slot, entry)


HOSTILE = {
    'no groups': (attribute('Convolution', 'num_group', '0'), "has 'num_group' '0'"),
    'no stride': (attribute('Convolution', 'stride', '(0, 0)'), "has 'stride' "),
    'a huge kernel': (attribute('Convolution', 'kernel', '(100000, 100000)'), "has 'kernel' "),
    'a number with a tail': (attribute('BatchNorm', 'eps', '1e-5; x'), "has 'eps' "),
    'not a number': (attribute('BatchNorm', 'eps', 'nan'), "has 'eps' 'nan'"),
    'an unknown attribute': (attribute('Activation', 'path', '/'), "has 'path' '/'"),
    'an attribute that is no text': (attribute('Activation', 'act_type', ['relu']), 'attributes that are not texts'),
    'a custom operator': (
        lambda graph: node(graph, 'Activation').update(op='Custom'),
        "'Custom' is not read",
    ),
    'an operator that is no text': (lambda graph: node(graph, 'Activation').update(op=['x']), 'is not read'),
    'a subgraph': (lambda graph: node(graph, 'Activation').update(subgraphs=[{}]), 'a graph of its own'),
    'a cycle': (wire('Convolution', 0, [9, 0, 0]), 'does not name the output of a node before it'),
    'a second output': (wire('FullyConnected', 0, [3, 1, 0]), 'does not name the output of a node before it'),
    'a truth value for a node': (wire('FullyConnected', 0, [True, 0, 0]), 'does not name the output'),
    'data as a weight': (wire('FullyConnected', 1, [0, 0, 0]), 'cannot stand there'),
    'a statistic as a weight': (lambda graph: _swap_weight_and_statistic(graph), 'cannot stand there'),
    'too few inputs': (lambda graph: node(graph, 'BatchNorm')['inputs'].pop(), 'has 4 inputs instead of 5'),
    'a head of weights': (lambda graph: graph.update(heads=[[1, 0, 0]]), 'does not depend on the images'),
    'no heads': (lambda graph: graph.update(heads=[]), 'needs 1 to 64 heads'),
    'other variables': (lambda graph: graph['arg_nodes'].pop(), 'arg_nodes'),
    'a control character': (lambda graph: graph['nodes'][0].update(name='\x1b[2J'), 'has no name'),
    'two of one name': (lambda graph: graph['nodes'][3].update(name='C_bn_beta'), 'two variables have one name'),
    'a list': (lambda graph: graph.update(nodes={}), 'needs a list'),
    'variables in another type': (lambda graph: graph['nodes'][1].update(attrs={'__dtype__': '2'}), "'__dtype__' '2'"),
}


def _swap_weight_and_statistic(graph):
    inputs = node(graph, 'BatchNorm')['inputs']
    inputs[3] = inputs[1]


@pytest.mark.parametrize('change, expected', HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_accepted_is_one_line(tmp_path, change, expected):
    graph = to_dict(symbols.get_symbol('resnet', 8))
    change(graph)
    with pytest.raises(UserError) as error:
        load(tmp_path, graph)
    assert expected in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('text', ['', '{', '[' * 100_000, '{"nodes": 1e999}', '\xff', '9' * 10_000, 'null', '[]'])
def test_what_is_no_symbol_is_one_line(tmp_path, text):
    with pytest.raises(UserError, match='cannot be read|is not a network'):
        load(tmp_path, text)


def doubled(symbol, times):
    """A graph of few nodes whose arrays double each time."""
    for _ in range(times):
        symbol = mx.sym.Concat(symbol, symbol, dim=1)
    return symbol


def convolved(symbol, times, **options):
    """Convolutions, one behind the other."""
    for _ in range(times):
        symbol = mx.sym.Convolution(symbol, **options)
    return symbol


DATA = mx.sym.var('data')


@pytest.mark.parametrize(
    'symbol, expected',
    [
        (doubled(DATA, 20), 'too large: .* has the shape'),
        (doubled(DATA, 80), 'too large|does not fit'),  # beyond 64 bits
        (convolved(DATA, 100, kernel=(63, 63), pad=(31, 31), num_filter=64), 'multiply-adds an image'),
        (convolved(DATA, 1, kernel=(40, 40), num_filter=4), 'does not fit images'),
        (convolved(DATA, 1, kernel=(1, 1), num_filter=4, num_group=2), 'does not fit images'),
    ],
)
def test_sizes_are_bounded_before_anything_is_computed(tmp_path, symbol, expected):
    with pytest.raises(UserError, match=expected):
        symbol_file.check_cost(load(tmp_path, to_dict(symbol)), SHAPE)


@pytest.mark.parametrize('dtype, expected', [('float32', set()), ('float16', {'float16'}), ('bfloat16', {'bfloat16'})])
def test_types_that_not_every_device_computes_in_are_found(tmp_path, dtype, expected):
    loaded = load(tmp_path, to_dict(symbols.get_symbol('resnet', 8, dtype=dtype)))
    assert symbol_file.dtypes(loaded) == expected
