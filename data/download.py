"""Fetch official files over HTTP and check them. A download can be resumed, and gets its name when it is whole."""

import os
import time
from typing import IO, NamedTuple

import requests
from tqdm import tqdm

from common.errors import UserError
from common.files import file_digest, sync

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
PAUSE = 2  # seconds before a broken connection is taken up again


class Archive(NamedTuple):
    """An official file: its name, the folder it is served from, its length in bytes and its MD5."""

    name: str
    base: str
    size: int
    md5: str

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.base + self.name


def fetch(archive: Archive, folder: str) -> tuple[str, str | None]:
    """Fetch an archive into `folder`, unless a file with its name is there.

    Returns:
        The file's path, and what is wrong with it in words; None if it is the official file.
    """
    path = os.path.join(folder, archive.name)
    if not os.path.exists(path):
        return download(archive, folder), None
    found = _difference(path, archive)
    return path, found and (
        f'{path} is truncated or altered ({found}): delete it to fetch it again, or use it as it is with --no-verify'
    )


def refuse(problem: str | None, verify: bool) -> None:
    """Raise a UserError for what is wrong with a data set's files, unless the user wants them as they are."""
    if problem and verify:
        raise UserError(problem)


def unreadable(path: str, error: Exception) -> UserError:
    """The UserError for a file that is damaged too much to be used."""
    return UserError(f'{path} cannot be read ({error}): delete it to fetch it again')


def _difference(path: str, archive: Archive) -> str | None:
    """How the file at `path` differs from the official one, in words; None if it is the same."""
    size = os.path.getsize(path)
    if size != archive.size:
        return f'{size:,} bytes instead of {archive.size:,}'
    md5 = file_digest(path, 'md5')
    return None if md5 == archive.md5 else f'MD5 {md5} instead of {archive.md5}'


def download(archive: Archive, folder: str) -> str:
    """Fetch an archive into `folder` and return its path; a file that is there already stays as it is.

    The bytes gather in NAME.part, which a later call takes up. Only a complete file with the right MD5 gets its name.

    Raises:
        UserError: the file cannot be fetched, or what the server has is not the official file.
    """
    path = os.path.join(folder, archive.name)
    if os.path.exists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    try:
        with open(path + '.part', 'ab') as part:
            _fetch(archive, part)
            part.flush()
            sync(part.fileno())
            wrong = _difference(part.name, archive)
            if wrong:
                part.truncate(0)
                raise UserError(
                    f'{archive.url} is not the official file: {wrong}; try again later, or put the right file at {path}'
                )
        os.replace(path + '.part', path)
    finally:
        if os.path.exists(path + '.part') and not os.path.getsize(path + '.part'):
            os.remove(path + '.part')
    return path


def _fetch(archive: Archive, part: IO[bytes]) -> None:
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
            folder = os.path.dirname(part.name) or '.'
            raise UserError(
                f'cannot fetch {archive.url} ({error}): run the command again to go on, or put '
                f'{archive.name} into {folder} yourself'
            )
        if part.tell() < archive.size:
            time.sleep(PAUSE)


def _reason(error: requests.RequestException) -> str:
    """An error of requests in a few words; its own text wraps the texts of three libraries."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f'HTTP status {error.response.status_code}'
    return 'no answer' if isinstance(error, requests.Timeout) else 'no connection'


def _fetch_rest(archive: Archive, part: IO[bytes]) -> None:
    """One request for the bytes that are missing; a server that ignores the range starts over."""
    have = part.tell()
    # The bytes as they lie on the server: a transfer encoding would not fit the offset.
    headers = {'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = f'bytes={have}-'
    with requests.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if have and response.status_code != 206:
            part.truncate(0)
            have = 0
        with tqdm(total=archive.size, initial=have, unit='B', unit_scale=True, desc=archive.name, disable=None) as bar:
            for block in response.iter_content(CHUNK):
                part.write(block)
                bar.update(len(block))
