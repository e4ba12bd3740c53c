"""Check that this machine can hold the environment, before anything is downloaded (see Makefile).

It runs under the system's bare Python, so it uses the standard library alone. It keeps to the syntax of Python 3.6, so
that old Pythons are refused in one line too. One `apt install` line names everything that is missing.
"""

import ctypes
import importlib.util
import os
import platform
import sys

OLDEST, NEWEST = (3, 10), (3, 13)


def debian_package(suffix: str) -> str:
    """Name a Debian package of this Python: python3-venv for the system's own, python3.11-venv for another."""
    systems = os.path.basename(os.path.realpath('/usr/bin/python3'))
    this = 'python{}.{}'.format(*sys.version_info)
    return f'{"python3" if systems in (this, "python3") else this}-{suffix}'


def missing_packages() -> 'list[str]':
    """Name the Debian packages that this Python and system still need."""
    packages = []
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        packages.append(debian_package('venv'))
    try:
        ctypes.CDLL('libgomp.so.1')
    except OSError:
        packages.append('libgomp1')
    return packages


def problem() -> 'str | None':
    """Say in one line what stands in the way, if anything does."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return (
            f'Python {platform.python_version()} is not supported, 3.10 to 3.13 are: '
            'choose one with `make PYTHON=python3.11`'
        )
    if sys.platform != 'linux' or platform.machine() != 'x86_64':
        return f'MXNet 1.9.1 has wheels for Linux on x86-64, not for {platform.system()} on {platform.machine()}'
    packages = missing_packages()
    if packages:
        return f'the system lacks something; run: sudo apt install {" ".join(packages)}'
    return None


if __name__ == '__main__':
    found = problem()
    if found:
        print(f'error: {found}', file=sys.stderr)
        sys.exit(2)
