"""The memory of a command."""

import subprocess
import sys

import pytest

from benchmarks.memory import peak_of_command

FILL = 'import time; block = bytearray(300_000_000); time.sleep(1)'
ENDS_ON_SIGNAL = 'import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); time.sleep(60)'


def test_the_most_memory_of_a_command():
    assert 0.3 < peak_of_command([sys.executable, '-c', FILL]) < 0.4


def test_a_command_is_ended_after_some_seconds():
    assert peak_of_command([sys.executable, '-c', ENDS_ON_SIGNAL], seconds=1) < 0.1


def test_a_command_that_fails():
    with pytest.raises(subprocess.CalledProcessError, match='status 3'):
        peak_of_command([sys.executable, '-c', 'raise SystemExit(3)'])
