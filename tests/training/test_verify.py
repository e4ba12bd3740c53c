"""The committed runs are as they were written, and a run that is not is named."""

import json
import os
import shutil

import pytest

from common import sums
from common.errors import UserError
from paper import ensembles
from tests.conftest import ROOT, committed_runs, in_process
from training import run_directory, verify

LOGS = os.path.join(ROOT, 'logs')
RUN = os.path.join('cifar10', 'dfn-mr-14', 'epochs8-seed1')


def test_every_committed_run_has_digests_and_is_as_it_was_written():
    runs = [os.path.join(ROOT, run) for run in committed_runs()]
    assert len(runs) >= 25 and all(verify.check(run) for run in runs)
    (together,) = ensembles.find(os.path.join(LOGS, 'cifar10', 'component-14'))
    assert sums.SEAL in sums.read_json(together) and run_directory.read_config(together)['members']


@pytest.mark.parametrize(
    'name', ['config.json', 'metrics.csv', 'train.log', 'checkpoint-0008/model-0008.params', 'SHA256SUMS']
)
def test_a_file_that_differs_is_named(tmp_path, name):
    run = shutil.copytree(os.path.join(LOGS, RUN), tmp_path / 'run')
    with open(run / name, 'r+b') as file:
        file.seek(10)
        file.write(b'#')
    status, out, err = in_process(verify.main, 'verify', tmp_path)
    assert status == 2 and err == 'error: 1 of 1 runs are damaged\n' and name in out


def test_digests_are_written_where_there_are_none(tmp_path):
    run = shutil.copytree(os.path.join(LOGS, RUN), tmp_path / 'run')
    before = (run / 'SHA256SUMS').read_bytes()
    os.remove(run / 'SHA256SUMS')
    assert (
        f'1 without SHA256SUMS, which cannot be checked: {run}'
        in in_process(verify.main, 'verify', tmp_path, check=0)[1]
    )
    in_process(verify.main, 'verify', tmp_path, '--write', check=0)
    assert (run / 'SHA256SUMS').read_bytes() == before
    (run / 'checkpoint-0008' / 'more').write_text('')
    with pytest.raises(UserError, match='checkpoint-0008/more is not in SHA256SUMS'):
        verify.check(str(run))


def test_a_run_that_has_not_ended_is_checked_by_its_checkpoints(tmp_path):
    run = shutil.copytree(os.path.join(LOGS, RUN), tmp_path / 'run')
    config = sums.read_json(run / 'config.json')
    (run / 'config.json').write_text(json.dumps(sums.seal({**config, 'outcome': None})))
    os.remove(run / 'SHA256SUMS')
    momentum = run / 'checkpoint-0008' / 'momentum.params'
    momentum.write_bytes(b'as it was written')
    sums.write(momentum.parent, os.listdir(momentum.parent))
    assert in_process(verify.main, 'verify', tmp_path, '--write', check=0)[1] == '1 run as written\n'
    assert not (run / 'SHA256SUMS').exists()  # it would not be true for long
    momentum.write_bytes(b'other')
    status, out, _ = in_process(verify.main, 'verify', tmp_path)
    assert status == 2 and f'{momentum.parent} is damaged: momentum.params' in out
