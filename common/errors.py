"""How a user's mistake travels: as a UserError, which common/cli.py turns into one line and exit status 2."""
import os
import sys


class UserError(ValueError):
    """Something the user can put right; the text says what is wrong and what to do."""


def fail_at_import(message):
    """What an import says where it cannot go on: one line to the user of a command, ImportError to a program."""
    command, root = getattr(sys.modules['__main__'], '__file__', None), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[0] != '-m' and not (command and os.path.dirname(os.path.abspath(command)) == root):
        raise ImportError(message)
    print('error: %s' % message, file=sys.stderr)
    sys.exit(2)
