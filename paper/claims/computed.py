"""Checks by computation: the structure of networks, their scores, and the computed columns of the tables."""

from collections import Counter
from collections.abc import Callable
import functools
import math
import operator
import re

import numpy as np

from common.mxnet import mx
from paper import results
from paper.claims.names import pairs_of, subject
from paper.claims.verdicts import CONFIRMED, CONTRADICTED, Finding
from paper.tables import table
import symbols
from symbols.analysis.graph import is_layer, nodes
from symbols.analysis.paths import moments, paths_of
from symbols.analysis.summary import parameter_shapes, summarize
from training.initializer import initial_parameters

SAME_SCORES = 0.0001  # between float32 sums of another order


@functools.cache
def _cost(experiment):
    """(parameters, layers on the longest path, layers without projections)."""
    build, image_shape = results.network(experiment)
    symbol = build()
    cost = summarize(symbol, image_shape)
    layers = sum(is_layer(node) and 'shortcut' not in node['name'] for node in nodes(symbol))
    return cost.parameters, cost.depth, layers


@functools.cache
def _paths(experiment):
    given = symbols.arguments_of(results.options_of(experiment)) if experiment.dataset != 'imagenet' else {}
    return paths_of(experiment.net, experiment.depth, experiment.dataset, **given)[1]


STRUCTURE: dict[str, Callable] = {
    'parameters': lambda experiment: _cost(experiment)[0],
    'depth': lambda experiment: _cost(experiment)[1],
    'layers': lambda experiment: _cost(experiment)[2],
    'routes': lambda experiment: sum(_paths(experiment).routes),
    'size': lambda experiment: sum(_paths(experiment).nominal),
    'mean-depth': lambda experiment: moments(_paths(experiment).nominal)[0],
    'deviation': lambda experiment: moments(_paths(experiment).nominal)[1],
    'shallowest': lambda experiment: next(depth for depth, count in enumerate(_paths(experiment).nominal) if count),
    'depths': lambda experiment: sum(map(bool, _paths(experiment).nominal)),
    'components': lambda experiment: Counter(dict(enumerate(_paths(experiment).distinct))),
}

OPERATORS = {'<': operator.lt, '<=': operator.le, '=': operator.eq, '>=': operator.ge}


def structure(measure: str, rest: str, _: str) -> Finding:
    """Compare a measure of networks, place by place."""
    held, failed = [], []
    for a, sign, b in pairs_of(rest):
        left, right = (_structural(measure, name) for name in (a, b))
        text = f'{_shown(a, left)} {sign} {_shown(b, right)}'
        (held if OPERATORS[sign](left, right) else failed).append(text)
    counts = 'summary' if measure in ('parameters', 'layers', 'depth') else 'paths'
    return _exact(held, failed, f'python -m symbols {counts} --net NET --depth DEPTH')


def _exact(held, failed, command):
    """The finding of a check by computation; of many comparisons, the first and the last are shown."""
    shown = failed or held
    texts = '; '.join(shown if len(shown) < (6 if failed else 4) else [shown[0], '…', shown[-1]])
    if failed:
        seen = f'{len(failed)} of {len(held) + len(failed)} do not hold: {texts}'
    else:
        seen = texts + (f' ({len(held)} of {len(held)})' if len(held) > 1 else '')
    return Finding(CONTRADICTED if failed else CONFIRMED, seen, {command: None})


def _structural(measure, name):
    number = re.fullmatch(r'(\d+)\^(\d+)|([\d.]+)(M?)', name)
    if not number:
        return STRUCTURE[measure](subject(name).measurement.experiment)
    base, exponent, plain, millions = number.groups()
    return int(base) ** int(exponent) if base else float(plain) * 1e6 if millions else float(plain)


def _shown(name, value):
    if isinstance(value, Counter):
        depths = [depth for depth, count in value.items() if count]
        return f'{name} ({value.total():,} of {min(depths)} to {max(depths)} layers)'
    if not float(value).is_integer():
        text = f'{value:.2f}'
    elif value < 10**9:
        text = f'{int(value):,}'
    else:
        power = math.log2(value)
        text = f'2^{power:.0f}' if value == 2 ** round(power) else f'≈2^{power:.2f}'
    return f'{name} {text}' if '/' in name else text


def scores(rest: str, _: str) -> Finding:
    """Whether two networks with the same weights score random images the same, by the statistics of the batch."""
    held, failed = [], []
    for a, _, b in pairs_of(rest):
        difference = float(np.abs(_outputs(a) - _outputs(b)).max())
        if difference < SAME_SCORES:
            held.append(f'{a} and {b}: scores of four images differ by less than {SAME_SCORES}')
        else:
            failed.append(f'{a} and {b}: scores of four images differ by {difference:.4f}')
    return _exact(held, failed, 'python -m paper claims')


def _outputs(name):
    """(4, classes): softmax of the initial weights' scores, in training."""
    build, image_shape = results.network(subject(name).measurement.experiment)
    symbol = build()
    images = np.random.RandomState(0).randn(4, *image_shape).astype(np.float32)
    executor = symbol.simple_bind(mx.cpu(), data=images.shape)
    for weight, value in initial_parameters(parameter_shapes(symbol, image_shape), seed=1).items():
        executor.arg_dict[weight][:] = value
    return executor.forward(is_train=True, data=mx.nd.array(images))[0].asnumpy()


def computed_cells(rest: str, log_dir: str) -> Finding:
    """Whether the parameters and depths of a table are those of the networks."""
    number = int(rest.removeprefix('table'))
    held, failed = [], []
    for row, cells in table(number, log_dir).rows.items():
        for column, cell in cells.items():
            if cell.computed:
                text = f'{row} {column}: {cell.computed} for {cell.paper.printed}'
                (failed if cell.disagrees else held).append(text)
    return _exact(held, failed, f'python compare.py {number}')
