"""Networks of the paper in PyTorch, to compare with: ResNet, DFN-IL, DFN-MR for 32×32 images, DFN-MR for ImageNet.

Written as one writes them in PyTorch. The modules' names are those of our layers, so that weights can be loaded and
the scores compared (`load`).
"""
import torch
from torch import nn
from torch.nn.functional import relu


class Layer(nn.Module):
    """Convolution → BatchNorm, and ReLU where it is wanted."""

    def __init__(self, inputs, outputs, kernel=3, stride=1, with_relu=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=2e-5)
        self.with_relu = with_relu

    def forward(self, x):
        x = self.bn(self.conv(x))
        return relu(x, inplace=True) if self.with_relu else x


def basic_branch(inputs, outputs, stride):
    """Two layers."""
    return _branch(Layer(inputs, outputs, 3, stride), Layer(outputs, outputs, with_relu=False))


def bottleneck_branch(inputs, outputs, stride):
    """1×1, 3×3, 1×1."""
    inside = outputs // 4
    return _branch(Layer(inputs, inside, 1), Layer(inside, inside, 3, stride),
                   Layer(inside, outputs, 1, with_relu=False))


def _branch(*layers):
    branch = nn.Sequential()
    for number, layer in enumerate(layers, 1):
        branch.add_module('layer%d' % number, layer)
    return branch


def _shortcut(inputs, outputs, stride):
    return nn.Identity() if inputs == outputs else Layer(inputs, outputs, 1, stride, with_relu=False)


class ResNetUnit(nn.Module):
    """relu(shortcut(x) + branch(x))."""

    def __init__(self, inputs, outputs, stride, branch, last):
        super().__init__()
        self.shortcut, self.branch = _shortcut(inputs, outputs, stride), branch(inputs, outputs, stride)

    def forward(self, x):
        return relu(self.branch(x) + self.shortcut(x), inplace=True)


class InceptionLikeUnit(nn.Module):
    """relu(shortcut(x) + branch1(x) + branch2(x))."""

    def __init__(self, inputs, outputs, stride, branch, last):
        super().__init__()
        self.shortcut = _shortcut(inputs, outputs, stride)
        self.branch1, self.branch2 = branch(inputs, outputs, stride), branch(inputs, outputs, stride)

    def forward(self, x):
        return relu(self.branch1(x) + self.branch2(x) + self.shortcut(x), inplace=True)


class MergeAndRunUnit(nn.Module):
    """Two streams; the last unit gives one output, for ImageNet with the merge in it twice."""

    def __init__(self, inputs, outputs, stride, branch, last):
        super().__init__()
        self.shortcut1, self.shortcut2 = _shortcut(inputs, outputs, stride), _shortcut(inputs, outputs, stride)
        self.branch1, self.branch2 = branch(inputs, outputs, stride), branch(inputs, outputs, stride)
        self.last, self.merges = last, 2 if branch is bottleneck_branch else 1

    def forward(self, streams):
        a, b = streams if isinstance(streams, tuple) else (streams, streams)
        merged = (self.shortcut1(a) + self.shortcut2(b)) * 0.5
        a, b = self.branch1(a), self.branch2(b)
        if self.last:
            return relu(a + b + (2 * merged if self.merges == 2 else merged), inplace=True)
        return relu(a + merged, inplace=True), relu(b + merged, inplace=True)


UNITS = {'resnet': ResNetUnit, 'dfn-il': InceptionLikeUnit, 'dfn-mr': MergeAndRunUnit}


class Network(nn.Module):
    """Layer C, groups of units, mean, FC. groups: [(units, channels)]; images of ImageNet begin with stride 2 twice."""

    def __init__(self, unit, groups, branch, channels, classes, imagenet=False):
        super().__init__()
        self.C = Layer(3, channels, 7, 2) if imagenet else Layer(3, channels)
        self.pool = nn.MaxPool2d(3, 2) if imagenet else nn.Identity()
        self.units = []
        for group, (count, outputs) in enumerate(groups, 1):
            for number in range(1, count + 1):
                stride = 2 if group > 1 and number == 1 else 1
                name, last = 'group%d_unit%d' % (group, number), group == len(groups) and number == count
                self.add_module(name, unit(channels, outputs, stride, branch, last))
                self.units.append(name)
                channels = outputs
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.pool(self.C(x))
        for name in self.units:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


def network(net, depth, imagenet=False):
    """The network of a name and depth, with PyTorch's own initial weights."""
    if imagenet:
        assert (net, depth) == ('dfn-mr', 44)
        return Network(UNITS[net], list(zip((2, 2, 8, 2), (256, 512, 1024, 2048))), bottleneck_branch, 64, 1000, True)
    return Network(UNITS[net], [((depth - 2) // 6, channels) for channels in (16, 32, 64)], basic_branch, 16, 10)


def load(module, arrays):
    """Put our weights, {name: array}, into a network; every one has to be used."""
    names = {name: name.replace('.', '_').replace('_bn_weight', '_bn_gamma').replace('_bn_bias', '_bn_beta')
             for name, _ in module.named_parameters()}
    assert sorted(names.values()) == sorted(arrays), 'not the same parameters'
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(torch.from_numpy(arrays[names[name]]))
