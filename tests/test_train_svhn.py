"""train_svhn.py on small files and on the official sample."""

import os

import numpy as np
import pytest
import scipy.io

import data
from data import records, svhn
import eval as evaluation
from tests.conftest import in_process, official_folder
from tests.runs import only_run, read_json
import train_svhn


def write_svhn(folder, random, **sizes):
    """Files as the official ones are: rows, columns, channels, images; the digit 0 is labeled 10."""
    os.makedirs(folder)
    for name, size in sizes.items():
        images, labels = random.randint(0, 256, (size, 32, 32, 3)).astype(np.uint8), np.arange(size) % 10
        scipy.io.savemat(
            os.path.join(folder, f'{name}_32x32.mat'),
            {'X': images.transpose(1, 2, 3, 0), 'y': np.where(labels == 0, 10, labels)[:, None]},
        )


def words(folder, tmp_path, *more):
    return [
        'train_svhn.py',
        '--net',
        'plain',
        '--depth',
        8,
        '--epochs',
        1,
        '--data-dir',
        folder,
        '--no-verify',
        '--log-dir',
        tmp_path / 'logs',
        *more,
    ]


def test_the_defaults_are_the_papers():
    """Sections 6.1 and 6.2."""
    args = train_svhn.parser().parse_args([])
    assert (args.net, args.depth, args.dataset, args.split) == ('dfn-mr', 56, 'svhn', 'paper')
    assert (args.epochs, args.batch_size, args.lr, args.momentum, args.weight_decay) == (40, 64, 0.1, 0.9, 1e-4)


def test_the_command_holds_out_trains_and_evaluates(tmp_path, random, monkeypatch):
    """The split of the paper with fewer images: two and one of each class instead of 400 and 200."""
    monkeypatch.setattr(svhn, 'HELD_OUT', {'train': 2, 'extra': 1})
    write_svhn(tmp_path / 'svhn', random, train=60, extra=90, test=30)
    _, out, _ = in_process(train_svhn.main, *words(tmp_path / 'svhn', tmp_path), check=0)
    run = only_run(tmp_path / 'logs')
    assert os.path.relpath(run, tmp_path / 'logs') == 'svhn/plain-8/epochs1-seed1' and '120 images' in out
    config = read_json(run)
    assert config['options']['no_verify'] is True and config['options']['split'] == 'paper'
    assert {split: about['records'] for split, about in config['dataset']['splits'].items()} == {
        'train': 120,
        'val': 30,
        'test': 30,
    }
    assert not any(about['verified'] for about in config['dataset']['splits'].values())
    _, out, _ = in_process(evaluation.main, 'eval.py', run, '--no-verify', check=0)
    assert f': test error {config["outcome"]["test_error"]:.2f} %' in out and ', 30 images' in out
    _, out, _ = in_process(evaluation.main, 'eval.py', run, '--no-verify', '--split', 'val', check=0)
    assert ': val error' in out and ', 30 images' in out

    _, out, _ = in_process(train_svhn.main, *words(tmp_path / 'svhn', tmp_path, '--split', 'full'), check=0)
    assert '150 images' in out and os.path.isdir(tmp_path / 'logs' / 'svhn' / 'plain-8' / 'splitfull-epochs1-seed1')


def test_the_official_sample_is_too_small_to_hold_anything_out(mistake, tmp_path):
    """All of it is trained on."""
    folder = tmp_path / 'svhn'
    os.mkdir(folder)
    for name in ('train', 'extra', 'test'):
        os.symlink(os.path.join(official_folder('svhn'), f'{name}_32x32.mat'), folder / f'{name}_32x32.mat')
    line = mistake(train_svhn.main, *words(folder, tmp_path))
    assert "too few images for the paper's split" in line and '--split full' in line
    _, out, _ = in_process(train_svhn.main, *words(folder, tmp_path, '--split', 'full'), check=0)
    assert '868 images' in out  # of 1,083; the others are its test set
    images, labels = records.read(str(folder / 'svhn-train'))
    assert np.bincount(labels).tolist() == [49, 186, 107, 108, 92, 97, 61, 63, 56, 49]
    raw = scipy.io.loadmat(folder / 'train_32x32.mat')
    first = raw['X'][..., 0].transpose(2, 0, 1).tobytes()
    (found,) = [label for image, label in zip(images, labels) if image.tobytes() == first]
    assert found == raw['y'][0, 0] % 10


@pytest.mark.parametrize(
    'options, expected',
    [
        (['--split', 'half'], "invalid choice: 'half'"),
        (['--depth', '9'], 'the nearest are 8 and 14'),
        (['--pad-value', 'mean'], 'unrecognized arguments'),
    ],
)
def test_a_mistake_is_one_line(mistake, tmp_path, options, expected):
    assert expected in mistake(train_svhn.main, *words(tmp_path / 'nowhere', tmp_path, *options))
    assert not (tmp_path / 'logs').exists() and not (tmp_path / 'nowhere').exists()


def test_it_trains_on_the_split_of_its_table():
    assert 'svhn' in data.SOURCES and data.SOURCES['svhn'].splits == ('train', 'val', 'test')
