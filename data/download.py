"""Fetch official files over HTTP and check them. A download can be resumed, and gets its name when it is whole."""

import os
import time
from typing import IO, NamedTuple

import requests
from tqdm import tqdm
import urllib3

from common.errors import UserError
from common.files import file_digest, sync
from data.archives import require_file

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
SLOWEST = 1000  # bytes a second
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
    if not os.path.lexists(path):
        return download(archive, folder), None
    require_file(path)
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
    if os.path.lexists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    require_file(path + '.part')
    try:
        with open(path + '.part', 'ab') as part:
            _fetch_whole(archive, part)
        os.replace(path + '.part', path)
    except OSError as error:  # not the network's
        raise UserError(
            f'{path} cannot be written ({error.strerror or error}): make room or name another folder with --data-dir, '
            'and the same command goes on from here'
        ) from error
    finally:
        if os.path.exists(path + '.part') and not os.path.getsize(path + '.part'):
            os.remove(path + '.part')
    return path


def _fetch_whole(archive: Archive, part: IO[bytes]) -> None:
    """Make the open file `part` the official file. What is wrong in its end is fetched again from its beginning, once.

    The beginning may be of an earlier call, or of a page that asks for a password.
    """
    for last in (False, True):
        _fetch(archive, part)
        part.flush()
        sync(part.fileno())
        wrong = _difference(part.name, archive)
        if not wrong:
            return
        _clear(part)
        if not last:
            print(f'{archive.url} is not the official file ({wrong}): fetching it again', flush=True)
    raise UserError(
        f'{archive.url} is not the official file: {wrong}; try again later, or put the right file at '
        f'{part.name.removesuffix(".part")}'
    )


def _clear(part: IO[bytes]) -> None:
    part.seek(0)
    part.truncate()


class _Refusal(Exception):
    """An answer, or a connection, that is of no use."""


def _fetch(archive: Archive, part: IO[bytes]) -> None:
    """Append to the open file `part` until it is as long as the archive; give up when nothing more comes."""
    if part.tell() > archive.size:
        _clear(part)
    idle = 0
    while part.tell() < archive.size:
        before = part.tell()
        try:
            _fetch_rest(archive, part)
            error, useless = 'the connection ended early', False
        except _Refusal as refusal:
            error, useless = str(refusal), True
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exception:
            error, useless = _reason(exception), False
        idle = 0 if part.tell() > before and not useless else idle + 1
        if idle == 2:
            folder = os.path.dirname(part.name) or '.'
            raise UserError(
                f'cannot fetch {archive.url} ({error}): run the command again to go on, or put '
                f'{archive.name} into {folder} yourself'
            )
        if part.tell() < archive.size:
            time.sleep(PAUSE)


def _reason(error: Exception) -> str:
    """An error of the network in a few words; its own text wraps the texts of three libraries."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f'HTTP status {error.response.status_code}'
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return 'the connection ended early'
    timeout = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
    return 'no answer' if timeout else 'no connection'


def _fetch_rest(archive: Archive, part: IO[bytes]) -> None:
    """One request for the bytes that are missing, and no more; a server that ignores the range starts over."""
    have = part.tell()
    # The bytes as they lie on the server: an encoding would not fit the offset.
    headers = {'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = f'bytes={have}-'
    with requests.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        start = have if response.status_code == 206 else 0
        _refuse_answer(response, start, archive.size)
        if start != have:
            _clear(part)
        with tqdm(total=archive.size, initial=start, unit='B', unit_scale=True, desc=archive.name, disable=None) as bar:
            begun, recent = time.monotonic(), 0
            while part.tell() < archive.size:
                block = response.raw.read1(min(CHUNK, archive.size - part.tell()))
                if not block:
                    return
                part.write(block)
                bar.update(len(block))
                recent += len(block)
                if time.monotonic() - begun > TIMEOUT:
                    if recent < SLOWEST * TIMEOUT:
                        raise _Refusal(f'fewer than {SLOWEST:,} bytes a second')
                    begun, recent = time.monotonic(), 0


def _refuse_answer(response: requests.Response, start: int, size: int) -> None:
    """Refuse an answer that says itself that it is not the archive from byte `start` to its end, at `size`."""
    headers = response.headers
    if response.status_code not in (200, 206):
        raise _Refusal(f'HTTP status {response.status_code}')
    encoding, kind = headers.get('Content-Encoding', 'identity'), headers.get('Content-Type', '')
    if encoding.lower() != 'identity':
        raise _Refusal(f'its content is encoded as {encoding}')
    if kind.lower().startswith(('text/html', 'application/xhtml')):
        raise _Refusal('a web page, perhaps one that asks for a password')
    length = headers.get('Content-Length', '')
    if length.isdecimal() and start + int(length) != size:
        raise _Refusal(f'{start + int(length):,} bytes instead of {size:,}')
    if response.status_code == 206 and not headers.get('Content-Range', '').startswith(f'bytes {start}-'):
        raise _Refusal('another part of the file than was asked for')
