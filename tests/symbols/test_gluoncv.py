"""GluonCV's networks as symbols: against GluonCV's own blocks with the same weights."""

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from symbols import gluoncv, imagenet
from symbols.analysis.summary import parameter_shapes, statistics_shapes, summarize
from symbols.fused import fuse
from symbols.options import KEYWORDS
from tests.common.test_mxnet import run_python
from tests.reference import train_pass
from training.initializer import initial_parameters
from training.replicas import Predictor

SHAPE = (3, 32, 32)
SMALL = 'gluoncv:cifar_resnet20_v1', 'gluoncv:cifar_resnet20_v2', 'gluoncv:cifar_resnext29_32x4d'


def weights_of(symbol, random, shape=SHAPE):
    """Weights, and statistics unlike those at the start."""
    weights = initial_parameters(parameter_shapes(symbol, shape), 1)
    statistics = {
        name: (random.uniform(0.1, 0.3, size) if name.endswith('_var') else random.normal(0, 0.1, size)).astype(
            np.float32
        )
        for name, size in statistics_shapes(symbol, shape).items()
    }
    return weights, statistics


@pytest.mark.parametrize('net', SMALL)
def test_the_scores_are_those_of_the_block(net, random):
    from common.gluoncv import gluoncv as library

    symbol = symbols.get_symbol(net, None, 7)
    weights, statistics = weights_of(symbol, random)
    images = random.randn(2, *SHAPE).astype(np.float32)
    (ours,) = Predictor(symbol, [mx.cpu()], SHAPE, weights, statistics).predict(images)  # as eval.py does
    with mx.name.NameManager():
        block = library.model_zoo.get_model(net.removeprefix(gluoncv.PREFIX), classes=7)
    block.initialize()
    block(mx.nd.array(images))
    arrays = {**weights, **statistics}
    for name, parameter in block.collect_params().items():
        parameter.set_data(mx.nd.array(arrays.pop(name)))
    assert not arrays
    theirs = mx.nd.softmax(block(mx.nd.array(images))).asnumpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert ours.std() > 0.01  # or all are 1/7


@pytest.mark.parametrize('net', SMALL)
def test_the_fused_form_learns_as_drawn(net, random):
    drawn = symbols.get_symbol(net, None)
    fused = fuse(drawn)
    assert '_contrib_BatchNormWithReLU' in fused.tojson()
    weights, _ = weights_of(drawn, random)
    images, labels = random.randn(4, *SHAPE), np.arange(4)
    one, other = (train_pass(symbol, weights, images, labels) for symbol in (drawn, fused))
    for name, gradient in one.gradients.items():
        np.testing.assert_allclose(other.gradients[name], gradient, rtol=1e-3, atol=1e-5, err_msg=name)


def test_parameters():
    """ResNet 110 is ours; the others are counted by hand, layer by layer, with 2 for each channel of a BatchNorm."""
    count = {
        net: summarize(symbols.get_symbol(f'gluoncv:{net}', None)).parameters
        for net in ('cifar_resnet110_v1', 'cifar_wideresnet28_10', 'cifar_resnext29_16x64d')
    }
    assert count['cifar_resnet110_v1'] == summarize(symbols.get_symbol('resnet', 110)).parameters

    wide = 2 * 3 + 3 * 16 * 9 + 2 * 16 + 2 * 640 + 640 * 10 + 10
    for before, width in ((16, 160), (160, 320), (320, 640)):
        wide += 2 * before + before * width * 9 + 2 * width + width * width * 9 + before * width  # the first of 4 units
        wide += 3 * (2 * 2 * width + 2 * width * width * 9)
    assert count['cifar_wideresnet28_10'] == wide

    next_ = 3 * 64 * 9 + 2 * 64 + 1024 * 10 + 10
    for before, width in ((64, 256), (256, 512), (512, 1024)):
        inside = 4 * width  # 16 groups of 64 channels in the first stage, with 64 channels of its own to count
        for entering in (before, width, width):
            next_ += entering * inside + inside * inside // 16 * 9 + inside * width + 2 * (2 * inside + width)
        next_ += before * width + 2 * width
    assert count['cifar_resnext29_16x64d'] == next_


def test_a_network_for_imagenet():
    symbol = imagenet.get_symbol('gluoncv:resnet50_v1b', None, 12)
    shapes = parameter_shapes(symbol, imagenet.IMAGE_SHAPE)
    assert shapes['resnetv1b_dense0_weight'] == (12, 2048)
    assert symbol.list_outputs() == ['softmax_output']


def test_names_and_numbers_do_not_depend_on_what_was_made_before():
    one, _, other = (symbols.get_symbol(net, None) for net in (SMALL[0], SMALL[1], SMALL[0]))
    assert one.tojson() == other.tojson()


def test_the_momentum_of_the_statistics():
    symbol = symbols.get_symbol(SMALL[0], None, bn_momentum=0.99)
    found = {values['momentum'] for values in symbol.attr_dict().values() if 'momentum' in values}
    assert found == {'0.99'}


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: symbols.get_symbol('gluoncv:cifar_resnet20', None), "no residual network 'cifar_resnet20' for small"),
        (lambda: symbols.get_symbol('gluoncv:cifar_resnet20', None), 'near ones are cifar_resnet20_v'),
        (lambda: symbols.get_symbol('gluoncv:resnet50_v1b', None), "'resnet50_v1b' for small images"),
        (lambda: symbols.get_symbol('gluoncv:', None), 'near ones are cifar_'),
        (lambda: imagenet.get_symbol('gluoncv:resnet50b', None), 'for ImageNet: near ones are .*resnet50_v1b'),
        (lambda: imagenet.get_symbol('gluoncv:se_resnet50_v1', None), 'no residual network'),
        (lambda: symbols.get_symbol(SMALL[0], 20), 'cifar_resnet20_v1 has no --depth: its name says'),
        (lambda: symbols.get_symbol(SMALL[0], None, widen=2), 'has no --widen'),
        (lambda: symbols.get_symbol(SMALL[0], None, path='RLR'), 'has no --path'),
        (lambda: imagenet.get_symbol('gluoncv:resnet50_v1b', 50), 'has no --depth'),
        (lambda: symbols.get_symbol(SMALL[0], None, dtype='float16'), 'in float32: leave out --dtype float16'),
        (lambda: symbols.get_symbol('resnet', None), 'how deep'),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_an_option_takes_every_name_of_gluoncvs_without_importing_it():
    choices = KEYWORDS['net']['choices']
    assert 'gluoncv:anything' in choices and 'dfn-mr' in choices and 'vgg' not in choices
    assert list(choices)[-1] == 'gluoncv:NAME'
    done = run_python('import sys, train_cifar, train_imagenet, eval; sys.exit("gluoncv" in sys.modules)')
    assert done.returncode == 0, done.stderr
