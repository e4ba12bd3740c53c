"""A trained network as an ONNX file.

The networks of the paper are made of ten operators. Each is a line of OPERATORS, which reads MXNet's graph as it is.
GluonCV's need one more.
MXNet's own exporter is not used: it writes ReduceMean's axes as current versions of ONNX refuse them, and asks for a
label for each member of an ensemble.
"""

import ast
from collections.abc import Callable
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from common.errors import UserError
from common.files import replacing
from interop.trained import Trained, image_shape
from symbols.analysis.graph import to_dict

OPSET, IR_VERSION = 13, 8  # old enough for every runtime of the last years
WITHOUT, WITH = 'data', 'images'  # the input, without and with preprocessing


def _convolution(inputs, attributes, arrays):
    kernel = attributes['kernel']
    ones = (1,) * len(kernel)
    return (
        'Conv',
        inputs,
        dict(
            kernel_shape=kernel,
            strides=attributes.get('stride') or ones,
            pads=2 * tuple(attributes.get('pad') or (0,) * len(kernel)),
            dilations=attributes.get('dilate') or ones,
            group=attributes.get('num_group', 1),
        ),
    )


def _batch_norm(inputs, attributes, arrays):
    if attributes.get('fix_gamma', True):
        inputs = [inputs[0], np.ones_like(arrays[inputs[1]]), *inputs[2:]]
    return 'BatchNormalization', inputs, dict(epsilon=attributes.get('eps', 1e-3))


def _activation(inputs, attributes, arrays):
    if attributes['act_type'] != 'relu':
        raise UserError(f'the activation {attributes["act_type"]} is in no network of the paper')
    return 'Relu', inputs, {}


def _pooling(inputs, attributes, arrays):
    kind, given = attributes.get('pool_type', 'max'), {}
    if attributes.get('global_pool'):
        return {'avg': 'GlobalAveragePool', 'max': 'GlobalMaxPool'}[kind], inputs, given
    is_full, counts_pads = attributes.get('pooling_convention') == 'full', attributes.get('count_include_pad')
    if kind == 'avg':
        if is_full and counts_pads is not False:
            raise UserError('windows over the edge, averaged with the padding, mean another thing in ONNX')
        given = dict(count_include_pad=int(counts_pads is not False))
    return (
        {'avg': 'AveragePool', 'max': 'MaxPool'}[kind],
        inputs,
        dict(
            kernel_shape=attributes['kernel'],
            strides=attributes.get('stride') or (1, 1),
            pads=2 * tuple(attributes.get('pad') or (0, 0)),
            ceil_mode=int(is_full),
            **given,
        ),
    )


def _mean(inputs, attributes, arrays):
    return 'ReduceMean', inputs, dict(axes=attributes['axis'], keepdims=int(attributes.get('keepdims', False)))


def _plain(kind: str, number: int | None = None, **given) -> Callable:
    return lambda inputs, attributes, arrays: (kind, inputs[:number], given)


# MXNet's operator → (inputs, attributes, arrays) → (ONNX's operator, inputs: names or constants, attributes).
OPERATORS: dict[str, Callable] = {
    'Convolution': _convolution,
    'BatchNorm': _batch_norm,
    'Activation': _activation,
    'Pooling': _pooling,
    'mean': _mean,
    'elemwise_add': _plain('Add'),
    'Flatten': _plain('Flatten', axis=1),  # GluonCV's networks
    'add_n': _plain('Sum'),
    '_mul_scalar': lambda inputs, attributes, arrays: ('Mul', [*inputs, np.float32(attributes['scalar'])], {}),
    'FullyConnected': _plain('Gemm', transB=1),
    'SoftmaxOutput': _plain('Softmax', 1, axis=1),  # without the label
}


def write(trained: Trained, path: str, with_preprocessing: bool = False) -> None:
    """Write a network to an .onnx file, its facts as metadata.

    Its input is `data` (batch, 3, height, width) float32, normalized; with preprocessing `images`, the same shape,
    uint8, RGB from 0 to 255. Its output is `probabilities` (batch, classes), of an ensemble the mean of its members'.
    """
    model = build(trained, with_preprocessing)
    with replacing(path) as temporary:
        onnx.save(model, temporary)


def build(trained: Trained, with_preprocessing: bool = False) -> onnx.ModelProto:
    """The model that `write` writes, checked."""
    nodes, constants = [], dict(trained.arrays)
    if with_preprocessing:
        nodes += _preprocessing(trained.facts, constants)
    heads = _convert(trained, nodes, constants)
    nodes.append(helper.make_node('Mean' if len(heads) > 1 else 'Identity', heads, ['probabilities']))
    used = {name for node in nodes for name in node.input}
    name, kind = (WITH, TensorProto.UINT8) if with_preprocessing else (WITHOUT, TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        '-'.join(str(trained.facts[name]) for name in ('net', 'depth') if trained.facts.get(name)),
        [helper.make_tensor_value_info(name, kind, ['batch', *image_shape(trained.facts)])],
        [helper.make_tensor_value_info('probabilities', TensorProto.FLOAT, ['batch', trained.facts['num_classes']])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='deep-fusion',
    )
    facts = trained.facts.items()
    helper.set_model_props(model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts})
    onnx.checker.check_model(model, full_check=True)
    return model


def _preprocessing(facts, constants):
    for name in ('mean', 'std'):
        constants[f'{name}_of_channels'] = np.array(facts[name], np.float32).reshape(-1, 1, 1)
    return [
        helper.make_node('Cast', [WITH], ['float_images'], to=TensorProto.FLOAT),
        helper.make_node('Sub', ['float_images', 'mean_of_channels'], ['centered_images']),
        helper.make_node('Div', ['centered_images', 'std_of_channels'], [WITHOUT]),
    ]


def _convert(trained, nodes, constants):
    """Append the symbol's nodes and constants; returns the names of its outputs."""
    graph = to_dict(trained.symbol)
    for node in graph['nodes']:
        if node['op'] == 'null':
            continue
        if node['op'] not in OPERATORS:
            raise UserError(
                f'the operator {node["op"]} of {node["name"]} is in no network of the paper: no ONNX for it'
            )
        attributes = {key: _value(text) for key, text in node.get('attrs', {}).items()}
        names = [graph['nodes'][source]['name'] for source, *_ in node['inputs']]
        if node['op'] == 'FullyConnected':  # which takes what is not flat as well
            nodes.append(helper.make_node('Flatten', names[:1], [f'{node["name"]}_flat'], axis=1))
            names[0] = f'{node["name"]}_flat'
        kind, inputs, given = OPERATORS[node['op']](names, attributes, trained.arrays)
        for number, value in enumerate(inputs):
            if not isinstance(value, str):
                inputs[number] = f'{node["name"]}_constant{number}'
                constants[inputs[number]] = np.asarray(value)
        nodes.append(helper.make_node(kind, inputs, [node['name']], name=node['name'], **given))
    return [graph['nodes'][source]['name'] for source, *_ in graph['heads']]


def _value(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
