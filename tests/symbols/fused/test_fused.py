"""The forms for the CPU against the form as drawn: the same function of the same parameters."""

from functools import partial
import re

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from symbols import fused, imagenet
from symbols.analysis.graph import nodes
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from symbols.fused import fold, fuse
from symbols.layers import Layers, relu
from tests.reference import predict, train_pass
from training.replicas import Predictor, Replica, forward_all, outputs

SMALL, LARGE = (3, 16, 16), (3, 64, 64)
NETWORKS = {  # every network, and in 14 layers every kind of unit
    **{net: (partial(symbols.get_symbol, net, 14), SMALL) for net in symbols.NETWORKS if net != 'component'},
    'component LRL': (partial(symbols.get_symbol, 'component', 14, path='LRL'), SMALL),
    'component RRR': (partial(symbols.get_symbol, 'component', 14, path='RRR'), SMALL),
    'dfn-mr 32': (partial(symbols.get_symbol, 'dfn-mr', 32), (3, 8, 8)),
    'resnet 32×32': (partial(symbols.get_symbol, 'resnet', 8), symbols.IMAGE_SHAPE),
    **{
        f'imagenet {net}': (partial(imagenet.get_symbol, net, depth), LARGE)
        for net, depth in imagenet.NETWORKS
        if depth != 101
    },
}
WITH_BRANCHES = ['resnet', 'dfn-il', 'dfn-il-noid', 'dfn-mr', 'dfn-f3', 'imagenet dfn-mr', 'imagenet dfn2']


@pytest.fixture
def narrow(monkeypatch):
    """A quarter of the channels of the networks for ImageNet."""
    monkeypatch.setattr(imagenet, 'WIDTHS', (64, 128, 256, 512))


def compare(one, other, image_shape):
    """Check that two symbols give the same to the last bit in two passes, from random parameters and statistics."""
    random = np.random.RandomState(0)
    data, labels = random.randn(4, *image_shape).astype(np.float32), random.randint(0, 10, 4)
    assert parameter_shapes(one, image_shape) == parameter_shapes(other, image_shape)
    assert statistics_shapes(one, image_shape) == statistics_shapes(other, image_shape)
    weights, statistics = random_arrays(one, image_shape, random)
    expected, found = (train_pass(symbol, weights, data, labels, statistics, passes=2) for symbol in (one, other))
    np.testing.assert_array_equal(found.outputs, expected.outputs)
    for name in weights:
        np.testing.assert_array_equal(found.gradients[name], expected.gradients[name], err_msg=name)
    for name in statistics:
        np.testing.assert_array_equal(found.statistics[name], expected.statistics[name], err_msg=name)


def random_arrays(symbol, image_shape, random):
    """Parameters and running statistics, neither of which are at their initial values."""
    weights, statistics = (
        {name: random.normal(name.endswith(('gamma', 'var')), 0.1, shape) for name, shape in shapes.items()}
        for shapes in (parameter_shapes(symbol, image_shape), statistics_shapes(symbol, image_shape))
    )
    return weights, {name: np.abs(value) if name.endswith('var') else value for name, value in statistics.items()}


def evaluate(symbol, weights, statistics, data):
    """The outputs in evaluation, of exactly this symbol."""
    replica = Replica(symbol, mx.cpu(), data.shape[1:], weights, statistics, train=False)
    return outputs(forward_all([replica], [(data,)]))


def compare_in_evaluation(drawn, image_shape, **tolerance):
    """Check that the folded form gives the same, and leaves the arrays that it is given as they are."""
    random = np.random.RandomState(0)
    weights, statistics = random_arrays(drawn, image_shape, random)
    data = random.randn(4, *image_shape).astype(np.float32)
    before = {name: value.copy() for name, value in weights.items()}
    folded, multiplied = fold(drawn, weights)
    for name in weights:
        np.testing.assert_array_equal(weights[name], before[name])
    expected, found = evaluate(drawn, weights, statistics, data), evaluate(folded, multiplied, statistics, data)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **(tolerance or {'rtol': 0, 'atol': 0}))


@pytest.mark.usefixtures('narrow')
@pytest.mark.parametrize('network', NETWORKS)
def test_evaluation_gives_the_same_bits(network):
    build, image_shape = NETWORKS[network]
    compare_in_evaluation(build(), image_shape)


