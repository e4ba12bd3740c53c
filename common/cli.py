"""The command line: parsers, argument types, and how a command ends.

A mistake of the user ends in one line on standard error that says what to do, and exit status 2. Everything else that
goes wrong is our mistake and keeps its traceback.
"""

import argparse
from collections.abc import Callable
import contextlib
import errno
import os
import re
import signal
import sys
import traceback

from common import signals
from common.errors import UserError, is_command
from common.files import FULL
from common.output import filtered_streams, open_streams, printable, silence_broken_pipes

USERS_DISK = {
    *FULL,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EIO,
    errno.ENOTEMPTY,  # these three: NFS, where another machine has a file open or has removed it
    errno.EBUSY,
    errno.ESTALE,
}
# How Python, numpy, OpenCV, MXNet, CUDA and PyTorch report a lack of memory.
NO_MEMORY = re.compile(r'out of memory|allocate\b.*\bmemory|insufficient memory|bad_alloc|ALLOC_FAILED', re.IGNORECASE)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description and shows every default that says something."""

    def _get_help_string(self, action):
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with help that keeps its layout, and errors of one line."""

    def __init__(self, **options):
        options.setdefault('formatter_class', HelpFormatter)
        super().__init__(**options)

    def error(self, message):
        self.exit(2, printable(f'error: {message} ({self.prog} --help lists the options)') + '\n')


def positive_int(text: str) -> int:
    """argparse type: a whole number from 1."""
    return _number(text, int, lambda value: 1 <= value <= sys.maxsize, 'a whole number from 1')


def positive_float(text: str) -> float:
    """argparse type: a number above 0 that float32 can hold."""
    return _number(text, float, lambda value: 1e-30 < value < 1e30, 'a number above 0')


def fraction(text: str) -> float:
    """argparse type: a number from 0, below 1."""
    return _number(text, float, lambda value: 0 <= value < 1, 'a number from 0, below 1')


def seed(text: str) -> int:
    """argparse type: a whole number from 0, below 2^32."""
    return _number(text, int, lambda value: 0 <= value < 2**32, 'a whole number from 0, below 2^32')


def _number(text, kind, fits, what):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f'{text} is not {what}')
    return value


def leave(status: int | str | None, at_once: bool = False) -> None:
    """Exit with a status.

    A failed worker of a distributed job exits at once. At a normal exit, or as soon as its KVStore is deleted, MXNet
    would wait for the other workers, which wait for this one.

    Args:
        at_once: without what Python and MXNet do at their ends, for a process whose MXNet has failed.
    """
    if is_command():
        signals.end_at_once()  # the rest is Python's, which would print a traceback
    if at_once or (status and os.environ.get('DMLC_ROLE') == 'worker'):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
    sys.exit(status)


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and exit with its status; a mistake of the user becomes one line and status 2."""
    signals.raise_exceptions()
    open_streams()
    with filtered_streams():
        _run(main)


def _run(main):
    try:
        status = main()
        sys.stdout.flush()
        leave(status)
    # Every exit is inside an except clause: after it, the exception's frames would be gone, and the KVStore with them.
    except UserError as error:
        _leave_with(error, 2)
    except SystemExit as error:
        leave(error.code)
    except KeyboardInterrupt:
        _leave_with('interrupted', 130)
    except Exception as error:  # ours, unless the disk is full or the like
        if isinstance(error, BrokenPipeError) and silence_broken_pipes():  # the reader, such as `head`, has seen enough
            leave(128 + signal.SIGPIPE)
        if getattr(error, 'errno', None) in USERS_DISK:
            _leave_with(_explain(error), 2)
        if _is_lack_of_memory(error):
            advice = 'free some, or use a smaller --batch-size or more devices if the command has them'
            _leave_with(f'not enough memory: {advice}', 2, at_once=True)
        traceback.print_exc()
        leave(1)


def _is_lack_of_memory(error):
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, ImportError):  # "cannot allocate memory in static TLS block" is another fault
        return False
    return isinstance(error, MemoryError) or NO_MEMORY.search(str(error)) is not None


def _explain(error):
    where = f'{error.filename}: ' if error.filename else ''
    return where + error.strerror + (': make room, and start the command again' if error.errno in FULL else '')


def _leave_with(message, status, at_once=False):
    with contextlib.suppress(OSError):
        sys.stderr.write(f'{printable(f"error: {message}")}\n')  # in one piece: other workers may write too
    leave(status, at_once)
