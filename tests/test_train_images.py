"""train_images.py on a few small images of the user's own."""

import os

import numpy as np
from PIL import Image
import pytest

from common.mxnet import mx
import compare
import eval as evaluation
from paper import cards
import plot
from symbols import imagenet
from tests.conftest import in_process
from tests.data.small_folders import CLASSES, SHOWN, write_folders
from tests.runs import checkpoints, end, only_run, read_csv, read_json, rewrite
import train_images

SIX = {**CLASSES, 'ox': '.png', 'yak': '.jpg'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Four classes of five images to train on and two to validate with, in a folder with a name of its own."""
    root = tmp_path_factory.mktemp('own') / 'my pets'
    write_folders(root, np.random.RandomState(0))
    return str(root)


def words(folder, log_dir, *more):
    """Three steps an epoch."""
    fixed = ['--net', 'plain', '--depth', '8', '--batch-size', '8', '--epochs', '1', '--lr', '0.01']
    return ['train_images.py', *fixed, '--data-dir', folder, '--log-dir', str(log_dir), *map(str, more)]


def train(*words, check=0):
    return in_process(train_images.main, *words, check=check)


def test_a_run_keeps_its_classes_is_resumed_and_goes_through_the_other_commands(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logs = tmp_path / 'logs'
    train(*words(folder, logs, '--checkpoint-minutes', '1e-9'))
    run = only_run(logs)
    assert os.path.relpath(run, logs) == 'my pets/plain-8/batch8-lr0.01-epochs1-seed1'
    config, (row,) = read_json(run), read_csv(run)
    about = config['dataset']
    assert about['classes'] == SHOWN and about['tested_on'] == 'val' and len(about['mean']) == len(about['std']) == 3
    assert config['options']['dataset'] == 'my pets' and 'test_top5_error' not in row

    _, out, _ = in_process(evaluation.main, 'eval.py', run, '--per-class', check=0)
    assert f'val error {float(row["test_error"]):.2f} %, loss' in out and '8 images' in out and 'caf\\udce9' in out
    _, out, _ = in_process(plot.main, 'plot.py', 'curves', run, '--out', tmp_path / 'curves', check=0)
    assert out.split() == [str(tmp_path / 'curves.png'), str(tmp_path / 'curves.svg')]
    _, _, err = in_process(compare.main, 'compare.py', '4', '--log-dir', logs, check=0)
    assert err == f'note: {logs} has runs on your own images, which no table of the paper shows: my pets\n'

    assert "license of the data | that of the user's own images" in cards.card(run)

    # as if it had been killed in the last step of the epoch
    whole = end(run)
    os.rename(os.path.join(run, 'checkpoint-0001'), tmp_path / 'moved')
    rewrite(run, 'config.json', {**config, 'outcome': None})
    assert checkpoints(run) == ['checkpoint-0000-00002']
    _, out, _ = train(*words(folder, logs))
    assert 'resumed after 0 epochs and 2 steps' in out and end(run) == whole
    assert f'{run} is done' in train(*words(folder, logs))[1]


def test_the_errors_are_those_of_the_network_on_the_images_as_they_lie(tmp_path):
    """By MXNet's own block, and by Pillow on images that need no resizing."""
    write_folders(tmp_path / 'zoo', np.random.RandomState(0), 4, 1, SIX, side=(32, 32))
    train(*words(str(tmp_path / 'zoo'), tmp_path / 'logs', '--no-flip'))
    run = only_run(tmp_path / 'logs')
    (row,), about = read_csv(run), read_json(run)['dataset']
    assert 'noflip' in run and about['classes'] == [*SHOWN[:3], 'ox', 'yak', SHOWN[3]]
    images = []
    for folder in sorted(SIX, key=lambda name: name.encode(errors='surrogatepass')):
        pixels = np.array(Image.open(tmp_path / 'zoo' / 'val' / folder / f'0{SIX[folder]}').convert('RGB'), float)
        images.append(((pixels - about['mean']) / about['std']).transpose(2, 0, 1))
    prefix = os.path.join(run, 'checkpoint-0001', 'model')
    block = mx.gluon.SymbolBlock.imports(f'{prefix}-symbol.json', ['data', 'softmax_label'], f'{prefix}-0001.params')
    scores = block(mx.nd.array(np.stack(images)), mx.nd.zeros(6)).asnumpy()
    ranks = [np.argsort(-own, kind='stable').tolist().index(label) for label, own in enumerate(scores)]
    assert float(row['test_error']) == pytest.approx(100 * np.mean([rank > 0 for rank in ranks]), abs=1e-4)
    assert float(row['test_top5_error']) == pytest.approx(100 * np.mean([rank > 4 for rank in ranks]), abs=1e-4)
    assert float(row['test_loss']) == pytest.approx(-np.log(scores[range(6), range(6)]).mean(), rel=1e-5)


def test_large_images_train_imagenets_networks(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, 'WIDTHS', (32, 64, 128, 256))
    train(*words(folder, tmp_path, '--size', 224, '--net', 'resnet', '--depth', 50))
    run = only_run(tmp_path)
    assert os.path.relpath(run, tmp_path) == 'my pets/resnet-50/size224-batch8-lr0.01-epochs1-seed1'
    (row,) = read_csv(run)
    _, out, _ = in_process(evaluation.main, 'eval.py', run, '--batch-size', 3, check=0)
    assert f'val error {float(row["test_error"]):.2f} %, loss' in out
    _, out, _ = in_process(plot.main, 'plot.py', 'curves', run, '--out', tmp_path / 'curves', check=0)


def test_a_run_is_evaluated_on_another_folder(folder, tmp_path):
    """Its classes and its mean count; a class may be missing there."""
    train(*words(folder, tmp_path / 'logs', '--val-fraction', 0.2), check=2)
    train(*words(folder, tmp_path / 'logs'))
    write_folders(tmp_path / 'others', np.random.RandomState(1), 0, 3, {'a cat': '.png'})
    _, out, err = in_process(
        evaluation.main, 'eval.py', tmp_path / 'logs', '--data-dir', tmp_path / 'others', '--per-class', check=0
    )
    assert '3 images' in out and 'these are not the test images' in err


def test_a_share_of_nothing_is_no_share(folder, tmp_path):
    """It would have been another run of the same numbers."""
    in_process(train_images.main, *words(folder, tmp_path / 'logs', '--val-fraction', '0'), check=0)
    assert read_json(only_run(tmp_path / 'logs'))['options']['val_fraction'] is None


@pytest.mark.parametrize(
    'options, expected',
    [
        (['--dataset', 'cifar10'], "'cifar10' cannot name your images in the logs"),
        (['--dataset', 'a/b'], "'a/b' cannot name your images in the logs"),
        (['--data-dir', 'nowhere'], 'there is no folder nowhere'),
        (['--data-dir', ''], 'name the folder of your images with --data-dir'),
        (['--batch-size', '21'], 'a batch of 21 is larger than the 20 training images: choose a smaller --batch-size'),
        (['--val-fraction', '0.5'], 'leave out --val-fraction'),
        (['--val-fraction', '1'], '1 is not a number from 0, below 1'),
        (['--size', '64'], 'invalid choice: 64'),
        (['--depth', '9'], 'depth 9 is not 6n + 2'),
        (['--size', '224'], 'there is no plain 8 for ImageNet'),
        (['--net', 'dfn1'], "unknown network 'dfn1'"),
        (['--size', '224', '--net', 'dfn-mr', '--widen', '2'], '--widen is for --size 32'),
        (['--augmentation', 'code-2016'], '--augmentation is for --size 224'),
        (['--size', '224', '--pad-value', 'mean'], '--pad-value is for --size 32'),
        (['--split-seed', '5'], '--split-seed is for --val-fraction'),
        (['--split-seed', '5', '--val-fraction', '0'], '--split-seed is for --val-fraction'),
        (['--loss-scale', '8'], '--loss-scale is for --dtype float16: leave it out'),
    ],
)
def test_a_mistake_is_one_line(mistake, folder, tmp_path, options, expected):
    assert expected in mistake(train_images.main, *words(folder, tmp_path / 'logs', *options))
    assert not (tmp_path / 'logs').exists()
