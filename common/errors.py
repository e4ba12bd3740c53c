"""Mistakes of the user, which cli.py shows as one line."""

from collections.abc import Sequence
import os
import sys

from common.output import printable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: The scripts, and the packages that have commands. The user may keep programs of their own beside them.
COMMANDS = {
    *('compare.py', 'eval.py', 'export.py', 'plot.py', 'predict.py', 'reproduce.py'),
    *('train_cifar.py', 'train_imagenet.py', 'train_images.py', 'train_svhn.py'),
    *('benchmarks', 'common', 'data', 'distributed', 'interop', 'paper', 'symbols', 'tests', 'training'),
}


class UserError(ValueError):
    """Something the user can put right. The text says what is wrong and what to do."""


def few(names: Sequence[str]) -> str:
    """The first five names for a message, and the number of the others."""
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def is_command() -> bool:
    """Whether this process is a command of this repository, not a program of the user's that imports its libraries."""
    path = getattr(sys.modules['__main__'], '__file__', None)
    if not path:  # `python -m` is on its way to its module, or this is a prompt
        return sys.argv[0] == '-m'
    return os.path.relpath(path, ROOT).split(os.sep)[0] in COMMANDS


def fail_at_import(message: str) -> None:
    """End an import that cannot go on: one line for the user of a command, ImportError for a program."""
    if not is_command():
        raise ImportError(message)
    print(printable(f'error: {message}'), file=sys.stderr)
    sys.exit(2)
