"""The names of weights and running statistics in MXNet and in PyTorch.

group1_unit1_branch_layer1_conv_weight      group1_unit1.branch.layer1.conv.weight
RL_block3_left_bn_moving_mean               block3.left.bn.RL_running_mean
"""

import re

# The networks that torch_networks builds; here, because what writes for PyTorch does without it.
NETWORKS = {
    *('plain', 'resnet', 'dfn-il', 'dfn-il-noid', 'dfn-mr', 'dfn-f3', 'dfn-f6'),
    *('component', 'ensemble', 'tandem', 'dfn1', 'dfn2'),
}
# How the last parts of a name are called: (MXNet, PyTorch).
KINDS = {
    'conv_weight': 'conv.weight',
    'bn_gamma': 'bn.weight',
    'bn_beta': 'bn.bias',
    'bn_moving_mean': 'bn.{}running_mean',
    'bn_moving_var': 'bn.{}running_var',
}
MXNET = re.compile(rf'(?:([LR]+)_)?(C|group\d+_unit\d+|block\d+)((?:_[a-z]+\d*)*?)_({"|".join(KINDS)})')
TORCH = re.compile(r'(C|group\d+_unit\d+|block\d+)((?:\.[a-z]+\d*)*?)\.(conv|bn)\.(?:([LR]+)_)?([a-z_]+)')
FC = {'fc_weight': 'fc.weight', 'fc_bias': 'fc.bias'}


def to_torch(name: str) -> str:
    """The name in PyTorch of a weight or statistic of MXNet's.

    Raises:
        ValueError: it is no name of the paper's networks.
    """
    if name in FC:
        return FC[name]
    found = MXNET.fullmatch(name)
    if not found:
        raise ValueError(f'{name} is no weight of the networks here')
    column, layer, parts, kind = found.groups()
    return f'{layer}{parts.replace("_", ".")}.{KINDS[kind].format(f"{column}_" if column else "")}'


def to_mxnet(name: str) -> str:
    """The name in MXNet of a weight or statistic of PyTorch's.

    Raises:
        ValueError: it is no name of the paper's networks.
    """
    for ours, theirs in FC.items():
        if name == theirs:
            return ours
    found = TORCH.fullmatch(name)
    kinds = {theirs.format(''): ours for ours, theirs in KINDS.items()}
    if not found or f'{found[3]}.{found[5]}' not in kinds:
        raise ValueError(f'{name} is no weight of the networks here')
    layer, parts, operator, column, kind = found.groups()
    return f'{f"{column}_" if column else ""}{layer}{parts.replace(".", "_")}_{kinds[f"{operator}.{kind}"]}'
