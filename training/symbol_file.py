"""A network in a file of MXNet (…-symbol.json), checked before MXNet sees it.

A symbol can hold anything: operators that run code, a group of 0 that ends the process, sizes beyond any memory. Here
only what residual networks for images are made of passes, with attributes in bounds. Python reads the file, and MXNet
gets what was understood, written anew, so both read the same. Hints that do not change a network's output, such as how
to initialize a variable, are left out.
"""

from collections.abc import Callable
import json
import math
import os
import re
from typing import Any, NamedTuple

from common.errors import UserError
from common.mxnet import mx
from symbols.analysis.graph import is_layer, nodes
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from training.arrays_file import MAX_SIZE as MAX_ARRAYS

MAX_SIZE = 32 << 20  # bytes
MAX_NODES = 100_000  # DFN-MR 1112 has 20,022
MAX_INPUTS = 1000  # of a node
MAX_OUTPUTS = 64
MAX_NAME = 200
MAX_VALUES = 1 << 24  # of the largest array, for one image
MAX_MULTIPLY_ADDS = 1 << 39  # for one image; ResNet-101 has 2^33
NAME_BYTES = 1000  # of an array in a file, beside its values, at most
BATCH = 7  # images, for the shapes: no size of a network happens to be it

Fits = Callable[[str], bool]


def whole(low: int, high: int) -> Fits:
    """Texts of whole numbers within bounds."""
    return lambda text: bool(re.fullmatch(r'-?\d{1,9}', text)) and low <= int(text) <= high


def number(low: float, high: float) -> Fits:
    """Texts of decimal numbers within bounds."""
    form = re.compile(r'[-+]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})(e[-+]?\d{1,2})?')
    return lambda text: bool(form.fullmatch(text)) and low <= float(text) <= high


def pair(low: int, high: int) -> Fits:
    """Texts of two whole numbers within bounds: of height and width."""
    form = re.compile(r'[(\[] ?(\d{1,6})L?, ?(\d{1,6})L? ?[)\]]')

    def fits(text):
        found = form.fullmatch(text)
        return found is not None and all(low <= int(size) <= high for size in found.groups())

    return fits


def one_of(*texts: str) -> Fits:
    """One of these texts."""
    return lambda text: text in texts


TRUE, FALSE = ('True', 'true', '1'), ('False', 'false', '0')
FLAG, NO = one_of(*TRUE, *FALSE), one_of(*FALSE)
TUNING = dict(  # of kernels for GPUs, and the layout that is the default
    workspace=whole(0, 8192),
    cudnn_tune=one_of('None', 'off', 'limited_workspace', 'fastest'),
    cudnn_off=FLAG,
    layout=one_of('None', 'NCHW'),
)
BATCH_NORM = dict(
    eps=number(1e-10, 1),
    momentum=number(0, 1),
    fix_gamma=FLAG,
    use_global_stats=FLAG,
    output_mean_var=NO,
    axis=one_of('1'),
    cudnn_off=FLAG,
)


class Operator(NamedTuple):
    """What is accepted of an operator.

    inputs: a letter each: x computed from the images, w a weight, s a running statistic, l the label; ? either x or w,
        which the output then is as well. `*` at the end: any number of the last.
    attributes: what it may have. needed: what it has to have.
    """

    inputs: str
    attributes: dict[str, Fits] = {}
    needed: tuple[str, ...] = ()


