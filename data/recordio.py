"""The files of a split: NAME.rec has its records, NAME.idx their offsets, NAME.json says what is in them, and for
images that were packed from files NAME.crc has their checksums.

The dict in NAME.json is called `about` throughout. Its keys are

    format             FORMAT; a file with another number is made again
    records, labels    the number of images, and of the images with each label
    verified           whether the source was checked against the official data
    content_sha256     of all records in their order
    idx_sha256         of NAME.idx
    rec_sha256         of NAME.rec; large files have rec_bytes instead, because hashing 100 GB takes minutes
    json_sha256        of the other keys; it is in the file, not in the dict

and for images that were packed from files `classes`, `undecodable`, `mean` and `std` if they were measured, the fields
of Form that are set (see data/packing), `source_sha256` for a user's own images, and `crc_sha256` of NAME.crc. That
file has the CRC-32 of each record, in their order, as numbers of 4 bytes. A record is checked against it whenever it is
read.

MXNet writes the records. They are read here, because its reader ends the process where a record's header is damaged.
"""

from collections.abc import Iterator
import contextlib
import glob
import hashlib
import json
import os
import struct
import zlib

import numpy as np

from common.errors import UserError
from common.files import MISSING, check_utf8, file_digest, replacing, write_atomically
from common.mxnet import mx
from common.sums import digest_of

FORMAT = 1
KINDS = ('.rec', '.idx', '.crc', '.json')  # in the order in which they get their names: the last vouches for the others

# A record is its head, its bytes and zeros up to a multiple of 4. The head has MAGIC, and a number whose upper 3 bits
# say which part of a record follows, and whose lower 29 bits its length. MXNet cuts a record wherever it has MAGIC in
# itself. An image's record begins with a header of its own: flag, label, id and id2.
MAGIC = 0xCED7230A
HEAD, HEADER = struct.Struct('<II'), struct.Struct('<IfQQ')
WHOLE, FIRST, MIDDLE, LAST = range(4)
# Of side files of earlier versions, which had no digest of their own.
EARLIER_KEYS = set(
    'format records labels verified content_sha256 idx_sha256 rec_sha256 rec_bytes classes shorter_side coding '
    'undecodable'.split()
)
# Of a side file or an index. Errors of the disk may pass, and let nothing be made again.
DAMAGES = (*MISSING, ValueError, KeyError, TypeError, AttributeError, OverflowError)


def read_about(prefix: str) -> dict:
    """The dict in PREFIX.json.

    Raises:
        ValueError: the file is altered.
    """
    with open(prefix + '.json', encoding='utf-8') as file:
        about = json.load(file)
    digest = about.pop('json_sha256', None)
    if digest != digest_of(about) and not (digest is None and about.keys() <= EARLIER_KEYS):
        raise ValueError(f'{prefix}.json is altered')
    return about


def write_about(prefix: str, about: dict) -> None:
    """Write PREFIX.json."""
    write_atomically(prefix + '.json', json.dumps({**about, 'json_sha256': digest_of(about)}, indent=1))


def check(prefix: str) -> dict | None:
    """The dict in PREFIX.json if the files belong together, None if they must be made again. See also has_checksums.

    Raises:
        OSError: they cannot be read, which may pass.
    """
    try:
        about = read_about(prefix)
        fits = (
            _is_well_formed(about)
            and _rec_fits(prefix + '.rec', about)
            and about['idx_sha256'] == file_digest(prefix + '.idx', 'sha256')
            and _index_fits(prefix, about)
        )
    except DAMAGES:
        return None
    return about if fits else None


def _is_well_formed(about: dict) -> bool:
    counts, classes = about['labels'], about.get('classes')
    return (
        about['format'] == FORMAT
        and type(about['verified']) is bool
        and type(about['content_sha256']) is str
        and _are(int, counts)
        and min(counts, default=0) >= 0
        and type(about['records']) is int
        and about['records'] == sum(counts)
        and (classes is None or _are_of_files(about, classes))
    )


def _are_of_files(about: dict, classes: list[str]) -> bool:
    """Whether what a side file says of images that were packed from files has its types."""
    return (
        _are(str, classes)
        and len(set(classes)) == len(classes) == len(about['labels'])
        and type(about['shorter_side']) is int
        and _are(str, about['undecodable'])
    )


def _are(kind: type, values: list) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)


def _rec_fits(rec: str, about: dict) -> bool:
    if 'rec_sha256' in about:
        return about['rec_sha256'] == file_digest(rec, 'sha256')
    return about['rec_bytes'] == os.path.getsize(rec)


def _index_fits(prefix: str, about: dict) -> bool:
    """Whether there are as many records as the side file says, and no id is beyond the last image."""
    ids, _ = read_index(prefix)
    return len(ids) == about['records'] and all(ids[-1:] < len(ids) + len(about.get('undecodable', [])))


def has_checksums(prefix: str, about: dict) -> bool:
    """Whether PREFIX.crc is there and belongs to the other files."""
    try:
        return about.get('crc_sha256') == file_digest(prefix + '.crc', 'sha256')
    except MISSING:
        return False


def finish(temporary: str, prefix: str, about: dict) -> None:
    """Write the side file beside TEMPORARY.rec and the others, and give all of them their names."""
    write_about(temporary, about)
    for kind in KINDS:
        if os.path.exists(temporary + kind):
            os.replace(temporary + kind, prefix + kind)


def discard(temporary: str) -> None:
    """Remove the files of a split that is not finished."""
    for path in glob.glob(glob.escape(temporary) + '.*'):
        os.remove(path)


