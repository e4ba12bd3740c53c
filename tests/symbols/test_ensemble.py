"""Component networks, ensemble and tandem ensemble against N_f3, against one another, and against numpy."""

from argparse import ArgumentTypeError
from collections import Counter

import numpy as np
import pytest

from common.errors import UserError
import symbols
from symbols.analysis.graph import is_layer, nodes, weight_of
from symbols.analysis.summary import parameter_shapes, statistics_shapes, summarize
from symbols.ensemble import COMPONENTS, ENSEMBLE_7, components_label, parse_components
from tests.reference import draw, train_pass
from tests.symbols import numpy_networks

IMAGE_SHAPE = (3, 16, 16)
PARAMETERS = {
    14: 198074,
    20: 295290,
    26: 392506,
    38: 586938,
    50: 781370,
    62: 975802,
    74: 1170234,
    98: 1559098,
    110: 1753530,
}  # counted on the authors' released definitions
# Table 1
COMPONENT_DEPTHS = {
    14: (5, 8, 8, 8, 11, 11, 11, 14),
    20: (5, 10, 10, 10, 15, 15, 15, 20),
    26: (5, 12, 12, 12, 19, 19, 19, 26),
    38: (5, 16, 16, 16, 27, 27, 27, 38),
    50: (5, 20, 20, 20, 35, 35, 35, 50),
    56: (5, 22, 22, 22, 39, 39, 39, 56),
    62: (5, 24, 24, 24, 43, 43, 43, 62),
    74: (5, 28, 28, 28, 51, 51, 51, 74),
    98: (5, 36, 36, 36, 67, 67, 67, 98),
    110: (5, 40, 40, 40, 75, 75, 75, 110),
}


@pytest.fixture
def batch(random):
    return random.randn(6, *IMAGE_SHAPE).astype(np.float32), random.randint(0, 10, 6).astype(np.float32)


