"""The networks for ImageNet against the same networks in numpy, and the sizes of the released definitions."""

import numpy as np
import pytest

from common.errors import UserError
from symbols import imagenet
from symbols.analysis.summary import parameter_shapes, summarize
from tests.reference import train_pass
from tests.symbols import numpy_networks


@pytest.mark.parametrize('net, depth', [pair for pair in imagenet.NETWORKS if pair != ('resnet', 101)])
def test_scores_are_those_of_the_network_in_numpy(random, monkeypatch, net, depth):
    """In training, so with the batch's statistics; a quarter of the channels. ResNet-101 differs from 50 in numbers."""
    monkeypatch.setattr(imagenet, 'WIDTHS', (64, 128, 256, 512))
    symbol, data = imagenet.get_symbol(net, depth, num_classes=7), random.randn(2, 3, 64, 64)
    weights = {
        name: random.normal(1, 0.1, shape)
        if name.endswith('gamma')
        else random.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        for name, shape in parameter_shapes(symbol, data.shape[1:]).items()
    }
    network = getattr(numpy_networks, f'imagenet_{net.replace("-", "_")}')
    expected = numpy_networks.scores(network, data, weights, imagenet.NETWORKS[net, depth].units)
    (found,) = train_pass(symbol, weights, data, np.zeros(2)).outputs
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize(
    'net, depth, parameters', [('resnet', 50, 25557032), ('resnet', 101, 44549160), ('dfn-mr', 44, 43338024)]
)
def test_parameters_are_those_of_the_released_definitions(net, depth, parameters):
    counted = summarize(imagenet.get_symbol(net, depth), imagenet.IMAGE_SHAPE)
    assert counted.parameters == parameters and counted.depth == depth


def test_the_feature_maps_have_the_released_codes_sizes():
    """The max pooling pads nothing: 112 → 55, and 28, 14, 7 after it."""
    internals = imagenet.get_symbol('resnet', 50).get_internals()
    _, shapes, _ = internals.infer_shape(data=(1, *imagenet.IMAGE_SHAPE))
    sizes = dict(zip(internals.list_outputs(), shapes))
    assert [sizes[f'group{group}_unit1_branch_layer3_conv_output'][1:] for group in (1, 2, 3, 4)] == [
        (256, 55, 55),
        (512, 28, 28),
        (1024, 14, 14),
        (2048, 7, 7),
    ]


def test_a_network_that_is_not_there_names_those_that_are():
    with pytest.raises(UserError, match='no dfn1 101 for ImageNet: choose one of resnet 50, resnet 101, dfn-mr 44'):
        imagenet.get_symbol('dfn1', 101)


@pytest.mark.parametrize(
    'net, depth, title', [('resnet', 101, 'ResNet-101'), ('dfn-mr', 44, 'DFN-MR 44'), ('dfn1', 50, 'DFN1 50')]
)
def test_the_title_has_the_depth_once(net, depth, title):
    assert imagenet.title(net, depth) == title
