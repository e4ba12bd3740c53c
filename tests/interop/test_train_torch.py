"""The recipe in PyTorch is ours: losses of the first steps, schedule, augmentation; and its file becomes a run."""

import functools
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from common.mxnet import mx
from data.batches import Normalization, TrainBatches
import eval
import export
from interop import names
import symbols
from tests.conftest import ROOT, in_process, write_cifar
from training.initializer import initial_replicas
from training.optimizer import NesterovSGD
from training.replicas import outputs
from training.run_directory import read_config, read_metrics
from training.schedule import by_fractions

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')
train_torch = pytest.importorskip('interop.train_torch')
RATES = (0.1, 0.1, 0.1, 0.01, 0.01, 0.01)  # with a drop, where MXNet's own Nesterov differs


def our_losses(net, batches, shares):
    """The mean loss of each step, and the weights before the first."""
    network = functools.partial(symbols.get_symbol, net, 8)
    replicas = initial_replicas(network, [mx.cpu(i) for i in range(shares)], (3, 32, 32))
    before = {name: value.asnumpy() for name, value in replicas.replicas[0].parameters.items()}
    optimizer, losses = NesterovSGD(replicas), []
    for rate, (data, labels) in zip(RATES, batches):
        parts = list(zip(np.split(data, shares), np.split(labels, shares)))
        executors = replicas.gradients(parts)
        optimizer.step(rate, len(labels))
        members = outputs(executors)
        chosen = [member[np.arange(len(labels)), labels.astype(int)] for member in members]
        losses.append(-np.log(chosen).mean())
    return before, losses


@pytest.mark.parametrize('net, shares', [('dfn-mr', 1), ('dfn-mr', 2), ('resnet', 1), ('ensemble', 1)])
def test_the_first_steps_have_our_losses(net, shares, random):
    images = random.randint(0, 256, (6 * 16, 3, 32, 32)).astype(np.uint8)
    labels = random.randint(0, 10, len(images))
    normalize = Normalization(train_torch.MEAN, train_torch.STD)
    drawn = TrainBatches(images, labels, 16, normalize, seed=1)
    batches = [parts[0] for parts, _ in drawn.epoch(1)]
    before, expected = our_losses(net, batches, shares)

    module = train_torch.torch_networks.build(net, 8)
    weights = {names.to_torch(name): torch.from_numpy(value) for name, value in before.items()}
    module.load_state_dict(weights, strict=False)
    optimizer, found = train_torch.optimizer_of(module, RATES[0]), []
    for rate, (data, labels) in zip(RATES, batches):
        optimizer.param_groups[0]['lr'] = rate
        loss, _ = train_torch.step(
            module, optimizer, torch.from_numpy(data), torch.from_numpy(labels.astype(np.int64)), shares
        )
        found.append(loss.item())
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    assert np.std(found) > 0.01


def test_an_ensembles_loss_is_the_mean_of_its_members(random):
    net = train_torch.torch_networks.build('ensemble', 8).eval()
    net.facts |= dict(mean=train_torch.MEAN, std=train_torch.STD)
    images = torch.from_numpy(random.randint(0, 256, (10, 3, 32, 32)).astype(np.uint8))
    labels = torch.arange(10)
    with torch.no_grad():
        members = net(net.normalize(images)).softmax(-1).numpy()
    expected = -np.log(members[:, np.arange(10), np.arange(10)]).mean()
    assert len(members) == 8
    assert train_torch.evaluate(net, images, labels)['test_loss'] == pytest.approx(expected, rel=1e-5)


def test_the_schedule_is_ours():
    for epochs in (1, 8, 40, 400):
        for epoch in range(1, epochs + 1):
            assert train_torch.learning_rate(epoch, epochs, 0.1) == by_fractions(epoch, epochs, 0.1)


def test_crops_are_windows_of_the_padded_image(random):
    torch.manual_seed(0)
    images = random.randint(1, 256, (200, 3, 32, 32)).astype(np.uint8)
    crops = train_torch.crop_and_mirror(torch.from_numpy(images)).numpy()
    padded, found = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4))), set()
    for crop, image in zip(crops, padded):
        places = [
            (top, left, flip)
            for top in range(9)
            for left in range(9)
            for flip in (1, -1)
            if (image[:, top : top + 32, left : left + 32][..., ::flip] == crop).all()
        ]
        (place,) = places
        found.add(place)
    assert len(found) > 100 and {flip for *_, flip in found} == {1, -1}
    assert {top for top, *_ in found} == set(range(9)) == {left for _, left, _ in found}


