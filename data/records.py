"""RecordIO: a split's images as lossless PNG, NAME.rec + NAME.idx, and what is in them, NAME.json.

The order of the records does not depend on the order of the source: images are sorted by their SHA-256
and shuffled once with a fixed seed. So the official archive and a repacked copy give the same file.
"""
import hashlib
import json
import os

import cv2
import numpy as np
from tqdm import tqdm

from common.mxnet import mx
from common.errors import UserError
from common.files import file_digest

SHUFFLE_SEED = 2016
FORMAT = 1        # of the records and of the side file; another number is rebuilt
PNG_LEVEL = 3     # of compression: small images gain nothing from more


def write(prefix, images, labels, verified):
    """Write images as RecordIO; return the side file's dict.

    images: a sequence of (height, width, 3) uint8 RGB; labels (n,). The files get their names when they are
    complete, the side file last. verified: whether the source was checked against the official one. Needs little
    memory beside the images.
    """
    os.makedirs(os.path.dirname(prefix) or '.', exist_ok=True)
    digests = [hashlib.sha256(bytes([label & 255]) + image.tobytes()).digest()
               for image, label in zip(images, labels)]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__))
    order = order[np.random.RandomState(SHUFFLE_SEED).permutation(len(order))]

    temporary = prefix + '.unfinished'
    try:
        _write_records(temporary, ((images[i], labels[i]) for i in order), len(order), os.path.basename(prefix))
        about = {
            'format': FORMAT, 'records': len(order), 'verified': verified,
            'labels': np.bincount(labels).tolist(),
            'content_sha256': hashlib.sha256(b''.join(digests[i] for i in order)).hexdigest(),
            'rec_sha256': file_digest(temporary + '.rec', 'sha256'),
            'idx_sha256': file_digest(temporary + '.idx', 'sha256'),
        }
        with open(temporary + '.json', 'w') as file:
            json.dump(about, file, indent=1)
        for kind in ('.rec', '.idx', '.json'):
            os.replace(temporary + kind, prefix + kind)
    finally:
        for kind in ('.rec', '.idx', '.json'):
            if os.path.exists(temporary + kind):
                os.remove(temporary + kind)
    return about


def _write_records(prefix, pairs, count, title):
    try:
        written = _write_each(prefix, tqdm(pairs, title, count, unit=' images', disable=None))
    except mx.MXNetError as error:
        raise UserError('%s.rec cannot be written: the disk is full, or the folder read-only; copy the files to a '
                        'folder of your own and name it with --data-dir' % prefix) from error
    if os.path.getsize(prefix + '.rec') != written:  # MXNet does not report what a full disk swallows at closing
        raise UserError('%s.rec cannot be written whole: the disk is full' % prefix)


def _write_each(prefix, pairs):
    """Returns the length that the file has to have."""
    record = mx.recordio.MXIndexedRecordIO(prefix + '.idx', prefix + '.rec', 'w')
    for i, (image, label) in enumerate(pairs):
        header = mx.recordio.IRHeader(0, float(label), i, 0)
        # pack_img takes OpenCV's channel order, blue first
        record.write_idx(i, mx.recordio.pack_img(header, image[..., ::-1], quality=PNG_LEVEL, img_fmt='.png'))
    written = record.tell()
    record.close()
    return written


def _about(prefix):
    with open(prefix + '.json') as file:
        return json.load(file)


def check(prefix):
    """The side file's dict where the three files belong together, None where they have to be made again."""
    try:
        about = _about(prefix)
        fits = (about['format'] == FORMAT
                and about['rec_sha256'] == file_digest(prefix + '.rec', 'sha256')
                and about['idx_sha256'] == file_digest(prefix + '.idx', 'sha256'))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return about if fits else None


def read(*prefixes):
    """Decode checked files into memory once, those of several prefixes one after another.

    Returns images (n, 3, height, width) uint8 RGB, the only large array, and labels (n,) int64.
    """
    count = sum(_about(prefix)['records'] for prefix in prefixes)
    images, labels = None, np.empty(count, np.int64)
    title = ' and '.join(map(os.path.basename, prefixes))
    bar = tqdm(_records(prefixes), title, count, unit=' images', disable=None, leave=False)
    for i, (label, image) in enumerate(bar):
        if images is None:
            images = np.empty((count, 3) + image.shape[:2], np.uint8)
        images[i], labels[i] = image[..., ::-1].transpose(2, 0, 1), label
    return images, labels


def _records(prefixes):
    """Yield (label, image (height, width, 3) BGR)."""
    for prefix in prefixes:
        record = mx.recordio.MXRecordIO(prefix + '.rec', 'r')
        for content in iter(record.read, None):
            header, png = mx.recordio.unpack(content)
            yield header.label, cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        record.close()
