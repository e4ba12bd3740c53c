"""The worker processes: results in order, and an end to the work where one fails or dies."""

import errno
import multiprocessing
import os

import pytest

from common.errors import UserError
from data.packing import workers


def test_a_workers_failure_ends_the_work_and_a_workers_death_too(monkeypatch):
    monkeypatch.setattr(workers, 'PATIENCE', 0.5)
    with workers.ordered_map(1) as ordered_map:
        assert list(ordered_map(int, '123')) == [1, 2, 3]
        with pytest.raises(ValueError) as failure:
            list(ordered_map(int, ['1', 'x', '2']))
        assert 'Traceback' in str(failure.value.__cause__)
        with pytest.raises(UserError, match='^one line$'):
            list(ordered_map(raise_user_error, ['one line']))
        with pytest.raises(UserError, match='was killed'):
            list(ordered_map(os._exit, [1]))


def raise_user_error(text):
    raise UserError(text)


def test_without_shared_memory_one_process_does_the_work(monkeypatch, capsys):
    """Its locks are in /dev/shm, which some containers lack."""

    def fails(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr('_multiprocessing.SemLock', fails)
    with workers.ordered_map(2) as ordered_map:
        assert list(ordered_map(int, '123')) == [1, 2, 3]
    assert 'one process alone prepares the images' in capsys.readouterr().out
    assert not multiprocessing.active_children()
