"""Images of the user's own as RecordIO, from folders by class or from MXNet's .rec files.

A source is a folder with train/CLASS/*, at any depth below a class, and val/CLASS/*. Tiny ImageNet's validation images,
val/images/* with val_annotations.txt, are understood too. Or it has train.rec and val.rec, as MXNet's im2rec.py writes
them; with train.lst beside them, classes have the names of their folders. What is made of it,

    images32-train, images32-val            for the networks for 32×32 images: the middle square, resized
    images224-train, images224-val          for ImageNet's networks: shorter sides of 480 and 256, as ImageNet's

with .rec, .idx, .crc and .json, goes into the same folder. A label is the place of the class among the sorted names of
the training images. Training images are in the order of their names, shuffled once with a fixed seed; validation images
in the order of their names. All are turned as their Exif says.
"""

from collections.abc import Collection, Iterable, Sequence
import hashlib
import os
from typing import NamedTuple

import numpy as np

from common.errors import UserError, few
from data.im2rec import list_records
from data.image_folders import Listed, list_images
from data.packing import CHUNK, Job, pack
from data.packing.checksums import checked
from data.packing.convert import Form

FORMS = {
    (32, 'train'): Form(32, 'png', square=True, upright=True),
    (32, 'val'): Form(32, 'png', square=True, upright=True),
    (224, 'train'): Form(480, 'jpeg95', upright=True),
    (224, 'val'): Form(256, 'png', upright=True),
}
SIZES = tuple(dict.fromkeys(size for size, _ in FORMS))
SHUFFLE_SEED = 2016
SOURCES = ('train', 'train.rec', 'val', 'val.rec')


class Layout(NamedTuple):
    """What is made of the source: the images' size, and which share of the training images becomes `val`.

    val_fraction: of each class; None where the source has validation images. split_seed: of the draw.
    """

    size: int
    val_fraction: float | None = None
    split_seed: int = 0

    def prefix(self, folder: str, split: str) -> str:
        """Of a split's files."""
        drawn = f'-val{self.val_fraction:g}-split{self.split_seed}' if self.val_fraction else ''
        return os.path.join(folder, f'images{self.size}{drawn}-{split}')


def prepare(
    folder: str,
    layout: Layout,
    splits: Sequence[str] = ('train', 'val'),
    classes: Sequence[str] | None = None,
    processes: int | None = None,
) -> dict[str, dict]:
    """Make the RecordIO files in `folder` where they are missing, or where the source's images are others now.

    Without a source, files that are there are taken as they are.

    Args:
        folder: of the source; the files go there too.
        splits: which are wanted.
        classes: names of the labels; those of the training images where not given.
        processes: see packing.pack.

    Returns:
        {split: its side file's dict}.

    Raises:
        UserError: the source cannot be used.
    """
    about = {split: checked(layout.prefix(folder, split), CHUNK) for split in splits}
    if all(about.values()) and not _has(folder, SOURCES):
        wanted = list(classes or about[splits[0]]['classes'])
        if any(of_split['classes'] != wanted for of_split in about.values()):
            others = 'the network' if classes else 'one another'
            raise UserError(f'the images that are packed in {folder} have other classes than {others}: put them back')
        return about
    listed = _list(folder, layout, splits if classes else ('train', 'val'))
    names = list(classes or sorted({image.name for image in listed['train']}))
    _check(folder, listed, names, 'the network' if classes else 'train')
    for split in splits:
        digest = _digest(listed[split], names)
        if about[split].get('source_sha256') != digest:
            prefix = layout.prefix(folder, split)
            if os.path.exists(prefix + '.rec'):
                why = 'the images or their classes have' if about[split] else 'the files of the packed images were'
                print(f'{why} changed: making {prefix}.rec again', flush=True)
            about[split] = _pack(prefix, layout, split, listed[split], names, digest, processes)
    lost = [name for name, count in zip(names, about['train']['labels']) if not count] if 'train' in about else []
    if lost:
        raise UserError(f'none of the training images of {few(lost)} can be decoded: replace them')
    return about


