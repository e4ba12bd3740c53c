"""Mistakes of the user, which cli.py shows as one line."""

import os
import sys

from common.output import printable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class UserError(ValueError):
    """Something the user can put right. The text says what is wrong and what to do."""


def is_command() -> bool:
    """Whether this process is a command of this repository, not another program that imports its libraries."""
    main = os.path.relpath(getattr(sys.modules['__main__'], '__file__', None) or '..', ROOT)
    return sys.argv[0] == '-m' or not (main.startswith('..') or 'site-packages' in main)


def fail_at_import(message: str) -> None:
    """End an import that cannot go on: one line for the user of a command, ImportError for a program."""
    if not is_command():
        raise ImportError(message)
    print(printable(f'error: {message}'), file=sys.stderr)
    sys.exit(2)