def close(ours, expected, tolerance=1e-4):
    """Equal up to float32's rounding, relative to the largest value of the array."""
    assert np.abs(ours - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize('depth, parameters', PARAMETERS.items())
def test_ensemble_and_tandem_have_the_parameters_of_n_f3(depth, parameters):
    fused = parameter_shapes(symbols.get_symbol('dfn-f3', depth))
    for net in ('ensemble', 'tandem'):
        symbol = symbols.get_symbol(net, depth)
        assert summarize(symbol).parameters == parameters
        assert parameter_shapes(symbol) == fused
    for path in COMPONENTS:
        own = parameter_shapes(symbols.get_symbol('component', depth, path=path))
        assert own.items() <= fused.items()


@pytest.mark.parametrize('depth', COMPONENT_DEPTHS)
def test_depths_of_the_components_are_those_of_table_1(depth):
    assert (
        tuple(summarize(symbols.get_symbol('component', depth, path=path)).depth for path in COMPONENTS)
        == COMPONENT_DEPTHS[depth]
    )


@pytest.mark.parametrize('depth', [8, 14])
def test_tandem_is_n_f3_forward_and_backward(random, batch, depth):
    """Scores, gradients, and the running statistics of every column."""
    fused, tandem = (symbols.get_symbol(net, depth) for net in ('dfn-f3', 'tandem'))
    weights = draw(fused, random, IMAGE_SHAPE)
    expected, ours = train_pass(fused, weights, *batch), train_pass(tandem, weights, *batch)
    np.testing.assert_allclose(ours.outputs, expected.outputs, rtol=1e-3, atol=1e-6)
    for name in weights:
        close(ours.gradients[name], expected.gradients[name], 2e-3)
    for name, value in ours.statistics.items():
        close(value, expected.statistics[name if name.startswith('C_') else name.partition('_')[2]], 1e-3)


def test_tandem_has_eight_columns_with_the_sides_of_their_letters():
    layers = [node['name'] for node in nodes(symbols.get_symbol('tandem', 8)) if node['op'] == 'Convolution']
    assert len(layers) == 1 + 8 * 3 + 4 * 3  # C; a left layer is one, a right side two layers: four columns more each
    for path in COMPONENTS:
        expected = sum(
            (
                [f'block{k}_left'] if side == 'L' else [f'block{k}_right1', f'block{k}_right2']
                for k, side in enumerate(path, 1)
            ),
            [],
        )
        assert [name for name in layers if name.startswith(path)] == [f'{path}_{name}_conv' for name in expected]


@pytest.mark.parametrize('components', [None, list(ENSEMBLE_7), ['RLR', 'LLL']])
def test_ensemble_is_its_components_with_gradients_summed(random, batch, components):
    ensemble = symbols.get_symbol('ensemble', 14, components=components)
    weights = draw(ensemble, random, IMAGE_SHAPE)
    found = train_pass(ensemble, weights, *batch)
    paths = [path for path in COMPONENTS if components is None or path in components]
    assert ensemble.list_outputs() == [f'{path}_output' for path in paths]
    expected, matched = dict.fromkeys(weights, 0), set()
    for path, ours in zip(paths, found.outputs):
        component = symbols.get_symbol('component', 14, path=path)
        own = {name: weights[name] for name in parameter_shapes(component)}
        alone = train_pass(component, own, *batch)
        np.testing.assert_allclose(ours, alone.outputs[0], rtol=1e-4, atol=1e-7)
        for name, gradient in alone.gradients.items():
            expected[name] = expected[name] + gradient
        for name, value in alone.statistics.items():  # those of a layer are named by the sides taken before it
            before = path[: int(name[5]) - 1] if name.startswith('block') else ''
            in_ensemble = f'{before}_{name}' if before else name
            close(found.statistics[in_ensemble], value)
            matched.add(in_ensemble)
    assert matched == set(found.statistics)
    for name in weights:
        close(found.gradients[name], expected[name])


def test_what_components_share_is_computed_once():
    """C once, 2 + 4 + 8 sides for all eight; Ensemble-7 needs 13."""
    for components, sides in ((None, (2, 4, 8)), (list(ENSEMBLE_7), (2, 4, 7)), (['LLL'], (1, 1, 1))):
        graph = nodes(symbols.get_symbol('ensemble', 14, components=components))
        used = Counter(weight_of(node, graph) for node in graph if node['op'] == 'Convolution')
        assert used['C_conv_weight'] == 1
        assert (
            tuple(used[f'block{k}_left_conv_weight'] + used[f'block{k}_right1_conv_weight'] for k in (1, 2, 3)) == sides
        )
        assert all(used[f'block3_right{layer}_conv_weight'] == used['block3_right1_conv_weight'] for layer in (2, 3, 4))


def test_running_statistics_are_apart_where_the_inputs_differ():
    names = list(statistics_shapes(symbols.get_symbol('ensemble', 14)))
    assert len(names) == len(set(names))
    third = {name.rpartition('block')[0] for name in names if 'block3_left' in name}
    assert third == {'LL_', 'LR_', 'RL_', 'RR_'}


@pytest.mark.parametrize('path', COMPONENTS)
def test_scores_of_a_component_are_those_in_numpy(random, batch, path):
    symbol = symbols.get_symbol('component', 14, path=path)
    weights = draw(symbol, random, IMAGE_SHAPE)
    expected = numpy_networks.scores(numpy_networks.component, batch[0], weights, 2, path)
    np.testing.assert_allclose(train_pass(symbol, weights, *batch).outputs[0], expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    'net, choice, message',
    [
        ('component', {'path': 'RXR'}, 'unknown component network RXR: choose from LLL, RLL'),
        ('component', {}, 'which component network'),
        ('ensemble', {'components': ['LLL', 'LR']}, 'unknown component network LR'),
        ('ensemble', {'components': []}, 'no component network is named'),
        ('dfn-f3', {'path': 'RLR'}, 'dfn-f3 has no --path'),
        ('component', {'path': 'RLR', 'components': ['RLR']}, 'component has no --components'),
    ],
)
def test_a_wrong_choice_says_what_to_do(net, choice, message):
    with pytest.raises(UserError, match=message):
        symbols.get_symbol(net, 14, **choice)


@pytest.mark.parametrize(
    'text, expected',
    [('all', None), (','.join(COMPONENTS), None), ('7', list(ENSEMBLE_7)), ('RLR,LLL,RLR', ['LLL', 'RLR'])],
)
def test_components_come_in_the_order_of_the_tables_and_all_of_them_are_the_default(text, expected):
    assert parse_components(text) == expected


@pytest.mark.parametrize(
    'text, message',
    [
        ('LLL,XYZ', 'unknown component network XYZ: choose from LLL, RLL'),
        (',', 'no component network is named'),
        ('', 'no component network is named'),
    ],
)
def test_a_set_that_is_none_says_why(text, message):
    with pytest.raises(ArgumentTypeError, match=message):
        parse_components(text)


@pytest.mark.parametrize('paths, label', [(list(ENSEMBLE_7), '7'), (['LLL', 'RLR'], 'LLL+RLR')])
def test_the_label_of_a_set(paths, label):
    assert components_label(paths) == label


def test_the_benchmark_times_the_sides_that_the_ensemble_has():
    """Their layers, each as often as needed, are the ensemble's but for C and FC."""
    from benchmarks.ensemble import sides

    def layers(symbol):
        graph = nodes(symbol)
        return Counter(weight_of(node, graph) for node in graph if is_layer(node))

    counted = Counter({'C_conv_weight': 1, 'fc_weight': 8})
    found = list(sides(2, 4))
    for symbol, _, times in found:
        counted.update({name: times * count for name, count in layers(symbol).items()})
    assert counted == layers(symbols.get_symbol('ensemble', 14))
    assert sum(times for _, _, times in found) == 2 + 4 + 8
