"""The scripts with `--gpus 0,1` on stand-ins (see stand_ins.py): as `--cpus 2`, to the last bit of the weights."""

import os
import shutil

import numpy as np
from PIL import Image
import pytest

from data import svhn
import eval as evaluation
from symbols import imagenet
from symbols.fused import fuse
from tests.conftest import in_process, write_cifar
from tests.data.small_folders import write_folders
from tests.runs import checkpoints, end, only_run, read_json, rewrite
from tests.stand_ins import pretend
from tests.test_train_svhn import write_svhn
import train_cifar
import train_imagenet
import train_images
import train_svhn
from training import checkpoint, initializer

SCRIPTS = {'cifar': train_cifar, 'svhn': train_svhn, 'imagenet': train_imagenet, 'images': train_images}
WORDS = {
    'cifar': '--net dfn-mr --depth 8 --batch-size 8',
    'svhn': '--net resnet --depth 8 --batch-size 8',
    'imagenet': '--net resnet --depth 50 --batch-size 4 --lr 0.01',
    'images': '--net dfn-il --depth 8 --batch-size 8 --lr 0.01',
}


def write_imagenet(folder, random):
    """Five classes with three images to train on and one to validate with."""
    for split, count in (('train', 3), ('val', 1)):
        for wnid in (f'n{7 * i:08}' for i in range(1, 6)):
            where = os.path.join(folder, split, wnid)
            os.makedirs(where)
            for i in range(count):
                noise = Image.fromarray(random.randint(0, 256, (8, 10, 3)).astype(np.uint8))
                noise.resize((300, 240)).save(os.path.join(where, f'{wnid}_{split}_{i}.JPEG'))


@pytest.fixture
def train(tmp_path, random, monkeypatch):
    """A function that trains with a script on small files, a few steps an epoch; returns the run directory."""
    monkeypatch.setattr(svhn, 'HELD_OUT', {'train': 2, 'extra': 1})
    monkeypatch.setattr(imagenet, 'WIDTHS', (16, 32, 64, 128))
    monkeypatch.setattr(checkpoint, 'KEEP', 100)
    write = {
        'cifar': lambda folder: write_cifar(folder, random, train=30, test=10),
        'svhn': lambda folder: write_svhn(folder, random, train=30, extra=24, test=10),
        'imagenet': lambda folder: write_imagenet(folder, random),
        'images': lambda folder: write_folders(folder, random),
    }

    def run(name, log_dir, *more):
        script, folder = SCRIPTS[name], tmp_path / f'{name}-data'
        if not folder.exists():
            write[name](str(folder))
        words = [*WORDS[name].split(), '--data-dir', folder, '--checkpoint-minutes', '1e-9']
        words += ['--no-verify'] if name != 'images' else []
        in_process(script.main, f'{script.__name__}.py', *words, '--log-dir', log_dir, *more, check=0)
        return only_run(log_dir)

    return run


@pytest.fixture
def gpus(monkeypatch):
    """Two stand-ins, and no fused form, which is for the CPU alone."""

    def none(symbol, mirror):
        raise AssertionError('GPUs train the network as drawn')

    pretend(monkeypatch, 2)
    monkeypatch.setattr(initializer, 'fuse', none)


def go_back_to(run, place):
    """Leave a run as if it had been killed after it saved this checkpoint."""
    for name in checkpoints(run):
        if name > place:
            shutil.rmtree(os.path.join(run, name))
    rewrite(run, 'config.json', {**read_json(run), 'outcome': None})


def check_end(run, expected):
    """Check that a run ends as another did, in every bit.

    The test's loss is rounded in another way: on the CPU, BatchNorm is folded into the convolutions.
    """
    files, rows = end(run)
    assert files == expected[0]
    for row, wanted in zip(rows, expected[1], strict=True):
        assert float(row['test_loss']) == pytest.approx(float(wanted['test_loss']), rel=1e-6)
        assert {**row, 'test_loss': wanted['test_loss']} == wanted


def evaluated(run, *words):
    """What eval.py prints of a run."""
    return in_process(evaluation.main, 'eval.py', run, '--no-verify', '--batch-size', 7, *words, check=0)[1]


@pytest.mark.parametrize(
    'name, epochs, places',
    [
        ('cifar', 2, ['checkpoint-0001-00002', 'checkpoint-0001']),
        ('svhn', 1, ['checkpoint-0000-00002']),
        ('images', 1, ['checkpoint-0000-00001']),
        pytest.param('imagenet', 1, ['checkpoint-0000-00001'], marks=pytest.mark.slow),
    ],
)
def test_a_script_on_gpus_trains_resumes_and_evaluates_as_on_two_cpu_contexts(
    name, epochs, places, train, tmp_path, gpus
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initializer, 'fuse', fuse)
        on_cpus = train(name, tmp_path / 'cpus', '--epochs', epochs, '--cpus', 2)
    expected = end(on_cpus)

    on_gpus = train(name, tmp_path / 'gpus', '--epochs', epochs, '--gpus', '0,1')
    config = read_json(on_gpus)
    assert config['environment']['devices'] == ['cpu_shared(0)', 'cpu_shared(1)']
    assert config['options']['kv_store'] == 'device' and config['options']['gpus'] == '0,1'
    assert 'cpus' not in os.path.basename(on_gpus)
    check_end(on_gpus, expected)

    for place in places:
        go_back_to(on_gpus, place)
        before = checkpoints(on_gpus)
        assert before[-1] == place
        train(name, tmp_path / 'gpus', '--epochs', epochs, '--gpus', '1,0')
        assert len(checkpoints(on_gpus)) > len(before)
        check_end(on_gpus, expected)

    assert f'error {float(expected[1][-1]["test_error"]):.2f} %' in evaluated(on_gpus, '--gpus', '0,1')
    for devices in (['--gpus', '1'], ['--cpus', 2]):
        assert evaluated(on_gpus, *devices) == evaluated(on_gpus, '--gpus', '0,1')


@pytest.mark.slow
def test_the_digits_give_the_same_bits(tmp_path, gpus):
    words = ['train_cifar.py', '--dataset', 'digits', '--net', 'dfn-mr', '--depth', 8, '--epochs', 1]
    words += ['--batch-size', 240, '--data-dir', tmp_path / 'digits']
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initializer, 'fuse', fuse)
        in_process(train_cifar.main, *words, '--cpus', 2, '--log-dir', tmp_path / 'cpus', check=0)
    in_process(train_cifar.main, *words, '--gpus', '0,1', '--log-dir', tmp_path / 'gpus', check=0)
    check_end(only_run(tmp_path / 'gpus'), end(only_run(tmp_path / 'cpus')))