def test_training_makes_a_file_that_becomes_a_run_with_curves(tmp_path, random, monkeypatch):
    folder = write_cifar(tmp_path, random, train=60, test=20)
    words = ['--net', 'dfn-mr', '--depth', '8', '--data-dir', os.path.join(folder, 'cifar-10-batches-bin')]
    args = [*words, '--epochs', '2', '--batch-size', '20', '--shares', '2', '--device', 'cpu']
    file, run = tmp_path / 'a.safetensors', tmp_path / 'pytorch-seed1'
    monkeypatch.setattr('sys.argv', ['train_torch', *args, '--out', str(file)])
    assert train_torch.main() == 0
    in_process(export.main, 'export.py', file, '--to', 'run', run, check=0)
    config, rows = read_config(str(run)), read_metrics(str(run))
    assert [row['epoch'] for row in rows] == [1, 2] and rows[1]['lr'] == pytest.approx(by_fractions(2, 2, 0.1))
    assert not config['dataset']['splits']['train']['verified']  # 60 images are not CIFAR-10's
    assert config['options']['batch_size'] == 20 and len(config['environment']['devices']) == 2
    _, out, _ = in_process(eval.main, 'eval.py', run, '--data-dir', folder, '--no-verify', check=0)
    assert f'test error {rows[1]["test_error"]:.2f} %' in out


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, random):
    folder = os.path.join(write_cifar(tmp_path, random, train=300, test=20), 'cifar-10-batches-bin')
    words = ['--net', 'dfn-mr', '--depth', '8', '--data-dir', folder, '--epochs', '3', '--batch-size', '20']

    def start(name, *more):
        command = [sys.executable, '-m', 'interop.train_torch', *words, '--out', tmp_path / name, *more]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    whole = start('whole')
    whole.communicate()
    killed = start('killed')
    assert killed.stdout.readline().startswith('epoch 1, ')
    while not os.path.exists(tmp_path / 'killed.resume'):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    other = start('killed', '--lr', '0.05')
    assert 'with other options: choose another --out' in other.communicate()[1] and other.returncode == 2
    resumed = start('killed')
    lines = resumed.communicate()[0].splitlines()
    assert whole.returncode == resumed.returncode == 0
    assert [line.split(',')[0] for line in lines] in (['epoch 2', 'epoch 3'], ['epoch 3'])  # as the kill came
    assert (tmp_path / 'killed').read_bytes() == (tmp_path / 'whole').read_bytes()
    assert not os.path.exists(tmp_path / 'killed.resume')


def test_what_a_resume_needs_may_be_damaged(tmp_path, random, monkeypatch, capsys):
    folder = os.path.join(write_cifar(tmp_path, random, train=60, test=20), 'cifar-10-batches-bin')
    words = ['--net', 'plain', '--depth', '8', '--data-dir', folder, '--out', str(tmp_path / 'a')]
    monkeypatch.setattr('sys.argv', ['train_torch', *words])
    for content in (b'', b'no archive', b'PK\3\4 cut off'):
        (tmp_path / 'a.resume').write_bytes(content)
        assert train_torch.main() == 2
        err = capsys.readouterr().err
        assert 'a.resume is damaged: remove it' in err and err.count('\n') == 1


@pytest.mark.parametrize('content', [b'', bytes(3072), bytes([10] + [0] * 3072)])
def test_files_that_are_not_cifar_10s_are_named(content, tmp_path, random, monkeypatch, capsys):
    folder = os.path.join(write_cifar(tmp_path, random, train=60, test=20), 'cifar-10-batches-bin')
    (tmp_path / os.path.relpath(folder, tmp_path) / 'data_batch_2.bin').write_bytes(content)
    words = ['--net', 'dfn-mr', '--depth', '8', '--data-dir', folder, '--out', str(tmp_path / 'a')]
    monkeypatch.setattr('sys.argv', ['train_torch', *words])
    assert train_torch.main() == 2
    assert 'data_batch_2.bin is not a file of the binary version of CIFAR-10' in capsys.readouterr().err


@pytest.mark.parametrize(
    'words, message',
    [
        (['--depth', '15'], 'depth 15 is not 6n + 2'),
        (['--net', 'vgg'], 'no network vgg'),
        (['--epochs', '0'], 'from 1'),
        (['--depth', '8'], 'data_batch_1.bin'),
        (['--depth', '8', '--seed', '-1'], '--seed from 0'),
        (['--depth', '8', '--lr', '-1'], '--lr is above 0'),
        (['--depth', '8', '--widen', '0'], '--widen is a whole number from 1'),
        (['--depth', '8', '--net', 'component'], 'train_cifar.py'),
        (['--depth', '8', '--device', 'bogus'], '--device bogus: '),
        (['--depth', '8', '--out', 'nowhere/a'], 'there is no folder nowhere'),
        (['--depth', '8', '--out', 'README.md'], 'README.md is there already'),
    ],
)
def test_mistakes(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['train_torch', '--data-dir', str(tmp_path), '--out', 'a', *words])
    monkeypatch.chdir(ROOT)
    assert train_torch.main() == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and err.count('\n') == 1 and message in err
