"""Steps on noise are steps of training."""

import functools

import numpy as np

from common.mxnet import mx
import symbols
from training.initializer import initial_replicas
from training.synthetic import SyntheticSteps


def test_steps_train_on_every_device_and_are_timed():
    network = functools.partial(symbols.get_symbol, 'plain', 8)
    replicas = initial_replicas(network, [mx.cpu(0), mx.cpu(1)], (3, 8, 8))
    steps = SyntheticSteps(replicas, 2)
    assert steps.images == 4
    before = replicas.replicas[1].parameters['C_conv_weight'].asnumpy()
    assert 0 < steps.seconds(2) < 60
    assert np.abs(replicas.replicas[1].parameters['C_conv_weight'].asnumpy() - before).max() > 0
