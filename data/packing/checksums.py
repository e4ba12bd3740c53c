"""Checksums for a split that earlier versions packed without, or whose NAME.crc is damaged."""

from collections.abc import Iterator
import errno
import hashlib
import os
import zlib

from tqdm import tqdm

from data import recordio

READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


def add_checksums(prefix: str, about: dict, chunk: int) -> dict | None:
    """Read PREFIX.rec once, compare it with the digest of its content, and write PREFIX.crc.

    Args:
        prefix: of the files.
        about: the side file's dict.
        chunk: images of a chunk, as they were packed.

    Returns:
        The side file's new dict; None where the records are not those that were packed.
    """
    about = {name: value for name, value in about.items() if name != 'crc_sha256'}
    if not os.access(os.path.dirname(prefix) or '.', os.W_OK):
        print(
            f'{prefix}.rec has no checksums, and its folder is read-only: damaged pixels would not be noticed; '
            'the same command adds checksums where it may write',
            flush=True,
        )
        return about
    print(f'{prefix}.rec has no checksums yet: reading it once to add them', flush=True)
    records = recordio.Records(prefix, about)
    checksums, content = [], hashlib.sha256()
    for ids in _by_chunk(records, about, chunk):
        digest = hashlib.sha256()
        for record in ids:
            raw = records.raw(record)
            digest.update(raw)
            checksums.append(zlib.crc32(raw))
        content.update(digest.digest())
    if content.hexdigest() != about['content_sha256']:
        return None
    about['crc_sha256'] = recordio.write_checksums(prefix, checksums)
    recordio.write_about(prefix, about)
    return about


def _by_chunk(records: recordio.Records, about: dict, chunk: int) -> Iterator[list[int]]:
    images = about['records'] + len(about['undecodable'])
    title = os.path.basename(records.prefix)
    with tqdm(total=images, desc=title, unit=' images', disable=None) as bar:
        for first in range(0, images, chunk):
            begin, end = records.ids.searchsorted([first, first + chunk])
            yield records.ids[begin:end].tolist()
            bar.update(min(chunk, images - first))
