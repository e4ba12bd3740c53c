"""Standard output and error: what no text can break, and what breaks no command.

Names come from files, archives, servers and command lines. A control character in one of them could move the cursor,
reverse the line or ring the bell. So both streams escape them while a command runs, whoever writes.
"""

import codecs
from collections.abc import Iterator
import contextlib
import io
import os
import select
import sys

#: What we print beyond ASCII, for streams whose encoding lacks it. Other characters are escaped there.
SUBSTITUTES = {
    '±': '+/-',
    '≠': '!=',
    '≈': '~',
    '≉': '!~',
    '≥': '>=',
    '–': '-',
    '−': '-',
    '×': 'x',
    '·': '*',
    '…': '...',
    '→': '->',
    '↑': '^',
    '↓': 'v',
    '½': '1/2',
    '²': '^2',
    'µ': 'u',
}

# Python's own handlers of encoding errors; any other is the user's wish, in PYTHONIOENCODING.
USUAL = ('strict', 'surrogateescape', 'backslashreplace')


def printable(text: str, keep: str = '') -> str:
    r"""The text with control characters, bidirectional marks and undecodable bytes as escapes such as `\x1b`.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return ''.join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def _escape(char):
    return char.encode('unicode_escape').decode()


def _substitute(error):
    """The handler of encoding errors that is called `substitute`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return ''.join(SUBSTITUTES.get(char) or _escape(char) for char in missing), error.end


codecs.register_error('substitute', _substitute)


def open_streams() -> None:
    """Give the process the standard streams it lacks, and make them read and write any text.

    A closed descriptor would go to the next file that is opened, and MXNet would write its messages into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    sys.stdout = sys.stdout or open(1, 'w', encoding='utf-8', closefd=False)
    sys.stderr = sys.stderr or open(2, 'w', encoding='utf-8', closefd=False)
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors == 'strict':
        sys.stdin.reconfigure(errors='surrogateescape')  # the names of files are any bytes
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in USUAL:
            stream.reconfigure(errors='substitute')


def silence(stream) -> None:
    """Let a stream that can no longer be written to go on as if it could, what it still holds included."""
    with contextlib.suppress(OSError, ValueError):  # a stand-in, which has no descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def silence_broken_pipes() -> bool:
    """Silence the standard streams whose readers have gone; returns whether there is one."""
    gone = [stream for number, stream in ((1, sys.stdout), (2, sys.stderr)) if _reader_gone(number)]
    for stream in gone:
        silence(stream)
    return bool(gone)


def _reader_gone(number):
    poll = select.poll()
    poll.register(number, 0)  # errors alone
    return any(event & select.POLLERR for _, event in poll.poll(0))


class Filtered:
    """A stream that escapes control characters other than ends of lines and tabs.

    Args:
        bars: let a text begin with a carriage return, as progress bars do.
    """

    def __init__(self, stream, bars: bool = False):
        self._stream, self._start = stream, '\r' if bars else ''

    def write(self, text: str) -> int:
        start = self._start if self._start and text.startswith(self._start) else ''
        self._stream.write(start + printable(text[len(start) :], keep='\n\t'))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextlib.contextmanager
def filtered_streams() -> Iterator[None]:
    """A context in which control characters do not reach standard output and error."""
    with (
        contextlib.redirect_stdout(Filtered(sys.stdout)),
        contextlib.redirect_stderr(Filtered(sys.stderr, bars=True)),
    ):
        yield
