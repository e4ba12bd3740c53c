"""Arrays in MXNet's files (….params), checked before MXNet reads them.

MXNet believes what a file says: a wrong length makes it ask for any amount of memory, or ends the process. Here every
length is compared with the file's size before. Only dense arrays of finite float32 pass.

The layout, in little endian: a list's mark, 0 and the number of arrays; the arrays; the number of names; the names,
each behind its length. An array is its mark, its storage (0: dense), its shape behind the number of axes, the device
that it was on (two numbers), its type (0: float32) and the values.
"""

from collections.abc import Mapping
import math
import os
import struct

import numpy as np

from common.errors import UserError
from common.files import check_utf8
from common.mxnet import mx

LIST = 0x112
ARRAY = 0xF993FAC9  # of MXNet from 1.0 on
MAX_SIZE = 4 << 30  # bytes; the largest network here, ResNet-101, takes 180 MB
MAX_AXES = 8
MAX_NAME = 1000  # bytes
TYPES = {1: 'float64', 2: 'float16', 3: 'uint8', 4: 'int32', 5: 'int8', 6: 'int64', 7: 'bool', 12: 'bfloat16'}


class NotSaved(UserError):
    """A file could not be written whole."""


class _Reader:
    """Takes pieces from the front of a file's contents, and never more than there is."""

    def __init__(self, content: bytes):
        self._content, self._place = memoryview(content), 0

    @property
    def left(self):
        return len(self._content) - self._place

    def take(self, size):
        if size > self.left:
            raise ValueError('it ends too early')
        self._place += size
        return self._content[self._place - size : self._place]

    def numbers(self, format_):
        return struct.unpack(f'<{format_}', self.take(struct.calcsize(f'<{format_}')))


def save(path: str, arrays: Mapping[str, mx.nd.NDArray]) -> None:
    """Write named arrays, and read the file back: MXNet does not report a disk that is full when it closes the file.

    Raises:
        NotSaved: the file is not what was to be written.
        UserError: its name is not UTF-8.
    """
    check_utf8(path)
    try:
        mx.nd.save(path, {name: value.as_in_context(mx.cpu()) for name, value in arrays.items()})
        mx.nd.load(path)
    except mx.MXNetError as error:
        raise NotSaved(f'{path} cannot be written: is the disk full?') from error


def load(path: str) -> dict[str, mx.nd.NDArray]:
    """The arrays of a file by name; by '' if they have none.

    Raises:
        UserError: the file is not one of MXNet's, or holds anything but finite numbers in float32.
    """
    try:
        if os.path.getsize(path) > MAX_SIZE:
            raise ValueError(f'it has more than {MAX_SIZE >> 30} GiB')
        with open(path, 'rb') as file:
            content = file.read()
        _check(_Reader(content))
        arrays = mx.nd.load_frombuffer(content)
    except (ValueError, mx.MXNetError) as error:
        raise UserError(f'{path} cannot be read: truncated, or not a file of MXNet ({error})') from error
    return arrays if isinstance(arrays, dict) else {'': arrays[0]}


def _check(reader):
    mark, reserved, count = reader.numbers('QQQ')
    if (mark, reserved) != (LIST, 0):
        raise ValueError('it does not begin as one')
    if not count:
        raise ValueError('it holds no arrays')
    arrays: list = []
    while len(arrays) < count:  # `count` may be any number; each array takes from what is left of the file
        arrays.append(_array(reader, len(arrays)))
    (named,) = reader.numbers('Q')
    if named not in (0, count):
        raise ValueError(f'{count} arrays have {named} names')
    names = [_name(reader) for _ in range(named)]
    if reader.left:
        raise ValueError(f'{reader.left} bytes follow its end')
    if len(set(names)) != len(names):
        raise ValueError('two arrays have one name')
    for name, array in zip(names or ['' for _ in arrays], arrays):
        if not np.isfinite(array).all():
            raise ValueError(f'{name or "an array"} has values that are not finite')


def _array(reader, index):
    mark, storage = reader.numbers('Ii')
    if mark != ARRAY:
        raise ValueError(f'array {index} does not begin as one')
    if storage != 0:
        raise ValueError(f'array {index} is sparse')
    (axes,) = reader.numbers('i')
    if not 1 <= axes <= MAX_AXES:
        raise ValueError(f'array {index} has {axes} axes')
    *shape, _, _, type_ = reader.numbers(f'{axes}qiii')
    if min(shape) < 1:
        raise ValueError(f'array {index} has the shape {tuple(shape)}')
    if type_ != 0:
        raise ValueError(f'array {index} is of type {TYPES.get(type_, type_)}: only float32 is read')
    return np.frombuffer(reader.take(4 * math.prod(shape)), '<f4').reshape(shape)


def _name(reader):
    (length,) = reader.numbers('Q')
    if length > MAX_NAME:
        raise ValueError('a name is too long')
    name = bytes(reader.take(length)).decode()
    if not name.isprintable():
        raise ValueError('a name cannot be printed')
    return name