def test_nothing_is_multiplied_in_evaluation_but_the_input_of_fc():
    drawn = symbols.get_symbol('dfn-mr', 14)
    weights, _ = random_arrays(drawn, symbols.IMAGE_SHAPE, np.random.RandomState(0))
    folded, multiplied = fold(drawn, weights)
    graph = nodes(folded)
    assert [graph[node['inputs'][0][0]]['op'] for node in graph if node['op'] == '_mul_scalar'] == ['mean']
    grown = {name: float(np.median(multiplied[name] / weights[name])) for name in weights if name.endswith('gamma')}
    assert set(grown.values()) == {0.5, 1, 2, 4}  # two units a group; sums of two BatchNorms shrink instead


def random_network(random):
    """Convolutions, BatchNorms, ReLUs and sums of what came before them, in any order."""
    conv = partial(mx.sym.Convolution, num_filter=4, kernel=(3, 3), pad=(1, 1))
    values = [conv(mx.sym.Variable('data'), name='first')]
    for index in range(random.randint(4, 14)):
        x, y = values[-random.randint(1, 5) :][0], values[random.randint(len(values))]
        units = [
            conv(x, no_bias=bool(index % 2), name=f'conv{index}'),
            mx.sym.BatchNorm(x, fix_gamma=False, name=f'bn{index}'),
            relu(x),
            x + y,
            0.5 * (x + y),
            0.5 * x,
        ]
        values.append(units[random.randint(len(units))])
    pooled = mx.sym.Pooling(values[-1], kernel=(1, 1), global_pool=True, pool_type='avg')
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(pooled, num_hidden=10, name='fc'), name='softmax')


@pytest.mark.parametrize('seed', range(60))
def test_a_sum_is_right_whatever_is_computed_from_its_terms(seed):
    """Without a mend, MXNet evaluates 9 of the 60 wrongly, and refuses another 9."""
    random = np.random.RandomState(seed)
    symbol = random_network(random)
    weights, statistics = random_arrays(symbol, SMALL, random)
    data = random.randn(4, *SMALL).astype(np.float32)
    found = Predictor(symbol, [mx.cpu()], SMALL, weights, statistics).predict(data)
    np.testing.assert_allclose(found, predict(symbol, weights, statistics, data), atol=1e-5)


@pytest.mark.parametrize('channels', [4, 12, 16])
@pytest.mark.parametrize(
    'behind', [lambda x: x + x, lambda x: 0.5 * x, lambda x: mx.sym.BatchNorm(x, fix_gamma=False, name='behind')]
)
def test_gradients_are_right_where_a_sum_or_a_factor_is_between_relu_and_pooling(channels, behind):
    x = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=channels, kernel=(3, 3), pad=(1, 1), name='conv')
    x = behind(relu(mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, name='bn')))
    x = mx.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type='avg')
    drawn = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name='fc'), name='softmax')
    random = np.random.RandomState(0)
    weights, statistics = random_arrays(drawn, SMALL, random)
    data, labels = random.randn(4, *SMALL).astype(np.float32), random.randint(0, 10, 4)
    expected, found = (train_pass(symbol, weights, data, labels, statistics) for symbol in (drawn, fuse(drawn)))
    for name in weights:
        np.testing.assert_allclose(found.gradients[name], expected.gradients[name], rtol=1e-3, atol=1e-6, err_msg=name)