OPERATORS = {
    'Convolution': Operator(
        'xww',
        dict(
            kernel=pair(1, 64),
            stride=pair(1, 64),
            dilate=pair(1, 64),
            pad=pair(0, 64),
            num_filter=whole(1, 1 << 16),
            num_group=whole(1, 1 << 16),
            no_bias=FLAG,
            **TUNING,
        ),
        ('kernel', 'num_filter'),
    ),
    'FullyConnected': Operator(
        'xww', dict(num_hidden=whole(1, 1 << 20), no_bias=FLAG, flatten=one_of(*TRUE)), ('num_hidden',)
    ),
    'BatchNorm': Operator('xwwss', BATCH_NORM),
    '_contrib_BatchNormWithReLU': Operator('xwwss', BATCH_NORM),
    'Activation': Operator(
        'x', dict(act_type=one_of('relu', 'sigmoid', 'tanh', 'softrelu', 'softsign')), ('act_type',)
    ),
    'Pooling': Operator(
        'x',
        dict(
            kernel=pair(1, 512),
            stride=pair(1, 512),
            pad=pair(0, 64),
            pool_type=one_of('max', 'avg'),
            pooling_convention=one_of('valid', 'full'),
            global_pool=FLAG,
            count_include_pad=one_of('None', *TRUE, *FALSE),
            cudnn_off=FLAG,
            layout=one_of('None', 'NCHW'),
        ),
        ('kernel',),
    ),
    'elemwise_add': Operator('xx'),
    '_plus': Operator('xx'),
    'add_n': Operator('x*', dict(num_args=whole(1, 1000))),
    'ElementWiseSum': Operator('x*', dict(num_args=whole(1, 1000))),
    'Concat': Operator('x*', dict(num_args=whole(1, 1000), dim=one_of('1'))),
    '_mul_scalar': Operator('?', dict(scalar=number(-1e6, 1e6), is_int=FLAG), ('scalar',)),
    'amp_cast': Operator('?', dict(dtype=one_of('float32', 'float16', 'bfloat16')), ('dtype',)),
    'mean': Operator('x', dict(axis=one_of('(2, 3)', '(2,3)', '[2, 3]'), keepdims=FLAG, exclude=NO), ('axis',)),
    'Flatten': Operator('x'),
    'Dropout': Operator(
        'x', dict(p=number(0, 0.999), mode=one_of('training'), axes=one_of('()', '[]'), cudnn_off=FLAG)
    ),
    'identity': Operator('x'),
    '_copy': Operator('x'),
    'softmax': Operator(
        'x', dict(axis=one_of('-1', '1'), temperature=one_of('None', '1', '1.0'), dtype=one_of('None'))
    ),
    'SoftmaxOutput': Operator(
        'xl',
        dict(
            grad_scale=number(-1e9, 1e9),
            normalization=one_of('null', 'batch', 'valid'),
            ignore_label=number(-1e9, 1e9),
            use_ignore=FLAG,
            smooth_alpha=number(0, 1),
            multi_output=NO,
            preserve_shape=NO,
            out_grad=FLAG,
        ),
    ),
}
INPUTS = {'data': 'x', 'softmax_label': 'l'}  # what is fed, and its letter; all other variables come from the weights
HINTS = {'__dtype__': ('0', '-1', 'float32'), '__storage_type__': ('0', '-1', 'default')}  # float32 and dense


class NotAccepted(ValueError):
    """The symbol is not one that is read here; the text says why."""


def load(path: str) -> mx.sym.Symbol:
    """The network in a file.

    Raises:
        UserError: it is not a symbol, or not made of what is accepted.
    """
    try:
        if os.path.getsize(path) > MAX_SIZE:
            raise NotAccepted(f'it has more than {MAX_SIZE >> 20} MiB')
        with open(path, 'rb') as file:
            graph = json.loads(file.read().decode())
    except NotAccepted as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} cannot be read: truncated, or not a symbol of MXNet') from error
    return _build(path, graph)


