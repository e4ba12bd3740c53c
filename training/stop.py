"""SIGINT and SIGTERM, turned into a request that is met between two steps."""
import signal


class StopRequest:
    """While the context is open, `signal` is None until SIGINT or SIGTERM comes, then its number.

    A second SIGINT interrupts at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signal = None

    def __enter__(self):
        self._before = {number: signal.signal(number, self._request) for number in self.SIGNALS}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number, _frame):
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
