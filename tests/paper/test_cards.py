"""Model cards: what they say of a run, and that the committed ones are up to date."""

import hashlib
import os
import re
import shlex

import pytest

from paper import __main__ as command
from paper import cards
from paper.figures import curves
from tests.conftest import committed_runs, in_process, write_run
from tests.runs import read_json, rewrite
import train_cifar
import train_imagenet
import train_svhn
from training.run_directory import read_metrics

FEW = ['--net', 'resnet', '--depth', 26, '--epochs', 8]


def rows(text):
    """{name: value} of a card's table."""
    return dict(re.findall(r'^\| ([^|]+) \| (.+) \|$', text, re.M))


@pytest.mark.parametrize('run_dir', committed_runs())
def test_a_committed_run_has_its_card(run_dir, committed, monkeypatch):
    """Write them anew with: python -m paper cards."""
    monkeypatch.chdir(committed)
    with open(os.path.join(run_dir, 'README.md'), encoding='utf-8') as file:
        text = file.read()
    assert text == cards.card(run_dir)
    told = rows(text)
    if told['weights'] != 'not kept':
        with open(os.path.join(run_dir, told['weights'].strip('`')), 'rb') as file:
            assert told['their SHA-256'] == f'`{hashlib.sha256(file.read()).hexdigest()}`'


@pytest.mark.parametrize('later, expected', [('', 'A'), ('A', 'A'), ('ABCB', 'A, later B and C')])
def test_a_card_names_the_processors_that_a_run_was_resumed_on(tmp_path, later, expected):
    run_dir = write_run(tmp_path, FEW, errors=[20.0] * 8)
    config = read_json(run_dir)
    config['environment']['processor'] = 'A'
    config['resumed'] = [{'environment': {'processor': name}} for name in later]
    rewrite(run_dir, 'config.json', config)
    assert rows(cards.card(run_dir))['made with'].endswith(f', {expected}')


def test_the_commands_of_a_card_can_be_copied(tmp_path):
    run = write_run(tmp_path / 'my $1 logs', FEW, errors=[20.0] * 8, verified=False)
    for name in ('checkpoint-0008', 'checkpoint-0008/model-0008.params'):
        place = os.path.join(run, name)
        os.makedirs(place) if '/' not in name else open(place, 'wb').close()
    words = [shlex.split(line) for line in re.findall('^    python (.*)$', cards.card(run), re.M)]
    assert words[0] == ['eval.py', run, '--no-verify'] and words[-1][:4] == ['export.py', run, '--to', 'torch']


def test_networks_of_gluoncv_are_not_offered_for_pytorch(tmp_path):
    words = ['--net', 'gluoncv:cifar_resnet20_v1', '--epochs', 8]
    run = write_run(tmp_path, words, errors=[20.0] * 8)
    os.makedirs(os.path.join(run, 'checkpoint-0008'))
    open(os.path.join(run, 'checkpoint-0008', 'model-0008.params'), 'wb').close()
    assert '--to onnx' in cards.card(run) and 'orch' not in cards.card(run)


def test_seeds_on_other_devices_are_not_averaged(tmp_path):
    for seed, devices, error in ((1, 2, 5.0), (2, 2, 6.0), (3, 1, 9.0)):
        write_run(tmp_path, [*FEW, '--seed', seed], errors=[error] * 8, devices=devices)
    folder = tmp_path / 'cifar10' / 'resnet-26'
    told = [rows(cards.card(str(folder / f'epochs8-seed{seed}')))['test error'] for seed in (1, 2, 3)]
    assert told[0].endswith('over all seeds 5.50 ± 0.50 (2)') and told[2] == '9.00 % after the last epoch, n = 1'
    assert len(curves.group([str(tmp_path)])) == 2


def test_a_card_tells_the_errors_of_all_seeds(tmp_path, monkeypatch):
    for seed, error in ((1, 6.0), (2, 7.0)):
        write_run(tmp_path / 'logs', [*FEW, '--seed', seed], [error], devices=1)
    write_run(tmp_path / 'logs', [*FEW, '--seed', 3], [9.0, 8.0], status=None, devices=1)
    monkeypatch.chdir(tmp_path)
    _, out, _ = in_process(command.main, 'paper', 'cards', check=0)
    told = [rows(open(path, encoding='utf-8').read()) for path in out.split()]
    assert [card['test error'] for card in told] == [
        '6.00 % after the last epoch; over all seeds 6.50 ± 0.50 (2)',
        '7.00 % after the last epoch; over all seeds 6.50 ± 0.50 (2)',
        'not finished after 2 epochs; 8.00 % so far',
    ]
    assert told[0]["beside the paper's"] == '8 of 400 epochs; 1 device instead of 2'
    assert told[0]['weights'] == 'not kept'


def test_a_card_tells_where_a_run_diverged(tmp_path):
    run = write_run(tmp_path / 'logs', FEW, [60.0, float('nan')], status='not finite')
    config = read_json(run)
    config['outcome'] = {'status': 'not finite', 'epoch': 2, 'step': 7, 'fail': True}
    rewrite(run, 'config.json', config)
    assert rows(cards.card(str(run)))['test error'] == 'diverged in epoch 2'
    assert curves._label('ResNet 26', [read_metrics(run)]) == 'ResNet 26: no test error at the end'
    other = write_run(tmp_path / 'logs', [*FEW, '--seed', 2], [16.0])
    assert (
        rows(cards.card(str(other)))['test error'] == '16.00 % after the last epoch; over all seeds 16.00 (1), fail (1)'
    )


@pytest.mark.parametrize(
    'script, words, devices, expected',
    [
        (train_imagenet, ['--net', 'resnet', '--depth', 50, '--schedule', 'appendix'], 4, 'as in the paper'),  # Table 7
        (train_imagenet, ['--net', 'resnet', '--depth', 50], 8, 'the paper has no such run'),
        (train_cifar, ['--net', 'ensemble', '--depth', 26, '--components', 7], 2, 'as in the paper'),  # Figure 5
        (train_cifar, ['--net', 'dfn-mr', '--depth', 14, '--schedule', 'main'], 2, 'the paper has no such run'),
        (train_cifar, ['--net', 'dfn-mr', '--depth', 8], 2, 'the paper has no such run'),
        (train_svhn, ['--net', 'dfn-mr', '--depth', 14, '--split', 'full'], 2, '--split full'),
    ],
)
def test_a_card_compares_with_what_the_paper_trained(tmp_path, script, words, devices, expected):
    run = write_run(tmp_path / 'logs', words, [9.0], devices=devices, script=script, test_top5_error=[2.0])
    assert rows(cards.card(str(run)))["beside the paper's"] == expected


def test_a_card_counts_the_images_that_were_trained_on(tmp_path):
    run = write_run(tmp_path, ['--net', 'dfn-mr', '--split', 'full'], [9.0], script=train_svhn)
    config = read_json(run)
    config['dataset']['splits'] |= {
        name: {**config['dataset']['splits']['train'], 'records': records}
        for name, records in (('train', 700), ('val', 30), ('test', 20))
    }
    rewrite(run, 'config.json', config)
    assert rows(cards.card(str(run)))['data'] == 'SVHN, 730 training and 20 test images'
