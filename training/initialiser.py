"""Initial weights: He-normal convolutions [7], uniform FC, gamma 1, beta 0 (section 6.2)."""
import zlib

import numpy as np


def initial_parameters(shapes, seed):
    """{name: float32 array} for {name: shape}: what the network starts from.

    Convolutions: normal, standard deviation √(2 / fan-in). FC: uniform in ±1/√fan-in, bias 0.
    Each parameter is drawn from a stream of its own, named by the seed and its name, so networks that
    share names, and every worker, start from the same weights.
    """
    return {name: _draw(name, shape, np.random.RandomState([seed, zlib.crc32(name.encode())])).astype(np.float32)
            for name, shape in shapes.items()}


def initial_statistics(shapes):
    """{name: float32 array}: running means 0, running variances 1."""
    return {name: np.full(shape, name.endswith('_var'), np.float32) for name, shape in shapes.items()}


def _draw(name, shape, random):
    if name.endswith('_gamma'):
        return np.ones(shape)
    if name.endswith(('_beta', '_bias')):
        return np.zeros(shape)
    fan_in = np.prod(shape[1:])
    if len(shape) == 4:
        return random.normal(0, np.sqrt(2 / fan_in), shape)
    return random.uniform(-1, 1, shape) / np.sqrt(fan_in)
