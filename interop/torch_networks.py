"""The paper's networks in PyTorch. This file needs nothing else of this repository, and can be copied.

    net = build('dfn-mr', 56)                       # He-initialized as in the paper, for 32×32 images
    net = build('dfn-mr', 44, imagenet=True)
    scores = net(normalized)                        # (batch, classes); of an ensemble (members, batch, classes)
    net = load('dfn-mr-14.safetensors')             # what `export.py RUN --to torch` wrote, in evaluation
    probabilities = net.predict(net.normalize(images))       # images: uint8 RGB, (batch, 3, height, width)
    save(net.train(), 'mine.safetensors', epochs=400)        # `export.py mine.safetensors --to run` takes it back

Modules have the names of the MXNet layers, `.` instead of `_`, so weights move between both (names.py).
"""

from collections.abc import Sequence
import json
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy, relu

EPSILON = 2e-5  # of BatchNorm
COMPONENTS = ('LLL', 'RLL', 'LRL', 'LLR', 'RRL', 'RLR', 'LRR', 'RRR')  # of N_f3, in the order of Tables 1 to 3
OF_OTHER_WEIGHTS = ('epoch', 'metrics', 'trained', 'weights_sha256')  # facts of a loaded file that training outdates
IMAGENET = {  # units in each of the four groups
    ('resnet', 50): (3, 4, 6, 3),
    ('resnet', 101): (3, 4, 23, 3),
    ('dfn-mr', 44): (2, 2, 8, 2),
    ('dfn1', 50): (3, 4, 6, 3),
    ('dfn2', 50): (3, 4, 6, 3),
}


class SharedBatchNorm(nn.Module):
    """BatchNorm for several inputs: gamma and beta are shared, each input has running statistics of its own."""

    def __init__(self, channels: int, inputs: Sequence[str]):
        super().__init__()
        self.momentum = 0.1
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        for name in inputs:
            self.register_buffer(f'{name}_running_mean', torch.zeros(channels))
            self.register_buffer(f'{name}_running_var', torch.ones(channels))

    def forward(self, x: Tensor, name: str) -> Tensor:
        mean, variance = getattr(self, f'{name}_running_mean'), getattr(self, f'{name}_running_var')
        return batch_norm(x, mean, variance, self.weight, self.bias, self.training, self.momentum, EPSILON)


class Layer(nn.Module):
    """Convolution → BatchNorm, then ReLU unless `with_relu` is False.

    Args:
        inputs: the names of the inputs that it is applied to, if there are several.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        with_relu: bool = True,
        inputs: Sequence[str] = ('',),
    ):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        several = tuple(inputs) != ('',)
        self.bn = SharedBatchNorm(out_channels, inputs) if several else nn.BatchNorm2d(out_channels, eps=EPSILON)
        self.with_relu = with_relu

    def forward(self, x: Tensor, name: str = '') -> Tensor:
        x = self.conv(x)
        x = self.bn(x, name) if name else self.bn(x)
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


def _projection(in_channels, out_channels, stride):
    return Layer(in_channels, out_channels, 1, stride, with_relu=False)


def _shortcut(in_channels, out_channels, stride):
    return nn.Identity() if in_channels == out_channels else _projection(in_channels, out_channels, stride)


class PlainUnit(nn.Module):
    """Two layers."""

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.layer1, self.layer2 = Layer(in_channels, out_channels, 3, stride), Layer(out_channels, out_channels)

    def forward(self, x):
        return self.layer2(self.layer1(x))


class ResNetUnit(nn.Module):
    """relu(shortcut(x) + branch(x))."""

    shortcut_of = staticmethod(_shortcut)

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.shortcut = self.shortcut_of(in_channels, out_channels, stride)
        self.branch = branch(in_channels, out_channels, stride)

    def forward(self, x):
        return relu(self.branch(x) + self.shortcut(x), inplace=True)


class DFN1Unit(ResNetUnit):
    """ResNet's unit with a projection for every shortcut (an inference, see symbols/imagenet.py)."""

    shortcut_of = staticmethod(_projection)


