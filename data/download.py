"""Fetch a file over HTTP and check it: resumable and atomic."""
import os
import time
from typing import NamedTuple

import requests
from tqdm import tqdm

from common.errors import UserError
from common.files import file_digest

CHUNK = 1 << 20
TIMEOUT = 60   # seconds without a byte
PAUSE = 2      # seconds before a broken connection is taken up again


class Archive(NamedTuple):
    """An official file: its name, the folder it is served from, its length in bytes and its MD5."""

    name: str
    base: str
    size: int
    md5: str

    @property
    def url(self):
        """Where it is."""
        return self.base + self.name


def difference(path, archive):
    """How the file at `path` differs from the official one, in words; None where it is the same."""
    size = os.path.getsize(path)
    if size != archive.size:
        return '{:,} bytes instead of {:,}'.format(size, archive.size)
    md5 = file_digest(path, 'md5')
    return None if md5 == archive.md5 else 'MD5 %s instead of %s' % (md5, archive.md5)


def download(archive, folder):
    """Fetch an archive into `folder` and return its path; a file already there is left as it is.

    The bytes gather in NAME.part, which a later call takes up again; only a complete file with the
    right MD5 gets its name. Raises UserError where the file cannot be had or is not the official one.
    """
    path = os.path.join(folder, archive.name)
    if os.path.exists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    try:
        with open(path + '.part', 'ab') as part:
            _fetch(archive, part)
            part.flush()
            os.fsync(part.fileno())
            wrong = difference(part.name, archive)
            if wrong:
                part.truncate(0)
                raise UserError('%s is not the official file: %s; try again later, or put the right file at %s'
                                % (archive.url, wrong, path))
        os.replace(path + '.part', path)
    finally:
        if os.path.exists(path + '.part') and not os.path.getsize(path + '.part'):
            os.remove(path + '.part')
    return path


def _fetch(archive, part):
    """Append to the open file `part` until it is as long as the archive; give up when nothing more comes."""
    idle = 0
    while part.tell() < archive.size:
        before = part.tell()
        try:
            _fetch_rest(archive, part)
            error = 'the connection ended early'
        except requests.RequestException as exception:
            error = _reason(exception)
        idle = 0 if part.tell() > before else idle + 1
        if idle == 2:
            raise UserError('cannot fetch %s (%s): run the command again to go on, or put %s into %s yourself'
                            % (archive.url, error, archive.name, os.path.dirname(part.name) or '.'))
        if part.tell() < archive.size:
            time.sleep(PAUSE)


def _reason(error):
    """An error of requests in a few words; its own text wraps that of three libraries."""
    if isinstance(error, requests.HTTPError):
        return 'HTTP status %d' % error.response.status_code
    return 'no answer' if isinstance(error, requests.Timeout) else 'no connection'


def _fetch_rest(archive, part):
    """One request for the bytes that are missing; a server that ignores the range starts over."""
    have = part.tell()
    # The bytes as they lie on the server: a transfer encoding would not fit the offset.
    headers = {'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = 'bytes=%d-' % have
    with requests.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if have and response.status_code != 206:
            part.truncate(0)
            have = 0
        with tqdm(total=archive.size, initial=have, unit='B', unit_scale=True, desc=archive.name,
                  disable=None) as bar:
            for block in response.iter_content(CHUNK):
                part.write(block)
                bar.update(len(block))
