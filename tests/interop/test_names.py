"""Names of weights go from MXNet to PyTorch and back."""

import pytest

from interop import names
from tests.interop.conftest import LARGE, SMALL, untrained


@pytest.mark.parametrize('arguments', [*SMALL, dict(LARGE[2], is_imagenet=True)], ids=str)
def test_every_name_comes_back(arguments):
    ours = list(untrained(**arguments).arrays)
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
