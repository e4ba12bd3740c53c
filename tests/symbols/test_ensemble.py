"""Component networks, ensemble and tandem ensemble against N_f3, against one another, and against numpy."""
from collections import Counter

import numpy as np
import pytest

import symbols
from common.mxnet import mx
from common.errors import UserError
from symbols.ensemble import COMPONENTS, ENSEMBLE_7
from symbols.analysis.summary import nodes, parameter_shapes, statistics_shapes, summarise, weight_of
from tests.symbols import numpy_networks

DEPTHS = {14: 198074, 20: 295290, 26: 392506, 38: 586938, 50: 781370, 62: 975802, 74: 1170234, 98: 1559098,
          110: 1753530}  # parameters, counted on the authors' released definitions
# Table 1
COMPONENT_DEPTHS = {14: (5, 8, 8, 8, 11, 11, 11, 14), 20: (5, 10, 10, 10, 15, 15, 15, 20),
                    26: (5, 12, 12, 12, 19, 19, 19, 26), 38: (5, 16, 16, 16, 27, 27, 27, 38),
                    50: (5, 20, 20, 20, 35, 35, 35, 50), 56: (5, 22, 22, 22, 39, 39, 39, 56),
                    62: (5, 24, 24, 24, 43, 43, 43, 62), 74: (5, 28, 28, 28, 51, 51, 51, 74),
                    98: (5, 36, 36, 36, 67, 67, 67, 98), 110: (5, 40, 40, 40, 75, 75, 75, 110)}


def draw(symbol, random):
    """Random weights for a symbol, {name: array}."""
    return {name: random.normal(1 if name.endswith('gamma') else 0, 0.3, shape).astype(np.float32)
            for name, shape in parameter_shapes(symbol).items()}


def forward_and_back(symbol, weights, data, labels):
    """(outputs in training, {name: gradient}, {name: running statistic afterwards})."""
    executor = symbol.simple_bind(mx.cpu(), data=data.shape, softmax_label=labels.shape)
    for name in parameter_shapes(symbol):
        executor.arg_dict[name][:] = weights[name]
    for name, value in executor.aux_dict.items():
        value[:] = float(name.endswith('_var'))
    outputs = executor.forward(is_train=True, data=mx.nd.array(data), softmax_label=mx.nd.array(labels))
    executor.backward()
    return ([output.asnumpy() for output in outputs],
            {name: executor.grad_dict[name].asnumpy() for name in parameter_shapes(symbol)},
            {name: value.asnumpy() for name, value in executor.aux_dict.items()})


@pytest.fixture
def batch(random):
    return random.randn(6, 3, 32, 32).astype(np.float32), random.randint(0, 10, 6).astype(np.float32)


def close(ours, expected, tolerance=1e-4):
    """Equal up to float32's rounding, relative to the largest value of the array."""
    assert np.abs(ours - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize('depth, parameters', DEPTHS.items())
def test_ensemble_and_tandem_have_the_parameters_of_n_f3(depth, parameters):
    fused = parameter_shapes(symbols.get_symbol('dfn-f3', depth))
    for net in ('ensemble', 'tandem'):
        symbol = symbols.get_symbol(net, depth)
        assert summarise(symbol).parameters == parameters
        assert parameter_shapes(symbol) == fused
    for path in COMPONENTS:
        own = parameter_shapes(symbols.get_symbol('component', depth, path=path))
        assert own.items() <= fused.items()


@pytest.mark.parametrize('depth', COMPONENT_DEPTHS)
def test_depths_of_the_components_are_those_of_table_1(depth):
    assert tuple(summarise(symbols.get_symbol('component', depth, path=path)).depth
                 for path in COMPONENTS) == COMPONENT_DEPTHS[depth]


@pytest.mark.parametrize('depth', [8, 14])
def test_tandem_is_n_f3_forward_and_backward(random, batch, depth):
    """Scores, gradients, and the running statistics of every column."""
    fused, tandem = (symbols.get_symbol(net, depth) for net in ('dfn-f3', 'tandem'))
    weights = draw(fused, random)
    (expected,), gradients, statistics = forward_and_back(fused, weights, *batch)
    (ours,), own, own_statistics = forward_and_back(tandem, weights, *batch)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-6)
    for name in weights:
        close(own[name], gradients[name], 2e-3)
    for name, value in own_statistics.items():
        close(value, statistics[name if name.startswith('C_') else name.partition('_')[2]], 1e-3)


