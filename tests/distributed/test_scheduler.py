"""The scheduler's port, which dmlc_tracker does not keep from other jobs by itself."""

import socket

import pytest

from common.errors import UserError
from distributed import scheduler
from tests.distributed.conftest import ONLY_WORKERS


def test_jobs_that_start_at_once_use_different_ports(start, tmp_path):
    """No job ends before all have started, however slow the machine is."""
    show_port = f'echo $DMLC_PS_ROOT_PORT | tee {tmp_path}/port$$; '
    wait_for_all = f'while [ $(ls {tmp_path} | grep -c ^port) -lt 4 ]; do sleep 0.1; done'
    jobs = [start('-n', 1, 'sh', '-c', ONLY_WORKERS + show_port + wait_for_all) for _ in range(4)]
    results = [job.wait() for job in jobs]
    assert len({output[0] for _, output, _ in results}) == 4
    assert all((status, len(output), errors) == (0, 1, []) for status, output, errors in results)


def test_a_reserved_port_is_left_to_those_who_permit_its_reuse():
    """MXNet does. Other launchers do not, before they have the port."""
    with scheduler.reserve_port(0) as keeper, socket.socket() as mxnet:
        port = keeper.getsockname()[1]
        with pytest.raises(OSError, match='in use'):
            scheduler.reserve_port(port)
        mxnet.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mxnet.bind(('', port))
        mxnet.listen()


def test_a_launcher_that_never_gets_its_turn_says_so(monkeypatch):
    with scheduler.lock_launchers():
        monkeypatch.setattr(scheduler, 'TIMEOUT', 0)
        with pytest.raises(UserError, match='end its launcher'):
            scheduler.lock_launchers()
