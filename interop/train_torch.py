"""Train a network of the paper on CIFAR-10 in PyTorch, by the paper's recipe: for GPUs that MXNet does not know.

    python -m interop.train_torch --net dfn-mr --depth 56 --data-dir cifar-10-batches-bin --out mine.safetensors
    python export.py mine.safetensors --to run logs/cifar10/dfn-mr-56/pytorch-seed1     # where MXNet is
    python eval.py logs/cifar10/dfn-mr-56/pytorch-seed1

It needs PyTorch, numpy and safetensors, and no MXNet. DATA_DIR holds the unpacked binary version of CIFAR-10.
--shares 2 normalizes each half of a batch by itself, as the paper's two GPUs did.

The file is written anew after each epoch, and so is FILE.safetensors.resume, until the last epoch. The same command
resumes an interrupted training after its last whole epoch; on a CPU, to the last bit.
"""

import argparse
from collections.abc import Iterator
import importlib.util
import os
import pickle
import sys

if __name__ == '__main__':
    for name in ('torch', 'safetensors'):
        if importlib.util.find_spec(name) is None:
            print(
                f'error: this Python ({sys.executable}) has no {name}: pip install torch safetensors', file=sys.stderr
            )
            sys.exit(2)

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from interop import torch_networks
from training.schedule import by_fractions as learning_rate

MEAN, STD = (125.307, 122.950, 113.865), (62.993, 62.089, 66.705)  # R, G, B, 0–255
PAD = 4  # pixels, black
RESUME = '.resume'  # behind the name of the file
Pair = tuple[Tensor, Tensor]  # images and labels
RECORD, CLASSES = 3073, 10  # bytes of an image with its label
IMAGES = (50_000, 10_000)  # of CIFAR-10, for training and testing
TRAINING, TEST = [f'data_batch_{number}.bin' for number in range(1, 6)], ['test_batch.bin']


def parser() -> argparse.ArgumentParser:
    """The command line; every default is the paper's (section 6.2), but for --shares 1 and the device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--net', default='dfn-mr')
    parser.add_argument('--depth', type=int, default=56)
    parser.add_argument('--widen', type=int, default=1)
    parser.add_argument('--data-dir', required=True)
    parser.add_argument('--out', required=True, metavar='FILE.safetensors')
    parser.add_argument('--epochs', type=int, default=400)
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--shares', type=int, default=1, help='parts of a batch, each normalized by itself')
    parser.add_argument('--lr', type=float, default=0.1)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser


def read(folder: str, names: list[str], device: str) -> Pair:
    """Images (n, 3, 32, 32) uint8 and labels (n,) of the binary version's files, on a device.

    Raises:
        ValueError, OSError: a file is not one of them.
    """
    files = []
    for path in (os.path.join(folder, name) for name in names):
        files.append(np.fromfile(path, np.uint8))
        if not len(files[-1]) or len(files[-1]) % RECORD or files[-1][::RECORD].max() >= CLASSES:
            raise ValueError(f'{path} is not a file of the binary version of CIFAR-10')
    records = np.concatenate(files).reshape(-1, RECORD)
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
    return images.to(device), torch.from_numpy(records[:, 0].astype(np.int64)).to(device)


def crop_and_mirror(images: Tensor) -> Tensor:
    """A random crop of each padded image; half of them mirrored."""
    n, _, height, width = images.shape
    windows = pad(images, (PAD,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (n, 3, 9, 9, 32, 32), a view
    top, left = torch.randint(0, 2 * PAD + 1, (2, n), device=images.device)
    crops = windows[torch.arange(n, device=images.device), :, top, left]
    mirrored = torch.rand(n, 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, crops.flip(3), crops)


def optimizer_of(net: nn.Module, rate: float) -> torch.optim.SGD:
    """Nesterov momentum 0.9, and weight decay on every parameter, biases and BatchNorm included."""
    return torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=1e-4, nesterov=True)


def step(net: nn.Module, optimizer: torch.optim.SGD, data: Tensor, labels: Tensor, shares: int = 1) -> tuple:
    """One update by a batch of normalized images: (mean loss, number of wrong predictions), as tensors.

    An ensemble learns from the sum of its members' losses, and what is told is their mean, as in MXNet's logs.
    """
    optimizer.zero_grad()
    loss, wrong = torch.zeros((), device=data.device), torch.zeros((), device=data.device)
    for part, own in zip(data.chunk(shares), labels.chunk(shares)):
        scores = net(part)
        of_part = torch_networks.loss(scores, own) * (len(own) / len(labels))
        of_part.backward()
        loss += of_part.detach() / members(scores)
        wrong += (predictions(scores) != own).sum()
    optimizer.step()
    return loss, wrong


def members(scores: Tensor) -> int:
    """The number of networks that the scores are of: those of an ensemble, or one."""
    return len(scores) if scores.ndim == 3 else 1


def predictions(scores: Tensor) -> Tensor:
    """The most probable classes; of an ensemble by the mean of its members' probabilities."""
    return scores.argmax(1) if scores.ndim == 2 else scores.softmax(-1).mean(0).argmax(1)


def batches(images: Tensor, labels: Tensor, size: int) -> Iterator[Pair]:
    """An epoch: every image once, in a new order, cropped and mirrored; the last batch is smaller."""
    for chosen in torch.randperm(len(labels), device=labels.device).split(size):
        yield crop_and_mirror(images[chosen]), labels[chosen]


