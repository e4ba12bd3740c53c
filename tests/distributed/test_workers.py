"""Two workers with a real scheduler and server on 127.0.0.1, beside one process."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from common.mxnet import mx
from tests.conftest import ROOT
from tests.distributed.conftest import ONLY_WORKERS, marked, wait_for
from tests.faults.damages import flip_bit
from tests.runs import MEASURED, checkpoints, only_run, read_bytes, read_csv, read_json
from tests.test_train_cifar import train, words
from tests.training import noise
from training.checkpoint import position

LAUNCH = ['-m', 'distributed.launch', '-n', '2', '-s', '1', 'python']


def workers(mark):
    """The process ids of a job's workers."""
    found = []
    for pid in marked(mark):
        try:
            arguments, environment = (read_bytes(f'/proc/{pid}/{name}').split(b'\0') for name in ('cmdline', 'environ'))
        except OSError:  # it has ended
            continue
        if b'DMLC_ROLE=worker' in environment and b'distributed.node' not in arguments:
            found.append(pid)
    return found


def run_until(arguments, log_dir, mark, new_checkpoints):
    """Start a job and wait for so many new checkpoints; returns the process."""

    def there():
        return {name for _, folders, _ in os.walk(log_dir) for name in folders if name.startswith('checkpoint')}

    before, seen = there(), set()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, **dict([mark])),
    )

    def enough():
        seen.update(there() - before)
        return len(seen) >= new_checkpoints or process.poll() is not None

    wait_for(enough)
    assert process.poll() is None, process.communicate()
    return process