class InceptionLikeUnit(nn.Module):
    """relu(shortcut(x) + branch1(x) + branch2(x))."""

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.branch1 = branch(in_channels, out_channels, stride)
        self.branch2 = branch(in_channels, out_channels, stride)

    def forward(self, x):
        return relu(self.branch1(x) + self.branch2(x) + self.shortcut(x), inplace=True)


class InceptionLikeUnitWithoutIdentity(nn.Module):
    """relu(branch1(x) + branch2(x))."""

    def __init__(self, in_channels, out_channels, stride, branch, last):
        super().__init__()
        self.branch1 = branch(in_channels, out_channels, stride)
        self.branch2 = branch(in_channels, out_channels, stride)

    def forward(self, x):
        return relu(self.branch1(x) + self.branch2(x), inplace=True)


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


UNITS = {
    'plain': PlainUnit,
    'resnet': ResNetUnit,
    'dfn-il': InceptionLikeUnit,
    'dfn-il-noid': InceptionLikeUnitWithoutIdentity,
    'dfn-mr': MergeAndRunUnit,
    'dfn1': DFN1Unit,
    'dfn2': ResNetUnit,
}


class Network(nn.Module):
    """What all networks have: layer C, FC after a mean over the image, and what is known of the weights.

    Attributes:
        facts: {name: value}, saved beside the weights: what `build` was called with, the data set, its classes, and
            mean and std of R, G, B in 0–255.
    """

    def __init__(self, channels: int, last_channels: int, num_classes: int, imagenet: bool = False):
        super().__init__()
        self.facts: dict[str, Any] = {}
        self.C = Layer(3, channels, 7, 2) if imagenet else Layer(3, channels)
        self.fc = nn.Linear(last_channels, num_classes)

    def scores(self, x: Tensor) -> Tensor:
        """Mean over the image → FC."""
        return self.fc(x.mean((2, 3)))

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (n, 3, height, width) → what `forward` takes."""
        mean, std = (torch.tensor(self.facts[name], device=images.device).view(-1, 1, 1) for name in ('mean', 'std'))
        return (images - mean) / std

    def predict(self, normalized: Tensor) -> Tensor:
        """Probabilities (n, classes); of an ensemble the mean of its members'."""
        probabilities = self(normalized).softmax(-1)
        return probabilities.mean(0) if probabilities.ndim == 3 else probabilities


class UnitNetwork(Network):
    """Layer C, groups of units, FC.

    Args:
        unit: a class of UNITS.
        groups: [(units, channels), …].
        branch: basic_branch or bottleneck_branch.
        channels: of C.
        imagenet: whether C has kernel 7 and stride 2, and max pooling follows.
    """

    def __init__(self, unit, groups, branch, channels: int, num_classes: int, imagenet: bool = False):
        super().__init__(channels, groups[-1][1], num_classes, imagenet)
        self.pool = nn.MaxPool2d(3, 2) if imagenet else nn.Identity()
        self.units = []
        for group, (count, out_channels) in enumerate(groups, 1):
            for number in range(1, count + 1):
                name, stride = f'group{group}_unit{number}', 2 if group > 1 and number == 1 else 1
                last = group == len(groups) and number == count
                self.add_module(name, unit(channels, out_channels, stride, branch, last))
                self.units.append(name)
                channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.C(x))
        for name in self.units:
            x = getattr(self, name)(x)
        return self.scores(x)


