"""SIGINT and SIGTERM as a request, which is met between two steps."""

import signal


class StopRequest:
    """A context in which SIGINT and SIGTERM only set `signal`, None until then, to their number.

    A second SIGINT interrupts at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signal = None

    def __enter__(self) -> 'StopRequest':
        self._before = {number: signal.signal(number, self._request) for number in self.SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number, _frame):
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