def save(path: str, symbol: mx.sym.Symbol) -> None:
    """Write a network. Symbol.save would not notice a full disk, and removing amp_cast, of which there is none, leaks.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, 'w', encoding='utf-8') as file:
        file.write(symbol.tojson(remove_amp_cast=False))


def check_readable(name: str, symbol: mx.sym.Symbol, image_shape: tuple, devices: int) -> None:
    """Raise UserError unless a network can be read back once it is written.

    Args:
        name: of the network, for the message.
        image_shape: (channels, height, width).
        devices: of all workers; a checkpoint has the running statistics of each.
    """
    check_cost(_build(name, json.loads(symbol.tojson(remove_amp_cast=False))), image_shape)
    parameters, statistics = parameter_shapes(symbol, image_shape), statistics_shapes(symbol, image_shape)
    shapes = [*parameters.values(), *devices * [*statistics.values()]]
    size = sum(4 * math.prod(shape) + NAME_BYTES for shape in shapes)
    if size > MAX_ARRAYS:
        raise UserError(f'{name} has {size / 2**30:.1f} GiB of weights: no more than {MAX_ARRAYS >> 30} are read here')


def _build(where, graph):
    try:
        return mx.sym.load_json(json.dumps(_checked(graph), ensure_ascii=False))
    except NotAccepted as error:
        raise UserError(f'{where} is not a network that is read here: {error}') from error
    except mx.MXNetError as error:
        raise UserError(f'{where} is not a network that is read here: MXNet refuses it') from error


def _checked(graph: Any) -> dict:
    """The graph, written anew from what was understood."""
    _require(isinstance(graph, dict), 'it is not a symbol')
    listed, heads = graph.get('nodes'), graph.get('heads')
    _require(isinstance(listed, list) and 0 < len(listed) <= MAX_NODES, 'it needs a list of up to {} nodes', MAX_NODES)
    kinds: list[str] = []  # of the nodes so far: x, w, s, l, or v for a variable that nothing has read yet
    checked = [_node(node, index, kinds) for index, node in enumerate(listed)]
    variables = [index for index, node in enumerate(checked) if node['op'] == 'null']
    names = [checked[index]['name'] for index in variables]
    _require(len(set(names)) == len(names), 'two variables have one name')
    _require(graph.get('arg_nodes') == variables, 'arg_nodes does not list its variables')
    _require(isinstance(heads, list) and 0 < len(heads) <= MAX_OUTPUTS, 'it needs 1 to {} heads', MAX_OUTPUTS)
    outputs = [_source(head, len(checked)) for head in heads]
    _require(all(kinds[output] == 'x' for output in outputs), 'an output does not depend on the images')
    return {
        'nodes': checked,
        'arg_nodes': variables,
        'heads': [[output, 0, 0] for output in outputs],
        'attrs': {'mxnet_version': ['int', 10901]},
    }


def _node(node, index, kinds):
    """A node, written anew; its kind is appended to `kinds`."""
    _require(isinstance(node, dict), 'node {} is no node', index)
    name, inputs = node.get('name'), node.get('inputs')
    _require(isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable(), 'node {} has no name', index)
    try:
        _require(isinstance(inputs, list) and len(inputs) <= MAX_INPUTS, 'it has no list of inputs')
        sources = [_source(entry, index) for entry in inputs]
        op, attributes = _operator(node)
        kinds.append(_kind(name, op, attributes, sources, kinds))
    except NotAccepted as error:
        raise NotAccepted(f'{name!r}, node {index}: {error}') from None
    return {'op': op, 'name': name, 'attrs': attributes, 'inputs': [[entry[0], 0, *entry[2:]] for entry in inputs]}


def _operator(node):
    """A node's operator, and its attributes without hints."""
    op = node.get('op')
    attributes = node.get('attrs', node.get('attr', node.get('param', {})))  # the last two: before MXNet 1.0
    _require(isinstance(op, str) and (op == 'null' or op in OPERATORS), 'the operator {} is not read', op)
    _require(
        isinstance(attributes, dict) and all(isinstance(value, str) for value in attributes.values()),
        'it has attributes that are not texts',
    )
    _require(not node.get('subgraphs') and not node.get('control_deps'), 'it has a graph of its own')
    for hint, accepted in HINTS.items():
        _require(attributes.get(hint, '0') in accepted, 'it has {} {}', hint, attributes.get(hint))
    if op == 'null':
        return op, {}
    attributes = {key: value for key, value in attributes.items() if not key.startswith('__')}
    _check_attributes(op, attributes)
    return op, attributes


def _check_attributes(op, attributes):
    accepted = OPERATORS[op]
    for key, value in attributes.items():
        _require(key in accepted.attributes and accepted.attributes[key](value), 'it has {} {}', key, value)
    for key in accepted.needed:
        if key != 'kernel' or attributes.get('global_pool') not in TRUE:
            _require(key in attributes, 'it lacks {}', key)
    if op == 'Pooling' and 'kernel' in attributes:
        kernel, pad = (_sizes(attributes.get(key, '(0, 0)')) for key in ('kernel', 'pad'))
        _require(all(2 * p <= k for p, k in zip(pad, kernel)), 'it pads more than half of its kernel')
    if op == 'Convolution':
        groups = int(attributes.get('num_group', 1))
        _require(int(attributes['num_filter']) % groups == 0, 'it has filters that {} groups cannot share', groups)


