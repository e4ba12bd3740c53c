"""The scheduler's port, which dmlc_tracker does not keep from other jobs by itself."""

import os
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
        with pytest.raises(UserError, match='in use'):
            scheduler.reserve_port(port)
        mxnet.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mxnet.bind(('', port))
        mxnet.listen()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, without XDG_RUNTIME_DIR."""
    monkeypatch.delenv('XDG_RUNTIME_DIR', raising=False)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    return tmp_path


def test_the_lock_is_where_no_other_user_can_write(temporary, monkeypatch):
    folder = scheduler.runtime_folder()
    assert os.path.dirname(folder) == str(temporary) and os.stat(folder).st_mode & 0o777 == 0o700
    assert scheduler.runtime_folder() == folder
    runtime = temporary / 'runtime'
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(runtime))
    assert scheduler.runtime_folder() == folder
    runtime.mkdir(mode=0o700)
    assert scheduler.runtime_folder() == str(runtime)
    runtime.chmod(0o755)
    assert scheduler.runtime_folder() == folder


def test_a_folder_that_another_put_in_the_way_is_refused(temporary):
    folder = temporary / f'deep-fusion-{os.getuid()}'
    folder.symlink_to(temporary)
    with pytest.raises(UserError, match='not a folder of yours alone'):
        scheduler.runtime_folder()
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UserError, match='not a folder of yours alone'):
        scheduler.runtime_folder()


def test_a_launcher_that_never_gets_its_turn_says_so(monkeypatch):
    with scheduler.lock_launchers():
        monkeypatch.setattr(scheduler, 'TIMEOUT', 0)
        with pytest.raises(UserError, match='end its launcher'):
            scheduler.lock_launchers()
