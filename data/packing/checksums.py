"""Checksums for a split that earlier versions packed without, or whose NAME.crc is damaged."""

from collections.abc import Iterator
import hashlib
import os
import zlib

from tqdm import tqdm

from data import recordio


def checked(prefix: str, chunk: int) -> dict:
    """The dict in PREFIX.json if the files belong together, empty if they must be made again.

    Args:
        prefix: of the files.
        chunk: images of a chunk, as they were packed.
    """
    about = recordio.check(prefix)
    if about and not recordio.has_checksums(prefix, about):
        about = _with_checksums(prefix, about, chunk)
    return about or {}


def _with_checksums(prefix: str, about: dict, chunk: int) -> dict | None:
    """Read PREFIX.rec once, compare it with the digest of its content, and write PREFIX.crc.

    None where the records are not those that were packed.
    """
    about = {name: value for name, value in about.items() if name != 'crc_sha256'}
    if not os.access(os.path.dirname(prefix) or '.', os.W_OK):
        return _unchecked(prefix, about, 'its folder is read-only')
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
    try:
        complete = {**about, 'crc_sha256': recordio.write_checksums(prefix, checksums)}
        recordio.write_about(prefix, complete)
    except OSError as error:
        return _unchecked(prefix, about, error.strerror or str(error))
    return complete


def _unchecked(prefix: str, about: dict, why: str) -> dict:
    print(
        f'{prefix}.rec has no checksums ({why}), so that damaged pixels would not be noticed: the same command adds '
        'them where it can write',
        flush=True,
    )
    return about


def _by_chunk(records: recordio.Records, about: dict, chunk: int) -> Iterator[list[int]]:
    images = about['records'] + len(about['undecodable'])
    title = os.path.basename(records.prefix)
    with tqdm(total=images, desc=title, unit=' images', disable=None) as bar:
        for first in range(0, images, chunk):
            begin, end = records.ids.searchsorted([first, first + chunk])
            yield records.ids[begin:end].tolist()
            bar.update(min(chunk, images - first))
