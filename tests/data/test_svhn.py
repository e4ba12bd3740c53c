"""SVHN: the .mat files, the paper's split, and train_svhn.py on small files."""

import json
import os
import sys

import numpy as np
import pytest
import scipy.io

from common.errors import UserError
import data
from data import download, records, svhn
from tests.conftest import official_folder
from tests.runs import rewrite
import train_svhn

OFFICIAL = {'train': 73257, 'extra': 531131, 'test': 26032}


def write_mat(folder, name, images, labels):
    """A file as the official ones are: rows, columns, channels, images; the digit 0 is labeled 10."""
    os.makedirs(str(folder), exist_ok=True)
    coded = np.where(labels == 0, 10, labels).astype(np.uint8)
    scipy.io.savemat(
        os.path.join(str(folder), name + '_32x32.mat'),
        {'X': images.transpose(1, 2, 3, 0), 'y': coded[:, None]},
        do_compression=True,
    )


def write_svhn(folder, random, **sizes):
    """The three files with noise; {name: (images, labels)}."""
    contents = {}
    for name, size in sizes.items():
        images = random.randint(0, 256, (size, 32, 32, 3)).astype(np.uint8)
        contents[name] = images, np.arange(size) % 10
        write_mat(folder, name, *contents[name])
    return contents


def as_pairs(images, labels):
    return sorted((np.ascontiguousarray(image).tobytes(), int(label)) for image, label in zip(images, labels))


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr(svhn, 'HELD_OUT', {'train': 2, 'extra': 1})


def test_the_sizes_are_the_papers(random):
    """Section 6.1: 400 and 200 images of each class are held out of 604,388, 598,388 remain."""
    labels = {name: random.randint(0, 10, OFFICIAL[name]) for name in svhn.HELD_OUT}
    held_out = svhn.hold_out(labels)
    for name, count in (('train', 400), ('extra', 200)):
        assert np.bincount(labels[name][held_out[name]]).tolist() == [count] * 10
        assert len(np.unique(held_out[name])) == 10 * count
        np.testing.assert_array_equal(held_out[name], svhn.hold_out(labels)[name])
    assert sum(len(labels[name]) - len(held_out[name]) for name in labels) == 598388
    args = train_svhn.parser().parse_args([])
    assert (args.epochs, args.batch_size, args.lr, args.split) == (40, 64, 0.1, 'paper')


def test_the_splits_hold_each_image_once_with_its_digit(tmp_path, random, few_held_out):
    contents = write_svhn(tmp_path, random, train=60, extra=90, test=30)
    splits, official = svhn.read(str(tmp_path), verify=False)
    assert not official and {split: len(labels) for split, (_, labels) in splits.items()} == {
        'train': 120,
        'val': 30,
        'test': 30,
    }
    both = [np.concatenate(parts) for parts in zip(contents['train'], contents['extra'])]
    assert sorted(as_pairs(*splits['train']) + as_pairs(*splits['val'])) == as_pairs(*both)
    assert as_pairs(*splits['test']) == as_pairs(*contents['test'])
    assert np.bincount(splits['val'][1]).tolist() == [3] * 10
    # the indices that were stored are those of the images held out
    with open(os.path.join(str(tmp_path), svhn.INDICES)) as file:
        stored = [line.split() for line in file]
    images = [contents[name][0][int(index)] for name, index in stored]
    labels = [contents[name][1][int(index)] for name, index in stored]
    assert as_pairs(images, labels) == as_pairs(*splits['val'])


