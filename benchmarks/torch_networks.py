"""Networks of the paper in PyTorch, to compare with: ResNet, DFN-IL and DFN-MR for 32×32 images, DFN-MR for ImageNet.

They are written as one writes networks in PyTorch. Their modules have the names of our layers, so that `load_weights`
can give them our weights and the probabilities can be compared.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu


class Layer(nn.Module):
    """Convolution → BatchNorm, then ReLU unless `with_relu` is False."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, with_relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=2e-5)
        self.with_relu = with_relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return relu(x, inplace=True) if self.with_relu else x


def basic_branch(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Two layers of 3×3."""
    return _branch(Layer(in_channels, out_channels, 3, stride), Layer(out_channels, out_channels, with_relu=False))


def bottleneck_branch(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Layers of 1×1, 3×3 and 1×1, with a quarter of the channels inside."""
    inside = out_channels // 4
    return _branch(
        Layer(in_channels, inside, 1), Layer(inside, inside, 3, stride), Layer(inside, out_channels, 1, with_relu=False)
    )


def _branch(*layers):
    branch = nn.Sequential()
    for number, layer in enumerate(layers, 1):
        branch.add_module(f'layer{number}', layer)
    return branch


def _shortcut(in_channels, out_channels, stride):
    if in_channels == out_channels:
        return nn.Identity()
    return Layer(in_channels, out_channels, 1, stride, with_relu=False)


class ResNetUnit(nn.Module):
    """relu(shortcut(x) + branch(x))."""

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.branch = branch(in_channels, out_channels, stride)

    def forward(self, x):
        return relu(self.branch(x) + self.shortcut(x), inplace=True)


class InceptionLikeUnit(nn.Module):
    """relu(shortcut(x) + branch1(x) + branch2(x))."""

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.branch1 = branch(in_channels, out_channels, stride)
        self.branch2 = branch(in_channels, out_channels, stride)

    def forward(self, x):
        return relu(self.branch1(x) + self.branch2(x) + self.shortcut(x), inplace=True)


class MergeAndRunUnit(nn.Module):
    """Two streams a, b → relu(branch1(a) + m), relu(branch2(b) + m), where m is the mean of their shortcuts.

    The last unit adds up both branches and m, which counts twice in networks for ImageNet.
    """

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.shortcut1 = _shortcut(in_channels, out_channels, stride)
        self.shortcut2 = _shortcut(in_channels, out_channels, stride)
        self.branch1 = branch(in_channels, out_channels, stride)
        self.branch2 = branch(in_channels, out_channels, stride)
        self.last, self.merges_twice = last, branch is bottleneck_branch

    def forward(self, streams):
        a, b = streams if isinstance(streams, tuple) else (streams, streams)
        merged = (self.shortcut1(a) + self.shortcut2(b)) * 0.5
        a, b = self.branch1(a), self.branch2(b)
        if self.last:
            return relu(a + b + (2 * merged if self.merges_twice else merged), inplace=True)
        return relu(a + merged, inplace=True), relu(b + merged, inplace=True)


UNITS = {'resnet': ResNetUnit, 'dfn-il': InceptionLikeUnit, 'dfn-mr': MergeAndRunUnit}


class UnitNetwork(nn.Module):
    """Layer C, groups of units, mean over the image, FC.

    Args:
        unit: a class of UNITS.
        groups: [(units, channels), …].
        branch: basic_branch or bottleneck_branch.
        channels: of C.
        num_classes: outputs.
        imagenet: whether C has kernel 7 and stride 2, and max pooling follows.
    """

    def __init__(
        self,
        unit: Callable[..., nn.Module],
        groups: Sequence[tuple[int, int]],
        branch: Callable,
        channels: int,
        num_classes: int,
        imagenet: bool = False,
    ):
        super().__init__()
        self.C = Layer(3, channels, 7, 2) if imagenet else Layer(3, channels)
        self.pool = nn.MaxPool2d(3, 2) if imagenet else nn.Identity()
        self.units = []
        for group, (count, out_channels) in enumerate(groups, 1):
            for number in range(1, count + 1):
                name, stride = f'group{group}_unit{number}', 2 if group > 1 and number == 1 else 1
                last = group == len(groups) and number == count
                self.add_module(name, unit(channels, out_channels, stride, branch, last))
                self.units.append(name)
                channels = out_channels
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.C(x))
        for name in self.units:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


def build(net: str, depth: int, imagenet: bool = False) -> UnitNetwork:
    """The network of a name and depth, with PyTorch's own initial weights; for ImageNet, DFN-MR 44 alone."""
    if imagenet:
        assert (net, depth) == ('dfn-mr', 44)
        groups = [(2, 256), (2, 512), (8, 1024), (2, 2048)]
        return UnitNetwork(UNITS[net], groups, bottleneck_branch, 64, 1000, imagenet=True)
    groups = [((depth - 2) // 6, channels) for channels in (16, 32, 64)]
    return UnitNetwork(UNITS[net], groups, basic_branch, 16, 10)


def load_weights(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put our weights, {name: array}, into a network. Every one has to find its place."""
    names = {
        name: name.replace('.', '_').replace('_bn_weight', '_bn_gamma').replace('_bn_bias', '_bn_beta')
        for name, _ in module.named_parameters()
    }
    assert sorted(names.values()) == sorted(arrays), 'the networks have different parameters'
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(torch.from_numpy(arrays[names[name]]))
