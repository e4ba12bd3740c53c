"""From a data set's name to batches: official files → RecordIO → arrays in memory → batches.

    dataset = data.load('cifar10', 'datasets/cifar10')
    dataset.splits['train']          # (images (50000, 3, 32, 32) uint8 RGB, labels (50000,))

ImageNet does not fit into memory: `load_imagenet` leaves its images in the RecordIO files. `load_images` takes the
user's own images, as either of the two.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import dataclass, replace
import functools
import itertools
import multiprocessing
import os
import sys
import time
from typing import ClassVar, NamedTuple

from common.errors import UserError
from common.files import lock_folder
import common.mxnet  # noqa: F401  before anything of the environment: it says what to do where that is missing
from common.sharding import Shard
from data import cifar, digits, imagenet, own_images, recordio, records, svhn
from data.augmentation import IMAGENET, Traits
from data.batches import Arrays, Normalization, TrainBatches, evaluation_batches
from data.image_records import IMAGE_SHAPE, ImageRecords


class Source(NamedTuple):
    """A line of the table of data sets. mean, std: of the training images' channels R, G, B, 0–255."""

    # (folder, verify) → ({split: (images (n, h, w, 3) uint8 RGB, labels)}, whether official)
    read: Callable | None
    classes: tuple[str, ...]  # in the order of the labels
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int = 4  # augmentation: padding before the random crop
    mirror: bool = True  # augmentation: mirror half of the images
    splits: tuple[str, ...] = ('train', 'test')


SOURCES = {
    'cifar10': Source(
        functools.partial(cifar.read, cifar.CIFAR10),
        cifar.CIFAR10.classes,
        (125.307, 122.950, 113.865),
        (62.993, 62.089, 66.705),
    ),
    'cifar100': Source(
        functools.partial(cifar.read, cifar.CIFAR100),
        cifar.CIFAR100.classes,
        (129.304, 124.070, 112.434),
        (68.170, 65.392, 70.418),
    ),
    # the paper does not augment SVHN
    'svhn': Source(
        svhn.read,
        svhn.CLASSES,
        (111.609, 113.161, 120.565),
        (50.498, 51.259, 50.244),
        pad=0,
        mirror=False,
        splits=('train', 'val', 'test'),
    ),
    # a mirrored digit is no digit
    'digits': Source(digits.read, tuple('0123456789'), (79.626,) * 3, (90.804,) * 3, mirror=False),
}


NAMES = tuple(SOURCES) + ('imagenet',)
TOP5_FROM = 5  # classes of the user's own images; with more, top-5 errors are reported


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    splits: {split: (images, labels)}. about: {split: its side file's dict}. test_split: the one that test
    errors are of. has_top5: whether errors of the five most probable classes are reported; the paper has them of
    ImageNet alone.
    """

    name: str
    source: Source
    splits: dict[str, Arrays]
    about: dict[str, dict]
    test_split: str = 'test'
    has_top5: bool = False
    # images a device evaluates at a time; no result depends on it
    test_batch: ClassVar[int] = 100

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        images, _ = next(iter(self.splits.values()))
        return images.shape[1:]

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the labels."""
        return self.source.classes

    @property
    def traits(self) -> Traits:
        """Mean and deviation of the channels, and whether images are mirrored."""
        return Traits(self.source.mean, self.source.std, self.source.mirror)

    def normalized_by(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> 'Dataset':
        """The same images, normalized as another network's were."""
        return replace(self, source=self.source._replace(mean=mean, std=std))

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        shard: Shard = Shard(),  # noqa: B008
        pad_value: str = 'zero',
    ) -> TrainBatches:
        """The training split's batches for the devices in `shard`, augmented as the table of data sets says."""
        return TrainBatches(
            *self.splits['train'],
            batch_size,
            self.normalization,
            seed,
            self.source.pad,
            self.source.mirror,
            pad_value,
            shard,
        )

    def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Arrays]:
        """Yield (data, labels) over a split as it is, every image once."""
        return evaluation_batches(*self.splits[split], batch_size, self.normalization)

    @property
    def normalization(self) -> Normalization:
        """From pixels to what the networks are given, and back."""
        return Normalization(self.source.mean, self.source.std)


def default_folder(name: str) -> str:
    """Where a data set is kept unless --data-dir says otherwise: datasets/NAME beside the scripts."""
    return os.path.relpath(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'datasets', name))