def test_a_dead_worker_a_signal_and_a_damaged_checkpoint_leave_the_bits_of_one_process(
    command, small_cifar, tmp_path, mark
):
    """The parameters, their momentum and both devices' statistics are those of one process with both shards."""
    options, logs = ['--epochs', 6], tmp_path / 'two'
    train(*words(small_cifar, tmp_path / 'one', '--cpus', 2, *options), check=0)
    arguments = LAUNCH + words(small_cifar, logs, '--kv-store', 'dist_sync', *options)
    often = ['--checkpoint-minutes', '1e-5']

    process = run_until(arguments + often, logs, mark, 5)
    os.kill(workers(mark)[0], signal.SIGKILL)
    begun = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30 and process.returncode == 128 + signal.SIGKILL
    assert 'was killed by signal 9' in err.splitlines()[-1] and 'Traceback' not in err and marked(mark) == []

    process = run_until(arguments + often, logs, mark, 5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and 'Traceback' not in err, err
    assert 'resumed after' in out and 'stopped and saved; go on by the launcher with: python train_cifar.py' in out
    assert marked(mark) == []

    one, two = only_run(tmp_path / 'one'), only_run(logs)
    before, newest = checkpoints(two)[-2:]
    flip_bit(os.path.join(two, newest, 'momentum.params'), 8000)
    _, out, err = command(*arguments, check=0)
    epoch, step = position(before)
    assert f'resumed after {epoch} epochs and {step} steps' in out
    assert (out + err).count(f'damaged-{newest}. The run goes on from the checkpoint before it') == 1
    assert os.path.isdir(os.path.join(two, f'damaged-{newest}'))
    for name in ('model-0006.params', 'momentum.params'):
        assert read_bytes(one, 'checkpoint-0006', name) == read_bytes(two, 'checkpoint-0006', name), name
    assert [[float(row[name]) for name in MEASURED] for row in read_csv(one)] == [
        pytest.approx([float(row[name]) for name in MEASURED], rel=1e-6) for row in read_csv(two)
    ]
    config = read_json(two)
    assert config['environment']['workers'] == 2 and config['outcome']['status'] == 'finished'


# What each of two workers with two devices does, in one job. `found` is what it tells the test.
WORKER = """
import json, os, signal, sys
import numpy as np
import symbols
from common.mxnet import mx
from distributed.collectives import Collectives
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from tests.runs import only_run
from tests.training import noise
from training import run
from training.initializer import initial_parameters, initial_statistics
from training.replicas import Replicas

folder, collectives = sys.argv[1], Collectives('dist_sync', 2)
rank = collectives.rank
key = collectives.new_key((3,))
arrays = [mx.nd.full(3, 10 ** (2 * rank + device)) for device in (0, 1)]
collectives.all_reduce(key, arrays)
found = {
    'rank': rank, 'shard': list(collectives.shard),
    'all_reduce': [array.asnumpy().tolist() for array in arrays],
    'all_reduce_numbers': [float(value) for value in collectives.all_reduce_numbers([rank + 1, 0.5])],
    'all_gather': collectives.all_gather(np.array([rank, 7], np.float32)).tolist(),
    'broadcast_object': collectives.broadcast_object({'rate': 0.1, 'from': rank, 'umlaut': 'ü'}),
    'slices': [[part.start, part.stop] for part in collectives.shard.slices(10)],
}
arrays = [mx.nd.full(3, 2 * rank + device + 1) for device in (0, 1)]
collectives.broadcast(key, arrays)
found['broadcast'] = [array.asnumpy().tolist() for array in arrays]
collectives.barrier()

symbol = symbols.get_symbol('plain', 8)
shapes = parameter_shapes(symbol, noise.IMAGE_SHAPE)
replicas = Replicas(symbol, [mx.cpu(0), mx.cpu(1)], noise.IMAGE_SHAPE,
                    initial_parameters(shapes, seed=rank),  # not the same
                    initial_statistics(statistics_shapes(symbol, noise.IMAGE_SHAPE)), collectives)
first = initial_parameters(shapes, seed=0)
found['same weights'] = all((replica.parameters[name].asnumpy() == first[name]).all()
                            for replica in replicas.replicas for name in first)
for device, replica in enumerate(replicas.replicas):
    replica.set_statistics({name: np.full(value.shape, 10 * rank + device, np.float32)
                            for name, value in replica.statistics.items()})
found['statistics'] = [float(statistics['C_bn_moving_mean'][3]) for statistics in replicas.statistics()]
replicas.merge_statistics()
found['merged'] = [float(replica.statistics['C_bn_moving_var'].asnumpy()[0]) for replica in replicas.replicas]

run.Collectives = lambda kind, devices: collectives  # a process can join one job
words = ['--kv-store', 'dist_sync', '--cpus', 2]
signal_rank_1 = noise.at(2, 1, do=lambda: rank == 1 and os.kill(os.getpid(), signal.SIGTERM))
found['stopped'] = noise.fit(f'{folder}/two', *words, noise=noise.Noise(signal_rank_1))
found['resumed'] = noise.fit(f'{folder}/two', *words)
found['again'] = noise.fit(f'{folder}/two', *words, '--no-verify')
source = ['--init-from', only_run(f'{folder}/two') if rank == 0 else 'nowhere', '--freeze', '--lr', 0.5]
found['frozen'] = noise.fit(f'{folder}/frozen', *words, *source)
found['diverged'] = noise.fit(f'{folder}/diverged', *words, '--lr', '1e25')
found['broken'] = noise.fit(f'{folder}/broken', *words, '--lr', '1e20', '--batch-size', noise.TRAIN)
with open(f'{folder}/rank{rank}', 'w') as file:
    json.dump(found, file)
"""


@pytest.fixture(scope='module')
def job(tmp_path_factory):
    """(folder, what each of the two workers found, standard output)."""
    folder = tmp_path_factory.mktemp('job')
    (folder / 'worker.py').write_text(WORKER)
    done = subprocess.run(
        [sys.executable, *LAUNCH, str(folder / 'worker.py'), str(folder)],
        cwd=ROOT,
        text=True,
        env={**os.environ, 'PYTHONPATH': ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return folder, [json.loads((folder / f'rank{rank}').read_text()) for rank in (0, 1)], done.stdout


def test_workers_exchange_what_they_have(job):
    for rank, found in enumerate(job[1]):
        assert {name: found[name] for name in ('rank', 'shard', 'slices')} == {
            'rank': rank,
            'shard': [2 * rank, 2, 4],
            'slices': [[[0, 2], [2, 5]], [[5, 7], [7, 10]]][rank],
        }
        assert found['all_reduce'] == [[1111] * 3] * 2 and found['broadcast'] == [[1] * 3] * 2
        assert found['all_reduce_numbers'] == [3, 1] and found['all_gather'] == [[0, 7], [1, 7]]
        assert found['broadcast_object'] == {'rate': 0.1, 'from': 0, 'umlaut': 'ü'}


def test_workers_start_from_the_weights_of_rank_0_and_share_their_statistics(job):
    for found in job[1]:
        assert found['same weights'] and found['statistics'] == [0, 1, 10, 11] and found['merged'] == [5.5, 5.5]


def test_a_signal_to_one_worker_stops_all_after_the_same_step_and_they_go_on(job):
    folder, (first, second), out = job
    for found in (first, second):
        assert (found['stopped'], found['resumed'], found['again']) == (128 + signal.SIGTERM, 0, 0)
    assert (
        'stopped and saved; go on by the launcher with: python train_noise.py' in out
        and 'resumed after 1 epochs and 1 steps' in out
    )
    assert out.count(f'{only_run(folder / "two")} is done: test error') == 1  # rank 0 alone says so
    config = read_json(only_run(folder / 'two'))
    assert config['environment']['workers'] == 2 and len(config['resumed']) == 1


@pytest.mark.parametrize('name', ['two', 'frozen'])
def test_two_workers_with_two_devices_each_are_four_devices(job, tmp_path, name):
    """To rounding: with four the order of summation is another. Rank 0 alone has the weights that a run begins with."""
    source = ['--init-from', only_run(job[0] / 'two'), '--freeze', '--lr', 0.5] if name == 'frozen' else []
    assert noise.fit(tmp_path, '--cpus', 4, *source) == 0
    one, two = only_run(tmp_path), only_run(job[0] / name)
    arrays = [mx.nd.load(os.path.join(run, 'checkpoint-0002', 'model-0002.params')) for run in (one, two)]
    assert set(arrays[0]) == set(arrays[1])
    for name in arrays[0]:
        np.testing.assert_allclose(
            arrays[1][name].asnumpy(), arrays[0][name].asnumpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )
    for ours, expected in zip(read_csv(two), read_csv(one), strict=True):
        assert [float(ours[name]) for name in MEASURED] == pytest.approx(
            [float(expected[name]) for name in MEASURED], rel=1e-4
        )


@pytest.mark.parametrize(
    'name, text',
    [('diverged', 'the training loss is not finite at epoch 1'), ('broken', ' is not finite in epoch')],
)  # the second is what rank 0 finds between epochs
def test_a_loss_that_is_not_finite_ends_all_workers(job, name, text):
    folder, found, out = job
    assert [one[name] for one in found] == [1, 1] and out.count(text) == 1 and 'Traceback' not in out
    run = only_run(folder / name)
    assert read_json(run)['outcome']['status'] == 'not finite' and read_csv(run)[-1]['test_error'] == ''
    assert checkpoints(run) in ([], ['checkpoint-0001'])


def test_a_reader_that_has_seen_enough_ends_the_job(mark):
    """A worker that is this Python without MXNet stands for one that trains."""
    code = 'from common.cli import run\ndef main():\n    while True:\n        print("line", flush=True)\nrun(main)'
    worker = f'{ONLY_WORKERS}exec {shlex.join([sys.executable, "-c", code])}'
    job = shlex.join([sys.executable, *LAUNCH[:-1], 'sh', '-c', worker])
    done = subprocess.run(
        f'{job} | head -1',
        shell=True,
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        env=dict(os.environ, **dict([mark])),
    )
    assert done.stdout.count('\n') == 1 and 'Traceback' not in done.stderr and marked(mark) == []
