"""The worker processes: results in order, and an end to the work where one fails or dies."""

import contextlib
import multiprocessing
import os
import stat
import subprocess
import sys
import time

import pytest

from common.errors import UserError
from data.packing import workers
from tests.conftest import ROOT


def mapped(function, items, processes=1):
    with contextlib.closing(workers.ordered_map(function, items, processes)) as results:
        return list(results)


@pytest.mark.parametrize('processes', [0, 1, 3])
def test_the_results_are_in_the_order_of_the_items(processes):
    assert mapped(slow_at_even_numbers, range(10), processes) == [i**2 for i in range(10)]
    assert mapped(int, [], processes) == [] and not multiprocessing.active_children()


def slow_at_even_numbers(number):
    time.sleep(0.1 * (number % 2 == 0))
    return number**2


def test_workers_are_two_items_ahead_at_most():
    taken = []
    items = (taken.append(item) or item for item in '123456789')
    with contextlib.closing(workers.ordered_map(int, items, 2)) as results:
        assert next(results) == 1
        time.sleep(0.5)
        assert len(taken) <= 4
        assert list(results) == list(range(2, 10))


def test_a_workers_failure_ends_the_work_and_a_workers_death_too():
    with pytest.raises(ValueError) as failure:
        mapped(int, ['1', 'x', '2'])
    assert 'Traceback' in str(failure.value.__cause__)
    with pytest.raises(UserError, match='^one line$'):
        mapped(raise_user_error, ['one line'])
    with pytest.raises(UserError, match='was killed'):
        mapped(os._exit, [1])
    with pytest.raises(UserError, match='was killed'):
        mapped(answer_half, [None, None], 2)
    assert not multiprocessing.active_children()


def raise_user_error(text):
    raise UserError(text)


def answer_half(_):
    """Die within an answer: its length is there, its bytes are not."""
    for number in map(int, os.listdir('/proc/self/fd')):
        with contextlib.suppress(OSError):  # the listing's own
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, (1000).to_bytes(4, 'big') + b'half')
    os._exit(1)


# An idle worker is killed while another one works: multiprocessing.Pool hangs then.
IDLE = """
from contextlib import closing
import multiprocessing, os, signal, sys, time
from data.packing import workers
if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))  # as common.cli does
    with closing(workers.ordered_map(time.sleep, [0, 1], 2)) as results:
        next(results)
        {kill}
        print(list(results))
"""


@pytest.mark.parametrize(
    'kill, status, out',
    [
        ('os.kill(min(process.pid for process in multiprocessing.active_children()), signal.SIGKILL)', 0, '[None]'),
        ('os.killpg(0, signal.SIGTERM)', 3, ''),
    ],
)
def test_an_idle_worker_may_die(tmp_path, kill, status, out):
    (tmp_path / 'program.py').write_text(IDLE.format(kill=kill))
    done = subprocess.run(
        [sys.executable, tmp_path / 'program.py'],
        env={**os.environ, 'PYTHONPATH': ROOT},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (status, out)


def test_without_shared_memory_it_works_all_the_same(monkeypatch, capsys):
    """Where /dev/shm is missing, as in some containers, multiprocessing has no locks."""
    monkeypatch.delattr('_multiprocessing.SemLock')
    assert mapped(int, '123', 2) == [1, 2, 3]
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('allowed, note', [(0, '1 process instead of 3'), (2, '2 processes instead of 3')])
def test_a_limit_of_processes_is_kept(monkeypatch, capsys, allowed, note):
    start, started = multiprocessing.context.SpawnProcess.start, []

    def limited(process):
        if len(started) == allowed:
            raise BlockingIOError(11, 'Resource temporarily unavailable')
        started.append(process)
        start(process)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, 'start', limited)
    assert mapped(int, '123', 3) == [1, 2, 3]
    assert note + ' to prepare the images (Resource temporarily unavailable)' in capsys.readouterr().out
    assert len(started) == allowed and not multiprocessing.active_children()
