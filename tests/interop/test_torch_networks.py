"""The networks in PyTorch are those in MXNet: names, probabilities, gradients, running statistics."""

import numpy as np
import pytest

from interop import names
from interop.trained import ARGUMENTS
from tests.interop.networks import LARGE, SMALL, untrained
from tests.reference import predict, train_pass

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')
torch_networks = pytest.importorskip('interop.torch_networks')


def put(trained):
    """The network in PyTorch with the weights of one in MXNet."""
    net = torch_networks.build(**{name: trained.facts[name] for name in ARGUMENTS if name in trained.facts})
    weights = {names.to_torch(name): torch.from_numpy(value.copy()) for name, value in trained.arrays.items()}
    net.load_state_dict(weights)
    return net


@pytest.mark.parametrize('arguments', SMALL, ids=lambda arguments: '-'.join(map(str, arguments.values())))
def test_evaluation_gives_the_probabilities_of_mxnet(arguments, random):
    trained = untrained(**arguments)
    data = random.normal(size=(4, 3, 32, 32)).astype(np.float32)
    expected = np.mean(predict(trained.symbol, trained.parameters, trained.statistics, data), axis=0)
    with torch.no_grad():
        found = put(trained).eval().predict(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize('arguments', LARGE, ids=lambda arguments: '-'.join(map(str, arguments.values())))
def test_evaluation_of_networks_for_imagenet(arguments, random):
    trained = untrained(**arguments, num_classes=7, is_imagenet=True)
    data = random.normal(size=(2, 3, 64, 64)).astype(np.float32)
    (expected,) = predict(trained.symbol, trained.parameters, trained.statistics, data)
    with torch.no_grad():
        found = put(trained).eval().predict(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize('arguments', [SMALL[5], SMALL[12], SMALL[13]], ids=['dfn-mr', 'ensemble', 'tandem'])
def test_a_pass_in_training_moves_the_same_statistics(arguments, random):
    """MXNet on the CPU keeps the biased variance, PyTorch the unbiased one: n / (n - 1) times as large."""
    trained = untrained(**arguments)
    data = random.normal(size=(4, 3, 32, 32)).astype(np.float32)
    labels = np.array([0, 1, 2, 3])
    expected = train_pass(trained.symbol, trained.parameters, data, labels, trained.statistics)
    net = put(trained).train()
    torch_networks.loss(net(torch.from_numpy(data)), torch.from_numpy(labels)).backward()
    found = {names.to_mxnet(name): value.numpy() for name, value in net.state_dict().items() if 'tracked' not in name}
    for name, value in expected.statistics.items():
        unbiased, old = 1.0, 0.9 * trained.statistics[name]
        if name.endswith('_var'):
            side = {'block1': 32, 'group1': 32, 'block2': 16, 'group2': 16, 'block3': 8, 'group3': 8}
            width = next((width for place, width in side.items() if place in name), 32)
            unbiased = (4 * width**2) / (4 * width**2 - 1)
        np.testing.assert_allclose(found[name], old + unbiased * (value - old), rtol=1e-3, atol=1e-4, err_msg=name)
    for name, value in net.named_parameters():
        gradient = expected.gradients[names.to_mxnet(name)] / len(data)
        difference = np.linalg.norm(value.grad.numpy() - gradient)  # a ReLU at 0 may go either way
        assert difference < 0.02 * np.linalg.norm(gradient), name


def test_initial_weights_are_the_papers():
    torch.manual_seed(0)
    net = torch_networks.build('resnet', 20, widen=4)
    weight = net.group3_unit2.branch.layer1.conv.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    assert net.fc.weight.abs().max().item() == pytest.approx(256**-0.5, rel=0.01) and not net.fc.bias.any()
    assert all(module.momentum == pytest.approx(0.1) for module in net.modules() if hasattr(module, 'running_mean'))


@pytest.mark.parametrize('arguments', [('dfn-mr', 15), ('dfn1', 50), ('alexnet', 8)])
def test_a_network_that_does_not_exist(arguments):
    with pytest.raises(ValueError):
        torch_networks.build(*arguments)


def test_save_and_load_give_the_same_network(tmp_path, random):
    net = torch_networks.build('ensemble', 8, components=['LRL', 'RRR'])
    net(torch.from_numpy(random.normal(size=(4, 3, 32, 32)).astype(np.float32)))  # moves the statistics
    torch_networks.save(net, tmp_path / 'a.safetensors', dataset='cifar10', epochs=1)
    again = torch_networks.load(tmp_path / 'a.safetensors')
    assert not again.training and again.facts['components'] == ['LRL', 'RRR'] and again.facts['dataset'] == 'cifar10'
    for name, value in net.state_dict().items():
        if 'tracked' not in name:
            assert torch.equal(value, again.state_dict()[name]), name
