"""Digests by which a later reader sees that files are as they were written.

- SHA256SUMS lists files of a folder and below, in the format of sha256sum(1): `sha256sum -c SHA256SUMS` checks them.
- A JSON file that is rewritten as a whole can carry the digest of its other entries, `sha256`. What an editor does to
  spaces and line ends does not matter to that.
"""

from collections.abc import Iterable, Mapping
import hashlib
import json
import os
import re
from typing import Any

from common.errors import UserError
from common.files import file_digest, write_atomically

NAME = 'SHA256SUMS'
SEAL = 'sha256'
LINE = re.compile(r'([0-9a-f]{64})  ([^/\0\n][^\0\n]*)\n')


class Damaged(UserError):
    """A file is not as it was written."""


def write(folder: str, names: Iterable[str], texts: Mapping[str, str] | None = None) -> None:
    """Write a folder's SHA256SUMS.

    Args:
        names: of files there, with / below it.
        texts: {name: contents} of files that are about to be written.
    """
    digests = {name: file_digest(os.path.join(folder, name), 'sha256') for name in names}
    digests |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in (texts or {}).items()}
    write_atomically(
        os.path.join(folder, NAME), ''.join(f'{digest}  {name}\n' for name, digest in sorted(digests.items()))
    )


def read(folder: str) -> dict[str, str] | None:
    """The contents of a folder's SHA256SUMS, {name: digest}; None if there is none.

    Raises:
        Damaged: it is not in sha256sum's format.
    """
    path = os.path.join(folder, NAME)
    try:
        with open(path, encoding='utf-8', newline='') as file:
            lines = [LINE.fullmatch(line) for line in file]
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, IsADirectoryError):
        lines = []
    found = {match[2]: match[1] for match in lines if match}
    if not found or len(found) < len(lines):
        raise Damaged(f'{path} is damaged: it is not a list as sha256sum writes it')
    return found


def difference(folder: str, names: Iterable[str], digests: Mapping[str, str]) -> str | None:
    """What is wrong with the first of the files that is not as the digests say; None if all are."""
    for name in names:
        if not os.path.isfile(os.path.join(folder, name)):
            return f'{name} is missing'
        if name not in digests:
            return f'{name} is not in the list of digests'
        if file_digest(os.path.join(folder, name), 'sha256') != digests[name]:
            return f'{name} is not as it was written'
    return None


def check(folder: str, names: Iterable[str]) -> bool:
    """Whether a folder has a SHA256SUMS, which agrees with these files.

    Raises:
        Damaged: a file is not as it says, or SHA256SUMS itself is damaged.
    """
    digests = read(folder)
    if digests is None:
        return False
    wrong = difference(folder, names, digests)
    if wrong:
        raise Damaged(f'{folder} is damaged: {wrong} ({NAME} has the digests); put it back from a copy')
    return True


def read_json(path: str) -> Any:
    """The contents of a JSON file; a byte order mark and any line ends are accepted.

    Raises:
        ValueError: it is no JSON in UTF-8.
    """
    with open(path, encoding='utf-8-sig') as file:
        try:
            return json.load(file)
        except RecursionError:
            raise ValueError('nested too deeply') from None


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a JSON file with their digest behind them."""
    return {**content, SEAL: digest_of(_others(content))}


def is_intact(content: dict) -> bool:
    """Whether the entries of a JSON file agree with the digest among them, if there is one."""
    return SEAL not in content or content[SEAL] == digest_of(_others(content))


def digest_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of the entries of a JSON file, in whatever order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _others(content):
    return {name: value for name, value in content.items() if name != SEAL}