class Stranger:
    """What no network of the paper has behind a halving; a reader's own might."""

    IMAGES = mx.sym.Variable('data')
    GRAY = mx.sym.mean(IMAGES, axis=1, keepdims=True)

    @staticmethod
    def stream(fix_gamma=False):
        """½·(a + BN), a stream of which the halving is left out."""
        a = mx.sym.Convolution(Stranger.IMAGES, num_filter=8, kernel=(3, 3), pad=(1, 1), name='first')
        b = mx.sym.BatchNorm(mx.sym.Convolution(a, num_filter=8, kernel=(1, 1), name='b'), fix_gamma=fix_gamma)
        return 0.5 * (a + b)

    CASES = {
        'a convolution with a bias': lambda x: mx.sym.Convolution(x, num_filter=8, kernel=(1, 1), name='biased'),
        'BatchNorm of a stream': lambda x: mx.sym.BatchNorm(x, fix_gamma=False, name='last'),
        'an activation that is not linear': lambda x: mx.sym.Activation(x, act_type='sigmoid'),
        'an activation behind BatchNorm that is no ReLU': lambda x: mx.sym.Activation(
            mx.sym.BatchNorm(x, fix_gamma=False, name='last'), act_type='tanh'
        ),
        'a stream that is put out': lambda x: x,
        'a sum with the images': lambda x: 0.5 * (mx.sym.sum(x, axis=1, keepdims=True) + Stranger.GRAY) + 1,
        'a sum with a stream of another scale': lambda x: relu(0.5 * (x + mx.sym.tanh(x)) + x),
    }


@pytest.mark.parametrize('case', Stranger.CASES)
@pytest.mark.parametrize('fix_gamma', [False, True])
def test_networks_of_strangers_keep_their_function(case, fix_gamma):
    """Evaluation and training; BatchNorm's epsilon and the order of sums leave rounding."""
    drawn = Stranger.CASES[case](Stranger.stream(fix_gamma))
    compare_in_evaluation(drawn, (3, 8, 8), rtol=1e-5, atol=1e-5)
    random = np.random.RandomState(1)
    weights, statistics = random_arrays(drawn, (3, 8, 8), random)
    data = random.randn(4, 3, 8, 8).astype(np.float32)
    expected, found = (evaluate(symbol, weights, statistics, data) for symbol in (drawn, fuse(drawn)))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures('narrow')
@pytest.mark.parametrize('network', NETWORKS)
def test_scores_gradients_and_statistics_are_the_same_bits(network):
    build, image_shape = NETWORKS[network]
    drawn = build()
    compare(drawn, fuse(drawn), image_shape)


@pytest.mark.usefixtures('narrow')
@pytest.mark.parametrize('network', WITH_BRANCHES)
def test_mirroring_changes_no_bit(network):
    build, image_shape = NETWORKS[network]
    compare(fuse(build()), fuse(build(), mirror=True), image_shape)


def test_a_value_that_is_read_twice_keeps_its_scale_and_its_relu_apart():
    """No network of the paper has one; a reader's own might."""
    layers = Layers()
    x = layers.first()
    value = layers.linear(x, 'twice', 16)
    drawn = layers.classifier(relu(0.5 * (relu(value) + x) + value))
    compare(drawn, fuse(drawn), (3, 8, 8))
    assert [node['op'] for node in nodes(fuse(drawn))].count('_contrib_BatchNormWithReLU') == 1  # C's


def test_streams_that_have_grown_too_much_are_halved(monkeypatch):
    """To the same bits. Of five units a group, the streams would otherwise be 2^5 times as large as drawn."""
    monkeypatch.setattr(fused, 'LARGEST', 4)
    drawn = symbols.get_symbol('dfn-mr', 32)
    compare(drawn, fuse(drawn), (3, 8, 8))
    assert max(factors(fuse(drawn))) == 4


def test_deep_streams_stay_finite(random):
    """Of 130 units a group, without a limit they would be 2^130 times as large as drawn, which float32 cannot hold."""
    found = factors(fuse(symbols.get_symbol('dfn-mr', 782)))
    assert max(found) == 2**16 and min(found) == 2**-16


def factors(symbol):
    """What is multiplied by: gamma and beta by the scale of the streams, weights by its inverse."""
    return [float(node['attrs']['scalar']) for node in nodes(symbol) if node['op'] == '_mul_scalar']


@pytest.mark.parametrize(
    'net, layers_with_relu',
    [('resnet', 1 + 6), ('dfn-mr', 1 + 12), ('plain', 13), ('component', 1 + 4 + 1 + 4), ('dfn-f3', 1 + 9)],
)
def test_batchnorm_and_the_relu_behind_it_are_one_operator(net, layers_with_relu):
    drawn = symbols.get_symbol(net, 14, path='RLR' if net == 'component' else None)
    before, after = ([node['op'] for node in nodes(symbol)] for symbol in (drawn, fuse(drawn)))
    assert after.count('_contrib_BatchNormWithReLU') == layers_with_relu
    assert before.count('Activation') - after.count('Activation') == layers_with_relu
    assert before.count('BatchNorm') - after.count('BatchNorm') == layers_with_relu


