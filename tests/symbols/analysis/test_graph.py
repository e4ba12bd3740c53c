"""A symbol as a graph, also one with casts to 16 bits, which MXNet leaves out of its JSON by default."""

import pytest

import symbols
from symbols.analysis.graph import is_layer, nodes, output_kinds, outputs, weight_of


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_the_layers_of_a_network_and_their_weights(dtype):
    graph = nodes(symbols.get_symbol('plain', 8, dtype=dtype))
    assert [weight_of(node, graph) for node in graph if is_layer(node)] == [
        'C_conv_weight',
        *(f'group{group}_unit1_layer{layer}_conv_weight' for group in (1, 2, 3) for layer in (1, 2)),
        'fc_weight',
    ]
    assert sum(node['op'] == 'amp_cast' for node in graph) == (0 if dtype == 'float32' else 1 + 6 + 1)


def test_sources_come_first():
    for index, node in enumerate(nodes(symbols.get_symbol('tandem', 8))):
        assert all(source < index for source, *_ in node['inputs'])


def test_the_outputs_of_an_ensemble():
    ensemble = symbols.get_symbol('ensemble', 8, components=['LLL', 'RRR'])
    graph = nodes(ensemble)
    assert [graph[output]['name'] for output in outputs(ensemble)] == ['LLL', 'RRR']
    assert output_kinds(ensemble) == {'SoftmaxOutput'}
    assert output_kinds(ensemble.get_internals()['LLL_fc_output']) == {'FullyConnected'}
