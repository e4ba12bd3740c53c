"""What disks, copies and people do to a file, as a table of functions.

    random = Random(7)
    text = DAMAGES['one bit flipped'](path, random, other)       # 'bit 3 of byte 1,204 flipped'

Each takes the file, a generator that says where, and another run's file of the same kind. It returns what it did, so
that a failure can be done again by hand.
"""

from collections.abc import Callable
import os
from random import Random
import shutil

Damage = Callable[[str, Random, str], str]


def _rewrite(path, change):
    """Replace a file's contents by `change(contents)`, in place, as a disk would."""
    with open(path, 'rb') as file:
        content = bytearray(file.read())
    with open(path, 'wb') as file:
        file.write(change(content))


def flip(path: str, random: Random, other: str = '') -> str:
    """Flip one bit."""
    byte, bit = random.randrange(os.path.getsize(path)), random.randrange(8)
    flip_bit(path, 8 * byte + bit)
    return f'bit {bit} of byte {byte:,} flipped'


def flip_bit(path: str, number: int) -> None:
    """Flip the bit of this number, counted from 0."""
    with open(path, 'r+b') as file:
        file.seek(number // 8)
        (byte,) = file.read(1)
        file.seek(number // 8)
        file.write(bytes([byte ^ 1 << number % 8]))


def zero_block(path: str, random: Random, other: str = '') -> str:
    """Fill up to 512 bytes with zeros, as after a power cut."""
    size = os.path.getsize(path)
    start = random.randrange(size)
    stop = min(size, start + 512)
    _rewrite(path, lambda content: content[:start] + bytes(stop - start) + content[stop:])
    return f'bytes {start:,} to {stop:,} zeroed'


def truncate(path: str, random: Random, other: str = '') -> str:
    """Cut the file somewhere."""
    size = random.randrange(1, os.path.getsize(path))
    os.truncate(path, size)
    return f'cut to {size:,} bytes'


def cut_last_line(path: str, random: Random, other: str = '') -> str:
    """Cut the file at the end of its last line but one, which leaves a text file well formed."""
    _rewrite(path, lambda content: content[: content.rstrip(b'\n').rfind(b'\n') + 1])
    return 'last line cut off'


def append(path: str, random: Random, other: str = '') -> str:
    """Add random bytes at the end."""
    count = random.randrange(1, 64)
    with open(path, 'ab') as file:
        file.write(random.randbytes(count))
    return f'{count} random bytes added'


def change_digit(path: str, random: Random, other: str = '') -> str:
    """Change one decimal digit, as a slip in an editor does; of a file without any, flip a bit."""
    with open(path, 'rb') as file:
        content = file.read()
    places = [place for place, byte in enumerate(content) if byte in b'0123456789']
    if not places:
        return flip(path, random)
    place = random.choice(places)
    digit = random.choice([digit for digit in b'0123456789' if digit != content[place]])
    _rewrite(path, lambda content: content[:place] + bytes([digit]) + content[place + 1 :])
    return f'digit at byte {place:,} changed from {chr(content[place])} to {chr(digit)}'


def empty(path: str, random: Random, other: str = '') -> str:
    """Leave a file of no bytes."""
    os.truncate(path, 0)
    return 'emptied'


def delete(path: str, random: Random, other: str = '') -> str:
    """Remove the file."""
    os.remove(path)
    return 'deleted'


def replace(path: str, random: Random, other: str) -> str:
    """Put another run's file of the same kind in its place."""
    shutil.copyfile(other, path)
    return 'replaced by that of another run'


DAMAGES: dict[str, Damage] = {
    'one bit flipped': flip,
    'block zeroed': zero_block,
    'cut': truncate,
    'last line cut off': cut_last_line,
    'bytes added': append,
    'digit changed': change_digit,
    'emptied': empty,
    'deleted': delete,
    'replaced by another run': replace,
}
