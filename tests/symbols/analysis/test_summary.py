"""Sizes by hand; against the released definitions: test_networks.py and test_imagenet.py."""

import symbols
from symbols.analysis.summary import count_parameters, parameter_shapes, statistics_shapes, summarize


def test_multiply_adds_of_resnet_20_by_hand():
    # C, then per group (first convolution, the others) and the projections, output size × filter size
    first = 32 * 32 * 16 * 27
    group1 = 6 * 32 * 32 * 16 * 144
    group2 = 16 * 16 * 32 * (144 + 5 * 288 + 16)
    group3 = 8 * 8 * 64 * (288 + 5 * 576 + 32)
    assert summarize(symbols.get_symbol('resnet', 20)).multiply_adds == first + group1 + group2 + group3 + 640


def test_a_network_of_8_layers_by_hand():
    symbol = symbols.get_symbol('plain', 8)
    shapes = parameter_shapes(symbol)
    assert list(shapes)[:4] == ['C_conv_weight', 'C_bn_gamma', 'C_bn_beta', 'group1_unit1_layer1_conv_weight']
    assert shapes['C_conv_weight'] == (16, 3, 3, 3) and shapes['group3_unit1_layer1_conv_weight'] == (64, 32, 3, 3)
    assert 'data' not in shapes and 'softmax_label' not in shapes
    channels = [16, 16, 16, 32, 32, 64, 64]
    weights = sum(9 * one * other for one, other in zip([3, *channels], channels))
    assert count_parameters(symbol) == weights + 2 * sum(channels) + 64 * 10 + 10 == 75290
    assert sum(size for (size,) in statistics_shapes(symbol).values()) == 2 * sum(channels)


def test_a_layer_that_several_inputs_share_costs_once_in_weights_and_each_time_in_arithmetic():
    ensemble, fused = (summarize(symbols.get_symbol(net, 8)) for net in ('ensemble', 'dfn-f3'))
    assert ensemble.parameters == fused.parameters and ensemble.multiply_adds > 2 * fused.multiply_adds


def test_16_bits_change_no_number():
    assert summarize(symbols.get_symbol('dfn-mr', 14, dtype='float16')) == summarize(symbols.get_symbol('dfn-mr', 14))
