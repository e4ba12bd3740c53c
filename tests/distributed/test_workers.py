"""Two workers with a real scheduler and server on 127.0.0.1, beside one process on two CPU contexts."""
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import train_cifar
from common.mxnet import mx
from common.errors import UserError
from tests.conftest import ROOT
from tests.test_train_cifar import MEASURED, only_run, read_bytes, read_csv, read_json, words
from distributed.collectives import Store

LAUNCH = ['-m', 'distributed.launch', '-n', '2', '-s', '1', 'python']


def job(data_dir, log_dir, *more):
    """The small run of test_train_cifar.py on two workers."""
    return LAUNCH + words(data_dir, log_dir, '--kv-store', 'dist_sync', *more)


def processes(log_dir, role=None):
    """Process ids of a job, by its log directory in the arguments; role: only those that do its work."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            arguments, environment = (read_bytes('/proc', pid, name).split(b'\0') for name in ('cmdline', 'environ'))
        except OSError:
            continue
        if str(log_dir).encode() in arguments and (
                role is None or (b'DMLC_ROLE=%s' % role in environment and b'distributed.node' not in arguments)):
            found.append(int(pid))
    return found


def run_until(arguments, log_dir, new_checkpoints):
    """Start a job and wait for so many new checkpoints; returns the process."""
    process = subprocess.Popen([sys.executable] + arguments, cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True)
    seen, limit = set(), time.time() + 60
    before = set(all_checkpoints(log_dir))
    while len(seen) < new_checkpoints and time.time() < limit:
        assert process.poll() is None, process.communicate()
        seen |= set(all_checkpoints(log_dir)) - before
        time.sleep(0.01)
    return process


def all_checkpoints(log_dir):
    return [name for _, folders, _ in os.walk(str(log_dir)) for name in folders if name.startswith('checkpoint')]


def test_a_worker_that_dies_and_a_signal_end_the_job_and_it_goes_on_to_the_bits_of_one_process(
        command, small_cifar, tmp_path):
    """The parameters, their momentum and both devices' statistics are those of one process with both shards."""
    options, logs = ['--epochs', 6], tmp_path / 'two'
    command(*words(small_cifar, tmp_path / 'one', '--cpus', 2, *options), check=0)
    arguments = job(small_cifar, logs, *options, '--checkpoint-minutes', '1e-5')

    process = run_until(arguments, logs, 5)
    victim = processes(logs, role=b'worker')[0]
    os.kill(victim, signal.SIGKILL)
    begun = time.time()
    _, err = process.communicate(timeout=60)
    assert time.time() - begun < 30 and process.returncode == 128 + signal.SIGKILL
    assert 'was killed by signal 9' in err.splitlines()[-1] and 'Traceback' not in err
    assert processes(logs) == []

    process = run_until(arguments, logs, 5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and 'Traceback' not in err, err
    assert 'resumed after' in out and 'stopped and saved; go on with: python train_cifar.py' in out
    assert processes(logs) == []

    _, out, _ = command(*arguments, check=0)
    assert 'resumed after' in out
    one, two = only_run(tmp_path / 'one'), only_run(logs)
    for name in ('model-0006.params', 'momentum.params'):
        assert read_bytes(one, 'checkpoint-0006', name) == read_bytes(two, 'checkpoint-0006', name), name
    assert [[float(row[name]) for name in MEASURED] for row in read_csv(one)] == [
        pytest.approx([float(row[name]) for name in MEASURED], rel=1e-6) for row in read_csv(two)]
    config = read_json(two)
    assert config['environment']['workers'] == 2 and config['outcome']['status'] == 'finished'


def test_two_workers_with_two_devices_each_are_four_devices(command, small_cifar, tmp_path):
    """To rounding: with four the order of summation is another. One step, which is a whole epoch."""
    options = ['--epochs', 1, '--batch-size', 60]
    command(*words(small_cifar, tmp_path / 'one', '--cpus', 4, *options), check=0)
    command(*job(small_cifar, tmp_path / 'two', '--cpus', 2, *options), check=0)
    one, two = (mx.nd.load(os.path.join(only_run(folder), 'checkpoint-0001', 'model-0001.params'))
                for folder in (tmp_path / 'one', tmp_path / 'two'))
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name].asnumpy(), one[name].asnumpy(), rtol=1e-6, atol=1e-7, err_msg=name)


