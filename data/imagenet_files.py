"""Find ImageNet's images and their classes: in folders by wnid, in the official tar files, or by the devkit.

A wnid is WordNet's number of a class, such as n01440764.
"""

from collections.abc import Iterator
import os
import re
import tarfile
from typing import IO

from tqdm import tqdm

from common.errors import UserError
from data import matlab
from data.archives import DAMAGES, Headers, read_file, read_members, require_file, require_plain
from data.packing import Original

DEVKIT = 'ILSVRC2012_devkit_t12'
JPEG_NAME = re.compile(r'[^.].*\.jpe?g', re.I | re.S)
WNID = re.compile(r'n\d{8}')


def find_images(source: str, by_devkit: bool) -> list[Original]:
    """The images of a folder or tar file, each with its wnid, by file name, then by wnid.

    Args:
        source: the folder or the tar file.
        by_devkit: whether images that are in no folder by wnid have their classes from the devkit.
    """
    found = sorted(_list_folder(source) if os.path.isdir(source) else _list_tar(source))
    for one, next_one in zip(found, found[1:]):
        if one[:2] == next_one[:2]:
            raise UserError(f'{source} has {one.name} twice: make it again')
    with_class = [original for original in found if original.wnid]
    if found and not with_class and by_devkit:
        return _with_ground_truth(found, source)
    if not with_class:
        raise UserError(
            f'{source} has no images by class: its folders must be named by wnid, such as n01440764; for images of '
            'your own there is train_images.py'
        )
    return with_class


def _list_folder(folder: str) -> list[Original]:
    """The images in folders by wnid, and those that are in no folder; anything else is ignored."""
    found = [Original(name, '', folder) for name in _jpeg_names(folder)]
    wnids = [entry.name for entry in os.scandir(folder) if WNID.fullmatch(entry.name) and _is_folder(entry)]
    for wnid in tqdm(sorted(wnids), f'listing {folder}', unit=' classes', disable=None, leave=False):
        where = os.path.join(folder, wnid)
        names = _jpeg_names(where)
        _refuse_empty(names, where)
        found += [Original(name, wnid, where) for name in names]
    return found


def _jpeg_names(folder: str) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if JPEG_NAME.fullmatch(entry.name) and not _is_folder(entry)]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        folder = entry.is_dir()
    except OSError:  # a link to itself
        folder = False
    if WNID.fullmatch(entry.name) and entry.is_symlink() and not folder:
        raise UserError(f'{entry.path} is a link to no folder: mend or remove it')
    return folder


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
    except DAMAGES as error:
        raise UserError(f'{path} cannot be read ({error}): it is truncated or altered; get it again') from error


def _members(file: IO[bytes], path: str, start: int, wnid: str, bar: tqdm) -> Iterator[Original]:
    """Yield the images of an open tar file, which begins at byte `start` of `path`.

    They are all of the class `wnid`, or where it is '' of the classes that their folders name.
    """
    before = -1
    with tarfile.open(fileobj=Headers(file), mode='r:') as tar:  # type: ignore[call-overload]
        for member in tar:
            if member.offset <= before:
                raise tarfile.ReadError(f'no header at byte {before:,}')
            before = member.offset
            bar.update(start + member.offset - bar.n)
            parent, name = os.path.split(member.name)
            inner, extension = os.path.splitext(name)
            offset = start + member.offset_data
            is_tar = extension == '.tar' and WNID.fullmatch(inner)
            if member.isdir() or not (is_tar or JPEG_NAME.fullmatch(name)):
                continue
            require_plain(member)
            if not is_tar:
                parent = os.path.basename(parent)
                yield Original(name, wnid or (parent if WNID.fullmatch(parent) else ''), path, offset, member.size)
                continue
            if wnid:
                raise tarfile.ReadError(f'{name} is a tar file in {wnid}.tar')
            inside = tar.extractfile(member)
            assert inside, 'it is a plain file'
            images = list(_members(inside, path, offset, inner, bar))
            _refuse_empty(images, f'{name} in {path}')
            yield from images
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
    except UserError:
        raise
    except Exception as error:  # tarfile and zlib raise many kinds for a damaged file
        raise UserError(
            f'{DEVKIT} in {folder} cannot be read ({error!r}): it is truncated or altered; get it again'
        ) from error
    if len(wnids) != len(originals):
        raise UserError(
            f'{source} has {len(originals):,} images, but the ground truth in {DEVKIT} has '
            f'{len(wnids):,} lines: get both again'
        )
    return [original._replace(wnid=wnid) for original, wnid in zip(originals, wnids)]


def _ground_truth(folder: str) -> list[str]:
    """The wnids of the validation images, in the order of their file names."""
    meta, numbers = _devkit_files(folder, ['meta.mat', 'ILSVRC2012_validation_ground_truth.txt'])
    wnids = matlab.read_synsets(meta)
    # A spreadsheet may have saved the numbers, with a byte order mark and in quotes.
    return [wnids[int(line.strip('"'))] for line in numbers.decode('utf-8-sig').split()]


def _devkit_files(folder: str, names: list[str]) -> list[bytes]:
    """The contents of files of the devkit, unpacked or not."""
    paths = [f'{DEVKIT}/data/{name}' for name in names]
    if os.path.exists(os.path.join(folder, paths[0])):
        return [read_file(os.path.join(folder, path)) for path in paths]
    archive = os.path.join(folder, DEVKIT + '.tar.gz')
    require_file(archive)
    contents = read_members(archive, paths)
    return [contents[path] for path in paths]
