"""Find images in folders whose names are their classes, or as Tiny ImageNet has its validation images."""

from collections.abc import Iterator
import os
import re
import stat
from typing import NamedTuple, Protocol
import unicodedata

from common.errors import UserError
from common.files import stat_of, walk
from common.output import printable
from data.packing.convert import Original

IMAGE_NAME = re.compile(r'[^.].*\.(jpe?g|png|webp|bmp)', re.I | re.S)
KINDS = 'JPEG, PNG, WebP or BMP'
ANNOTATIONS = 'val_annotations.txt'  # Tiny ImageNet's


class Image(Protocol):
    """Where the bytes of an image are."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def read(self) -> bytes: ...  # noqa: D102


class Listed(NamedTuple):
    """An image of a source: where it is, its class, and its length in bytes."""

    original: Image
    name: str
    size: int


def class_name(folder: str) -> str:
    """The name of a class from its folder's.

    One class may come in two spellings of its accents, from two file systems; bytes that are not UTF-8 are escaped.
    """
    return printable(unicodedata.normalize('NFC', folder))


def list_images(where: str) -> list[Listed]:
    """The images of a split's folder, in the order of their names.

    Raises:
        UserError: a class has no image, or there are no classes.
    """
    annotated = os.path.exists(os.path.join(where, ANNOTATIONS))
    listed = _annotated(where) if annotated else _by_folder(where)
    return sorted(listed, key=lambda image: os.fsencode(image.original.name))


def find_names(where: str) -> Iterator[str]:
    """Yield the paths of the images anywhere below a folder, relative to it, in no particular order.

    Hidden folders, such as .thumbnails, hold copies, and are left out.

    Raises:
        OSError: a folder cannot be read.
    """
    for parent, folders, files in walk(where):
        folders[:] = [folder for folder in folders if not folder.startswith('.')]
        yield from (os.path.relpath(os.path.join(parent, file), where) for file in files if IMAGE_NAME.fullmatch(file))


def _by_folder(where: str) -> Iterator[Listed]:
    """The images below each folder of `where`, whose name is their class."""
    folders = sorted(entry.name for entry in os.scandir(where) if _is_class(entry))
    if not folders:
        raise UserError(f'{where} has no folders: put the images of each class into a folder of its own, with its name')
    for name in folders:
        found = [os.path.join(name, path) for path in find_names(os.path.join(where, name))]
        if not found:
            raise UserError(f'{os.path.join(where, name)} has no image ({KINDS}): add some, or remove the folder')
        yield from (_file(where, path, name) for path in found)


def _is_class(entry: os.DirEntry) -> bool:
    if entry.name.startswith('.'):
        return False
    found = stat_of(entry.path)
    if found is None:
        raise UserError(f'{entry.path} is a link to nowhere: mend or remove it')
    return stat.S_ISDIR(found.st_mode)


def _file(where: str, path: str, name: str) -> Listed:
    found = stat_of(os.path.join(where, path))
    size = found.st_size if found else 0  # a dangling link, which is named as undecodable
    return Listed(Original(path, '', where), class_name(name), size)


def _annotated(where: str) -> Iterator[Listed]:
    """Tiny ImageNet's validation images: a line of the file has an image's name, its class and a box."""
    path = os.path.join(where, ANNOTATIONS)
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        for number, line in enumerate(file, 1):
            name, _, rest = line.rstrip('\n').partition('\t')
            if not rest or not os.path.exists(os.path.join(where, 'images', name)):
                raise UserError(f'{path}, line {number}, names no image in {os.path.join(where, "images")}')
            yield _file(where, os.path.join('images', name), rest.split('\t')[0])