@torch.no_grad()
def evaluate(net: torch_networks.Network, images: Tensor, labels: Tensor) -> dict:
    """Test loss in nats and error in percent; each image once."""
    net.eval()
    loss = wrong = 0.0
    for part, own in zip(images.split(1000), labels.split(1000)):
        scores = net(net.normalize(part))
        loss += torch_networks.loss(scores, own).item() / members(scores) * len(own)
        wrong += (predictions(scores) != own).sum().item()
    net.train()
    return {'test_loss': loss / len(labels), 'test_error': 100 * wrong / len(labels)}


def prepare(args: argparse.Namespace) -> tuple:
    """(network, training images and labels, test images and labels, optimizer, rows of the epochs that are done).

    Raises:
        ValueError, OSError: an option or a file is wrong.
    """
    if min(args.epochs, args.batch_size, args.shares) < 1:
        raise ValueError('--epochs, --batch-size and --shares are whole numbers from 1')
    if args.widen < 1 or args.lr <= 0 or not 0 <= args.seed < 2**32:
        raise ValueError('--widen is a whole number from 1, --lr is above 0, and --seed from 0, below 2^32')
    if args.net == 'component':
        raise ValueError('--net component is for train_cifar.py, which has --path')
    folder = os.path.dirname(args.out) or '.'
    if os.path.lexists(args.out) and not os.path.exists(args.out + RESUME):
        raise ValueError(f'{args.out} is there already: remove it, or choose another --out')
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise ValueError(f'--out {args.out}: there is no folder {folder} that you may write to')
    torch.manual_seed(args.seed)
    net = torch_networks.build(args.net, args.depth, widen=args.widen)
    try:
        net.to(args.device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'--device {args.device}: {str(error).splitlines()[0]}') from None
    net.facts |= dict(dataset='cifar10', mean=MEAN, std=STD, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    net.facts |= dict(epochs=args.epochs, devices=args.shares)
    training, test = (read(args.data_dir, names, args.device) for names in (TRAINING, TEST))
    net.facts['verified'] = (len(training[1]), len(test[1])) == IMAGES
    optimizer = optimizer_of(net, args.lr)
    return net, training, test, optimizer, resume(args.out, net, optimizer)


def save(path: str, net: torch_networks.Network, optimizer: torch.optim.SGD, rows: list[dict]) -> None:
    """Write the file, then what a resume needs: the momentum and the states of the generators as well."""
    torch_networks.save(net, f'{path}.tmp', epoch=len(rows), metrics=rows)
    os.replace(f'{path}.tmp', path)
    state = {
        'facts': net.facts,
        'rows': rows,
        'net': net.state_dict(),
        'optimizer': optimizer.state_dict(),
        'generators': [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
    }
    torch.save(state, f'{path}.tmp')
    os.replace(f'{path}.tmp', path + RESUME)


def resume(path: str, net: torch_networks.Network, optimizer: torch.optim.SGD) -> list[dict]:
    """Take up what `save` kept for a resume, if it is there; returns the rows of the epochs that are done.

    Raises:
        ValueError: it is damaged, or of another training.
    """
    if not os.path.exists(path + RESUME):
        return []
    try:
        state = torch.load(path + RESUME, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        raise ValueError(f'{path}{RESUME} is damaged: remove it and {path} to begin anew') from None
    if state['facts'] != net.facts:
        raise ValueError(f'{path}{RESUME} is of a training with other options: choose another --out')
    net.load_state_dict(state['net'])
    optimizer.load_state_dict(state['optimizer'])
    first, *others = state['generators']
    torch.set_rng_state(first)
    torch.cuda.set_rng_state_all(others[: torch.cuda.device_count()])
    return state['rows']


def train(
    args: argparse.Namespace,
    net: torch_networks.Network,
    training: Pair,
    test: Pair,
    optimizer: torch.optim.SGD,
    rows: list[dict],
) -> None:
    """The epochs that are not done; after each, a line and the file."""
    torch.backends.cudnn.benchmark = True
    for epoch in range(len(rows) + 1, args.epochs + 1):
        rate = optimizer.param_groups[0]['lr'] = learning_rate(epoch, args.epochs, args.lr)
        loss, wrong = torch.zeros(2, device=args.device)
        for images, labels in batches(*training, args.batch_size):
            of_batch, wrong_here = step(net, optimizer, net.normalize(images), labels, args.shares)
            loss, wrong = loss + of_batch * len(labels), wrong + wrong_here
        seen = len(training[1])
        row = {'epoch': epoch, 'lr': rate, 'train_loss': loss.item() / seen, 'train_error': 100 * wrong.item() / seen}
        rows.append({**row, **evaluate(net, *test)})
        print(', '.join(f'{name} {value:g}' for name, value in rows[-1].items()), flush=True)
        save(args.out, net, optimizer, rows)
    os.remove(args.out + RESUME)


def main() -> int:
    """Prepare, or say in one line what is wrong, and train."""
    args = parser().parse_args()
    try:
        prepared = prepare(args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    try:
        train(args, *prepared)
    except KeyboardInterrupt:
        print('error: interrupted: the same command goes on after the last whole epoch', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
