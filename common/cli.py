"""How a mistake of the user is shown: one line on standard error that says what to do, exit status 2.

Everything else that goes wrong is our mistake and keeps its traceback.
"""
import argparse
import errno
import os
import signal
import sys
import traceback

from common.errors import UserError

USERS_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR,
              errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines and shows every default that is worth showing."""

    def _get_help_string(self, action):
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with help that keeps its layout and errors that are one line long."""

    def __init__(self, **options):
        options.setdefault('formatter_class', HelpFormatter)
        super().__init__(**options)

    def error(self, message):
        self.exit(2, 'error: %s (%s --help lists the options)\n' % (message, self.prog))


def positive_int(text):
    """argparse type: a whole number from 1."""
    return _number(text, int, lambda value: value >= 1, 'a whole number from 1')


def positive_float(text):
    """argparse type: a number above 0 that float32 can hold."""
    return _number(text, float, lambda value: 1e-30 < value < 1e30, 'a number above 0')


def _number(text, kind, fits, what):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError('%s is not %s' % (text, what))
    return value


def leave(status):
    """Exit with a status.

    A worker of a distributed job that failed goes at once: at a normal exit, and already where its KVStore is
    deleted, MXNet waits for the other workers, which wait for this one.
    """
    if status and os.environ.get('DMLC_ROLE') == 'worker':
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(main):
    """Call `main` and exit with its status, turning the user's mistakes into one line and status 2."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that files are tidied up
    try:
        leave(main())
    # All leave from here and not below: with the exception its frames would go, and the KVStore in them.
    except UserError as error:
        _leave_with(error, 2)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(128 + signal.SIGPIPE)
    except SystemExit as error:
        leave(error.code)
    except KeyboardInterrupt:
        _leave_with('interrupted', 130)
    except Exception as error:  # ours, but for a full disk and the like
        if getattr(error, 'errno', None) in USERS_DISK:
            _leave_with(error, 2)
        traceback.print_exc()
        leave(1)


def _leave_with(message, status):
    sys.stderr.write('error: %s\n' % message)  # in one piece: other workers may write too
    leave(status)
