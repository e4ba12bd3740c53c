"""The optimizer against Torch's formula in numpy, and why it is not MXNet's."""

import numpy as np
import pytest

from common.mxnet import mx
from distributed.collectives import Collectives
from tests.reference import torch_nesterov
from training.flat import Flat
from training.optimizer import NesterovSGD

SHAPES = {'a_conv_weight': (4, 3, 3, 3), 'a_bn_gamma': (4,), 'a_bn_beta': (4,), 'fc_bias': (10,)}


class OneReplica:
    """What the optimizer uses of a replica."""

    def __init__(self, weights):
        self.flat = Flat({name: value.shape for name, value in weights.items()}, mx.cpu())
        self.flat_gradients = self.flat.zeros_like()
        self.parameters, self.gradients = self.flat.arrays, self.flat_gradients.arrays
        for name, value in weights.items():
            self.parameters[name][:] = value


class Group:
    """What the optimizer uses of Replicas."""

    def __init__(self, *replicas):
        self.replicas, self.collectives = replicas, Collectives()

    def broadcast(self, flats):
        """One worker has nobody to tell."""


def start(random):
    """(weights, a function that draws gradients)."""
    return (
        {name: random.randn(*shape).astype(np.float32) for name, shape in SHAPES.items()},
        lambda: {name: 64 * random.randn(*shape) for name, shape in SHAPES.items()},
    )


def step(optimizer, gradients, rate, images=64):
    for replica in optimizer.replicas.replicas:
        for name, value in gradients.items():
            replica.gradients[name][:] = value
    optimizer.step(rate, images)


def test_steps_follow_torchs_rule_across_drops_of_the_rate(random):
    weights, draw = start(random)
    rates = [0.1] * 5 + [0.01] * 5 + [0.001] * 5
    gradients = [draw() for _ in rates]
    replica = OneReplica(weights)
    optimizer = NesterovSGD(Group(replica), momentum=0.9, weight_decay=0.05)
    for rate, gradient in zip(rates, gradients):
        step(optimizer, gradient, rate)
    for name, expected in torch_nesterov(weights, gradients, rates, 0.9, 0.05, 64).items():
        np.testing.assert_allclose(replica.parameters[name].asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_loss_scale_is_taken_out_of_the_gradients(random):
    weights, draw = start(random)
    one, scaled = OneReplica(weights), OneReplica(weights)
    gradients = draw()
    step(NesterovSGD(Group(one)), gradients, 0.1)
    step(NesterovSGD(Group(scaled), loss_scale=8), {name: 8 * value for name, value in gradients.items()}, 0.1)
    for name in weights:
        np.testing.assert_array_equal(scaled.parameters[name].asnumpy(), one.parameters[name].asnumpy())


def test_a_state_dict_is_all_that_an_optimizer_goes_on_from(random):
    """Also where the rate drops with the first step after it; on every device."""
    weights, draw = start(random)
    gradients = [draw() for _ in range(3)]
    whole = OneReplica(weights)
    optimizer = NesterovSGD(Group(whole))
    for gradient, rate in zip(gradients, (0.1, 0.1, 0.01)):
        before = optimizer.state_dict()
        if rate == 0.01:
            state = {**before, 'buffers': {name: value.copy() for name, value in before['buffers'].items()}}
            halfway = {name: value.asnumpy() for name, value in whole.parameters.items()}
        step(optimizer, gradient, rate)

    replicas = OneReplica(halfway), OneReplica(halfway)
    resumed = NesterovSGD(Group(*replicas))
    assert resumed.state_dict()['learning_rate'] is None
    resumed.load_state_dict(state)
    step(resumed, gradients[2], 0.01)
    for replica in replicas:
        for name in weights:
            np.testing.assert_array_equal(replica.parameters[name].asnumpy(), whole.parameters[name].asnumpy())


def test_mxnets_own_rule_differs_after_a_drop(random):
    """Why the optimizer is not mx.optimizer.NAG: its next step after a drop is still the larger one."""
    weight, rates = random.randn(50).astype(np.float32), [0.1] * 5 + [0.01]
    gradients = [{'w': random.randn(50)} for _ in rates]
    expected = torch_nesterov({'w': weight}, gradients, rates, 0.9, 0, 1)['w']

    theirs, optimizer = mx.nd.array(weight), mx.optimizer.NAG(momentum=0.9, wd=0)
    updater = mx.optimizer.get_updater(optimizer)
    for rate, gradient in zip(rates, gradients):
        optimizer.set_learning_rate(rate)
        updater(0, mx.nd.array(gradient['w']), theirs)
    assert np.abs(theirs.asnumpy() - expected).max() > 0.1


def test_mxnets_kernel_in_place_decays_its_buffer_by_the_new_weight():
    """Why the optimizer does not update in place; if this fails, MXNet was mended and it may."""
    weight, gradient, buffer = (mx.nd.array([value]) for value in (2.0, 3.0, 0.5))
    mx.nd.nag_mom_update(weight, gradient, buffer, out=weight, lr=0.1, wd=0.05, momentum=0.9)
    assert buffer.asscalar() == pytest.approx(0.9 * 0.5 - 0.1 * (3 + 0.05 * weight.asscalar()))
    assert buffer.asscalar() != pytest.approx(0.9 * 0.5 - 0.1 * (3 + 0.05 * 2))
