"""What the code is compared with: plain MXNet executors, and Torch's optimizer in numpy."""

from typing import NamedTuple

import numpy as np

from common.mxnet import mx
from symbols.analysis.summary import parameter_shapes, statistics_shapes


class Pass(NamedTuple):
    """What a network gives in training: a list of outputs, and gradients and running statistics by name."""

    outputs: list
    gradients: dict
    statistics: dict


def draw(symbol, random, image_shape):
    """Random weights for a symbol, {name: array}."""
    return {
        name: random.normal(1 if name.endswith('gamma') else 0, 0.3, shape).astype(np.float32)
        for name, shape in parameter_shapes(symbol, image_shape).items()
    }


def fresh_statistics(symbol, image_shape):
    """{name: array}: running means 0, running variances 1."""
    return {
        name: np.full(shape, float(name.endswith('_var')), np.float32)
        for name, shape in statistics_shapes(symbol, image_shape).items()
    }


def train_pass(symbol, weights, data, labels, statistics=None, passes=1):
    """Passes forward and back on one batch; the gradients are sums over it, those of the last pass."""
    executor = bind(symbol, weights, data, labels, statistics)
    for _ in range(passes):
        outputs = executor.forward(is_train=True)
        executor.backward()
    return Pass(
        [output.asnumpy() for output in outputs],
        {name: executor.grad_dict[name].asnumpy() for name in weights},
        {name: value.asnumpy() for name, value in executor.aux_dict.items()},
    )


def predict(symbol, weights, statistics, data):
    """The outputs in evaluation: a list of (n, classes) arrays."""
    executor = bind(symbol, weights, data, np.zeros(len(data)), statistics)
    return [output.asnumpy() for output in executor.forward(is_train=False)]


def bind(symbol, weights, data, labels, statistics=None):
    """An executor of all weights and one batch."""
    executor = symbol.simple_bind(mx.cpu(), data=data.shape, softmax_label=labels.shape)
    for arrays, values in (
        (executor.arg_dict, {**weights, 'data': data, 'softmax_label': labels}),
        (executor.aux_dict, statistics or fresh_statistics(symbol, data.shape[1:])),
    ):
        assert set(arrays) == set(values)
        for name, array in arrays.items():
            array[:] = values[name]
    return executor


def torch_nesterov(weights, gradients, rates, momentum, decay, images):
    """Torch's rule: v ← μv + g, w ← w − rate·(g + μv), in float64; g has the decay of every parameter."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    velocity = dict.fromkeys(weights, 0)
    for rate, gradient in zip(rates, gradients):
        for name in weights:
            g = gradient[name] / images + decay * weights[name]
            velocity[name] = momentum * velocity[name] + g
            weights[name] = weights[name] - rate * (g + momentum * velocity[name])
    return weights
