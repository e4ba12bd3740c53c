"""CIFAR-10 and CIFAR-100 from their binary archives [13]: fetch, check, read.

The binary version is read because nothing has to be unpickled for it, and straight out of the
archive, so that no member of it can write anywhere. A record of CIFAR-10 is a label byte and 3,072
bytes, the red, green and blue planes of an image; one of CIFAR-100 has the coarse label before the fine.
"""
import os
import tarfile
import zlib
from typing import NamedTuple

import numpy as np

from data.download import Archive, difference, download
from common.errors import UserError

BASE = 'https://www.cs.toronto.edu/~kriz/'
PIXELS = 3 * 32 * 32


class Layout(NamedTuple):
    """How one of the two is laid out. files: {split: names inside `folder`}."""

    archive: Archive
    folder: str
    files: dict
    label_bytes: int   # in front of an image; the last of them is the label
    classes: tuple     # their names, in the order of the labels
    per_class: dict    # {split: images of each class}


CIFAR10 = Layout(
    Archive('cifar-10-binary.tar.gz', BASE, 170052171, 'c32a1d4ab5d03f1284b67883e8d87530'),
    'cifar-10-batches-bin',
    {'train': tuple('data_batch_%d.bin' % i for i in range(1, 6)), 'test': ('test_batch.bin',)},
    1, tuple('airplane automobile bird cat deer dog frog horse ship truck'.split()), {'train': 5000, 'test': 1000})

CIFAR100 = Layout(
    Archive('cifar-100-binary.tar.gz', BASE, 168513733, '03b5dce01913d631647c71ecec9e9cb8'),
    'cifar-100-binary',
    {'train': ('train.bin',), 'test': ('test.bin',)},
    2, tuple("""
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()), {'train': 500, 'test': 100})


def read(layout, folder, verify=True):
    """A CIFAR in `folder`: ({split: (images (n, 32, 32, 3) uint8 RGB, labels (n,) int)}, whether it is official).

    Looks for the unpacked files, in `folder` itself or under the archive's own folder name, then for
    the archive, and fetches that where there is neither. Checked are the archive's length and MD5,
    and the length and the label counts of the files in it or unpacked. Raises UserError where a file
    cannot be used, and with `verify` where one is not the official one.
    """
    unpacked = _unpacked_folder(layout, folder)
    if unpacked:
        where, problem = unpacked, None
        contents = _from_folder(layout, unpacked)
    else:
        where = os.path.join(folder, layout.archive.name)
        problem = _fetch_or_check(layout, folder, where)
        _refuse(problem, verify)
        contents = _from_archive(layout, where)
    splits = {}
    for split, names in layout.files.items():
        raw = b''.join(_check_length(layout, contents[name], name, where) for name in names)
        splits[split] = _decode(layout, raw, where)
        problem = problem or _unlike_official(layout, split, splits[split][1], where)
        _refuse(problem, verify)
    return splits, problem is None


def _refuse(problem, verify):
    if problem and verify:
        raise UserError(problem)


def _unpacked_folder(layout, folder):
    names = sum(layout.files.values(), ())
    for candidate in (os.path.join(folder, layout.folder), folder):
        there = [name for name in names if os.path.exists(os.path.join(candidate, name))]
        if len(there) == len(names):
            return candidate
        if there and not os.path.exists(os.path.join(folder, layout.archive.name)):
            raise UserError('%s lacks %s: unpack the archive again, or delete the folder to have it fetched' % (
                candidate, ', '.join(sorted(set(names) - set(there)))))
    return None


def _from_folder(layout, folder):
    contents = {}
    for name in sum(layout.files.values(), ()):
        with open(os.path.join(folder, name), 'rb') as file:
            contents[name] = file.read()
    return contents


def _fetch_or_check(layout, folder, path):
    """What is wrong with the archive, in words; None where it is the official one."""
    if not os.path.exists(path):
        download(layout.archive, folder)  # which checks it
        return None
    wrong = difference(path, layout.archive)
    return wrong and ('%s is truncated or altered (%s): delete it to fetch it again, or use it as it is with '
                      '--no-verify' % (path, wrong))


def _from_archive(layout, path):
    try:
        return _members(layout, path)
    except (tarfile.TarError, EOFError, zlib.error, KeyError, OSError) as error:
        raise UserError('%s cannot be read (%s): delete it to fetch it again' % (path, error)) from error


def _members(layout, path):
    contents = {}
    with tarfile.open(path) as tar:
        for name in sum(layout.files.values(), ()):
            member = tar.extractfile('%s/%s' % (layout.folder, name))
            if member is None:
                raise tarfile.ReadError('%s is not a plain file' % name)
            contents[name] = member.read()
    return contents


def _check_length(layout, raw, name, where):
    record = layout.label_bytes + PIXELS
    if not raw or len(raw) % record:
        raise UserError('%s in %s is truncated or altered: {:,} bytes are not a whole number of records of {:,}'
                        .format(len(raw), record) % (name, where))
    return raw


def _decode(layout, raw, where):
    records = np.frombuffer(raw, np.uint8).reshape(-1, layout.label_bytes + PIXELS)
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= len(layout.classes):
        raise UserError('%s is altered: it has the label %d, the last class is %d' % (
            where, labels.max(), len(layout.classes) - 1))
    images = records[:, layout.label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, labels


def _unlike_official(layout, split, labels, where):
    counts = np.bincount(labels, minlength=len(layout.classes))
    if (counts == layout.per_class[split]).all():
        return None
    return ('%s is not the official data: %s has %d to %d images of a class instead of %d; use it as it is with '
            '--no-verify' % (where, split, counts.min(), counts.max(), layout.per_class[split]))