def _has(folder: str, names: Iterable[str]) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in names)


def has_val(folder: str) -> bool:
    """Whether a source has validation images of its own."""
    return _has(folder, SOURCES[2:])


def _list(folder: str, layout: Layout, splits: Collection[str]) -> dict[str, list[Listed]]:
    """The images of each split, in the order of their names."""
    listed = {}
    if 'train' in splits or layout.val_fraction:
        listed['train'] = _list_split(folder, 'train')
    if not layout.val_fraction:
        listed['val'] = _list_split(folder, 'val')
    elif has_val(folder):
        raise UserError(f'{folder} has validation images, in val: leave out --val-fraction')
    else:
        listed['train'], listed['val'] = _divide(folder, listed['train'], layout)
    return listed


def _list_split(folder: str, split: str) -> list[Listed]:
    where, rec = os.path.join(folder, split), os.path.join(folder, f'{split}.rec')
    if os.path.isdir(where):
        return list_images(where)
    if os.path.isfile(rec):
        return list_records(rec, os.path.join(folder, 'train.lst'))
    if split == 'val':
        raise UserError(
            f'{folder} has neither val/<class>/* nor val.rec: test on a share of the training images with '
            '--val-fraction, such as --val-fraction 0.2'
        )
    raise UserError(
        f'{folder} has neither train/<class>/* nor train.rec: put the images of each class into a folder '
        f'{os.path.join(folder, "train")}/<class>'
    )


def _divide(folder: str, images: list[Listed], layout: Layout) -> tuple[list[Listed], list[Listed]]:
    """Draw the share of each class that becomes `val`, at least one image of each."""
    assert layout.val_fraction
    random, drawn, places = np.random.RandomState(layout.split_seed), set(), {}
    for place, image in enumerate(images):
        places.setdefault(image.name, []).append(place)
    for name, own in sorted(places.items()):
        count = max(1, round(layout.val_fraction * len(own)))
        if count == len(own):
            raise UserError(
                f'{folder} has {len(own)} {"image" if len(own) == 1 else "images"} of {name}, of which --val-fraction '
                f'{layout.val_fraction:g} leaves none to train on: add images, or choose another fraction'
            )
        drawn.update(random.permutation(own)[:count].tolist())
    return (
        [image for i, image in enumerate(images) if i not in drawn],
        [image for i, image in enumerate(images) if i in drawn],
    )


def _check(folder: str, listed: dict[str, list[Listed]], names: list[str], whose: str) -> None:
    for split, images in listed.items():
        if not images:
            raise UserError(f'{folder} has no images in {split}')
    if len(names) < 2:
        raise UserError(f'{folder} has one class, {names[0]}: a network learns to tell at least two apart')
    unknown = sorted({image.name for image in listed.get('val', ())} - set(names))
    if unknown:
        raise UserError(
            f'the validation images in {folder} have {few(unknown)}, which {whose} does not have: a class has the '
            'same name in both'
        )


def _digest(images: Iterable[Listed], names: Sequence[str]) -> str:
    """Of what shows that images came, went or changed: names, classes and lengths."""
    digest = hashlib.sha256('\n'.join(names).encode())
    for original, name, size in images:
        digest.update(b'\n%s\t%s\t%d' % (os.fsencode(original.name), name.encode(), size))
    return digest.hexdigest()


def _pack(prefix, layout, split, images, names, digest, processes):
    index = {name: label for label, name in enumerate(names)}
    if split == 'train':
        images = [images[i] for i in np.random.RandomState(SHUFFLE_SEED).permutation(len(images))]
    labels = np.array([index[image.name] for image in images])
    source = {'source_sha256': digest}
    form = FORMS[layout.size, split]
    job = Job([image.original for image in images], labels, names, False, form, split == 'train', source)
    return pack(prefix, job, processes if len(images) > CHUNK else 0)  # processes take longer to start
