"""train.log, and the terminal beside it."""

import logging
import os
import signal
import sys

from tqdm import tqdm

from common.output import printable, silence

LOGGER = logging.getLogger('train')


def start(path: str) -> None:
    """Let LOGGER append to the file at `path`, and write to standard output."""
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.handlers[:] = [LogFile(path), Console()]
    for handler in LOGGER.handlers:
        handler.setFormatter(_OneLine('%(asctime)s %(message)s'))


class _OneLine(logging.Formatter):
    """A message is a line, whatever names are in it."""

    def formatMessage(self, record):
        return printable(super().formatMessage(record), keep='\t')


class LogFile(logging.Handler):
    """train.log. Where it cannot be written, as on a full disk, one line says so, and the training goes on."""

    def __init__(self, path):
        super().__init__()
        self._file = open(path, 'ab', buffering=0)  # unbuffered: what could not be written is not tried again
        self._is_whole, self._has_failed = True, False

    def emit(self, record):
        line = f'{self.format(record)}\n'.encode(errors='backslashreplace')
        if not self._is_whole:
            line = b'\n' + line
        try:
            written = self._file.write(line)
            if written:
                self._is_whole = written == len(line)
        except OSError as error:
            if not self._has_failed:
                tqdm.write(
                    f'note: {self._file.name} cannot be written ({error.strerror}): the training goes on',
                    file=sys.stderr,
                )
            self._has_failed = True

    def close(self):
        self._file.close()
        super().close()


class Console(logging.Handler):
    """Standard output, above the progress bar. On a terminal, where the bar tells the speed, it omits DEBUG lines.

    A terminal that has gone or a disk that is full does not end the training: train.log has the lines. Where the reader
    of a pipe has gone, nobody waits for them, and the training saves and ends.
    """

    def __init__(self):
        super().__init__(logging.INFO if sys.stderr.isatty() else logging.DEBUG)

    def emit(self, record):
        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            silence(sys.stdout)
            reader_gone = isinstance(error, BrokenPipeError)
            LOGGER.warning(
                'standard output is gone (%s): %s', error.strerror, 'stopping' if reader_gone else 'train.log goes on'
            )
            if reader_gone:
                os.kill(os.getpid(), signal.SIGTERM)
