"""Names of weights go from MXNet to PyTorch and back."""

import pytest

from interop import names
import symbols
from symbols import imagenet
from tests.interop.networks import LARGE, SMALL

NETWORKS = [(symbols, arguments) for arguments in SMALL] + [(imagenet, arguments) for arguments in LARGE]


@pytest.mark.parametrize('module, arguments', NETWORKS, ids=[str(arguments) for _, arguments in NETWORKS])
def test_every_name_comes_back(module, arguments):
    symbol = module.get_symbol(**arguments)
    inputs = ('data', 'softmax_label')
    ours = [name for name in symbol.list_arguments() + symbol.list_auxiliary_states() if name not in inputs]
    theirs = [names.to_torch(name) for name in ours]
    assert len(set(theirs)) == len(ours) and [names.to_mxnet(name) for name in theirs] == ours


def test_the_names_are_those_of_modules():
    assert names.to_torch('C_bn_gamma') == 'C.bn.weight'
    assert names.to_torch('group3_unit12_shortcut2_bn_moving_var') == 'group3_unit12.shortcut2.bn.running_var'
    assert names.to_torch('RL_block3_right10_bn_moving_mean') == 'block3.right10.bn.RL_running_mean'


@pytest.mark.parametrize('name', ['conv0_weight', 'group1_unit1_conv', 'XX_C_bn_gamma', ''])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError):
        names.to_torch(name)
    with pytest.raises(ValueError):
        names.to_mxnet(name.replace('_', '.'))


def test_the_networks_are_those_that_pytorch_builds():
    torch_networks = pytest.importorskip('interop.torch_networks')
    assert names.NETWORKS <= {*symbols.NETWORKS, *(net for net, _ in imagenet.NETWORKS)}
    for net in names.NETWORKS:
        given = {'path': 'RLR'} if net == 'component' else {}
        is_imagenet = net in ('dfn1', 'dfn2')
        assert torch_networks.build(net, 50 if is_imagenet else 8, imagenet=is_imagenet, **given).facts['net'] == net
