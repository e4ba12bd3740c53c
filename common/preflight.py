"""Check that this machine can hold the environment, before anything is downloaded (see Makefile).

Runs under the system's bare Python, so it uses the standard library alone. Names everything that is
missing in one `apt install` line.
"""
import ctypes
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig


def python_package(suffix):
    """Debian's package of this Python: python3-venv for the system's own, else such as python3.11-venv."""
    own = os.path.basename(os.path.realpath('/usr/bin/python3'))
    this = 'python%d.%d' % sys.version_info[:2]
    return '%s-%s' % ('python3' if own in (this, 'python3') else this, suffix)


def missing_packages():
    """Debian packages that this Python and system still need."""
    packages = []
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        packages.append(python_package('venv'))
    try:
        ctypes.CDLL('libgomp.so.1')
    except OSError:
        packages.append('libgomp1')
    if sys.version_info >= (3, 13):  # numpy 1.26 has no wheel for it and is compiled
        if not (shutil.which('cc') and shutil.which('c++')):
            packages.append('build-essential')
        if not os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')):
            packages.append(python_package('dev'))
    return packages


def problem():
    """What stands in the way, as one line; None where nothing does."""
    if not (3, 8) <= sys.version_info[:2] <= (3, 13):
        return ('Python %s is not supported: MXNet 1.9.1 runs on 3.8 to 3.13; '
                'choose one with `make PYTHON=python3.11 …`' % platform.python_version())
    if sys.platform != 'linux' or platform.machine() != 'x86_64':
        return 'MXNet 1.9.1 has wheels for Linux on x86-64, not for %s on %s' % (
            platform.system(), platform.machine())
    packages = missing_packages()
    if packages:
        return 'the system lacks something; run: sudo apt install %s' % ' '.join(packages)
    return None


if __name__ == '__main__':
    found = problem()
    if found:
        print('error: %s' % found, file=sys.stderr)
        sys.exit(2)
