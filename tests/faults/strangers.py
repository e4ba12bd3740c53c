"""Symbols and weights that nobody would write by accident, each evaluated in a process of its own.

A network is changed in one to three places, in its graph, in the text of its graph, or in its weights. `eval.py` has to
evaluate the result or refuse it in one line.
"""

from collections import Counter
from collections.abc import Iterator
import contextlib
import copy
import json
import os
from random import Random
import tempfile

import numpy as np

from common.mxnet import mx
from data import records
import eval as evaluation
import symbols
from symbols.analysis.graph import to_dict
from tests.faults import trials
from tests.faults.damages import DAMAGES
from training.symbol_file import OPERATORS

VALUES = (
    *('0', '1', '2', '3', '-1', '7', '64', '255', '65536', '2147483647', '-2147483648', '4294967296', '9' * 30, '1e-3'),
    *('0.5', '1e38', '1e308', 'nan', 'inf', '-0', '', ' ', 'None', 'True', 'False', 'relu', 'max', 'avg', 'full', 'x'),
    *('(0, 0)', '(1, 1)', '(2, 2)', '(3, 3)', '(7, 1)', '(1, 64)', '(64, 64)', '(-1, -1)', '(100000, 100000)', '()'),
    *('(1,)', '(1, 1, 1)', '(2, 3)', '(3, 2)', '[1, 1]', '(1, 1', 'float16', 'bfloat16', 'float64', 'batch', 'sigmoid'),
)
OTHER_OPERATORS = ('Custom', 'null', 'Reshape', '_zeros', 'RNN', 'Embedding', '_foreach', 'Crop', 'x', '')
ATTRIBUTES = sorted({key for operator in OPERATORS.values() for key in operator.attributes})


def networks() -> Iterator[tuple[mx.sym.Symbol, dict]]:
    """Small networks with their weights: four of ours, one with the operators that others use."""
    for name in ('dfn-mr', 'ensemble'):
        yield with_weights(symbols.get_symbol(name, 8))
    for dtype in ('float16', 'bfloat16'):
        yield with_weights(symbols.get_symbol('resnet', 8, dtype=dtype))
    x = mx.sym.Convolution(mx.sym.var('data'), kernel=(3, 3), num_filter=8, num_group=1, pad=(1, 1))
    x = mx.sym.Dropout(mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=True), act_type='relu'), p=0.5)
    x = mx.sym.Pooling(mx.sym.Concat(x, 2 * x, dim=1), kernel=(3, 3), stride=(2, 2), pool_type='avg', pad=(1, 1))
    x = mx.sym.Pooling(mx.sym.identity(mx.sym.add_n(x, x, x)), global_pool=True, kernel=(1, 1), pool_type='max')
    yield with_weights(mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=10), name='softmax'))


def with_weights(symbol: mx.sym.Symbol) -> tuple[mx.sym.Symbol, dict]:
    """A symbol and random weights for it."""
    random = np.random.RandomState(1)
    shapes, _, statistics = symbol.infer_shape(data=(1, 3, 12, 12))
    arrays = {
        f'{kind}:{name}': mx.nd.array(random.rand(*shape))
        for kind, names, their in (
            ('arg', symbol.list_arguments(), shapes),
            ('aux', symbol.list_auxiliary_states(), statistics),
        )
        for name, shape in zip(names, their)
        if name not in ('data', 'softmax_label')
    }
    return symbol, arrays


# Changes of a graph. Each takes the graph and a generator.


def set_attribute(graph, random):
    """Give a node's attribute another value, mostly one that it has."""
    node = random.choice([node for node in graph['nodes'] if node['op'] != 'null'])
    known = [*node.get('attrs', {}), *getattr(OPERATORS.get(node['op']), 'attributes', {})]
    key = random.choice(known) if known and random.random() < 0.9 else random.choice(ATTRIBUTES)
    node.setdefault('attrs', {})[key] = random.choice(VALUES)


def set_accepted(graph, random):
    """Give a node's attribute another value that is accepted."""
    node = random.choice([node for node in graph['nodes'] if getattr(OPERATORS.get(node['op']), 'attributes', None)])
    accepted = OPERATORS[node['op']].attributes
    key = random.choice([*node.get('attrs', {}), *accepted])
    fitting = [value for value in VALUES if key in accepted and accepted[key](value)]
    if fitting:
        node.setdefault('attrs', {})[key] = random.choice(fitting)


def drop_attribute(graph, random):
    """Take an attribute away."""
    nodes = [node for node in graph['nodes'] if node.get('attrs')]
    if nodes:
        attributes = random.choice(nodes)['attrs']
        del attributes[random.choice(list(attributes))]


def change_operator(graph, random):
    """Make a node another operator."""
    names = [*OPERATORS] * 3 + [*OTHER_OPERATORS]
    random.choice(graph['nodes'])['op'] = random.choice(names)


def wire(graph, random):
    """Lead an input to any node, forward or back."""
    node = random.choice([node for node in graph['nodes'] if node['inputs']] or graph['nodes'])
    entry = [random.randrange(-1, len(graph['nodes']) + 1), random.choice((0, 0, 0, 0, 1, -1, 2**31)), 0]
    if node['inputs'] and random.random() < 0.8:
        node['inputs'][random.randrange(len(node['inputs']))] = entry
    else:
        node['inputs'].append(entry)


def skip(graph, random):
    """Lead all readers of a node to its first input, as if it were not there."""
    index, node = random.choice([pair for pair in enumerate(graph['nodes']) if pair[1]['inputs']] or [(0, None)])
    if node:
        for reader in graph['nodes']:
            reader['inputs'] = [node['inputs'][0] if entry[0] == index else entry for entry in reader['inputs']]


