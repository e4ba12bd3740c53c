"""Mistakes of the user, which cli.py shows as one line."""

import os
import sys

from common.output import printable


class UserError(ValueError):
    """Something the user can put right. The text says what is wrong and what to do."""


def fail_at_import(message: str) -> None:
    """End an import that cannot go on: one line for the user of a command, ImportError for a program."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    main = getattr(sys.modules['__main__'], '__file__', None) or ''
    if sys.argv[0] != '-m' and not os.path.abspath(main).startswith(root + os.sep):
        raise ImportError(message)
    print(printable(f'error: {message}'), file=sys.stderr)
    sys.exit(2)
