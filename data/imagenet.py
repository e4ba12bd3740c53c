"""ImageNet (ILSVRC2012) as RecordIO: imagenet-train and imagenet-val, .rec + .idx + .crc + .json.

    about = imagenet.prepare('datasets/imagenet')      # {'train': {…}, 'val': {…}}, what the .json say

Its source is the official tar files, read where they lie, or folders train/WNID/*.JPEG and val/WNID/*.JPEG; a wnid
is WordNet's number of a class, such as n01440764. Both give the same records. A label is the place of the class
among the sorted wnids of the training images, from 0. (The devkit's ILSVRC2012_ID is another numbering.)

Training images are resized to a shorter side of 480 pixels, the largest that the augmentation draws, and stored as
JPEG of quality 95 with Pillow's subsampling of color, 4:2:0. Validation images are resized to 256 and stored as
lossless PNG, so that an evaluation sees the original resampled once. The longer side is rounded to the nearest pixel.
An Exif orientation is ignored, as everybody does.
"""

from collections.abc import Sequence
import os
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from data.archives import require_file
from data.download import refuse
from data.imagenet_files import DEVKIT, find_images
from data.packing import CHUNK, Job, pack
from data.packing.checksums import checked
from data.packing.convert import Form

SHUFFLE_SEED = 2016
CLASSES = 1000


class Split(NamedTuple):
    """An official split, and how its images are stored. per_class: its images of each class; 0 if that varies."""

    tar: str
    tar_bytes: int
    images: int
    per_class: int
    shorter_side: int  # pixels
    coding: str


SPLITS = {
    'train': Split('ILSVRC2012_img_train.tar', 147897477120, 1281167, 0, 480, 'jpeg95'),
    'val': Split('ILSVRC2012_img_val.tar', 6744924160, 50000, 50, 256, 'png'),
}


def prepare(
    folder: str, verify: bool = True, processes: int | None = None, splits: Sequence[str] = tuple(SPLITS)
) -> dict[str, dict]:
    """Make imagenet-train and imagenet-val in `folder` where they are missing.

    Each split has its own source in `folder`: a folder train or val, with the images in folders by wnid, or else the
    official tar file. Validation images that are not in folders by wnid have their labels from the devkit,
    ILSVRC2012_devkit_t12.tar.gz.

    Training images are in the order of their file names, shuffled once with a fixed seed; validation images are in the
    order of their file names. A record's id, its key in the .idx, is its place in that order. A gap is an image that
    could not be decoded; the side file names it under `undecodable`.

    An interrupted preparation goes on when the function is called again. Once made, the RecordIO files are the data:
    delete them after a change of the source.

    Args:
        folder: where the source is, and where the files go.
        verify: False takes what is not the official data; the side file remembers that.
        processes: how many decode images; None for one on each core, 0 for none but this one.
        splits: which are wanted. Without the training images, the classes are those of the validation images.

    Returns:
        {split: its side file's dict}.

    Raises:
        UserError: the source cannot be used, or with `verify` is not the official one.
    """
    prefixes = {name: os.path.join(folder, 'imagenet-' + name) for name in splits}
    about = {name: checked(prefix, CHUNK) for name, prefix in prefixes.items()}
    if verify and not all(entry['verified'] for entry in about.values() if entry):
        raise UserError(
            f'the RecordIO files in {folder} were made from unverified files: pass --no-verify to use '
            'them, or delete imagenet-*.rec to make them again'
        )
    for name, prefix in prefixes.items():
        if not about[name] and os.path.exists(prefix + '.rec'):
            print(f'{prefix}.rec does not match: making it again', flush=True)
    for name, job in _jobs(folder, about, verify).items():
        if about[name]:
            print(f'{prefixes[name]}.rec has other classes than the training images: making it again', flush=True)
        about[name] = pack(prefixes[name], job, processes)
    return about


def _jobs(folder: str, about: dict[str, dict], verify: bool) -> dict[str, Job]:
    """What is empty in `about`, by split. All sources are looked through before the work begins."""
    sources = _sources(folder, [name for name in about if not about[name]], verify)
    jobs = {}
    if 'train' in sources:
        jobs['train'] = _job('train', sources['train'], verify)
    classes = jobs['train'].classes if jobs else about.get('train', {}).get('classes')
    if classes and about.get('val') and about['val']['classes'] != classes:  # its labels are places in another list
        sources.update(_sources(folder, ['val'], verify))
    if 'val' in sources:
        jobs['val'] = _job('val', sources['val'], verify, classes)
    return jobs


def _sources(folder: str, names: list[str], verify: bool) -> dict[str, str]:
    """{split: its folder, or its tar file where there is no folder}."""
    found, missing = {}, []
    for name in names:
        tar = os.path.join(folder, SPLITS[name].tar)
        found[name] = os.path.join(folder, name) if os.path.isdir(os.path.join(folder, name)) else tar
        if not os.path.exists(found[name]):
            missing.append(f'neither {SPLITS[name].tar} nor {name}/<wnid>/*.JPEG')
    if missing:
        raise UserError(
            f'{folder} has {", and ".join(missing)}: it cannot be downloaded without an account; get '
            f'{SPLITS["train"].tar}, {SPLITS["val"].tar} and {DEVKIT}.tar.gz at https://image-net.org and '
            'put them, or links to them, there'
        )
    for name, source in found.items():
        if not os.path.isdir(source):
            require_file(source)
        refuse(_wrong_length(SPLITS[name], source), verify)
    return found


def _job(name: str, source: str, verify: bool, classes: list[str] | None = None) -> Job:
    originals = sorted(find_images(source, by_devkit=name == 'val'))  # by file name, then by wnid
    there = {original.wnid for original in originals}
    classes = classes or sorted(there)
    unknown = sorted(there - set(classes))
    if unknown:
        raise UserError(f'{source} has images of {", ".join(unknown[:5])}, which the training images do not have')
    index = {wnid: label for label, wnid in enumerate(classes)}
    labels = np.array([index[original.wnid] for original in originals])
    split = SPLITS[name]
    problem = _wrong_length(split, source) or _unlike_official(split, source, labels, classes)
    refuse(problem, verify)
    if name == 'train':
        order = np.random.RandomState(SHUFFLE_SEED).permutation(len(originals))
        originals, labels = [originals[i] for i in order], labels[order]
    return Job(originals, labels, classes, problem is None, Form(split.shorter_side, split.coding))


def _wrong_length(split: Split, source: str) -> str | None:
    """What is wrong with a tar file, in words."""
    if os.path.isdir(source) or os.path.getsize(source) == split.tar_bytes:
        return None
    return (
        f'{source} is truncated or altered: {os.path.getsize(source):,} bytes instead of {split.tar_bytes:,}; get '
        'it again, or use it as it is with --no-verify'
    )


def _unlike_official(split: Split, source: str, labels: np.ndarray, classes: list[str]) -> str | None:
    counts = np.bincount(labels, minlength=len(classes))
    if len(classes) != CLASSES:
        found = f'{len(classes):,} classes instead of {CLASSES:,}'
    elif len(labels) != split.images:
        found = f'{len(labels):,} images instead of {split.images:,}'
    elif split.per_class and (counts != split.per_class).any():
        found = f'{counts.min()} to {counts.max()} images of a class instead of {split.per_class}'
    else:
        return None
    return f'{source} is not the official data: it has {found}; use it as it is with --no-verify'
