"""Small images as RecordIO: written as lossless PNG, read into memory at once.

The order of the records does not depend on the order of the source: images are sorted by their SHA-256, then shuffled
once with a fixed seed. So the official archive and a repacked copy give the same file.
"""

from collections.abc import Iterable, Sequence
import hashlib
import os

import cv2
import numpy as np
from tqdm import tqdm

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx
from data import recordio

SHUFFLE_SEED = 2016
PNG_LEVEL = 3  # of compression: small images gain nothing from more


def refuse_arrays(images: Sequence[np.ndarray], labels: Sequence[int] | np.ndarray, classes: int, where: str) -> None:
    """Raise a UserError for images or labels that no network here can be trained on."""
    labels, kinds = np.asarray(labels), {(image.dtype.name, image.shape) for image in images}
    if len(images) != len(labels):
        problem = f'{len(images):,} images and {len(labels):,} labels'
    elif len(kinds) > 1 or any(kind != 'uint8' or shape[2:] != (3,) for kind, shape in kinds):
        shown = ' and '.join(sorted(f'{"×".join(map(str, shape))} {kind}' for kind, shape in kinds)[:3])
        problem = f'images of {shown} instead of bytes in RGB, all of one size'
    elif len(labels) and (labels.dtype.kind not in 'iu' or labels.min() < 0 or labels.max() >= classes):
        problem = f'labels from {labels.min()} to {labels.max()} instead of whole numbers from 0 to {classes - 1}'
    else:
        return
    raise UserError(f'{where} has {problem}: put the right files there')


def write(prefix: str, images: Sequence[np.ndarray], labels: np.ndarray, verified: bool) -> dict:
    """Write images as RecordIO. The files get their names when they are complete, the side file last.

    Args:
        prefix: of the three files.
        images: each (height, width, 3) uint8 RGB, all of one size.
        labels: (n,) int.
        verified: whether the source was checked against the official data.

    Returns:
        The side file's dict.
    """
    os.makedirs(os.path.dirname(prefix) or '.', exist_ok=True)
    digests = [hashlib.sha256(bytes([label & 255]) + image.tobytes()).digest() for image, label in zip(images, labels)]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__))
    order = order[np.random.RandomState(SHUFFLE_SEED).permutation(len(order))]

    temporary = prefix + '.unfinished'
    try:
        pairs = ((images[i], labels[i]) for i in order)
        _write_records(temporary, tqdm(pairs, os.path.basename(prefix), len(order), unit=' images', disable=None))
        about = {
            'format': recordio.FORMAT,
            'records': len(order),
            'verified': verified,
            'labels': np.bincount(labels).tolist(),
            'content_sha256': hashlib.sha256(b''.join(digests[i] for i in order)).hexdigest(),
            'rec_sha256': file_digest(temporary + '.rec', 'sha256'),
            'idx_sha256': file_digest(temporary + '.idx', 'sha256'),
        }
        recordio.finish(temporary, prefix, about)
    finally:
        recordio.discard(temporary)
    return about


def _write_records(prefix: str, pairs: Iterable[tuple[np.ndarray, int]]) -> None:
    problem = (
        f'{prefix}.rec cannot be written: the disk is full, or the folder read-only; copy the files to a '
        'folder of your own and name it with --data-dir'
    )
    with recordio.writer(prefix + '.rec', prefix + '.idx', problem) as record:
        for i, (image, label) in enumerate(pairs):
            header = mx.recordio.IRHeader(0, float(label), i, 0)
            # pack_img takes OpenCV's channel order, blue first
            record.write_idx(i, mx.recordio.pack_img(header, image[..., ::-1], quality=PNG_LEVEL, img_fmt='.png'))


def read(*prefixes: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode checked files into memory, several of them one after another.

    Returns:
        Images (n, 3, height, width) uint8 RGB, the only large array, and labels (n,) int64.

    Raises:
        UserError: a record is not what its side file says.
    """
    splits = [recordio.Records(prefix, recordio.read_about(prefix)) for prefix in prefixes]
    count = sum(len(split.ids) for split in splits)
    images, labels = np.empty((count, 3, 0, 0), np.uint8), np.empty(count, np.int64)
    places = ((split, record) for split in splits for record in split.ids.tolist())
    title = ' and '.join(map(os.path.basename, prefixes))
    for i, (split, record) in enumerate(tqdm(places, title, count, unit=' images', disable=None, leave=False)):
        labels[i], png = split.read(record)
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise split.damage(record, 'it cannot be decoded')
        if i == 0:  # all have the size of the first
            images = np.empty((count, 3) + image.shape[:2], np.uint8)
        if image.shape[:2] != images.shape[2:]:
            raise split.damage(record, 'an image of another size')
        images[i] = image[..., ::-1].transpose(2, 0, 1)
    return images, labels
