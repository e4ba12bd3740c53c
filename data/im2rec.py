"""Find images in a .rec file, as MXNet's im2rec.py writes it."""

from collections.abc import Iterator
import os
from typing import NamedTuple

from common.errors import UserError
from common.mxnet import mx
from data.image_folders import Listed, class_name
from data.recordio import FIRST, HEAD, HEADER, LAST, MAGIC, MIDDLE, WHOLE


class Record(NamedTuple):
    """An image in a .rec file, at a byte."""

    name: str
    where: str
    offset: int

    def read(self) -> bytes:
        """The image's bytes."""
        reader = mx.recordio.MXIndexedRecordIO(os.devnull, self.where, 'r')
        reader.idx = {0: self.offset}
        return mx.recordio.unpack(reader.read_idx(0))[1]


def list_records(rec: str, train_list: str) -> list[Listed]:
    """The images of a .rec file, in its order. A class is named by its folder in the .lst file, or else by its label.

    Args:
        train_list: the .lst file of the training images, whose classes count.

    Raises:
        UserError: the file is damaged, or its labels are no classes.
    """
    paths = {number: path for number, _, path in _lines(rec.removesuffix('.rec') + '.lst')}
    names = _class_names(train_list)
    return [
        Listed(Record(paths.get(number, f'record {number}'), rec, offset), names.get(label, f'{label:.0f}'), size)
        for offset, size, label, number in _scan(rec)
    ]


def _class_names(train_list: str) -> dict[float, str]:
    """{label: class}, where each label has one folder: its first part if that tells the classes apart, else all of it.

    Nothing where labels and folders are not one to one.
    """
    folders = {(label, os.path.dirname(path)) for _, label, path in _lines(train_list)}
    for name_of in (lambda folder: folder.split(os.sep)[0], lambda folder: folder):
        names = {label: class_name(name_of(folder)) for label, folder in folders}
        if len(folders) == len(names) == len(set(names.values())) and all(names.values()):
            return names
    return {}


def _scan(rec: str) -> Iterator[tuple[int, int, float, int]]:
    """Yield (offset, bytes, label, id) of each record."""
    with open(rec, 'rb') as file:
        end = os.path.getsize(rec)
        within = False  # a record that MXNet cut into parts; where its last part is missing, MXNet ends the process
        while file.tell() < end:
            offset, head = file.tell(), file.read(HEAD.size)
            magic, word = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
            kind, length = word >> 29, word & (1 << 29) - 1
            begins = kind in (WHOLE, FIRST)
            fits, within = begins != within and kind <= LAST, kind in (FIRST, MIDDLE)
            header = file.read(HEADER.size) if begins and length >= HEADER.size else b''
            file.seek(offset + HEAD.size + length + -length % 4)
            fits = fits and magic == MAGIC and not (within and file.tell() >= end)
            if not fits or file.tell() > end or (begins and len(header) < HEADER.size):
                raise UserError(f'{rec} is truncated or altered at byte {offset:,}: make it again with im2rec.py')
            if begins:
                flag, label, number, _ = HEADER.unpack(header)
                if flag or not label.is_integer() or label < 0:
                    raise UserError(
                        f'{rec}, record {number}, has no class: its label has to be one whole number from 0'
                    )
                yield offset, length, label, number


def _lines(path: str) -> Iterator[tuple[int, float, str]]:
    """Yield (id, label, path) for each line of a .lst file; none where there is no file."""
    if not os.path.exists(path):
        return
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        for number, line in enumerate(file, 1):
            try:
                record, label, *_, name = line.rstrip('\n').split('\t')
                yield int(record), float(label), name
            except ValueError:
                raise UserError(f'{path}, line {number}, has to be number, label and path, with tabs between') from None