WORKER = '''
import json, os, sys
import numpy as np
import symbols
from common.mxnet import mx
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from training.initialiser import initial_parameters, initial_statistics
from training.replicas import Replicas
from distributed.collectives import Store

store = Store('dist_sync', 2)
symbol = symbols.get_symbol('plain', 8)
parameters = initial_parameters(parameter_shapes(symbol), seed=store.rank)   # not the same
replicas = Replicas(symbol, [mx.cpu(0), mx.cpu(1)], (3, 32, 32), parameters,
                    initial_statistics(statistics_shapes(symbol)), store)
own = initial_parameters(parameter_shapes(symbol), seed=0)
for device, replica in enumerate(replicas.replicas):
    replica.set_statistics({name: np.full(value.shape, 10 * store.rank + device, np.float32)
                            for name, value in replica.statistics.items()})
everyones = [float(statistics['C_bn_moving_mean'][3]) for statistics in replicas.statistics()]
replicas.merge_statistics()
found = {
    'rank': store.rank, 'place': list(store.place),
    'same weights': all((replica.parameters[name].asnumpy() == own[name]).all()
                        for replica in replicas.replicas for name in own),
    'statistics': everyones,
    'merged': [float(replica.statistics['C_bn_moving_var'].asnumpy()[0])
               for replica in replicas.replicas],
    'total': [float(value) for value in store.total([store.rank + 1, 0.5])],
    'gathered': store.gather(np.array([store.rank, 7], np.float32)).tolist(),
    'told': store.tell({'rate': 0.1, 'from': store.rank, 'umlaut': 'ü'}),
    'shares': [[share.start, share.stop] for share in store.place.shares(10)],
}
with open(os.path.join(sys.argv[1], 'rank%d' % store.rank), 'w') as file:
    json.dump(found, file)
'''


def test_workers_start_from_the_same_weights_and_agree(command, tmp_path):
    script = tmp_path / 'worker.py'
    script.write_text(WORKER)
    command(*LAUNCH, script, tmp_path, check=0, env={**os.environ, 'PYTHONPATH': ROOT})
    for rank in (0, 1):
        with open(str(tmp_path / ('rank%d' % rank))) as file:
            assert json.load(file) == {
                'rank': rank, 'place': [2 * rank, 2, 4], 'same weights': True, 'statistics': [0, 1, 10, 11],
                'merged': [5.5, 5.5], 'total': [3, 1], 'gathered': [[0, 7], [1, 7]],
                'told': {'rate': 0.1, 'from': 0, 'umlaut': 'ü'}, 'shares': [[[0, 2], [2, 5]], [[5, 7], [7, 10]]][rank]}


def test_a_test_loss_that_is_not_finite_ends_all_workers(command, small_cifar, tmp_path):
    """Rank 0 alone sees it. The one step of an epoch has finite losses, the weights after it give none."""
    status, out, err = command(*job(small_cifar, tmp_path, '--batch-size', 60, '--lr', '1e20'), timeout=60)
    assert status == 1 and 'the test loss is not finite after epoch' in out and 'Traceback' not in err, out + err
    assert read_json(only_run(tmp_path))['outcome']['status'] == 'not finite'
    assert 'ended with status 1; the job is ended\n' in err and processes(tmp_path) == []


def test_a_reader_that_has_seen_enough_ends_the_job(small_cifar, tmp_path):
    pipe = ' '.join([sys.executable] + job(small_cifar, tmp_path, '--epochs', 400)) + ' | head -1'
    done = subprocess.run(['sh', '-c', pipe], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.stdout.count(b'\n') == 1 and b'Traceback' not in done.stderr and processes(tmp_path) == []


def test_workers_are_of_the_launcher_and_add_up(mistake, small_cifar, tmp_path, monkeypatch):
    line = mistake(train_cifar.main, *words(small_cifar, tmp_path / 'logs', '--kv-store', 'dist_sync'))
    assert 'start them with python -m distributed.launch' in line
    monkeypatch.setenv('DMLC_PS_ROOT_URI', '127.0.0.1')
    monkeypatch.setenv('DMLC_ROLE', 'worker')
    with pytest.raises(UserError, match='every worker of this job would train by itself: choose dist_sync'):
        Store('local')
    assert not (tmp_path / 'logs').exists()
