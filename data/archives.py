"""Archives and files of others, read within bounds: what is huge, endless, linked or twice there is refused by name.

Nothing is ever unpacked to the disk, so no path in an archive can lead anywhere.
"""

from collections.abc import Callable, Iterable
import gzip
import os
import tarfile
from typing import IO
import zlib

from common.errors import UserError

LIMIT = (
    1 << 28
)  # bytes of a file, or of an unpacked archive, that is read into memory; the largest here has 186 million
HEADERS = 1 << 20  # bytes that tarfile may read at once to know about a member

# What tarfile, gzip and zlib raise for a damaged archive; a chain of headers makes tarfile call itself.
DAMAGES = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, RecursionError)


def require_file(path: str) -> None:
    """Raise a UserError for what is there and no file: reading a pipe or a device might never end."""
    if os.path.lexists(path) and not os.path.isfile(path):
        raise UserError(f'{path} is not a file, or a link to nowhere: put the right one there, or remove it')


def read_file(path: str) -> bytes:
    """The contents of a file of at most LIMIT bytes."""
    require_file(path)
    with open(path, 'rb') as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise UserError(f'{path} is longer than {LIMIT:,} bytes: it cannot be the right file')
    return content


def read_members(path: str, names: Iterable[str]) -> dict[str, bytes]:
    """The contents of some members of a tar file, which may be packed by gzip.

    Raises:
        tarfile.ReadError, or another of DAMAGES: one of them is missing or twice there, is no plain file, or the whole
            archive has more than LIMIT bytes.
    """
    names, contents = set(names), {}
    with open(path, 'rb') as file:
        packed = file.read(2) == b'\x1f\x8b'
        file.seek(0)
        unpacked = _Bounded(gzip.GzipFile(fileobj=file).read if packed else file.read)
        with tarfile.open(fileobj=unpacked, mode='r|') as tar:  # type: ignore[call-overload]  # it has all that is read
            for member in tar:
                if member.name not in names:
                    continue
                require_plain(member)
                if member.name in contents:
                    raise tarfile.ReadError(f'{member.name} is in it twice')
                reader = tar.extractfile(member)
                assert reader, 'it is a plain file'
                contents[member.name] = reader.read()
    missing = sorted(names - contents.keys())
    if missing:
        raise tarfile.ReadError(f'it lacks {missing[0]}')
    return contents


def require_plain(member: tarfile.TarInfo) -> None:
    """Refuse a member that is no plain file, with all its bytes in one piece."""
    if not member.isreg() or member.issparse() or member.size < 0:
        raise tarfile.ReadError(f'{member.name} is not a plain file')


class _Bounded:
    """What can be read of a file up to LIMIT bytes."""

    def __init__(self, read: Callable[[int], bytes]):
        self._read, self._left = read, LIMIT

    def read(self, size: int) -> bytes:
        content = self._read(size)
        self._left -= len(content)
        if self._left < 0:
            raise tarfile.ReadError(f'it unpacks to more than {LIMIT:,} bytes')
        return content


class Headers:
    """A file from which tarfile can list members, but no more than HEADERS bytes at once: they may be declared."""

    def __init__(self, file: IO[bytes]):
        self._file, self.seek, self.tell, self.seekable = file, file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """At most HEADERS bytes."""
        if not 0 <= size <= HEADERS:
            raise tarfile.ReadError(f'a header of {size:,} bytes')
        return self._file.read(size)