class DFN2(UnitNetwork):
    """ResNet's units fused two by two; the last one of an odd group stays alone (an inference)."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.C(x))
        units = [getattr(self, name) for name in self.units]
        while units:
            first, second = units[0], units[1] if len(units) > 1 else None
            if second is None or not isinstance(second.shortcut, nn.Identity):
                x, units = first(x), units[1:]
            else:
                x = relu(first.shortcut(x) + second.branch(relu(first.branch(x))))
                units = units[2:]
        return self.scores(x)


class Block(nn.Module):
    """B_k of N_f3 and N_f6: relu(left(x) + right(x)). The left side is a layer where a group begins, else the identity.

    Args:
        length: layers on the right side.
        inputs: the names of each side's inputs, {'L': …, 'R': …}; a side without inputs does not exist.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, length: int, has_left_layer: bool, inputs: dict):
        super().__init__()
        if has_left_layer and inputs['L']:
            self.left = Layer(in_channels, channels, 3, stride, with_relu=False, inputs=inputs['L'])
        self.length = length if inputs['R'] else 0
        for number in range(1, self.length + 1):
            layer = Layer(in_channels, channels, 3, stride, with_relu=number < length, inputs=inputs['R'])
            self.add_module(f'right{number}', layer)
            in_channels, stride = channels, 1

    def side(self, side: str, x: Tensor, name: str = '') -> Tensor:
        """One side, 'L' or 'R', of an input."""
        if side == 'L':
            return self.left(x, name) if hasattr(self, 'left') else x
        for number in range(1, self.length + 1):
            x = getattr(self, f'right{number}')(x, name)
        return x

    def forward(self, x):
        return relu(self.side('L', x) + self.side('R', x))


