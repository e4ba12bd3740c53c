"""Print the part of a list of pins whose packages this Python does not have, for pip install -r.

python docker/lacking.py requirements/base.txt
"""

from importlib import metadata
import re
import sys


def lacking(pins: str, has: 'set[str]') -> str:
    """The entries of a hashed list of pins that are not of the packages in `has`, which are normalized names."""
    entries = re.findall(r'^\S.*(?:\n[ \t]+.*)*', pins, re.M)
    return '\n'.join(entry for entry in entries if normalized(re.split(r'[=\s;]', entry)[0]) not in has) + '\n'


def normalized(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r'[-_.]+', '-', name).lower()


if __name__ == '__main__':
    installed = {normalized(found.metadata['Name'] or '') for found in metadata.distributions()}
    with open(sys.argv[1], encoding='utf-8') as file:
        print(lacking(file.read(), installed), end='')