def test_tandem_has_eight_columns_with_the_sides_of_their_letters():
    layers = [node['name'] for node in nodes(symbols.get_symbol('tandem', 8)) if node['op'] == 'Convolution']
    assert len(layers) == 1 + 8 * 3 + 4 * 3  # C; a left layer is one, a right side two layers: four columns more each
    for path in COMPONENTS:
        expected = sum((['block%d_left' % k] if side == 'L' else ['block%d_right1' % k, 'block%d_right2' % k]
                        for k, side in enumerate(path, 1)), [])
        assert [name for name in layers if name.startswith(path)] == ['%s_%s_conv' % (path, name) for name in expected]


@pytest.mark.parametrize('components', [None, list(ENSEMBLE_7), ['RLR', 'LLL']])
def test_ensemble_is_its_components_with_gradients_summed(random, batch, components):
    ensemble = symbols.get_symbol('ensemble', 14, components=components)
    weights = draw(ensemble, random)
    outputs, gradients, statistics = forward_and_back(ensemble, weights, *batch)
    paths = [path for path in COMPONENTS if components is None or path in components]
    assert ensemble.list_outputs() == [path + '_output' for path in paths]
    expected, matched = {name: 0 for name in weights}, set()
    for path, ours in zip(paths, outputs):
        (alone,), of_one, own_statistics = forward_and_back(
            symbols.get_symbol('component', 14, path=path), weights, *batch)
        np.testing.assert_allclose(ours, alone, rtol=1e-4, atol=1e-7)
        for name, gradient in of_one.items():
            expected[name] = expected[name] + gradient
        for name, value in own_statistics.items():  # those of a layer are named by the sides taken before it
            before = path[:int(name[5]) - 1] if name.startswith('block') else ''
            in_ensemble = before + '_' + name if before else name
            close(statistics[in_ensemble], value)
            matched.add(in_ensemble)
    assert matched == set(statistics)
    for name in weights:
        close(gradients[name], expected[name])


def test_what_components_share_is_computed_once():
    """C once, 2 + 4 + 8 sides for all eight; Ensemble-7 needs 13."""
    for components, sides in ((None, (2, 4, 8)), (list(ENSEMBLE_7), (2, 4, 7)), (['LLL'], (1, 1, 1))):
        graph = nodes(symbols.get_symbol('ensemble', 14, components=components))
        used = Counter(weight_of(node, graph) for node in graph if node['op'] == 'Convolution')
        assert used['C_conv_weight'] == 1
        assert tuple(used['block%d_left_conv_weight' % k] + used['block%d_right1_conv_weight' % k]
                     for k in (1, 2, 3)) == sides
        assert all(used['block3_right%d_conv_weight' % layer] == used['block3_right1_conv_weight']
                   for layer in (2, 3, 4))


def test_running_statistics_are_apart_where_the_inputs_differ():
    names = list(statistics_shapes(symbols.get_symbol('ensemble', 14)))
    assert len(names) == len(set(names))
    third = {name.rpartition('block')[0] for name in names if 'block3_left' in name}
    assert third == {'LL_', 'LR_', 'RL_', 'RR_'}


@pytest.mark.parametrize('path', COMPONENTS)
def test_scores_of_a_component_equal_those_in_numpy(random, batch, path):
    symbol = symbols.get_symbol('component', 14, path=path)
    weights = draw(symbol, random)
    (ours,), _, _ = forward_and_back(symbol, weights, *batch)
    parameters = iter(value.astype(np.float64) for value in weights.values())
    expected = numpy_networks.component(batch[0].astype(np.float64), parameters, 2, path)
    assert next(parameters, None) is None
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize('net, choice, message', [
    ('component', {'path': 'RXR'}, 'unknown component network RXR: choose from LLL, RLL'),
    ('component', {}, 'which component network'),
    ('ensemble', {'components': ['LLL', 'LR']}, 'unknown component network LR'),
    ('ensemble', {'components': []}, 'no component network is named'),
    ('dfn-f3', {'path': 'RLR'}, 'dfn-f3 has no --path'),
    ('component', {'path': 'RLR', 'components': ['RLR']}, 'component has no --components')])
def test_a_wrong_choice_says_what_to_do(net, choice, message):
    with pytest.raises(UserError, match=message):
        symbols.get_symbol(net, 14, **choice)


def test_the_benchmark_times_the_sides_that_the_ensemble_has():
    """Their layers, each as often as needed, are the ensemble's but for C and FC."""
    from benchmarks.ensemble import sides

    def layers(symbol):
        graph = nodes(symbol)
        return Counter(weight_of(node, graph) for node in graph if node['op'] in ('Convolution', 'FullyConnected'))

    counted = Counter({'C_conv_weight': 1, 'fc_weight': 8})
    found = list(sides(2, 4))
    for symbol, _, times in found:
        counted.update({name: times * count for name, count in layers(symbol).items()})
    assert counted == layers(symbols.get_symbol('ensemble', 14))
    assert sum(times for _, _, times in found) == 2 + 4 + 8
