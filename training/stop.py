"""SIGINT, SIGTERM and SIGHUP as a request, which is met between two steps."""

import signal


class StopRequest:
    """A context in which SIGINT, SIGTERM and SIGHUP only set `signal`, None until then, to their number.

    A second SIGINT interrupts at once. An ignored SIGHUP, as under nohup, stays ignored.
    """

    def __init__(self):
        self.signal = None

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
        signal.signal(signal.SIGINT, signal.default_int_handler)