def load(
    name: str,
    folder: str | None = None,
    splits: Sequence[str] = ('train', 'test'),
    verify: bool = True,
    train_on: Sequence[str] = ('train',),
) -> Dataset:
    """Load a data set into memory. Its RecordIO files are made first where they are missing or do not match.

    Once made, the RecordIO files are the data: delete them after a change of the source.

    Args:
        name: a key of SOURCES.
        folder: where the source is, and where the RecordIO files go; default_folder(name) unless given.
        splits: which to load.
        verify: False takes what is not the official data; the side file remembers that.
        train_on: which of the source's splits are read as `train`.

    Raises:
        UserError: the source cannot be had, or with `verify` is not the official data.
    """
    folder = folder or default_folder(name)
    prefixes = {split: os.path.join(folder, f'{name}-{split}') for split in SOURCES[name].splits}
    about = _check(name, prefixes)
    if not all(about.values()):
        with _one_at_a_time(folder):
            about = _check(name, prefixes)  # another process may have made them while this one waited
            if not all(about.values()):
                _announce(prefixes, about)
                about = _make_records(SOURCES[name], folder, prefixes, verify)
    if verify and not all(entry['verified'] for entry in about.values()):
        raise UserError(
            f'the RecordIO files in {folder} were made from unverified files: pass --no-verify to use '
            f'them, or delete {name}-*.rec to make them again'
        )
    files = {split: train_on if split == 'train' else (split,) for split in splits}
    return Dataset(
        name,
        SOURCES[name],
        {split: records.read(*(prefixes[part] for part in files[split])) for split in splits},
        about,
    )


def load_imagenet(
    folder: str | None = None, verify: bool = True, splits: Sequence[str] = ('train', 'val')
) -> ImageRecords:
    """ImageNet from `folder`, packed first where it is not; see data/imagenet.py."""
    folder = folder or default_folder('imagenet')
    with _one_at_a_time(folder):  # until the files are open
        about = imagenet.prepare(folder, verify, splits=splits)
        return ImageRecords({split: os.path.join(folder, 'imagenet-' + split) for split in about}, about)


def load_images(
    name: str,
    folder: str,
    layout: own_images.Layout,
    mirror: bool = True,
    splits: Sequence[str] = ('train', 'val'),
    classes: Sequence[str] | None = None,
    traits: Traits | None = None,
) -> Dataset | ImageRecords:
    """The user's own images from `folder`, packed first where they are not; see data/own_images.py.

    Args:
        name: what the data set is called.
        layout: the size of the images, and the share to validate with.
        mirror: whether half of the training images are mirrored.
        splits: which to load.
        classes, traits: of a trained network, which count instead of the folder's.
    """
    if not os.path.isdir(folder):
        raise UserError(f'there is no folder {folder}')
    with _one_at_a_time(folder):  # until all is read: another command may pack the folder for other classes
        about = own_images.prepare(folder, layout, splits, classes)
        if not traits:
            traits = Traits(tuple(about['train']['mean']), tuple(about['train']['std']), mirror)
        prefixes = {split: layout.prefix(folder, split) for split in about}
        names = tuple(next(iter(about.values()))['classes'])
        if layout.size == IMAGE_SHAPE[-1]:
            return ImageRecords(prefixes, about, name, traits, len(names) > TOP5_FROM)
        source = Source(None, names, traits.mean, traits.std, mirror=traits.mirror)
        splits_read = {split: records.read(prefixes[split]) for split in about}
        return Dataset(name, source, splits_read, about, 'val', len(names) > TOP5_FROM)


def load_for_evaluation(
    name: str, folder: str | None = None, split: str | None = None, verify: bool = True
) -> Dataset | ImageRecords:
    """Load a data set, one of NAMES, with one split to evaluate: its test split unless another is named."""
    dataset: Dataset | ImageRecords
    if name == 'imagenet':
        dataset = load_imagenet(folder, verify, [ImageRecords.test_split])
    else:
        known = split if split in SOURCES[name].splits else None
        dataset = load(name, folder, [known or Dataset.test_split], verify)
    if split and not dataset.about.get(split, {}).get('records'):
        raise UserError(f'{name} in {folder or default_folder(name)} has no images for --split {split}')
    return dataset


