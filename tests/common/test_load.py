"""The load of others, beside a process that is really busy."""

import builtins
import io
import os
import subprocess
import sys

import pytest

from common import load


@pytest.fixture
def one_processor():
    """This process on one processor, which is returned."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield min(before)
    os.sched_setaffinity(0, before)


def test_a_busy_process_is_seen(one_processor, monkeypatch):
    monkeypatch.setattr(load, 'SAMPLE', 0.5)
    busy = subprocess.Popen([sys.executable, '-c', 'while True: pass'])  # on the same processor
    try:
        assert load.busy_cores() > 0.7
    finally:
        busy.kill()
        busy.wait()


def test_only_own_processors_count_and_no_idle_time(monkeypatch):
    tick = os.sysconf('SC_CLK_TCK')
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {1, 12})
    counts = [
        'cpu 9 9 9 9 9 9 9 9 0 0',
        'cpu1 1 2 3 1000 1000 4 5 6 7 8',
        'cpu12 10 0 0 5 5 0 0 0',
        'cpu2 50 0 0 0 0 0 0 0',
    ]
    lines = '\n'.join([*counts, 'intr 5', ''])
    monkeypatch.setattr(builtins, 'open', lambda path, encoding: io.StringIO(lines))
    assert load._busy_seconds() == pytest.approx((1 + 2 + 3 + 4 + 5 + 6 + 10) / tick)


def test_a_system_that_does_not_tell_counts_as_idle(monkeypatch):
    def fail(path, encoding):
        raise FileNotFoundError(path)

    monkeypatch.setattr(builtins, 'open', fail)
    assert load._busy_seconds() == 0
