"""Initial weights: their distribution, and that they depend on the seed and the name alone."""

import functools

import numpy as np
import pytest

from common.mxnet import mx
import symbols
from symbols.analysis.graph import nodes
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from training.initializer import initial_parameters, initial_replicas, initial_statistics


@pytest.fixture(scope='module')
def shapes():
    return parameter_shapes(symbols.get_symbol('dfn-mr', 14, widen=4))


def test_convolutions_are_he_normal_by_fan_in(shapes):
    weights = initial_parameters(shapes, 1)
    large = {name: w for name, w in weights.items() if w.ndim == 4 and w.size > 30000}
    assert len(large) > 8
    for w in large.values():
        sigma = np.sqrt(2 / (w.shape[1] * w.shape[2] * w.shape[3]))
        assert abs(w.std() / sigma - 1) < 0.03 and abs(w.mean()) < 0.02 * sigma
        # normal, not uniform: 0.27 % lie beyond three standard deviations
        assert 0.001 < (np.abs(w) > 3 * sigma).mean() < 0.005


def test_fc_is_uniform_and_the_rest_constant(shapes):
    weights = initial_parameters(shapes, 1)
    bound = 1 / np.sqrt(256)
    assert 0.98 * bound < np.abs(weights['fc_weight']).max() <= bound
    assert abs(weights['fc_weight'].std() - bound / np.sqrt(3)) < 0.05 * bound
    for name, w in weights.items():
        if name.endswith('_gamma'):
            assert (w == 1).all()
        if name.endswith(('_beta', '_bias')):
            assert (w == 0).all()


def test_statistics_start_at_mean_0_and_variance_1():
    statistics = initial_statistics(statistics_shapes(symbols.get_symbol('plain', 8)))
    assert len(statistics) == 14
    assert all((value == (1 if name.endswith('moving_var') else 0)).all() for name, value in statistics.items())


def test_a_weight_depends_on_seed_and_name_alone():
    shallow = initial_parameters(parameter_shapes(symbols.get_symbol('dfn-f3', 14)), 3)
    deep = initial_parameters(parameter_shapes(symbols.get_symbol('dfn-f6', 26)), 3)
    other = initial_parameters(parameter_shapes(symbols.get_symbol('dfn-f3', 14)), 4)
    assert (shallow['C_conv_weight'] == deep['C_conv_weight']).all()
    assert not (shallow['C_conv_weight'] == other['C_conv_weight']).all()
    assert not (shallow['block1_right1_conv_weight'] == shallow['block1_right2_conv_weight']).all()


@pytest.mark.parametrize('mirror', [False, True])
def test_on_the_cpu_the_fused_form_is_trained_and_the_drawn_one_evaluated(mirror):
    network = functools.partial(symbols.get_symbol, 'resnet', 8)
    replicas = initial_replicas(network, [mx.cpu(0), mx.cpu(1)], (3, 8, 8), seed=3, mirror=mirror)
    expected = initial_parameters(parameter_shapes(network(), (3, 8, 8)), 3)
    for replica in replicas.replicas:
        graph = nodes(replica.symbol)
        assert '_contrib_BatchNormWithReLU' in {node['op'] for node in graph}
        assert any('__force_mirroring__' in node.get('attrs', {}) for node in graph) == mirror
        for name, value in replica.parameters.items():
            np.testing.assert_array_equal(value.asnumpy(), expected[name])
    assert '_contrib_BatchNormWithReLU' not in {node['op'] for node in nodes(replicas.predictor().replicas[0].symbol)}
