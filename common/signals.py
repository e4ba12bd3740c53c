"""What SIGINT, SIGTERM and SIGHUP do in a command.

During the imports they end the process at once, without Python's traceback. While the command runs they are exceptions,
so that files are tidied up. Training makes requests of them, which it meets between two steps. A signal that was
ignored when the process started, as SIGHUP is under nohup, stays ignored; but training always listens to SIGINT and
SIGTERM.
"""

import signal
import sys


def end_at_once() -> None:
    """Let each of the signals end the process by itself: there is nothing to tidy up."""
    _set(signal.SIG_DFL, signal.SIG_DFL)


def raise_exceptions() -> None:
    """Turn SIGINT into KeyboardInterrupt, and SIGTERM and SIGHUP into SystemExit."""
    _set(signal.default_int_handler, _exit)


def _set(for_interrupt, for_others):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, for_interrupt if number == signal.SIGINT else for_others)


def _exit(number, _frame):
    sys.exit(128 + number)


class StopRequest:
    """A context in which SIGINT, SIGTERM and SIGHUP only set `signal`, None until then, to their number.

    `count` says how many came, but for SIGHUP, which a closing terminal sends twice. A second SIGINT interrupts at
    once. An ignored SIGHUP, as under nohup, stays ignored.
    """

    def __init__(self):
        self.signal, self.count = None, 0

    def __enter__(self) -> 'StopRequest':
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._request) for number in numbers}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number, _frame):
        self.signal = number
        self.count += number != signal.SIGHUP
        signal.signal(signal.SIGINT, signal.default_int_handler)