class BlockNetwork(Network):
    """Layer C, blocks, FC: N_f3 and N_f6.

    Args:
        inputs: (block's number from 0, side) → names of the inputs of this side.
    """

    def __init__(
        self, n: int, widths: Sequence[int], num_classes: int, fusions: int = 3, inputs=lambda block, side: ('',)
    ):
        super().__init__(widths[0], widths[-1], num_classes)
        per_group, in_channels = fusions // 3, widths[0]
        self.blocks = [f'block{number}' for number in range(1, fusions + 1)]
        for number, name in enumerate(self.blocks):
            group, first = divmod(number, per_group)
            stride = 2 if group and not first else 1
            sides = {side: inputs(number, side) for side in 'LR'}
            self.add_module(name, Block(in_channels, widths[group], stride, 6 * n // fusions, not first, sides))
            in_channels = widths[group]

    def forward(self, x: Tensor) -> Tensor:
        x = self.C(x)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.scores(x)


class Component(BlockNetwork):
    """One component network of N_f3; `path` names a side for each block, such as RLR."""

    def __init__(self, n: int, widths: Sequence[int], num_classes: int, path: str):
        super().__init__(n, widths, num_classes, inputs=lambda block, side: ('',) if path[block] == side else ())
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        x = self.C(x)
        for side, name in zip(self.path, self.blocks):
            x = relu(getattr(self, name).side(side, x))
        return self.scores(x)


class Ensemble(BlockNetwork):
    """Component networks side by side, which share the weights: scores (members, n, classes).

    What several components share is computed once; the running statistics of a side belong to the sides before it.
    """

    def __init__(self, n: int, widths: Sequence[int], num_classes: int, components: Sequence[str] = COMPONENTS):
        super().__init__(
            n,
            widths,
            num_classes,
            inputs=lambda block, side: sorted({path[:block] for path in components if path[block] == side}),
        )
        self.components = [path for path in COMPONENTS if path in components]

    def forward(self, x: Tensor) -> Tensor:
        reached = {'': self.C(x)}
        for number, name in enumerate(self.blocks):
            for taken in sorted({path[: number + 1] for path in self.components}):
                before, side = taken[:-1], taken[-1]
                reached[taken] = relu(getattr(self, name).side(side, reached[before], before))
        return torch.stack([self.scores(reached[path]) for path in self.components])


class Tandem(BlockNetwork):
    """N_f3 written out: eight columns with an exchange after each block; the mean of their scores."""

    def __init__(self, n: int, widths: Sequence[int], num_classes: int):
        super().__init__(
            n,
            widths,
            num_classes,
            inputs=lambda block, side: [path for path in COMPONENTS if path[block] == side],
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.C(x)
        for number, name in enumerate(self.blocks):
            block = getattr(self, name)
            x = relu(sum(block.side(path[number], x, path) for path in COMPONENTS) * 0.25)
        return self.scores(x)


def build(
    net: str,
    depth: int,
    num_classes: int | None = None,
    widen: int = 1,
    imagenet: bool = False,
    bn_momentum: float = 0.9,
    path: str | None = None,
    components: Sequence[str] | None = None,
) -> Network:
    """A network at the paper's initial weights.

    Args:
        net, depth, num_classes, widen, path, components: as in symbols.get_symbol; in symbols.imagenet.get_symbol
            with `imagenet`. Without num_classes there are 10, or 1,000.
        bn_momentum: the part of the old running statistics that stays, as MXNet counts it: 1 - PyTorch's momentum.

    Raises:
        ValueError: there is no such network.
    """
    given = {'path': path, 'components': components}
    given = {name: value for name, value in given.items() if value is not None}
    num_classes = num_classes or (1000 if imagenet else 10)
    if imagenet:
        if (net, depth) not in IMAGENET or widen != 1 or given:
            raise ValueError(f'there is no {net} {depth} for ImageNet')
        groups = list(zip(IMAGENET[net, depth], (256, 512, 1024, 2048)))
        kind = DFN2 if net == 'dfn2' else UnitNetwork
        network = kind(UNITS[net], groups, bottleneck_branch, 64, num_classes, imagenet=True)
    else:
        network = _build_small(net, depth, num_classes, widen, given)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | SharedBatchNorm):
            module.momentum = 1 - bn_momentum
    initialize(network)
    network.facts = {
        **dict(net=net, depth=depth, num_classes=num_classes, widen=widen, imagenet=imagenet, bn_momentum=bn_momentum),
        **given,
    }
    return network


def _build_small(net, depth, num_classes, widen, given):
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise ValueError(f'depth {depth} is not 6n + 2')
    widths = [widen * channels for channels in (16, 32, 64)]
    kinds = {'component': Component, 'ensemble': Ensemble, 'tandem': Tandem, 'dfn-f3': BlockNetwork}
    if net in kinds:
        return kinds[net](n, widths, num_classes, **given)
    if net == 'dfn-f6':
        return BlockNetwork(n, widths, num_classes, fusions=6)
    if net not in UNITS or net in ('dfn1', 'dfn2'):
        raise ValueError(f'there is no network {net} for 32×32 images')
    return UnitNetwork(UNITS[net], [(n, channels) for channels in widths], basic_branch, widths[0], num_classes)


def initialize(network: nn.Module) -> None:
    """The paper's initial weights: He-normal convolutions, uniform FC in ±1/√fan-in with bias 0, gamma 1, beta 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)


def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of a batch; of an ensemble the sum of its members', as they are trained together."""
    if scores.ndim == 3:
        return sum(cross_entropy(member, labels) for member in scores)
    return cross_entropy(scores, labels)


def load(path: str) -> Network:
    """A network from a .safetensors file with `facts`, in evaluation."""
    from safetensors.torch import safe_open  # needed here alone

    with safe_open(path, framework='pt') as file:
        facts = json.loads(file.metadata()['facts'])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    names = 'net depth num_classes widen imagenet bn_momentum path components'.split()
    network = build(**{name: facts[name] for name in names if name in facts})
    network.load_state_dict(arrays)
    network.facts = facts
    return network.eval()


def save(network: Network, path: str, **facts) -> None:
    """Write weights, running statistics and facts, such as dataset='cifar10', epochs=400, to a .safetensors file."""
    import safetensors.torch  # needed here alone

    arrays = {
        name: value.contiguous()
        for name, value in network.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    kept = {name: value for name, value in network.facts.items() if name not in OF_OTHER_WEIGHTS}
    with open(path, 'wb') as file:
        file.write(safetensors.torch.save(arrays, {'facts': json.dumps({**kept, **facts})}))
