"""The three files of a split: NAME.rec has its records, NAME.idx their offsets, NAME.json says what is in them.

The dict in NAME.json is called `about` throughout. Its keys are

    format             FORMAT; a file with another number is made again
    records, labels    the number of images, and of the images with each label
    verified           whether the source was checked against the official data
    content_sha256     of all records in their order
    idx_sha256         of NAME.idx
    rec_sha256         of NAME.rec; large files have rec_bytes instead, because hashing 100 GB takes minutes

and for images that were packed from files `classes`, `shorter_side`, `coding` and `undecodable` (see data/packing).
"""

from collections.abc import Iterator
import contextlib
import glob
import json
import os

import numpy as np

from common.errors import UserError
from common.files import file_digest, write_atomically
from common.mxnet import mx

FORMAT = 1
KINDS = ('.rec', '.idx', '.json')  # in the order in which they get their names: the side file vouches for the others


def read_about(prefix: str) -> dict:
    """The dict in PREFIX.json."""
    with open(prefix + '.json') as file:
        return json.load(file)


def check(prefix: str) -> dict | None:
    """The dict in PREFIX.json if the three files belong together, None if they must be made again."""
    try:
        about = read_about(prefix)
        fits = (
            about['format'] == FORMAT
            and _is_whole(prefix + '.rec', about)
            and about['idx_sha256'] == file_digest(prefix + '.idx', 'sha256')
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return about if fits else None


def _is_whole(rec: str, about: dict) -> bool:
    if 'rec_sha256' in about:
        return about['rec_sha256'] == file_digest(rec, 'sha256')
    return about['rec_bytes'] == os.path.getsize(rec)


def finish(temporary: str, prefix: str, about: dict) -> None:
    """Write the side file beside TEMPORARY.rec and TEMPORARY.idx, and give all three their names."""
    write_atomically(temporary + '.json', json.dumps(about, indent=1))
    for kind in KINDS:
        os.replace(temporary + kind, prefix + kind)


def discard(temporary: str) -> None:
    """Remove the files of a split that is not finished."""
    for path in glob.glob(glob.escape(temporary) + '.*'):
        os.remove(path)


@contextlib.contextmanager
def writer(rec: str, idx: str, problem: str) -> Iterator[mx.recordio.MXIndexedRecordIO]:
    """MXNet's writer of records. Where the disk does not take them, a UserError says `problem`."""
    try:
        record = mx.recordio.MXIndexedRecordIO(idx, rec, 'w')
        yield record
        written = record.tell()
        record.close()
    except mx.MXNetError as error:
        raise UserError(problem) from error
    if os.path.getsize(rec) != written:  # on a full disk, MXNet loses the last bytes and says nothing
        raise UserError(problem)


def write_index(path: str, offsets: list[tuple[int, int]]) -> None:
    """Write an .idx file from pairs of record and offset in bytes."""
    write_atomically(path, ''.join(f'{record}\t{offset}\n' for record, offset in offsets))


def read_index(prefix: str) -> dict[int, int]:
    """{record: its offset in bytes} from PREFIX.idx."""
    with open(prefix + '.idx') as file:
        records, offsets = np.array(file.read().split(), np.int64).reshape(-1, 2).T
    return dict(zip(records.tolist(), offsets.tolist()))
