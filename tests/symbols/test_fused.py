"""The form for training on the CPU against the form as drawn: the same function of the same parameters."""
import re

import numpy as np
import pytest

import symbols
from common.mxnet import mx
from common.errors import UserError
from symbols import dfn_mr, imagenet
from symbols.analysis.summary import nodes, parameter_shapes, statistics_shapes

CASES = [(symbols.get_symbol, net, 14, (3, 32, 32)) for net in symbols.NETWORKS if net != 'component'] + [
    (symbols.get_symbol, 'dfn-mr', 32, (3, 16, 16)), (symbols.get_symbol, 'resnet', 8, (3, 8, 8)),
    (imagenet.get_symbol, 'dfn-mr', 44, (3, 64, 64)), (imagenet.get_symbol, 'dfn1', 50, (3, 64, 64))]


def steps(symbol, data, labels, random):
    """Two passes forward and back with random parameters: outputs, gradients, running statistics."""
    shapes = dict(parameter_shapes(symbol, data.shape[1:]), **statistics_shapes(symbol, data.shape[1:]))
    values = {name: random.normal(name.endswith(('gamma', 'var')), 0.1, shapes[name]) for name in sorted(shapes)}
    executor = symbol.simple_bind(mx.cpu(), data=data.shape)
    for name, array in {**executor.arg_dict, **executor.aux_dict}.items():
        if name in values:
            array[:] = np.abs(values[name]) if name.endswith('var') else values[name]
    executor.arg_dict['data'][:], executor.arg_dict['softmax_label'][:] = data, labels
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward()
    return {**{str(i): output.asnumpy() for i, output in enumerate(executor.outputs)},
            **{name: value.asnumpy() for name, value in executor.grad_dict.items() if name in shapes},
            **{name: value.asnumpy() for name, value in executor.aux_dict.items()}}


@pytest.mark.parametrize('get_symbol, net, depth, image_shape', CASES)
def test_scores_gradients_and_statistics_are_the_same(get_symbol, net, depth, image_shape):
    drawn, fused = get_symbol(net, depth), get_symbol(net, depth, fused=True)
    assert parameter_shapes(fused, image_shape) == parameter_shapes(drawn, image_shape)
    assert statistics_shapes(fused, image_shape) == statistics_shapes(drawn, image_shape)
    expected, found = both(drawn, fused, image_shape)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6 * np.abs(value).max(), err_msg=name)
    assert (found['0'] == expected['0']).all()  # powers of two: no digit is lost


@pytest.mark.parametrize('get_symbol, net, depth, image_shape', [
    (symbols.get_symbol, 'resnet', 14, (3, 32, 32)), (symbols.get_symbol, 'dfn-il', 14, (3, 32, 32)),
    (symbols.get_symbol, 'dfn-il-noid', 14, (3, 32, 32)), (symbols.get_symbol, 'dfn-mr', 20, (3, 32, 32)),
    (imagenet.get_symbol, 'dfn-mr', 44, (3, 64, 64)), (imagenet.get_symbol, 'dfn2', 50, (3, 64, 64))])
def test_mirroring_changes_no_number(get_symbol, net, depth, image_shape):
    one, other = (get_symbol(net, depth, fused=True, mirror=mirror) for mirror in (False, True))
    expected, found = both(one, other, image_shape)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def both(one, other, image_shape):
    """What two symbols give for the same random parameters and images."""
    random = np.random.RandomState(0)
    data, labels = random.randn(4, *image_shape).astype(np.float32), random.randint(0, 10, 4)
    expected, found = (steps(symbol, data, labels, np.random.RandomState(1)) for symbol in (one, other))
    assert expected.keys() == found.keys()
    return expected, found


def test_streams_that_have_grown_too_much_are_halved(monkeypatch):
    monkeypatch.setattr(dfn_mr, 'LARGEST', 4)
    test_scores_gradients_and_statistics_are_the_same(symbols.get_symbol, 'dfn-mr', 32, (3, 8, 8))


def test_deep_streams_stay_finite(random):
    """Of 130 units a group, without a limit the streams would be 2^130 times as large as drawn."""
    symbol, data = symbols.get_symbol('dfn-mr', 782, fused=True), random.randn(2, 3, 8, 8)
    output, = (value for name, value in steps(symbol, data, np.zeros(2), random).items() if name == '0')
    assert np.isfinite(output).all()


@pytest.mark.parametrize('net', ['resnet', 'dfn-mr'])
def test_what_is_fused(net):
    drawn, fused = ([node['op'] for node in nodes(symbols.get_symbol(net, 14, fused=form))] for form in (False, True))
    layers_with_relu = 1 + 6 * (2 if net == 'dfn-mr' else 1)
    assert fused.count('_contrib_BatchNormWithReLU') == layers_with_relu
    assert drawn.count('Activation') - fused.count('Activation') == layers_with_relu
    assert drawn.count('BatchNorm') - fused.count('BatchNorm') == layers_with_relu
    assert drawn.count('_mul_scalar') == (6 if net == 'dfn-mr' else 0)


@pytest.mark.parametrize('get_symbol, net, depth, size, most', [
    (symbols.get_symbol, 'resnet', 38, 32, 0.7), (symbols.get_symbol, 'dfn-mr', 38, 32, 0.7),
    (imagenet.get_symbol, 'dfn-mr', 44, 224, 0.95)])
def test_mirroring_needs_less_memory(get_symbol, net, depth, size, most):
    """By MXNet's own plan."""
    with_mirror, without = (planned_memory(get_symbol(net, depth, fused=True, mirror=mirror), size)
                            for mirror in (True, False))
    assert with_mirror < most * without


def test_mxnets_own_mirroring_needs_more_than_ours(monkeypatch):
    """Why layers.py marks operators by itself; if this fails, MXNet was mended."""
    ours = planned_memory(symbols.get_symbol('resnet', 38, fused=True, mirror=True), 32)
    monkeypatch.setenv('MXNET_BACKWARD_DO_MIRROR', '1')
    assert planned_memory(symbols.get_symbol('resnet', 38, fused=True), 32) > 1.2 * ours
    drawn = planned_memory(symbols.get_symbol('resnet', 38), 32)
    monkeypatch.delenv('MXNET_BACKWARD_DO_MIRROR')
    assert drawn > planned_memory(symbols.get_symbol('resnet', 38), 32)


def planned_memory(symbol, size):
    """Megabytes that MXNet plans for what it keeps of 16 images."""
    executor = symbol.simple_bind(mx.cpu(), data=(16, 3, size, size))
    return int(re.search(r'Total (\d+) MB', executor.debug_str()).group(1))


def test_mirroring_is_for_the_fused_form_of_networks_with_units():
    with pytest.raises(ValueError, match='count its statistics twice'):
        symbols.get_symbol('resnet', 8, mirror=True)
    for net in ('plain', 'dfn-f3', 'ensemble'):
        with pytest.raises(UserError, match='nothing to --mirror'):
            symbols.get_symbol(net, 8, fused=True, mirror=True)
