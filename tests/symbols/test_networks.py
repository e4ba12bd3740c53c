"""The networks against the paper's sizes, a second implementation in numpy, and GluonCV."""
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import symbols
from common.mxnet import mx
from common.errors import UserError
from symbols.analysis.summary import parameter_shapes, summarise
from tests.conftest import ROOT
from tests.symbols import numpy_networks
from training.initialiser import initial_parameters

DEPTHS = (14, 20, 26, 32, 38, 50, 56, 62, 74, 98, 110, 194)

# Counted on the authors' released definitions; None where the paper has no such network.
PARAMETERS = {
    'plain': (172506, 269722, 366938, None, 561370, 755802, None, 950234, 1144666, 1533530, 1727962, 3088986),
    'resnet': (175258, 272474, 369690, None, 564122, 758554, None, 952986, 1147418, 1536282, 1730714, 3091738),
    'dfn-il': (346650, 541082, 735514, 929946, 1124378, 1513242, 1707674, None, None, 3068698, None, None),
    'dfn-mr': (349402, 543834, 738266, 932698, 1127130, 1515994, 1710426, None, None, 3071450, None, None),
    'dfn-f3': (198074, 295290, 392506, None, 586938, 781370, None, 975802, 1170234, 1559098, 1753530, None),
    'dfn-f6': (198074, 295290, 392506, None, 586938, 781370, None, 975802, 1170234, 1559098, 1753530, None),
}


@pytest.mark.parametrize('net, depth, expected', [
    (net, depth, count) for net, counts in PARAMETERS.items() for depth, count in zip(DEPTHS, counts) if count])
def test_parameters_and_depth_are_the_papers(net, depth, expected):
    counted = summarise(symbols.get_symbol(net, depth))
    assert counted.parameters == expected
    assert counted.depth == depth


@pytest.mark.parametrize('depth, classes, expected', [(32, 10, 14851402), (32, 100, 14874532), (50, 10, 24151882)])
def test_wide_networks_of_table_5(depth, classes, expected):
    assert summarise(symbols.get_symbol('dfn-mr', depth, classes, widen=4)).parameters == expected


def test_without_identity_a_dfn_il_lacks_only_its_projections():
    with_identity, without = (symbols.get_symbol(net, 26) for net in ('dfn-il', 'dfn-il-noid'))
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert summarise(with_identity).parameters - summarise(without).parameters == projections


def test_multiply_adds_of_resnet_20_by_hand():
    # C, then per group (first convolution, the others) and the projections, output size × filter size
    first = 32 * 32 * 16 * 27
    group1 = 6 * 32 * 32 * 16 * 144
    group2 = 16 * 16 * 32 * (144 + 5 * 288 + 16)
    group3 = 8 * 8 * 64 * (288 + 5 * 576 + 32)
    assert summarise(symbols.get_symbol('resnet', 20)).multiply_adds == first + group1 + group2 + group3 + 640


def unit_of(name):
    """Sorts parameters by unit; inside a unit they keep the symbol's order. (Between units MXNet's does not
    follow the definition: it comes to a projection of the first stream before the unit above is complete.)"""
    numbers = re.match(r'group(\d+)_unit(\d+)_|block(\d+)_', name)
    return {'C': (0,), 'f': (9,)}[name[0]] if not numbers else tuple(int(i) for i in numbers.groups() if i)


@pytest.mark.parametrize('net', [*PARAMETERS, 'dfn-il-noid'])
@pytest.mark.parametrize('depth', [8, 14])
def test_scores_equal_those_of_the_network_in_numpy(random, net, depth):
    """Same weights, forward in training, so with the batch's statistics."""
    symbol = symbols.get_symbol(net, depth)
    shapes = parameter_shapes(symbol)
    weights = {name: random.normal(1 if name.endswith('gamma') else 0, 0.3, shape).astype(np.float32)
               for name, shape in shapes.items()}
    data = random.randn(4, 3, 32, 32).astype(np.float32)
    executor = symbol.simple_bind(mx.cpu(), data=data.shape)
    for name, weight in weights.items():
        executor.arg_dict[name][:] = weight
    ours = executor.forward(is_train=True, data=mx.nd.array(data))[0].asnumpy()

    build = getattr(numpy_networks, net.replace('-', '_'))
    parameters = iter(weights[name].astype(np.float64) for name in sorted(weights, key=unit_of))
    expected = build(data.astype(np.float64), parameters, (depth - 2) // 6)
    assert next(parameters, None) is None  # all were used
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-5)


