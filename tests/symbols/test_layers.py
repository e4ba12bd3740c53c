"""What all networks share: inputs, BatchNorm, the loss and its gradient."""

import numpy as np
import pytest

from common.mxnet import mx
import symbols
from symbols.analysis.graph import nodes
from symbols.layers import Layers
from tests.reference import draw, train_pass


def test_a_symbol_has_the_promised_inputs_and_output():
    symbol = symbols.get_symbol('dfn-mr', 14, num_classes=100)
    arguments = symbol.list_arguments()
    assert arguments[0] == 'data' and arguments[-1] == 'softmax_label'
    assert symbol.list_outputs() == ['softmax_output']
    assert [node['op'] for node in nodes(symbol)].count('SoftmaxOutput') == 1
    assert symbol.infer_shape(data=(5, 3, 32, 32))[1] == [(5, 100)]


@pytest.mark.parametrize('momentum', [0.9, 0.99])
def test_batchnorm_is_the_papers(momentum):
    graph = nodes(symbols.get_symbol('resnet', 14, bn_momentum=momentum))
    norms = [node['attrs'] for node in graph if node['op'] == 'BatchNorm']
    assert len(norms) == 15
    for attributes in norms:
        assert float(attributes['eps']) == 2e-5 and float(attributes['momentum']) == momentum
        assert attributes['fix_gamma'] == 'False'


def test_the_gradient_of_the_loss_is_softmax_minus_label(random):
    """SoftmaxOutput sums over the batch; the optimizer divides by the number of images."""
    symbol, labels = symbols.get_symbol('plain', 8), np.array([3, 1, 4, 1])
    found = train_pass(symbol, draw(symbol, random, (3, 8, 8)), random.randn(4, 3, 8, 8), labels)
    (expected,) = found.outputs
    expected[np.arange(4), labels] -= 1
    np.testing.assert_allclose(found.gradients['fc_bias'], expected.sum(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('scale', [1, 8])
def test_the_loss_scale_multiplies_the_gradient_of_the_scores(random, scale):
    softmax = Layers(loss_scale=scale).softmax(mx.sym.var('scores'))
    executor = softmax.simple_bind(mx.cpu(), scores=(3, 10))
    executor.forward(is_train=True, scores=mx.nd.array(random.randn(3, 10)), softmax_label=mx.nd.zeros(3))
    executor.backward()
    expected = executor.outputs[0].asnumpy()
    expected[:, 0] -= 1
    np.testing.assert_allclose(executor.grad_dict['scores'].asnumpy(), scale * expected, rtol=1e-5)