def drop_input(graph, random):
    """Take an input away."""
    inputs = random.choice(graph['nodes'])['inputs']
    if inputs:
        inputs.pop(random.randrange(len(inputs)))


def drop_node(graph, random):
    """Take a node away; all numbers behind it are then off by one."""
    if len(graph['nodes']) > 1:
        graph['nodes'].pop(random.randrange(len(graph['nodes'])))


def rename(graph, random):
    """Give a node another name."""
    names = ['data', 'softmax_label', '', '\0', 'x' * 10**5, '\x1b[2J', '"', 'ü', random.choice(graph['nodes'])['name']]
    random.choice(graph['nodes'])['name'] = random.choice(names)


def change_heads(graph, random):
    """Put out another node, twice, or nothing."""
    other = [random.randrange(-1, len(graph['nodes']) + 1), random.choice((0, 0, 1, 5)), 0]
    graph['heads'] = random.choice([[other], graph['heads'] + [other], graph['heads'] * 2, [], None, [[0]], 'x'])


def change_type(graph, random):
    """Put something of another type where a part of a node was."""
    node = random.choice(graph['nodes'])
    node[random.choice([*node])] = random.choice([None, 1, -1.5, [], {}, [[]], 'x', True, {'a': 1}, [[0, 0, 0]] * 5000])


def change_variables(graph, random):
    """Spoil the list of variables."""
    graph['arg_nodes'] = random.choice([[], graph['arg_nodes'][:-1], [10**9], None])


CHANGES = (
    (set_accepted,) * 12
    + (set_attribute,) * 4
    + (wire,) * 4
    + (drop_attribute, skip, skip, change_operator, drop_input)
)
CHANGES += (drop_node, rename, change_heads, change_type, change_variables)


# Changes of the weights. Each takes {name: array} and a generator.


def reshape(arrays, random):
    """Give an array another shape."""
    name = random.choice([*arrays])
    arrays[name] = mx.nd.ones(tuple(random.choice((1, 2, 3, 10, 16)) for _ in range(random.randrange(1, 6))))


def retype(arrays, random):
    """Make an array one of another type, or sparse."""
    name, kind = random.choice([*arrays]), random.choice(('float16', 'float64', 'int8', 'int32', 'row_sparse'))
    arrays[name] = arrays[name].tostype(kind) if kind == 'row_sparse' else arrays[name].astype(kind)


def spoil(arrays, random):
    """Put a value into an array that no training gives."""
    array = arrays[random.choice([*arrays])]
    array[:] = random.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, -1.0, 0.0))


def lose(arrays, random):
    """Take an array away."""
    del arrays[random.choice([*arrays])]


def rename_array(arrays, random):
    """Give an array another name."""
    name = random.choice([*arrays])
    arrays[random.choice(['x', 'arg:', f'aux:{name[4:]}', f'arg:{name[4:]}', 'arg:data'])] = arrays.pop(name)


ARRAY_CHANGES = (reshape, retype, spoil, lose, rename_array)


def write(folder: str, network: tuple, random: Random) -> str:
    """Write a changed network's two files; returns what was done to it."""
    symbol, arrays = network
    graph, arrays = copy.deepcopy(to_dict(symbol)), dict(arrays)
    where, done = random.choice(('graph', 'graph', 'graph', 'text', 'arrays', 'bytes')), []
    for _ in range(random.choice((1, 1, 2, 3))):
        if where == 'graph':
            change = random.choice(CHANGES)
            with contextlib.suppress(TypeError, KeyError, IndexError, AttributeError):  # an earlier change was thorough
                change(graph, random)
                done.append(change.__name__)
        elif where == 'arrays':
            change, arrays = random.choice(ARRAY_CHANGES), {name: value.copy() for name, value in arrays.items()}
            change(arrays, random)
            done.append(change.__name__)
    symbol_path, params_path = (os.path.join(folder, name) for name in ('net-symbol.json', 'net.params'))
    with open(symbol_path, 'w') as file:
        json.dump(graph, file)
    mx.nd.save(params_path, arrays)
    if where in ('text', 'bytes'):
        name = random.choice([name for name in DAMAGES if name != 'replaced by another run'])
        path = symbol_path if where == 'text' else params_path
        done.append(DAMAGES[name](path, random, ''))
    return f'{where}: {", ".join(done)}'


def small_digits(folder: str) -> str:
    """A data set of 20 digits in 12×12 pixels; returns its folder."""
    random = np.random.RandomState(0)
    for split in ('train', 'test'):
        images = random.randint(0, 256, (20, 12, 12, 3)).astype(np.uint8)
        records.write(os.path.join(folder, f'digits-{split}'), images, np.arange(20) % 10, verified=True)
    return folder


def evaluate(folder: str) -> trials.Ended:
    """Evaluate the two files in a folder on the digits in its `data`."""
    return trials.forked(
        evaluation.main,
        *('eval.py', '--symbol', 'net-symbol.json', '--params', 'net.params'),
        *('--dataset', 'digits', '--data-dir', 'data', '--batch-size', 7),
        cwd=folder,
    )


def fuzz(tries: int, seed: int) -> Counter:
    """Evaluate `tries` changed networks: how many ended in each way. Prints what ended badly."""
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        small_digits(os.path.join(folder, 'data'))
        bases = list(networks())
        for number in range(tries):
            random = Random(f'{seed} strangers {number}')
            done = write(folder, random.choice(bases), random)
            ended = evaluate(folder)
            counts['evaluated' if ended.kind == trials.DONE else ended.kind] += 1
            if ended.kind not in (trials.DONE, trials.ONE_LINE):
                print(f'{ended.kind} {number}: {done}: {ended.err[-300:]}', flush=True)
    return counts
