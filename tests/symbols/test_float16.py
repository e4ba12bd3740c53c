"""Training in float16, as far as types and shapes go: MXNet computes in it on GPUs only."""
import numpy as np
import pytest

import symbols
from compat import mx
from symbols import imagenet
from symbols.summary import nodes, parameter_shapes, statistics_shapes

CASES = [(symbols.get_symbol, 'dfn-mr', 14, (3, 32, 32)), (symbols.get_symbol, 'ensemble', 8, (3, 32, 32)),
         (imagenet.get_symbol, 'dfn-mr', 44, (3, 224, 224)), (imagenet.get_symbol, 'dfn2', 50, (3, 224, 224))]


@pytest.mark.parametrize('get_symbol, net, depth, image_shape', CASES)
def test_layers_compute_in_float16_and_weights_stay_float32(get_symbol, net, depth, image_shape):
    half, full = get_symbol(net, depth, loss_scale=8), get_symbol(net, depth)
    assert list(parameter_shapes(half, image_shape).items()) == list(parameter_shapes(full, image_shape).items())
    assert statistics_shapes(half, image_shape) == statistics_shapes(full, image_shape)
    given = {name: np.float32 for name in half.list_arguments()}
    arguments, outputs, statistics = half.infer_type(**given)
    assert set(arguments) | set(outputs) | set(statistics) == {np.float32}

    internals = half.get_internals()
    kinds = {node['name'] + '_output': node['op'] for node in nodes(half)}
    types = dict(zip(internals.list_outputs(), internals.infer_type(**given)[1]))
    of_kind = {}
    for name, kind in kinds.items():
        if name in types:
            of_kind.setdefault(kind, set()).add(types[name])
    for kind in ('Convolution', 'BatchNorm', 'Activation', 'elemwise_add'):  # an ensemble's components add nothing
        assert of_kind.get(kind, {np.float16}) == {np.float16}, kind
    for kind in ('mean', 'FullyConnected', 'SoftmaxOutput'):
        assert of_kind[kind] == {np.float32}, kind


def test_the_loss_scale_multiplies_the_gradient_of_the_scores(random):
    scores = mx.sym.var('scores')
    for scale in (None, 8):
        softmax = symbols.Layers(loss_scale=scale).softmax(scores)
        executor = softmax.simple_bind(mx.cpu(), scores=(3, 10))
        executor.forward(is_train=True, scores=mx.nd.array(random.randn(3, 10)), softmax_label=mx.nd.zeros(3))
        executor.backward()
        expected = executor.outputs[0].asnumpy()
        expected[:, 0] -= 1
        np.testing.assert_allclose(executor.grad_dict['scores'].asnumpy(), (scale or 1) * expected, rtol=1e-5)


def test_without_a_loss_scale_there_is_no_cast():
    for get_symbol, net, depth, _ in CASES:
        assert 'Cast' not in {node['op'] for node in nodes(get_symbol(net, depth))}
