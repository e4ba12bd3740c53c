"""The networks against the paper's sizes, a second implementation in numpy, and GluonCV."""

import subprocess
import sys

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from symbols.analysis.summary import parameter_shapes, summarize
from tests.conftest import ROOT
from tests.reference import draw, train_pass
from tests.symbols import numpy_networks

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


@pytest.mark.parametrize('net', PARAMETERS)
def test_parameters_and_depth_are_the_papers(net):
    for depth, expected in zip(DEPTHS, PARAMETERS[net]):
        if expected:
            counted = summarize(symbols.get_symbol(net, depth))
            assert (counted.parameters, counted.depth) == (expected, depth)


@pytest.mark.parametrize('depth, classes, expected', [(32, 10, 14851402), (32, 100, 14874532), (50, 10, 24151882)])
def test_wide_networks_of_table_5(depth, classes, expected):
    assert summarize(symbols.get_symbol('dfn-mr', depth, classes, widen=4)).parameters == expected


def test_without_identity_a_dfn_il_lacks_only_its_projections():
    with_identity, without = (symbols.get_symbol(net, 26) for net in ('dfn-il', 'dfn-il-noid'))
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert summarize(with_identity).parameters - summarize(without).parameters == projections


@pytest.mark.parametrize('net', [*PARAMETERS, 'dfn-il-noid'])
@pytest.mark.parametrize('depth', [8, 14])
def test_scores_are_those_of_the_network_in_numpy(random, net, depth):
    """In training, so with the batch's statistics."""
    symbol, data = symbols.get_symbol(net, depth), random.randn(4, 3, 16, 16)
    weights = draw(symbol, random, data.shape[1:])
    expected = numpy_networks.scores(getattr(numpy_networks, net.replace('-', '_')), data, weights, (depth - 2) // 6)
    (found,) = train_pass(symbol, weights, data, np.zeros(4)).outputs
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5)


def test_resnet_20_is_gluoncvs_with_the_same_weights(random):
    from common.gluoncv import gluoncv

    theirs = gluoncv.model_zoo.get_model('cifar_resnet20_v1', classes=10)
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
    layers = [trained[i : i + 3] for i in range(0, len(trained) - 2, 3)]  # convolution, gamma, beta
    for i in [i for i, (weight, *_) in enumerate(layers) if weight.shape[2] == 1]:
        layers.insert(i - 2, layers.pop(i))  # GluonCV composes the projection after the branch
    values = [p.data().asnumpy() for p in sum(layers, []) + trained[-2:]]

    ours = symbols.get_symbol('resnet', 20)
    weights = dict(zip(parameter_shapes(ours), values, strict=True))
    (softmax,) = train_pass(ours, weights, data.asnumpy(), np.zeros(4)).outputs
    np.testing.assert_allclose(softmax, mx.nd.softmax(scores).asnumpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('depth, near', [(57, '56 and 62'), (12, '8 and 14'), (2, '8'), (0, '8'), (-6, '8')])
def test_a_depth_that_is_not_6n_plus_2_names_the_nearest(depth, near):
    with pytest.raises(UserError, match=f'6n \\+ 2: the nearest (is|are) {near}$'):
        symbols.get_symbol('dfn-mr', depth)


def test_an_unknown_network_names_those_there_are():
    with pytest.raises(ValueError, match='unknown network .*plain, resnet, dfn-il'):
        symbols.get_symbol('vgg', 14)


@pytest.mark.parametrize('sizes', [dict(widen=0), dict(num_classes=1)])
def test_a_size_that_makes_no_network_is_refused(sizes):
    with pytest.raises(UserError, match='a factor from 1 and at least two classes'):
        symbols.get_symbol('plain', 8, **sizes)


@pytest.mark.parametrize(
    'net, arguments, expected',
    [
        ('dfn-mr', {}, 'DFN-MR 14'),
        ('component', dict(path='RLR'), 'Component 14 (RLR)'),
        ('ensemble', dict(components=['LLL', 'RRR']), 'Ensemble 14 (LLL+RRR)'),
        ('ensemble', {}, 'Ensemble 14'),
    ],
)
def test_the_title_of_a_network(net, arguments, expected):
    assert symbols.title(net, 14, **arguments) == expected


def test_importing_symbols_alone_sets_mxnet_up():
    code = (
        'import symbols, sys; assert "mxnet" in sys.modules; import mxnet as mx, numpy; '
        'assert numpy.bool and numpy.PINF; print(mx.nd.ones((2,)).sum().asscalar())'
    )
    assert subprocess.check_output([sys.executable, '-c', code], cwd=ROOT).strip() == b'2.0'
