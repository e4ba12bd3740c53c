"""From a data set's name to images in memory: official files → RecordIO → arrays.

    dataset = data.load('cifar10', 'datasets/cifar10')
    dataset.splits['train']          # (images (50000, 3, 32, 32) uint8 RGB, labels (50000,))
"""
import contextlib
import fcntl
import functools
import os
from typing import Callable, NamedTuple

import compat  # noqa: F401  first: it says what to do where the environment is missing
from data import cifar, digits, records
from errors import UserError


class Source(NamedTuple):
    """A line of the table of data sets. mean, std: of the training images' channels R, G, B, 0–255."""

    read: Callable   # (folder, verify) → ({split: (images (n, h, w, 3) uint8 RGB, labels)}, whether official)
    classes: tuple   # names, in the order of the labels
    mean: tuple
    std: tuple
    pad: int = 4         # augmentation: padding before the random crop
    mirror: bool = True  # augmentation: mirror half of the images


SOURCES = {
    'cifar10': Source(functools.partial(cifar.read, cifar.CIFAR10), cifar.CIFAR10.classes,
                      (125.307, 122.950, 113.865), (62.993, 62.089, 66.705)),
    'cifar100': Source(functools.partial(cifar.read, cifar.CIFAR100), cifar.CIFAR100.classes,
                       (129.304, 124.070, 112.434), (68.170, 65.392, 70.418)),
    # a mirrored digit is no digit
    'digits': Source(digits.read, tuple('0123456789'), (79.626,) * 3, (90.804,) * 3, mirror=False),
}


class Dataset(NamedTuple):
    """A data set in memory. splits: {split: (images, labels)}; about: {split: its side file's dict}."""

    name: str
    source: Source
    splits: dict
    about: dict


def default_folder(name):
    """Where a data set is kept unless --data-dir says otherwise: datasets/NAME beside the scripts."""
    return os.path.relpath(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'datasets', name))


def load(name, folder=None, splits=('train', 'test'), verify=True):
    """The data set `name` from `folder`, its RecordIO made first where it is missing or does not match.

    Raises UserError where the source cannot be had or is not the official data; verify=False takes it all
    the same, and the side file remembers that. Once made, the RecordIO files are the data: delete them after
    a change of the source.
    """
    folder = folder or default_folder(name)
    prefixes = {split: os.path.join(folder, '%s-%s' % (name, split)) for split in ('train', 'test')}
    about = _check(prefixes)
    if not all(about.values()):
        with _one_at_a_time(folder):
            about = _check(prefixes)  # another process may have made them while this one waited
            if not all(about.values()):
                _announce(prefixes, about)
                about = _make_records(SOURCES[name], folder, prefixes, verify)
    if verify and not all(entry['verified'] for entry in about.values()):
        raise UserError('the RecordIO files in %s were made from unverified files: pass --no-verify to use them, '
                        'or delete %s-*.rec to make them again' % (folder, name))
    return Dataset(name, SOURCES[name], {split: records.read(prefixes[split]) for split in splits}, about)


def _check(prefixes):
    return {split: records.check(prefix) for split, prefix in prefixes.items()}


@contextlib.contextmanager
def _one_at_a_time(folder):
    """A lock on the folder, so that of several runs started together one prepares the data for all.

    The folder is made for it, and removed again if nothing came to lie in it.
    """
    os.makedirs(folder, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _announce(prefixes, about):
    for split, prefix in prefixes.items():
        if not about[split] and os.path.exists(prefix + '.rec'):
            print('%s.rec does not match %s.json: making the RecordIO files again' % (prefix, prefix), flush=True)


def _make_records(source, folder, prefixes, verify):
    arrays, official = source.read(folder, verify)
    return {split: records.write(prefix, *arrays[split], verified=official) for split, prefix in prefixes.items()}