def _kind(name, op, attributes, sources, kinds):
    """The kind of a node's output. A variable becomes what its first reader takes it for."""
    if op == 'null':
        _require(not sources, 'it is a variable with inputs')
        return INPUTS.get(name, 'v')
    wanted = OPERATORS[op].inputs
    if wanted.endswith('*'):
        wanted = wanted[0] * len(sources)
        _require(len(sources) == int(attributes.get('num_args', -1)), 'it has another num_args than inputs')
    elif attributes.get('no_bias') in TRUE:
        wanted = wanted[:-1]
    _require(len(sources) == len(wanted), 'it has {} inputs instead of {}', len(sources), len(wanted))
    for source, kind in zip(sources, wanted):
        if kinds[source] == 'v' and kind in 'ws?':
            kinds[source] = kind.replace('?', 'w')
        fits = kinds[source] == kind or (kind == '?' and kinds[source] in 'xw')
        _require(fits, 'it reads node {}, which cannot stand there', source)
    return kinds[sources[0]] if wanted == '?' else 'x'


def _source(entry, before):
    """The node that an entry [node, output, version] names; it has to come before the node that reads it."""
    _require(
        isinstance(entry, list)
        and len(entry) in (2, 3)
        and set(map(type, entry)) == {int}
        and 0 <= entry[0] < before
        and entry[1] == 0
        and 0 <= entry[-1] <= MAX_NODES,
        '{} does not name the output of a node before it',
        entry,
    )
    return entry[0]


def _sizes(text):
    return [int(size) for size in re.findall(r'\d+', text)]


def _require(condition, why, *values):
    if not condition:
        raise NotAccepted(why.format(*map(_shown, values)))


def _shown(value):
    text = ascii(value)
    return text if len(text) < 60 else f'{text[:57]}...'


def check_cost(symbol: mx.sym.Symbol, image_shape: tuple) -> None:
    """Raise UserError unless a network can be computed on images of `image_shape`, (channels, height, width), in
    bounded memory and time, and computes each image by itself.
    """
    internals = symbol.get_internals()
    try:
        _, shapes, _ = internals.infer_shape_partial(data=(BATCH, *image_shape))
        symbol.infer_type(**dict.fromkeys(symbol.list_arguments(), 'float32'))
    except mx.MXNetError as error:
        raise UserError(f'the network does not fit images of shape {image_shape}') from error
    multiply_adds = 0
    for node, shape in zip(nodes(symbol), shapes, strict=True):
        if not shape or min(shape) < 1:
            raise UserError(f'the network does not fit images of shape {image_shape}: {node["name"]} has no shape')
        if math.prod(shape) > BATCH * MAX_VALUES:
            raise UserError(f'the network is too large: {node["name"]} has the shape {shape} for {BATCH} images')
        if is_layer(node):
            multiply_adds += math.prod(shapes[node['inputs'][1][0]][1:]) * math.prod(shape) // BATCH
    if multiply_adds > MAX_MULTIPLY_ADDS:
        raise UserError(f'the network is too large: it takes {multiply_adds:,} multiply-adds an image')


def check_arrays(where: str, symbol: mx.sym.Symbol, image_shape: tuple, parameters: dict, statistics: dict) -> None:
    """Raise UserError unless these are a network's weights and running statistics.

    Args:
        where: what they are from, for the message.
        symbol: of the network; `check_cost` has passed it.
        parameters: {name: array}, of numpy or of MXNet; the statistics likewise.
    """
    for expected, arrays in (
        (parameter_shapes(symbol, image_shape), parameters),
        (statistics_shapes(symbol, image_shape), statistics),
    ):
        for name, shape in expected.items():
            if name not in arrays or arrays[name].shape != shape:
                raise UserError(f'{where}: the weights do not belong to the network: it needs {name} of shape {shape}')
        for name in arrays:
            if name not in expected:
                raise UserError(f'{where}: the weights do not belong to the network: it has no {name}')


def dtypes(symbol: mx.sym.Symbol) -> set[str]:
    """The types that parts of a network are computed in, beside float32."""
    return {node['attrs']['dtype'] for node in nodes(symbol) if node['op'] == 'amp_cast'} - {'float32'}
