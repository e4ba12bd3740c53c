"""How a mistake of the user is shown: one line on standard error that says what to do, exit status 2.

Everything else that goes wrong is our mistake and keeps its traceback.
"""
import argparse
import errno
import importlib.util
import os
import sys

USERS_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EFBIG}


def check_environment():
    """End a command of this repository that is run with a Python which has no MXNet."""
    script = getattr(sys.modules['__main__'], '__file__', None) or ''
    ours = os.path.dirname(os.path.abspath(script)) == os.path.dirname(os.path.abspath(__file__))
    if ours and importlib.util.find_spec('mxnet') is None:
        print('error: this Python (%s) has no MXNet: run `make .venv`, then `. .venv/bin/activate`'
              % sys.executable, file=sys.stderr)
        sys.exit(2)


class UserError(ValueError):
    """Something the user can put right; the text says what is wrong and what to do."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines and shows every default that is worth showing."""

    def _get_help_string(self, action):
        if action.default is None or action.default is False:
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
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError('%s is not a whole number from 1' % text)
    return value


def positive_float(text):
    """argparse type: a finite number above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError('%s is not a number above 0' % text)
    return value


def run(main):
    """Call `main` and exit with its status, turning the user's mistakes into one line and status 2."""
    try:
        sys.exit(main())
    except UserError as error:
        message, status = error, 2
    except OSError as error:
        if error.errno not in USERS_DISK:
            raise
        message, status = error, 2
    except KeyboardInterrupt:
        message, status = 'interrupted', 130
    print('error: %s' % message, file=sys.stderr)
    sys.exit(status)


check_environment()
