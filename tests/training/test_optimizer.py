"""The optimiser and the schedule against the formulas, computed by hand in numpy."""
import numpy as np
import pytest

from common.mxnet import mx
from training.flat import Flat
from training.optimiser import NesterovSGD
from training.schedule import learning_rate


class OneReplica:
    """The part of a replica that the optimiser uses."""

    def __init__(self, weights):
        self.flat = Flat({name: value.shape for name, value in weights.items()}, mx.cpu())
        self.flat_gradients = self.flat.like()
        self.parameters, self.gradients = self.flat.arrays, self.flat_gradients.arrays
        for name, value in weights.items():
            self.parameters[name][:] = value


class Group:
    def __init__(self, *replicas):
        self.replicas = replicas


def torch_nesterov(weights, gradients, rates, momentum, decay, images):
    """Torch's rule: v ← μv + g, w ← w − rate·(g + μv), in float64; g has the decay of every parameter."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    velocity = {name: 0 for name in weights}
    for rate, gradient in zip(rates, gradients):
        for name in weights:
            g = gradient[name] / images + decay * weights[name]
            velocity[name] = momentum * velocity[name] + g
            weights[name] = weights[name] - rate * (g + momentum * velocity[name])
    return weights


def test_steps_equal_torchs_rule_across_drops_of_the_rate(random):
    shapes = {'a_conv_weight': (4, 3, 3, 3), 'a_bn_gamma': (4,), 'a_bn_beta': (4,), 'fc_bias': (10,)}
    weights = {name: random.randn(*shape).astype(np.float32) for name, shape in shapes.items()}
    rates = [0.1] * 5 + [0.01] * 5 + [0.001] * 5
    gradients = [{name: 64 * random.randn(*shape) for name, shape in shapes.items()} for _ in rates]

    replica = OneReplica(weights)
    optimiser = NesterovSGD(Group(replica), momentum=0.9, weight_decay=0.05)
    for rate, gradient in zip(rates, gradients):
        for name, value in gradient.items():
            replica.gradients[name][:] = value
        optimiser.step(rate, images=64)

    expected = torch_nesterov(weights, gradients, rates, 0.9, 0.05, 64)
    for name in shapes:
        np.testing.assert_allclose(replica.parameters[name].asnumpy(), expected[name], rtol=1e-5, atol=1e-6)


def test_mxnets_own_rule_differs_after_a_drop(random):
    """Why the optimiser is not mx.optimizer.NAG: its next step after a drop is still the larger one."""
    weight, rates = random.randn(50).astype(np.float32), [0.1] * 5 + [0.01]
    gradients = [{'w': random.randn(50)} for _ in rates]
    expected = torch_nesterov({'w': weight}, gradients, rates, 0.9, 0, 1)['w']

    theirs, optimiser = mx.nd.array(weight), mx.optimizer.NAG(momentum=0.9, wd=0)
    updater = mx.optimizer.get_updater(optimiser)
    for rate, gradient in zip(rates, gradients):
        optimiser.set_learning_rate(rate)
        updater(0, mx.nd.array(gradient['w']), theirs)
    assert np.abs(theirs.asnumpy() - expected).max() > 0.1


def test_mxnets_kernel_in_place_decays_its_buffer_by_the_new_weight():
    """Why the optimiser does not update in place; if this fails, MXNet was mended and it may."""
    weight, gradient, buffer = (mx.nd.array([value]) for value in (2.0, 3.0, 0.5))
    mx.nd.nag_mom_update(weight, gradient, buffer, out=weight, lr=0.1, wd=0.05, momentum=0.9)
    assert buffer.asscalar() == pytest.approx(0.9 * 0.5 - 0.1 * (3 + 0.05 * weight.asscalar()))
    assert buffer.asscalar() != pytest.approx(0.9 * 0.5 - 0.1 * (3 + 0.05 * 2))


@pytest.mark.parametrize('epochs, drops', [(400, (200, 300, 350)), (40, (20, 30, 35)), (8, (4, 6, 7)), (3, (1, 2, 2))])
def test_rate_drops_after_the_papers_fractions(epochs, drops):
    rates = [learning_rate(epoch, epochs, 0.1) for epoch in range(1, epochs + 1)]
    expected = [0.1 * 0.1 ** sum(epoch > drop for drop in drops) for epoch in range(1, epochs + 1)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_one_epoch_trains_at_the_base_rate():
    assert learning_rate(1, 1, 0.1) == 0.1