def test_what_is_loaded_is_what_was_split(tmp_path, random, few_held_out):
    contents = write_svhn(tmp_path, random, train=60, extra=90, test=30)
    for train_on, count in ((('train',), 120), (('train', 'val'), 150)):
        dataset = data.load('svhn', str(tmp_path), verify=False, train_on=train_on)
        images, labels = dataset.splits['train']
        assert images.shape == (count, 3, 32, 32) and np.bincount(labels).tolist() == [count // 10] * 10
    both = [np.concatenate(parts) for parts in zip(contents['train'], contents['extra'])]
    assert as_pairs(images.transpose(0, 2, 3, 1), labels) == as_pairs(*both)  # all of them, after --split full
    batches = dataset.train_batches(64, 1)
    ((batch, batch_labels),), _ = next(batches.epoch(1))
    shown = {image.tobytes() for image in batch}  # not cropped, not mirrored
    normalized = (images - np.array(dataset.source.mean)[:, None, None]) / np.array(dataset.source.std)[:, None, None]
    assert shown <= {image.astype(np.float32).tobytes() for image in normalized}


@pytest.mark.parametrize(
    'damage, expected',
    [
        (lambda path: os.truncate(path, 3000), 'cannot be read'),
        (lambda path: open(path, 'wb').close(), 'cannot be read'),
        (lambda path: scipy.io.savemat(path, {'X': np.zeros((32, 32, 3, 5), np.uint8)}), 'cannot be read'),
        (lambda path: scipy.io.savemat(path, {'X': np.zeros((32, 32, 3, 5)), 'y': np.ones(5)}), 'not in the format'),
        (
            lambda path: scipy.io.savemat(path, {'X': np.zeros((32, 32, 3, 5), np.uint8), 'y': np.full(5, 11)}),
            'not in the format',
        ),
    ],
)
def test_a_file_that_is_no_svhn_is_one_error(tmp_path, random, damage, expected):
    write_svhn(tmp_path, random, train=20, extra=20, test=20)
    damage(str(tmp_path / 'extra_32x32.mat'))
    with pytest.raises(UserError, match='extra_32x32.mat .*' + expected):
        data.load('svhn', str(tmp_path), verify=False)
    assert not [name for name in os.listdir(str(tmp_path)) if not name.endswith('.mat')]


def test_other_files_need_no_verify_and_missing_ones_are_fetched(tmp_path, random, monkeypatch):
    write_svhn(tmp_path, random, train=20, extra=20, test=20)
    with pytest.raises(UserError, match=r'train_32x32.mat is truncated or altered .* instead of 182,040,794'):
        data.load('svhn', str(tmp_path))
    os.remove(str(tmp_path / 'test_32x32.mat'))
    monkeypatch.setitem(svhn.FILES, 'test', svhn.FILES['test']._replace(base='http://127.0.0.1:9/'))
    monkeypatch.setattr(download, 'PAUSE', 0)
    with pytest.raises(UserError, match='cannot fetch http://127.0.0.1:9/test_32x32.mat'):
        data.load('svhn', str(tmp_path), verify=False)


# Trains with a split that holds out 3 images of each class.
SMALL_SPLIT = """
import train_svhn
from common.cli import run
from data import svhn
svhn.HELD_OUT = {'train': 2, 'extra': 1}
run(train_svhn.main)
"""


def only_run(log_dir):
    """The one run directory under log_dir, and its config.json."""
    (path,) = log_dir.rglob('config.json')
    return path.parent, json.loads(path.read_text())


def test_the_command_holds_out_trains_and_evaluates(command, tmp_path, random, monkeypatch, capsys):
    import eval as evaluation

    write_svhn(tmp_path / 'svhn', random, train=140, extra=90, test=50)
    options = [
        '--net',
        'plain',
        '--depth',
        8,
        '--epochs',
        1,
        '--data-dir',
        tmp_path / 'svhn',
        '--no-verify',
        '--log-dir',
        tmp_path / 'logs',
    ]
    _, out, _ = command('-c', SMALL_SPLIT, *options, check=0)
    run, config = only_run(tmp_path / 'logs')
    assert run == tmp_path / 'logs' / 'svhn' / 'plain-8' / 'epochs1-seed1' and '200 images' in out
    assert config['options']['no_verify'] is True and config['options']['split'] == 'paper'
    assert {split: about['records'] for split, about in config['dataset']['splits'].items()} == {
        'train': 200,
        'val': 30,
        'test': 50,
    }
    assert not any(about['verified'] for about in config['dataset']['splits'].values())
    for more, expected, images in (
        ([], f': test error {config["outcome"]["test_error"]:.2f} %', '50 images'),
        (['--split', 'val'], ': val error', '30 images'),
    ):
        monkeypatch.setattr(sys, 'argv', ['eval.py', str(run), '--no-verify', *more])
        evaluation.main()
        out, err = capsys.readouterr()
        assert expected in out and out.rstrip().endswith(images) and 'was trained on these images' not in err
    config['options']['split'] = 'full'
    rewrite(str(run), 'config.json', config)
    evaluation.main()
    assert 'was trained on these images' in capsys.readouterr().err


def test_the_real_sample(command, mistake, tmp_path):
    """Too small to hold anything out; all of it is trained on."""
    folder = tmp_path / 'svhn'
    os.mkdir(str(folder))
    for name in OFFICIAL:
        os.symlink(os.path.join(official_folder('svhn'), name + '_32x32.mat'), str(folder / (name + '_32x32.mat')))
    options = [
        '--net',
        'resnet',
        '--depth',
        8,
        '--epochs',
        1,
        '--data-dir',
        folder,
        '--no-verify',
        '--log-dir',
        tmp_path / 'logs',
    ]
    line = mistake(train_svhn.main, 'train_svhn.py', *options)
    assert "too few images for the paper's split" in line and '--split full' in line
    _, out, _ = command('train_svhn.py', *options, '--split', 'full', check=0)
    assert '868 images' in out  # of 1,083; the others are its test set
    assert only_run(tmp_path / 'logs')[0].name == 'splitfull-epochs1-seed1'
    images, labels = records.read(str(folder / 'svhn-train'))
    assert np.bincount(labels).tolist() == [49, 186, 107, 108, 92, 97, 61, 63, 56, 49]
    raw = scipy.io.loadmat(str(folder / 'train_32x32.mat'))
    first = raw['X'][..., 0].transpose(2, 0, 1).tobytes()
    (found,) = [label for image, label in zip(images, labels) if image.tobytes() == first]
    assert found == raw['y'][0, 0] % 10