def load_for_run(
    config: dict, folder: str | None = None, split: str | None = None, verify: bool = True
) -> Dataset | ImageRecords:
    """Load what a run is evaluated on, as load_for_evaluation does.

    Args:
        config: the run's config.json.
        folder: of the data set, where it is not the run's.
    """
    own, about = config['options'], config.get('dataset', {})
    if not folder and own['data_dir'] and not os.path.isdir(own['data_dir']):
        raise UserError(f'the images of the run were in {own["data_dir"]}, which is not here: name it with --data-dir')
    folder = folder or own['data_dir']
    if 'size' not in own:
        dataset = load_for_evaluation(own['dataset'], folder, split, verify)
        if own['dataset'] == 'imagenet' and list(about.get('classes') or dataset.classes) != list(dataset.classes):
            raise UserError(f'the images in {folder or default_folder("imagenet")} have other classes than the run')
        return dataset.normalized_by(*mean_and_std_of(config))
    if not folder:
        raise UserError(f'the run does not say where {own["dataset"]} is: name the folder with --data-dir')
    if split not in (None, ImageRecords.test_split):
        raise UserError(f'{own["dataset"]} has no images for --split {split}')
    return _load_images_of(config, folder)


def _load_images_of(config: dict, folder: str) -> Dataset | ImageRecords:
    """The validation images of the user's own, with the classes and the normalization of a run."""
    own, about = config['options'], config['dataset']
    fraction = None if folder != own['data_dir'] and own_images.has_val(folder) else own.get('val_fraction')
    return load_images(
        own['dataset'],
        folder,
        own_images.Layout(own['size'], fraction, own.get('split_seed', 0)),
        splits=['val'],
        classes=about['classes'],
        traits=Traits(*mean_and_std_of(config)),
    )


def classes_of(config: dict) -> Sequence[str] | None:
    """The names of a run's classes, in the order of the labels; None where its config.json does not know them."""
    about = config.get('dataset', {})
    source = SOURCES.get(config['options']['dataset'])
    of_files = next(iter(about.get('splits', {}).values()), {})
    return about.get('classes') or (source.classes if source else of_files.get('classes'))


def mean_and_std_of(config: dict) -> tuple[tuple, tuple]:
    """Mean and std of R, G, B, 0–255, by which a run's images are normalized.

    Runs of earlier versions do not say them: they have those of their data set.

    Raises:
        UserError: a run on the user's own images does not say them.
    """
    about, name = config.get('dataset', {}), config['options']['dataset']
    if 'mean' in about:
        return tuple(about['mean']), tuple(about['std'])
    if name not in NAMES:
        raise UserError(f'the run does not say how the images of {name} are normalized: is its config.json damaged?')
    source = IMAGENET if name == 'imagenet' else SOURCES[name]
    return tuple(source.mean), tuple(source.std)


def _check(name: str, prefixes: dict[str, str]) -> dict[str, dict]:
    """{split: its side file's dict, empty if the files must be made}."""
    about = {split: recordio.check(prefix) or {} for split, prefix in prefixes.items()}
    most = len(SOURCES[name].classes)
    return {split: entry if len(entry.get('labels', [])) <= most else {} for split, entry in about.items()}


@contextlib.contextmanager
def _one_at_a_time(folder: str) -> Iterator[None]:
    """A lock on the folder: if several runs start together, one of them prepares the data for all.

    The folder is made for it where there is none, and removed again if it stays empty.
    """
    if getattr(multiprocessing.current_process(), '_inheriting', False):  # a worker that imports the user's program
        raise UserError("processes that prepare images import your program: keep it below `if __name__ == '__main__':`")
    made = not os.path.exists(folder)
    try:
        with _wait_for_lock(folder):
            yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _wait_for_lock(folder: str) -> contextlib.ExitStack:
    for attempt in itertools.count():
        try:
            os.makedirs(folder, exist_ok=True)  # another process may have removed the one that it had made
            return lock_folder(folder, 'let one process alone prepare the images there')
        except (FileExistsError, NotADirectoryError):
            raise UserError(f'{folder} is not a folder: name another with --data-dir') from None
        except (BlockingIOError, FileNotFoundError):
            if attempt == 10:  # whoever only looks is done sooner
                print(f'waiting for another process, which prepares or checks the images in {folder}', file=sys.stderr)
            time.sleep(0.2)
    raise AssertionError


def _announce(prefixes: dict[str, str], about: dict[str, dict]) -> None:
    for split, prefix in prefixes.items():
        if not about[split] and os.path.exists(prefix + '.rec'):
            print(f'{prefix}.rec does not match {prefix}.json: making the RecordIO files again', flush=True)


def _make_records(source: Source, folder: str, prefixes: dict[str, str], verify: bool) -> dict[str, dict]:
    assert source.read, 'images of the user are not made here'
    arrays, official = source.read(folder, verify)
    for split in prefixes:
        images, labels = arrays[split]
        records.refuse_arrays(images, labels, len(source.classes), f'{split} in {folder}')
    about = {}
    for split, prefix in prefixes.items():
        images, labels = arrays[split]
        about[split] = records.write(prefix, images, labels, verified=official)
    return about