@contextlib.contextmanager
def writer(rec: str, idx: str, problem: str) -> Iterator[mx.recordio.MXIndexedRecordIO]:
    """MXNet's writer of records. Where the disk does not take them, a UserError says `problem`."""
    check_utf8(rec)
    record = None
    try:
        record = mx.recordio.MXIndexedRecordIO(idx, rec, 'w')
        yield record
        written = record.tell()
        record.close()
    except (mx.MXNetError, OSError) as error:
        raise UserError(problem) from error
    finally:
        if record and record.fidx:  # or it would try to write its last lines when it is collected, and fail again
            with contextlib.suppress(OSError):
                record.fidx.close()
    if os.path.getsize(rec) != written:  # on a full disk, MXNet loses the last bytes and says nothing
        raise UserError(problem)


def write_index(path: str, offsets: list[tuple[int, int]]) -> None:
    """Write an .idx file from pairs of record and offset in bytes."""
    write_atomically(path, ''.join(f'{record}\t{offset}\n' for record, offset in offsets))


def read_index(prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """The records' ids (n,) from PREFIX.idx, and where they begin and end in bytes, (n + 1,); both int64.

    Raises:
        ValueError: ids or offsets do not rise, or the records do not fill PREFIX.rec.
    """
    with open(prefix + '.idx', encoding='ascii') as file:
        ids, offsets = np.array(file.read().split(), np.int64).reshape(-1, 2).T
    bounds = np.append(offsets, os.path.getsize(prefix + '.rec'))
    if bounds[0] or (np.diff(bounds) < HEAD.size + HEADER.size).any() or (np.diff(ids, prepend=-1) <= 0).any():
        raise ValueError(f'{prefix}.idx does not fit {prefix}.rec')
    return ids, bounds


def checksums(path: str, offsets: list[int]) -> list[int]:
    """The CRC-32 of each record of a file, which begin at `offsets`."""
    with open(path, 'rb') as file:
        content = memoryview(file.read())
    return [zlib.crc32(content[begin:end]) for begin, end in zip(offsets, [*offsets[1:], len(content)])]


def write_checksums(prefix: str, checksums: list[int]) -> str:
    """Write PREFIX.crc and return its SHA-256."""
    content = np.array(checksums, '<u4').tobytes()
    with replacing(prefix + '.crc') as temporary, open(temporary, 'wb') as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


class Records:
    """The records of PREFIX.rec, which any thread can read. ids: in their order, which rises.

    Args:
        prefix: of the files.
        about: the side file's dict. With `crc_sha256` each record is checked when it is read.

    Raises:
        UserError: the index does not fit.
    """

    def __init__(self, prefix: str, about: dict):
        self.prefix, self._classes = prefix, len(about['labels'])
        try:
            self._file = open(prefix + '.rec', 'rb', buffering=0)
            self.ids, self._bounds = read_index(prefix)
            self._checksums = np.fromfile(prefix + '.crc', '<u4') if 'crc_sha256' in about else None
        except DAMAGES as error:
            raise UserError(f'{prefix}.rec cannot be read ({error}): delete it, and it is made again') from error

    def raw(self, record: int) -> bytes:
        """A record as it is in the file."""
        begin, end = self._place(record)[1]
        try:
            raw = os.pread(self._file.fileno(), end - begin, begin)
        except OSError as error:
            raise self.damage(record, error.strerror or str(error)) from error
        if len(raw) != end - begin:
            raise self.damage(record, 'the file ends in it')
        return raw

    def read(self, record: int) -> tuple[int, memoryview]:
        """The label of a record and its image's file.

        Raises:
            UserError: it is not what was packed.
        """
        raw = self.raw(record)
        if self._checksums is not None and zlib.crc32(raw) != self._checksums[self._place(record)[0]]:
            raise self.damage(record, 'another checksum')
        content = _joined(raw)
        if content is None or len(content) < HEADER.size:
            raise self.damage(record, 'it has no header')
        flag, label, _, _ = HEADER.unpack_from(content)
        if flag or not 0 <= label < self._classes or label % 1:
            raise self.damage(record, f'the label {label:g} of {self._classes} classes')
        return int(label), content[HEADER.size :]

    def damage(self, record: int, problem: str) -> UserError:
        """The UserError for a record that cannot be used."""
        return UserError(
            f'{self.prefix}.rec is damaged, or the disk that it is on: delete it, and the same command makes it again '
            f'(record {record}: {problem})'
        )

    def _place(self, record: int) -> tuple[int, list[int]]:
        """A record's number in the file, and where it begins and ends."""
        number = int(np.searchsorted(self.ids, record))
        return number, self._bounds[number : number + 2].tolist()


def _joined(raw: bytes) -> memoryview | None:
    """A record's bytes without heads and padding; None where they are no record."""
    parts, kinds, place = [], [], 0
    while place < len(raw):
        if len(raw) - place < HEAD.size:
            return None
        magic, number = HEAD.unpack_from(raw, place)
        kind, length = number >> 29, number & (1 << 29) - 1
        begin, place = place + HEAD.size, place + HEAD.size + (length + 3) // 4 * 4
        if magic != MAGIC or place > len(raw):
            return None
        kinds.append(kind)
        parts.append(memoryview(raw)[begin : begin + length])
    if kinds == [WHOLE]:
        return parts[0]
    if len(kinds) > 1 and kinds == [FIRST] + [MIDDLE] * (len(kinds) - 2) + [LAST]:
        return memoryview(struct.pack('<I', MAGIC).join(parts))
    return None
