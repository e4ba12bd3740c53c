"""Find ImageNet's images and their classes: in folders by wnid, in the official tar files, or by the devkit.

A wnid is WordNet's number of a class, such as n01440764.
"""

from collections.abc import Iterator
import io
import os
import re
import tarfile
from typing import IO

import numpy as np
from tqdm import tqdm

from common.errors import UserError
from data.packing import Original

DEVKIT = 'ILSVRC2012_devkit_t12'
JPEG_NAME = re.compile(r'[^.].*\.jpe?g', re.I)
WNID = re.compile(r'n\d{8}')


def find_images(source: str, by_devkit: bool) -> list[Original]:
    """The images of a folder or tar file, each with its wnid, in no particular order.

    Args:
        source: the folder or the tar file.
        by_devkit: whether images that are in no folder by wnid have their classes from the devkit.
    """
    found = _list_folder(source) if os.path.isdir(source) else _list_tar(source)
    with_class = [original for original in found if original.wnid]
    if found and not with_class and by_devkit:
        return _with_ground_truth(found, source)
    if not with_class:
        raise UserError(f'{source} has no images by class: its folders must be named by wnid, such as n01440764')
    return with_class


def _list_folder(folder: str) -> list[Original]:
    """The images in folders by wnid, and those that are in no folder; anything else is ignored."""
    found = [Original(name, '', folder) for name in _jpeg_names(folder)]
    wnids = [entry.name for entry in os.scandir(folder) if WNID.fullmatch(entry.name) and entry.is_dir()]
    for wnid in tqdm(sorted(wnids), f'listing {folder}', unit=' classes', disable=None, leave=False):
        where = os.path.join(folder, wnid)
        names = _jpeg_names(where)
        _refuse_empty(names, where)
        found += [Original(name, wnid, where) for name in names]
    return found


def _jpeg_names(folder: str) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if JPEG_NAME.fullmatch(entry.name) and not entry.is_dir()]


def _refuse_empty(images: list, where: str) -> None:
    if not images:
        raise UserError(f'{where} has no JPEG: get it again, or remove the class altogether')


def _list_tar(path: str) -> list[Original]:
    """The same for a tar file. A folder by wnid may be a tar file WNID.tar inside it, as it officially is."""
    try:
        with (
            open(path, 'rb') as file,
            tqdm(
                total=os.path.getsize(path),
                unit='B',
                unit_scale=True,
                desc=f'listing {path}',
                disable=None,
                leave=False,
            ) as bar,
        ):
            return list(_members(file, path, 0, '', bar))
    except tarfile.TarError as error:
        raise UserError(f'{path} cannot be read ({error}): it is truncated or altered; get it again') from error


def _members(file: IO[bytes], path: str, start: int, wnid: str, bar: tqdm) -> Iterator[Original]:
    """Yield the images of an open tar file, which begins at byte `start` of `path`.

    They are all of the class `wnid`, or where it is '' of the classes that their folders name.
    """
    with tarfile.open(fileobj=file, mode='r:') as tar:
        for member in tar:
            bar.update(start + member.offset - bar.n)
            parent, name = os.path.split(member.name)
            inner, extension = os.path.splitext(name)
            offset = start + member.offset_data
            if not member.isreg():
                continue
            if extension == '.tar' and WNID.fullmatch(inner):
                inside = tar.extractfile(member)
                assert inside, 'isreg() said that it is a file'
                images = list(_members(inside, path, offset, inner, bar))
                _refuse_empty(images, f'{name} in {path}')
                yield from images
            elif JPEG_NAME.fullmatch(name):
                parent = os.path.basename(parent)
                yield Original(name, wnid or (parent if WNID.fullmatch(parent) else ''), path, offset, member.size)
        _check_end(file, tar.offset)


def _check_end(file: IO[bytes], offset: int) -> None:
    """tarfile ends at anything that is no header; a whole file ends with a block of zeros, or just ends."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) not in (b'', bytes(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError(f'no header at byte {offset:,}')


def _with_ground_truth(originals: list[Original], source: str) -> list[Original]:
    """Give the validation images the wnids that the devkit, in the same folder, has for them."""
    folder = os.path.dirname(source)
    try:
        wnids = _ground_truth(folder)
    except FileNotFoundError as error:
        raise UserError(f'{source} has no labels: put {DEVKIT}.tar.gz of https://image-net.org beside it') from error
    except Exception as error:  # tarfile, zlib and scipy raise many kinds for a damaged file
        raise UserError(
            f'{DEVKIT} in {folder} cannot be read ({error!r}): it is truncated or altered; get it again'
        ) from error
    if len(wnids) != len(originals):
        raise UserError(
            f'{source} has {len(originals):,} images, but the ground truth in {DEVKIT} has '
            f'{len(wnids):,} lines: get both again'
        )
    return [original._replace(wnid=wnid) for original, wnid in zip(sorted(originals), wnids)]


def _ground_truth(folder: str) -> list[str]:
    """The wnids of the validation images, in the order of their file names."""
    from scipy.io import loadmat  # imported here: it takes half a second

    synsets = np.atleast_1d(loadmat(io.BytesIO(_devkit_file(folder, 'meta.mat')), squeeze_me=True)['synsets'])
    wnids = {int(number): str(wnid) for number, wnid in zip(synsets['ILSVRC2012_ID'], synsets['WNID'])}
    return [wnids[int(line)] for line in _devkit_file(folder, 'ILSVRC2012_validation_ground_truth.txt').split()]


def _devkit_file(folder: str, name: str) -> bytes:
    """The contents of a file of the devkit, unpacked or not."""
    path = os.path.join(DEVKIT, 'data', name)
    if os.path.exists(os.path.join(folder, path)):
        with open(os.path.join(folder, path), 'rb') as file:
            return file.read()
    with tarfile.open(os.path.join(folder, DEVKIT + '.tar.gz')) as tar:
        member = tar.extractfile(path)
        assert member, f'{path} is not a file'
        return member.read()
