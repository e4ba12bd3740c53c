"""ImageNet (ILSVRC2012) as RecordIO: imagenet-train and imagenet-val, .rec + .idx + .json.

    about = imagenet.prepare('datasets/imagenet')      # {'train': {…}, 'val': {…}}, what the .json say

Its source is the official tar files, read where they lie, or folders train/WNID/*.JPEG and val/WNID/*.JPEG; a wnid
is WordNet's number of a class, such as n01440764. Both give the same records. A label is the place of the class
among the sorted wnids of the training images, from 0; the ILSVRC2012_ID of the devkit is another numbering.

Training images are shrunk or enlarged to a shorter side of 480 pixels, the largest that the augmentation draws, and
stored as JPEG of quality 95 with Pillow's subsampling of colour, 4:2:0; validation images to 256, as lossless PNG,
so that an evaluation sees the original resampled once. An Exif orientation is ignored, as everybody does.
"""
import io
import os
import re
import tarfile
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.packing import Job, Original, check, pack
from common.errors import UserError

SHUFFLE_SEED = 2016
CLASSES = 1000
DEVKIT = 'ILSVRC2012_devkit_t12'


class Split(NamedTuple):
    """An official split, and how its images are stored. per_class: its images of each class; 0 where that varies."""

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

JPEG_NAME = re.compile(r'[^.].*\.jpe?g', re.I)
WNID = re.compile(r'n\d{8}')


def prepare(folder, verify=True, processes=None, splits=tuple(SPLITS)):
    """Make imagenet-train and imagenet-val in `folder` where they are missing; return {split: its side file's dict}.

    Each split has its own source in `folder`: a folder train or val, with the images in folders by wnid, else the
    official tar file. Validation images that are not in folders by wnid have their labels from the devkit,
    ILSVRC2012_devkit_t12.tar.gz. Training images are in the order of their file names, shuffled once with a fixed
    seed; validation images in the order of their file names. A record's
    id, also its key in the .idx, is its place in that order: a gap is an image that could not be decoded, which the
    side file names under `undecodable`. Interrupted, it goes on when it is called again.

    processes: that decode; as many as there are cores unless given, 0 for none but this one. splits: which of them are
    wanted; without the training images the classes are those of the validation images. Raises UserError where
    the source cannot be used, or with `verify` is not the official one; verify=False takes it all the same, and the
    side file remembers that. Once made, the RecordIO files are the data: delete them after a change of the source.
    """
    prefixes = {name: os.path.join(folder, 'imagenet-' + name) for name in splits}
    about = {name: check(prefix) for name, prefix in prefixes.items()}
    if verify and not all(entry['verified'] for entry in about.values() if entry):
        raise UserError('the RecordIO files in %s were made from unverified files: pass --no-verify to use them, '
                        'or delete imagenet-*.rec to make them again' % folder)
    for name, job in _jobs(folder, about, verify).items():
        if os.path.exists(prefixes[name] + '.rec'):
            print('%s.rec does not match: making it again' % prefixes[name], flush=True)
        about[name] = pack(prefixes[name], job, processes)
    return about


def _jobs(folder, about, verify):
    """{split: Job} for what `about` lacks; everything is looked through before the work begins."""
    sources = _sources(folder, [name for name in about if not about[name]], verify)
    jobs = {}
    if 'train' in sources:
        jobs['train'] = _job('train', sources['train'], verify)
    classes = jobs['train'].classes if jobs else (about.get('train') or {}).get('classes')
    if classes and about.get('val') and about['val']['classes'] != classes:  # labels are places in another list
        sources.update(_sources(folder, ['val'], verify))
    if 'val' in sources:
        jobs['val'] = _job('val', sources['val'], verify, classes)
    return jobs


def _sources(folder, names, verify):
    """{split: its folder, or its tar file where there is none}."""
    found, missing = {}, []
    for name in names:
        tar = os.path.join(folder, SPLITS[name].tar)
        found[name] = os.path.join(folder, name) if os.path.isdir(os.path.join(folder, name)) else tar
        if not os.path.exists(found[name]):
            missing.append('neither %s nor %s/<wnid>/*.JPEG' % (SPLITS[name].tar, name))
    if missing:
        raise UserError('%s has %s: it cannot be downloaded without an account; get %s, %s and %s.tar.gz at '
                        'https://image-net.org and put them, or links to them, there' % (
                            folder, ', and '.join(missing), SPLITS['train'].tar, SPLITS['val'].tar, DEVKIT))
    for name, source in found.items():
        _refuse(_wrong_length(SPLITS[name], source), verify)
    return found


def _job(name, source, verify, classes=None):
    originals = sorted(_originals(name, source))  # by file name, then by wnid
    classes = classes or sorted({original.wnid for original in originals})
    unknown = sorted({original.wnid for original in originals} - set(classes))
    if unknown:
        raise UserError('%s has images of %s, which the training images do not have' % (source, ', '.join(unknown[:5])))
    index = {wnid: label for label, wnid in enumerate(classes)}
    labels = np.array([index[original.wnid] for original in originals])
    split = SPLITS[name]
    problem = _wrong_length(split, source) or _unlike_official(split, source, labels, classes)
    _refuse(problem, verify)
    if name == 'train':
        order = np.random.RandomState(SHUFFLE_SEED).permutation(len(originals))
        originals, labels = [originals[i] for i in order], labels[order]
    return Job(originals, labels, classes, problem is None, split.shorter_side, split.coding)


def _refuse(problem, verify):
    if problem and verify:
        raise UserError(problem)


