"""From a data set's name to batches: official files → RecordIO → arrays in memory → batches.

    dataset = data.load('cifar10', 'datasets/cifar10')
    dataset.splits['train']          # (images (50000, 3, 32, 32) uint8 RGB, labels (50000,))

ImageNet does not fit into memory: `load_imagenet` leaves its images in the RecordIO files.
"""
import contextlib
import fcntl
import functools
import os
from typing import Callable, NamedTuple

import common.mxnet  # noqa: F401  first: it says what to do where the environment is missing
from data import cifar, digits, imagenet, recordio, records, svhn
from data.batches import Normalisation, TrainBatches, evaluation_batches
from data.image_records import ImageRecords
from common.errors import UserError


class Source(NamedTuple):
    """A line of the table of data sets. mean, std: of the training images' channels R, G, B, 0–255."""

    read: Callable   # (folder, verify) → ({split: (images (n, h, w, 3) uint8 RGB, labels)}, whether official)
    classes: tuple   # names, in the order of the labels
    mean: tuple
    std: tuple
    pad: int = 4         # augmentation: padding before the random crop
    mirror: bool = True  # augmentation: mirror half of the images
    splits: tuple = ('train', 'test')


SOURCES = {
    'cifar10': Source(functools.partial(cifar.read, cifar.CIFAR10), cifar.CIFAR10.classes,
                      (125.307, 122.950, 113.865), (62.993, 62.089, 66.705)),
    'cifar100': Source(functools.partial(cifar.read, cifar.CIFAR100), cifar.CIFAR100.classes,
                       (129.304, 124.070, 112.434), (68.170, 65.392, 70.418)),
    # the paper augments no SVHN
    'svhn': Source(svhn.read, svhn.CLASSES, (111.609, 113.161, 120.565), (50.498, 51.259, 50.244), pad=0,
                   mirror=False, splits=('train', 'val', 'test')),
    # a mirrored digit is no digit
    'digits': Source(digits.read, tuple('0123456789'), (79.626,) * 3, (90.804,) * 3, mirror=False),
}


NAMES = tuple(SOURCES) + ('imagenet',)


class Dataset(NamedTuple):
    """A data set in memory. splits: {split: (images, labels)}; about: {split: its side file's dict}."""

    name: str
    source: Source
    splits: dict
    about: dict
    test_split, has_top5 = 'test', False  # what its tables have
    test_batch = 100                      # images a device evaluates at a time; no result depends on it

    @property
    def image_shape(self):
        """(channels, height, width)."""
        images, _ = next(iter(self.splits.values()))
        return images.shape[1:]

    @property
    def classes(self):
        """Their names, in the order of the labels."""
        return self.source.classes

    def train_batches(self, batch_size, seed, place, pad_value='zero'):
        """TrainBatches of the training split, augmented as the data set's line says, for the devices at `place`."""
        return TrainBatches(*self.splits['train'], batch_size, self._normalise(), seed, self.source.pad,
                            self.source.mirror, pad_value, place.shares)

    def evaluation_batches(self, split, batch_size):
        """Yield (data, labels) over a split as it is, every image once."""
        return evaluation_batches(*self.splits[split], batch_size, self._normalise())

    def _normalise(self):
        return Normalisation(self.source.mean, self.source.std)


def default_folder(name):
    """Where a data set is kept unless --data-dir says otherwise: datasets/NAME beside the scripts."""
    return os.path.relpath(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'datasets', name))


def load(name, folder=None, splits=('train', 'test'), verify=True, train_on=('train',)):
    """The data set `name` from `folder`, its RecordIO made first where it is missing or does not match.

    train_on: which of the source's splits are read as `train`. Raises UserError where the source cannot be had or
    is not the official data; verify=False takes it all the same, and the side file remembers that. Once made, the
    RecordIO files are the data: delete them after a change of the source.
    """
    folder = folder or default_folder(name)
    prefixes = {split: os.path.join(folder, '%s-%s' % (name, split)) for split in SOURCES[name].splits}
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
    files = {split: train_on if split == 'train' else (split,) for split in splits}
    return Dataset(name, SOURCES[name], {split: records.read(*(prefixes[part] for part in files[split]))
                                         for split in splits}, about)


def load_imagenet(folder=None, verify=True, splits=('train', 'val')):
    """ImageNet from `folder`, packed first where it is not; see data/imagenet.py. Returns ImageRecords."""
    folder = folder or default_folder('imagenet')
    with _one_at_a_time(folder):
        about = imagenet.prepare(folder, verify, splits=splits)
    return ImageRecords({split: os.path.join(folder, 'imagenet-' + split) for split in about}, about)


def load_for_evaluation(name, folder=None, split=None, verify=True):
    """The data set `name`, one of NAMES, with a split in it to evaluate; without one, what its tables have."""
    if name == 'imagenet':
        dataset = load_imagenet(folder, verify, [ImageRecords.test_split])
    else:
        known = split in SOURCES[name].splits
        dataset = load(name, folder, [split if known else Dataset.test_split], verify)
    if split and not dataset.about.get(split, {}).get('records'):
        raise UserError('%s in %s has no images for --split %s' % (name, folder or default_folder(name), split))
    return dataset


def _check(prefixes):
    return {split: recordio.check(prefix) for split, prefix in prefixes.items()}


@contextlib.contextmanager
def _one_at_a_time(folder):
    """A lock on the folder, so that of several runs started together one prepares the data for all.

    The folder is made for it, and removed again if nothing came to lie in it.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError('%s is not a folder: name another with --data-dir' % folder) from None
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
