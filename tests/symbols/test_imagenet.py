"""The networks for ImageNet against the same networks in numpy; their parameters and paths: test_paths.py."""
import numpy as np
import pytest

from common.mxnet import mx
from symbols import imagenet
from symbols.analysis.summary import parameter_shapes
from tests.symbols import numpy_networks
from tests.symbols.test_networks import unit_of


@pytest.mark.parametrize('net, depth', [pair for pair in imagenet.NETWORKS if pair != ('resnet', 101)])
def test_scores_equal_those_of_the_network_in_numpy(random, net, depth):
    """Same weights, forward in training, so with the batch's statistics; images of 64×64.

    ResNet-101 differs from 50 in numbers only.
    """
    symbol = imagenet.get_symbol(net, depth, num_classes=7)
    weights = {name: random.normal(1, 0.1, shape) if name.endswith('gamma') else
               random.normal(0, np.prod(shape[1:]) ** -0.5, shape)
               for name, shape in parameter_shapes(symbol, (3, 64, 64)).items()}
    data = random.randn(2, 3, 64, 64)
    executor = symbol.simple_bind(mx.cpu(), data=data.shape)
    for name, weight in weights.items():
        executor.arg_dict[name][:] = weight
    ours = executor.forward(is_train=True, data=mx.nd.array(data))[0].asnumpy()

    build = getattr(numpy_networks, 'imagenet_' + net.replace('-', '_'))
    parameters = iter(weights[name] for name in sorted(weights, key=unit_of))
    expected = build(data, parameters, imagenet.NETWORKS[net, depth].n)
    assert next(parameters, None) is None  # all were used
    np.testing.assert_allclose(ours, expected, rtol=5e-3, atol=1e-4)


def test_the_feature_maps_have_the_released_codes_sizes():
    """The max pooling pads nothing: 112 → 55, and 28, 14, 7 after it."""
    internals = imagenet.get_symbol('resnet', 50).get_internals()
    _, shapes, _ = internals.infer_shape(data=(1,) + imagenet.IMAGE_SHAPE)
    sizes = dict(zip(internals.list_outputs(), shapes))
    assert [sizes['group%d_unit1_branch_layer3_conv_output' % group][1:] for group in (1, 2, 3, 4)] == [
        (256, 55, 55), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]