def test_resnet_20_is_gluoncvs_with_the_same_weights(random):
    from gluoncv.model_zoo import get_model

    theirs = get_model('cifar_resnet20_v1', classes=10)
    theirs.initialize(mx.init.Normal(0.3))
    theirs.apply(lambda block: isinstance(block, mx.gluon.nn.BatchNorm) and block._kwargs.update(eps=2e-5))
    data = mx.nd.array(random.randn(4, 3, 32, 32))
    with mx.autograd.record():
        first, norm, *rest = theirs.features
        x = mx.nd.relu(norm(first(data)))  # which GluonCV leaves out
        for block in rest:
            x = block(x)
        scores = theirs.output(x)

    trained = [p for p in theirs.collect_params().values() if 'running' not in p.name]
    layers = [trained[i:i + 3] for i in range(0, len(trained) - 2, 3)]  # convolution, gamma, beta
    for i in [i for i, (weight, *_) in enumerate(layers) if weight.shape[2] == 1]:
        layers.insert(i - 2, layers.pop(i))  # GluonCV composes the projection after the branch
    values = [p.data() for p in sum(layers, []) + trained[-2:]]

    ours = symbols.get_symbol('resnet', 20)
    executor = ours.simple_bind(mx.cpu(), data=data.shape)
    names = list(parameter_shapes(ours))
    assert len(names) == len(values)
    for name, value in zip(names, values):
        executor.arg_dict[name][:] = value
    softmax = executor.forward(is_train=True, data=data)[0].asnumpy()
    np.testing.assert_allclose(softmax, mx.nd.softmax(scores).asnumpy(), rtol=1e-4, atol=1e-6)


def test_symbol_has_the_promised_inputs_and_output():
    symbol = symbols.get_symbol('dfn-mr', 14, num_classes=100)
    arguments = symbol.list_arguments()
    assert arguments[0] == 'data' and arguments[-1] == 'softmax_label'
    assert symbol.list_outputs() == ['softmax_output']
    assert [node['op'] for node in json.loads(symbol.tojson())['nodes']].count('SoftmaxOutput') == 1
    assert symbol.infer_shape(data=(5, 3, 32, 32))[1] == [(5, 100)]


def test_batchnorm_is_the_papers():
    for momentum in (0.9, 0.99):
        graph = json.loads(symbols.get_symbol('resnet', 14, bn_momentum=momentum).tojson())['nodes']
        norms = [node['attrs'] for node in graph if node['op'] == 'BatchNorm']
        assert len(norms) == 15
        for attributes in norms:
            assert float(attributes['eps']) == 2e-5 and float(attributes['momentum']) == momentum
            assert attributes['fix_gamma'] == 'False'


def test_gradient_of_the_loss_is_softmax_minus_label(random):
    """SoftmaxOutput sums over the batch; the optimiser divides by the number of images."""
    symbol = symbols.get_symbol('plain', 8)
    executor = symbol.simple_bind(mx.cpu(), data=(4, 3, 32, 32))
    for name, shape in parameter_shapes(symbol).items():
        executor.arg_dict[name][:] = initial_parameters({name: shape}, 1)[name]
    labels = np.array([3, 1, 4, 1])
    softmax = executor.forward(is_train=True, data=mx.nd.array(random.randn(4, 3, 32, 32)),
                               softmax_label=mx.nd.array(labels))[0].asnumpy()
    executor.backward()
    expected = softmax.copy()
    expected[np.arange(4), labels] -= 1
    np.testing.assert_allclose(executor.grad_dict['fc_bias'].asnumpy(), expected.sum(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('depth, near', [(57, '56 and 62'), (12, '8 and 14'), (2, '8'), (0, '8'), (-6, '8')])
def test_a_depth_that_is_not_6n_plus_2_names_the_nearest(depth, near):
    with pytest.raises(UserError, match='6n \\+ 2: the nearest (is|are) %s$' % near):
        symbols.get_symbol('dfn-mr', depth)


def test_an_unknown_network_names_those_there_are():
    with pytest.raises(ValueError, match='unknown network .*plain, resnet, dfn-il'):
        symbols.get_symbol('vgg', 14)


def test_importing_symbols_alone_sets_mxnet_up():
    code = ('import symbols, sys; assert "mxnet" in sys.modules; import mxnet as mx, numpy as np; '
            'assert np.bool is bool; print(mx.nd.ones((2,)).sum().asscalar())')
    assert subprocess.check_output([sys.executable, '-c', code], cwd=ROOT).strip() == b'2.0'


@pytest.mark.parametrize('net, depth, parameters, ensemble', [
    ('dfn-mr', 56, '1,710,426', '2^54'), ('resnet', 14, '175,258', '64'), ('dfn-f6', 20, '295,290', '64'),
    ('dfn-mr', 98, '3,071,450', '2^96'), ('dfn-il', 14, '346,650', '729'), ('plain', 14, '172,506', '1')])
def test_summary_prints_the_size(command, net, depth, parameters, ensemble):
    _, out, _ = command('-m', 'symbols', 'summary', '--net', net, '--depth', depth, check=0)
    values = dict(re.findall(r'^(\S+(?: size)?) {2,}(.*)$', out, re.M))
    assert list(values) == ['network', 'parameters', 'multiply-adds', 'depth', 'ensemble size']
    assert values['parameters'] == parameters and values['ensemble size'] == ensemble
    assert values['depth'] == str(depth) and values['network'] == '%s %d, 10 classes' % (net, depth)