def unit(x, name, **attributes):
    """Convolution, BatchNorm and ReLU."""
    x = mx.sym.Convolution(x, num_filter=64, no_bias=True, name=f'{name}_conv', **attributes)
    return relu(mx.sym.BatchNorm(x, fix_gamma=False, name=f'{name}_bn'))


@pytest.mark.parametrize(
    'layer',
    [
        lambda x: unit(unit(x, 'grouped', kernel=(3, 3), pad=(1, 1), num_group=8), 'behind', kernel=(1, 1)),
        lambda x: mx.sym.Pooling(unit(x, 'pooled', kernel=(1, 1)), kernel=(1, 1), global_pool=True, pool_type='avg'),
        lambda x: mx.sym.Pooling(unit(x, 'pooled', kernel=(1, 1)), kernel=(1, 1), global_pool=True, pool_type='max'),
        lambda x: mx.sym.Pooling(unit(x, 'pooled', kernel=(1, 1)), kernel=(8, 8), pool_type='avg'),
    ],
    ids=['grouped convolution', 'global mean', 'global maximum', 'mean of 8×8'],
)
def test_batchnorm_and_relu_stay_apart_beside_layouts_that_have_no_backward_pass(layer):
    """With AVX-512, oneDNN cannot compute the gradients if they are one operator there."""
    x = layer(unit(mx.sym.Variable('data'), 'first', kernel=(3, 3), pad=(1, 1)))
    scores = mx.sym.FullyConnected(mx.sym.flatten(x), num_hidden=10, name='fc')
    drawn = mx.sym.SoftmaxOutput(scores, name='softmax')
    compare(drawn, fuse(drawn), (3, 8, 8))
    assert [node['op'] for node in nodes(fuse(drawn))].count('_contrib_BatchNormWithReLU') == 1


def test_the_merges_of_two_streams_are_not_halved():
    """What is multiplied are parameters, and once the input of FC."""
    drawn = symbols.get_symbol('dfn-mr', 14)
    assert factors(drawn) == [0.5] * 6
    graph = nodes(fuse(drawn))
    assert {graph[node['inputs'][0][0]]['op'] for node in graph if node['op'] == '_mul_scalar'} == {'null', 'mean'}


@pytest.mark.parametrize(
    'build, image_shape, most',
    [
        (partial(symbols.get_symbol, 'resnet', 38), symbols.IMAGE_SHAPE, 0.7),
        (partial(symbols.get_symbol, 'dfn-mr', 38), symbols.IMAGE_SHAPE, 0.7),
        (partial(imagenet.get_symbol, 'dfn-mr', 44), imagenet.IMAGE_SHAPE, 0.95),
    ],
)
def test_mirroring_needs_less_memory(build, image_shape, most):
    with_mirror, without = (planned_memory(fuse(build(), mirror), image_shape) for mirror in (True, False))
    assert with_mirror < most * without


def test_mxnets_own_mirroring_needs_more_than_ours(monkeypatch):
    """Why fuse() marks operators by itself; if this fails, MXNet was mended."""
    drawn = symbols.get_symbol('resnet', 38)
    ours, without = planned_memory(fuse(drawn, mirror=True)), planned_memory(drawn)
    monkeypatch.setenv('MXNET_BACKWARD_DO_MIRROR', '1')
    assert planned_memory(fuse(drawn)) > 1.2 * ours
    assert planned_memory(drawn) > without


def planned_memory(symbol, image_shape=symbols.IMAGE_SHAPE):
    """Megabytes that MXNet plans for what it keeps of 16 images."""
    executor = symbol.simple_bind(mx.cpu(), data=(16, *image_shape))
    return int(re.search(r'Total (\d+) MB', executor.debug_str()).group(1))


@pytest.mark.parametrize('net', ['plain', 'ensemble'])
def test_there_is_nothing_to_mirror_without_branches(net):
    with pytest.raises(UserError, match='nothing to --mirror'):
        fuse(symbols.get_symbol(net, 8), mirror=True)
