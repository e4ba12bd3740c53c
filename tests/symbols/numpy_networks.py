"""The networks written a second time, in numpy alone, as an independent check of the symbols.

A network is a function of the images and an iterator of parameters, which it consumes in the order of the definition:
shortcuts before branches, the first stream before the second. Statistics are those of the batch, as in training.
"""

import re

import numpy as np

EPSILON = 2e-5


def unit_of(name):
    """Sort parameters by it: by unit, where they keep the symbol's order.

    Between units MXNet's order does not follow the definition: a projection of the first stream comes before the unit
    above is complete.
    """
    numbers = re.match(r'group(\d+)_unit(\d+)_|block(\d+)_', name)
    return {'C': (0,), 'f': (9,)}[name[0]] if not numbers else tuple(int(i) for i in numbers.groups() if i)


def scores(network, data, weights, *arguments):
    """What a network here gives for a batch and the weights {name: array} of a symbol, all of which it has to use."""
    parameters = iter(weights[name].astype(np.float64) for name in sorted(weights, key=unit_of))
    result = network(data.astype(np.float64), parameters, *arguments)
    assert next(parameters, None) is None
    return result


def convolution(x, w, stride):
    """7×7, 3×3 or 1×1, padded so that stride 1 keeps the size, by the definition."""
    k, pad = w.shape[2], w.shape[2] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum('nchwij,ocij->nohw', windows, w, optimize=True)


def normalize(x, gamma, beta):
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma[:, None, None] + beta[:, None, None]


def relu(x):
    return np.maximum(x, 0)


def linear(x, p, stride=1):
    return normalize(convolution(x, next(p), stride), next(p), next(p))


def basic(x, p, stride=1):
    return relu(linear(x, p, stride))


def branch(x, p, stride):
    return linear(basic(x, p, stride), p)


def shortcut(x, p, stride):
    return linear(x, p, stride) if stride == 2 else x


def classify(x, p):
    scores = x.mean(axis=(2, 3)) @ next(p).T + next(p)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def strides(n):
    return [2 if unit == 0 and group > 0 else 1 for group in range(3) for unit in range(n)]


def plain(x, p, n):
    x = basic(x, p)
    for s in strides(n):
        x = basic(basic(x, p, s), p)
    return classify(x, p)


def resnet(x, p, n):
    x = basic(x, p)
    for s in strides(n):
        left = shortcut(x, p, s)
        x = relu(left + branch(x, p, s))
    return classify(x, p)


def dfn_il(x, p, n, identity=True):
    x = basic(x, p)
    for s in strides(n):
        left = shortcut(x, p, s) if identity else 0
        one = branch(x, p, s)
        x = relu(left + one + branch(x, p, s))
    return classify(x, p)


def dfn_il_noid(x, p, n):
    return dfn_il(x, p, n, identity=False)


def dfn_mr(x, p, n):
    a = b = basic(x, p)
    for i, s in enumerate(strides(n)):
        left = shortcut(a, p, s)
        m = (left + shortcut(b, p, s)) / 2
        one = branch(a, p, s)
        two = branch(b, p, s)
        if i == 3 * n - 1:
            return classify(relu(m + one + two), p)
        a, b = relu(m + one), relu(m + two)


def dfn_f(x, p, n, fusions):
    x = basic(x, p)
    per_group, length = fusions // 3, 6 * n // fusions
    for block in range(fusions):
        first = block % per_group == 0
        s = 2 if first and block > 0 else 1
        left = linear(x, p, s) if first else x
        y = x
        for layer in range(length - 1):
            y = basic(y, p, s if layer == 0 else 1)
        x = relu(left + linear(y, p, s if length == 1 else 1))
    return classify(x, p)


def dfn_f3(x, p, n):
    return dfn_f(x, p, n, 3)


def dfn_f6(x, p, n):
    return dfn_f(x, p, n, 6)


def component(x, p, n, path):
    """path: a letter for each block, R for its 2n basic layers, L for one."""
    x = basic(x, p)
    for block, side in enumerate(path):
        for layer in range(2 * n if side == 'R' else 1):
            x = basic(x, p, 2 if block > 0 and layer == 0 else 1)
    return classify(x, p)


# The networks for ImageNet; n: the units of each of the four groups.


def max_pool(x):
    """3×3 with stride 2 and no padding."""
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max(axis=(4, 5))


def stem(x, p):
    return max_pool(basic(x, p, 2))


def bottleneck(x, p, stride):
    return linear(basic(basic(x, p), p, stride), p)


def firsts(n):
    """(whether the unit is the first of its group, its stride)."""
    return [(unit == 0, 2 if unit == 0 and group > 0 else 1) for group, units in enumerate(n) for unit in range(units)]


def imagenet_resnet(x, p, n, project_all=False):
    x = stem(x, p)
    for first, s in firsts(n):
        left = linear(x, p, s) if first or project_all else x
        x = relu(left + bottleneck(x, p, s))
    return classify(x, p)


def imagenet_dfn1(x, p, n):
    return imagenet_resnet(x, p, n, project_all=True)


def imagenet_dfn2(x, p, n):
    """Units in pairs, counted from the first of each group."""
    x = stem(x, p)
    for group, units in enumerate(n):
        for unit in range(0, units, 2):
            s = 2 if unit == 0 and group > 0 else 1
            left = linear(x, p, s) if unit == 0 else x
            right = bottleneck(x, p, s)
            x = relu(left + (bottleneck(relu(right), p, 1) if unit + 1 < units else right))
    return classify(x, p)


def imagenet_dfn_mr(x, p, n):
    a = b = stem(x, p)
    units = firsts(n)
    for i, (first, s) in enumerate(units):
        left = linear(a, p, s) if first else a
        m = (left + (linear(b, p, s) if first else b)) / 2
        a, b = m + bottleneck(a, p, s), m + bottleneck(b, p, s)
        if i == len(units) - 1:
            return classify(relu(a + b), p)
        a, b = relu(a), relu(b)
