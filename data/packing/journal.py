"""The files of a split in the making: NAME.unfinished.rec, and the journal NAME.unfinished.jsonl.

The journal's first line says what is being made. Every other line describes a chunk of records that is whole in the
.rec: its number, its length in bytes, its records' ids and offsets, its undecodable images and its SHA-256. A chunk's
bytes reach the disk before its line does, so after any interruption the work goes on behind the last whole chunk. A
line ends with its own CRC-32.
"""

from collections.abc import Iterator
import contextlib
import errno
import json
import os
import shutil
from typing import IO
import zlib

from common.errors import UserError
from common.files import BLOCK, FULL, lock, sync


class Journal:
    """An unfinished split, open for one process alone.

    Raises:
        UserError: another process is making the same split, or the folder is read-only.
    """

    def __init__(self, temporary: str):
        self._lines = _open(temporary + '.jsonl', 'a+b')
        self._rec = _open(temporary + '.rec', 'ab')
        try:
            lock(self._lines.fileno(), self._lines.name, 'let one process alone prepare these images')
        except BlockingIOError as error:
            self.close()
            rec = temporary.removesuffix('.unfinished') + '.rec'
            raise UserError(f'another process is making {rec}: wait for it') from error

    def resume(self, header: dict) -> int:
        """Cut both files to the whole chunks that they have in common; return how many these are.

        None are kept of a split with another header.
        """
        self._lines.seek(0)
        if _parse(self._lines.readline()) != header:
            self._lines.truncate(0)
            self._rec.truncate(0)
            self._lines.write(_line(header))
            _sync(self._lines)
            return 0
        size, end, done, total = os.path.getsize(self._rec.name), self._lines.tell(), 0, 0
        for line in self._lines:
            entry = _parse(line)
            if not entry or entry.get('chunk') != done or total + entry['bytes'] > size:
                break
            done, total, end = done + 1, total + entry['bytes'], end + len(line)
        self._lines.truncate(end)
        self._rec.truncate(total)
        return done

    def append(self, path: str, entry: dict) -> None:
        """Move the chunk in the file `path` to the end of the .rec, and add its line."""
        with open(path, 'rb') as file:
            shutil.copyfileobj(file, self._rec, BLOCK)
        _sync(self._rec)
        os.remove(path)
        self._lines.write(_line(entry))
        _sync(self._lines)

    def entries(self) -> Iterator[dict]:
        """Yield the chunks' lines, which are all whole."""
        self._lines.seek(0)
        self._lines.readline()
        yield from filter(None, map(_parse, self._lines))

    def close(self) -> None:
        """Close the files, and let other processes at them."""
        self._lines.close()
        self._rec.close()

    def remove(self) -> None:
        """Remove the journal of a split that is finished."""
        os.remove(self._lines.name)


def no_room(path: str) -> str:
    """What is said where the disk is full."""
    return f'{path} cannot be written: the disk is full; make room, and the same command goes on from here'


@contextlib.contextmanager
def full_disk_is_one_line(path: str) -> Iterator[None]:
    """Turn the errors of a full disk into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(no_room(path)) from error


def _open(path: str, mode: str) -> IO[bytes]:
    try:
        return open(path, mode)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        raise UserError(
            f'{path} cannot be written: make a folder of your own with links to the files in this one, '
            'and name it with --data-dir'
        ) from error


def _sync(file: IO[bytes]) -> None:
    file.flush()
    sync(file.fileno())


def _line(entry: dict) -> bytes:
    text = json.dumps(entry).encode()
    return b'%s\t%08x\n' % (text, zlib.crc32(text))


def _parse(line: bytes) -> dict | None:
    """None for a line that was not written to its end, or that is altered. Earlier versions wrote no checksum."""
    text, _, checksum = line.partition(b'\t')
    if not line.endswith(b'\n') or checksum not in (b'', b'%08x\n' % zlib.crc32(text)):
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
