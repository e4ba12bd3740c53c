"""CIFAR-10 and CIFAR-100 from their binary archives [13]: fetch, check, read.

The binary version needs no unpickling. It is read straight from the archive, so that no member of it can write
anywhere. A record of CIFAR-10 is a label byte and 3,072 bytes, the red, green and blue planes of an image; a record of
CIFAR-100 has the coarse label before the fine one.
"""

import os
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from data.archives import DAMAGES, read_file, read_members
from data.download import Archive, fetch, refuse, unreadable

BASE = 'https://www.cs.toronto.edu/~kriz/'
PIXELS = 3 * 32 * 32


class Layout(NamedTuple):
    """How one of the two is laid out. files: {split: names inside `folder`}."""

    archive: Archive
    folder: str
    files: dict[str, tuple[str, ...]]
    label_bytes: int  # in front of an image; the last of them is the label
    classes: tuple[str, ...]  # their names, in the order of the labels
    per_class: dict[str, int]  # {split: images of each class}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all files."""
        return sum(self.files.values(), ())


CIFAR10 = Layout(
    Archive('cifar-10-binary.tar.gz', BASE, 170052171, 'c32a1d4ab5d03f1284b67883e8d87530'),
    'cifar-10-batches-bin',
    {'train': tuple(f'data_batch_{i}.bin' for i in range(1, 6)), 'test': ('test_batch.bin',)},
    1,
    tuple('airplane automobile bird cat deer dog frog horse ship truck'.split()),
    {'train': 5000, 'test': 1000},
)

CIFAR100 = Layout(
    Archive('cifar-100-binary.tar.gz', BASE, 168513733, '03b5dce01913d631647c71ecec9e9cb8'),
    'cifar-100-binary',
    {'train': ('train.bin',), 'test': ('test.bin',)},
    2,
    tuple(
        """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()
    ),
    {'train': 500, 'test': 100},
)


def read(layout: Layout, folder: str, verify: bool = True) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], bool]:
    """Read a CIFAR from `folder`: the unpacked files, or else the archive, which is fetched if it is not there.

    The unpacked files may lie in `folder` itself or under the archive's own folder name. An archive's length and MD5
    are checked, and the length and the label counts of the files, packed or not.

    Returns:
        {split: (images (n, 32, 32, 3) uint8 RGB, labels (n,) int)}, and whether this is the official data.

    Raises:
        UserError: a file cannot be used, or with `verify` is not the official one.
    """
    unpacked = _unpacked_folder(layout, folder)
    if unpacked:
        where, problem = unpacked, None
        contents = _from_folder(layout, unpacked)
    else:
        where, problem = fetch(layout.archive, folder)
        refuse(problem, verify)
        contents = _from_archive(layout, where)
    splits = {}
    for split, names in layout.files.items():
        raw = b''.join(_check_length(layout, contents[name], name, where) for name in names)
        splits[split] = _decode(layout, raw, where)
        problem = problem or _unlike_official(layout, split, splits[split][1], where)
        refuse(problem, verify)
    return splits, problem is None


def _unpacked_folder(layout: Layout, folder: str) -> str | None:
    for candidate in (os.path.join(folder, layout.folder), folder):
        missing = [name for name in layout.names if not os.path.exists(os.path.join(candidate, name))]
        if not missing:
            return candidate
        if len(missing) < len(layout.names) and not os.path.exists(os.path.join(folder, layout.archive.name)):
            raise UserError(
                f'{candidate} lacks {", ".join(sorted(missing))}: unpack the archive again, or delete the '
                'folder to have it fetched'
            )
    return None


def _from_folder(layout: Layout, folder: str) -> dict[str, bytes]:
    return {name: read_file(os.path.join(folder, name)) for name in layout.names}


def _from_archive(layout: Layout, path: str) -> dict[str, bytes]:
    try:
        contents = read_members(path, [f'{layout.folder}/{name}' for name in layout.names])
    except DAMAGES as error:
        raise unreadable(path, error) from error
    return {name: contents[f'{layout.folder}/{name}'] for name in layout.names}


def _check_length(layout: Layout, raw: bytes, name: str, where: str) -> bytes:
    record = layout.label_bytes + PIXELS
    if not raw or len(raw) % record:
        raise UserError(
            f'{name} in {where} is truncated or altered: {len(raw):,} bytes are not a whole number of '
            f'records of {record:,}'
        )
    return raw


def _decode(layout: Layout, raw: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(raw, np.uint8).reshape(-1, layout.label_bytes + PIXELS)
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= len(layout.classes):
        raise UserError(
            f'{where} is altered: it has the label {labels.max()}, the last class is {len(layout.classes) - 1}'
        )
    images = records[:, layout.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, labels


def _unlike_official(layout: Layout, split: str, labels: np.ndarray, where: str) -> str | None:
    counts = np.bincount(labels, minlength=len(layout.classes))
    if (counts == layout.per_class[split]).all():
        return None
    return (
        f'{where} is not the official data: {split} has {counts.min()} to {counts.max()} images of a class instead '
        f'of {layout.per_class[split]}; use it as it is with --no-verify'
    )
