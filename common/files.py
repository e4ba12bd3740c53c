"""Digests and atomic writing of files."""

import hashlib
import os

BLOCK = 1 << 20  # bytes


def file_digest(path: str, algorithm: str) -> str:
    """The hexadecimal digest of a file."""
    with open(path, 'rb') as file:
        digest = hashlib.new(algorithm)
        for block in iter(lambda: file.read(BLOCK), b''):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: str, text: str) -> None:
    """Replace the contents of a file as a whole or not at all."""
    with open(f'{path}.tmp', 'w', newline='', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f'{path}.tmp', path)


def fsync(path: str) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def printable(name: str) -> str:
    """The name of a file; bytes that are not UTF-8 as \\xff."""
    return os.fsencode(name).decode(errors='backslashreplace')