def _wrong_length(split, source):
    """What is wrong with a tar file, in words."""
    if os.path.isdir(source) or os.path.getsize(source) == split.tar_bytes:
        return None
    return ('%s is truncated or altered: {:,} bytes instead of {:,}; get it again, or use it as it is with --no-verify'
            .format(os.path.getsize(source), split.tar_bytes) % source)


def _unlike_official(split, source, labels, classes):
    counts = np.bincount(labels, minlength=len(classes))
    if len(classes) != CLASSES:
        difference = '{:,} classes instead of {:,}'.format(len(classes), CLASSES)
    elif len(labels) != split.images:
        difference = '{:,} images instead of {:,}'.format(len(labels), split.images)
    elif split.per_class and (counts != split.per_class).any():
        difference = '%d to %d images of a class instead of %d' % (counts.min(), counts.max(), split.per_class)
    else:
        return None
    return '%s is not the official data: it has %s; use it as it is with --no-verify' % (source, difference)


def _originals(name, source):
    """The images of a folder or tar file, each with its wnid, in no particular order."""
    there = _list_folder(source) if os.path.isdir(source) else _list_tar(source)
    labelled = [original for original in there if original.wnid]
    if there and not labelled and name == 'val':
        return _with_ground_truth(there, source)
    if not labelled:
        raise UserError('%s has no images by class: its folders have to be named by wnid, such as n01440764' % source)
    return labelled


def _list_folder(folder):
    """The images in folders by wnid, and those that are in no folder; anything else is ignored."""
    found = [Original(name, None, folder) for name in _jpeg_names(folder)]
    wnids = [entry.name for entry in os.scandir(folder) if WNID.fullmatch(entry.name) and entry.is_dir()]
    for wnid in tqdm(sorted(wnids), 'listing %s' % folder, unit=' classes', disable=None, leave=False):
        where = os.path.join(folder, wnid)
        names = _jpeg_names(where)
        _refuse_empty(names, where)
        found += [Original(name, wnid, where) for name in names]
    return found


def _jpeg_names(folder):
    return [entry.name for entry in os.scandir(folder) if JPEG_NAME.fullmatch(entry.name) and not entry.is_dir()]


def _refuse_empty(images, where):
    if not images:
        raise UserError('%s has no JPEG: get it again, or remove the class altogether' % where)


def _list_tar(path):
    """The same for a tar file; a folder by wnid may be a tar file WNID.tar inside it, as it officially is."""
    try:
        with open(path, 'rb') as file, tqdm(
                total=os.path.getsize(path), unit='B', unit_scale=True, desc='listing %s' % path, disable=None,
                leave=False) as bar:
            return list(_members(file, path, 0, None, bar))
    except tarfile.TarError as error:
        raise UserError('%s cannot be read (%s): it is truncated or altered; get it again' % (path, error)) from error


def _members(file, path, start, wnid, bar):
    """Yield the images of an open tar file, which begins at byte `start` of `path` and is all of the class `wnid`."""
    with tarfile.open(fileobj=file, mode='r:') as tar:
        for member in tar:
            bar.update(start + member.offset - bar.n)
            parent, name = os.path.split(member.name)
            inner, extension = os.path.splitext(name)
            offset = start + member.offset_data
            if not member.isreg():
                continue
            if extension == '.tar' and WNID.fullmatch(inner):
                images = list(_members(tar.extractfile(member), path, offset, inner, bar))
                _refuse_empty(images, '%s in %s' % (name, path))
                yield from images
            elif JPEG_NAME.fullmatch(name):
                parent = os.path.basename(parent)
                yield Original(name, wnid or (parent if WNID.fullmatch(parent) else None), path, offset, member.size)
        _check_end(file, tar.offset)


def _check_end(file, offset):
    """tarfile takes anything that is no header for the end, but the end is a block of zeros, or that of the file."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) not in (b'', bytes(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError('no header at byte {:,}'.format(offset))


def _with_ground_truth(originals, source):
    """Give the validation images the wnids that the devkit, in the same folder, has for them."""
    folder = os.path.dirname(source)
    try:
        wnids = _ground_truth(folder)
    except FileNotFoundError as error:
        raise UserError('%s has no labels: put %s.tar.gz of https://image-net.org beside it' % (
            source, DEVKIT)) from error
    except Exception as error:  # tarfile, zlib and scipy have many for a damaged file
        raise UserError('%s in %s cannot be read (%r): it is truncated or altered; get it again' % (
            DEVKIT, folder, error)) from error
    if len(wnids) != len(originals):
        raise UserError('%s has {:,} images, but the ground truth in %s has {:,} lines: get both again'.format(
            len(originals), len(wnids)) % (source, DEVKIT))
    return [original._replace(wnid=wnid) for original, wnid in zip(sorted(originals), wnids)]


def _ground_truth(folder):
    """The wnids of the validation images, in the order of their file names."""
    from scipy.io import loadmat  # imported here: it takes a while

    synsets = np.atleast_1d(loadmat(io.BytesIO(_devkit_file(folder, 'meta.mat')), squeeze_me=True)['synsets'])
    wnids = {int(number): str(wnid) for number, wnid in zip(synsets['ILSVRC2012_ID'], synsets['WNID'])}
    return [wnids[int(line)] for line in _devkit_file(folder, 'ILSVRC2012_validation_ground_truth.txt').split()]


def _devkit_file(folder, name):
    """The contents of a file of the devkit, unpacked or not."""
    path = os.path.join(DEVKIT, 'data', name)
    if os.path.exists(os.path.join(folder, path)):
        with open(os.path.join(folder, path), 'rb') as file:
            return file.read()
    with tarfile.open(os.path.join(folder, DEVKIT + '.tar.gz')) as tar:
        return tar.extractfile(path).read()
