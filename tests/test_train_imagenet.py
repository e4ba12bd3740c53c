"""train_imagenet.py on a few small classes."""

import os
import shutil

import numpy as np
from PIL import Image
import pytest

from common.mxnet import mx
from data.augmentation import MEAN, STD
import eval as evaluation
from symbols import imagenet
from tests.conftest import in_process
from tests.runs import checkpoints, end, only_run, read_bytes, read_csv, read_json, rewrite
import train_imagenet

WNIDS = [f'n{7 * i:08}' for i in range(1, 8)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Seven classes with three images to train on and one to validate with."""
    root, random = str(tmp_path_factory.mktemp('imagenet')), np.random.RandomState(0)
    for split, count in (('train', 3), ('val', 1)):
        for wnid in WNIDS:
            where = os.path.join(root, split, wnid)
            os.makedirs(where)
            for i in range(count):
                noise = Image.fromarray(random.randint(0, 256, (8, 10, 3)).astype(np.uint8))
                noise.resize((300, 240)).save(os.path.join(where, f'{wnid}_{split}_{i}.JPEG'))
    return root


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """An eighth of the channels."""
    monkeypatch.setattr(imagenet, 'WIDTHS', (32, 64, 128, 256))


def words(folder, log_dir, *more):
    """Five steps an epoch."""
    return [
        'train_imagenet.py',
        '--net',
        'resnet',
        '--depth',
        '50',
        '--batch-size',
        '4',
        '--epochs',
        '1',
        '--lr',
        '0.01',
        '--data-dir',
        folder,
        '--no-verify',
        '--log-dir',
        str(log_dir),
        *map(str, more),
    ]


def train(*words):
    return in_process(train_imagenet.main, *words, check=0)


def test_the_defaults_are_the_papers():
    """Section 6.5."""
    args = train_imagenet.parser().parse_args([])
    assert (args.net, args.depth, args.epochs, args.batch_size, args.lr, args.weight_decay, args.momentum) == (
        'dfn-mr',
        44,
        100,
        256,
        0.1,
        1e-4,
        0.9,
    )
    assert args.schedule == 'main' and args.augmentation == 'paper'


def test_a_run_has_top_1_and_top_5_and_goes_on_in_the_middle_of_an_epoch(folder, tmp_path):
    _, out, _ = train(*words(folder, tmp_path / 'whole', '--checkpoint-minutes', '1e-9'))
    whole = only_run(tmp_path / 'whole')
    assert os.path.relpath(whole, tmp_path / 'whole') == 'imagenet/resnet-50/batch4-lr0.01-epochs1-seed1'
    assert '20 images' in out  # five whole batches of the twenty-one

    # the errors once more, from the checkpoint and the original files
    (row,) = read_csv(whole)
    assert list(row) == [
        'epoch',
        'lr',
        'train_loss',
        'train_error',
        'test_loss',
        'test_error',
        'train_top5_error',
        'test_top5_error',
        'images_per_second',
        'seconds',
    ]
    prefix = os.path.join(whole, 'checkpoint-0001', 'model')
    block = mx.gluon.SymbolBlock.imports(f'{prefix}-symbol.json', ['data', 'softmax_label'], f'{prefix}-0001.params')
    scores = block(mx.nd.array(center_crops(folder)), mx.nd.zeros(len(WNIDS))).asnumpy()
    ranks = [np.argsort(-own, kind='stable').tolist().index(label) for label, own in enumerate(scores)]
    assert float(row['test_error']) == pytest.approx(100 * np.mean([rank > 0 for rank in ranks]), abs=1e-4)
    assert float(row['test_top5_error']) == pytest.approx(100 * np.mean([rank > 4 for rank in ranks]), abs=1e-4)
    assert 0 <= float(row['train_top5_error']) <= float(row['train_error']) <= 100

    _, out, _ = in_process(evaluation.main, 'eval.py', whole, '--no-verify', '--batch-size', 3, check=0)
    assert f'val error {float(row["test_error"]):.2f} %, top-5 error {float(row["test_top5_error"]):.2f} %' in out
    config = read_json(whole)
    assert config['dataset']['splits']['val']['records'] == 7 and config['options']['augmentation'] == 'paper'
    assert config['dataset']['tested_on'] == 'val'

    # as if it had been killed in the last step of the epoch
    expected = read_bytes(f'{prefix}-0001.params')
    assert checkpoints(whole) == ['checkpoint-0000-00004', 'checkpoint-0001']
    os.rename(os.path.join(whole, 'checkpoint-0001'), tmp_path / 'moved')
    rewrite(whole, 'config.json', {**config, 'outcome': None})
    _, out, _ = train(*words(folder, tmp_path / 'whole'))
    assert 'resumed after 0 epochs and 4 steps' in out and read_bytes(f'{prefix}-0001.params') == expected


def test_a_run_is_not_evaluated_on_other_classes(folder, tmp_path, mistake):
    """Their labels would be counted as those of its own."""
    train(*words(folder, tmp_path / 'logs'))
    run = only_run(tmp_path / 'logs')
    config = read_json(run)
    config['dataset']['classes'][0] = 'n99999999'
    rewrite(run, 'config.json', config)
    assert 'have other classes than the run' in mistake(evaluation.main, 'eval.py', run, '--no-verify')


@pytest.mark.slow
def test_a_network_of_gluoncvs_trains_resumes_and_is_evaluated(folder, tmp_path):
    words_ = ['train_imagenet.py', '--net', 'gluoncv:resnet18_v1b', '--batch-size', 8, '--epochs', 1, '--lr', '0.01']
    words_ += ['--data-dir', folder, '--no-verify', '--log-dir', tmp_path, '--checkpoint-minutes', '1e-9']
    train(*words_)
    run = only_run(tmp_path)
    assert os.path.relpath(run, tmp_path) == 'imagenet/gluoncv-resnet18_v1b/batch8-lr0.01-epochs1-seed1'
    config, expected = read_json(run), end(run)
    assert config['parameters'] == 11_689_512 - 993 * (512 + 1)  # seven classes instead of a thousand
    shutil.rmtree(os.path.join(run, 'checkpoint-0001'))
    rewrite(run, 'config.json', {**config, 'outcome': None})
    assert 'resumed after 0 epochs and 1 steps' in train(*words_)[1] and end(run) == expected
    out = in_process(evaluation.main, 'eval.py', run, '--no-verify', check=0)[1]
    assert f'val error {float(expected[1][-1]["test_error"]):.2f} %' in out


def center_crops(folder):
    """The validation images as section 6.5 evaluates them, by Pillow: shorter side 256, 224×224 from its center."""
    crops = []
    for wnid in WNIDS:
        image = Image.open(os.path.join(folder, 'val', wnid, f'{wnid}_val_0.JPEG'))
        image = np.asarray(image.resize((320, 256), Image.BILINEAR), np.float64)[16:240, 48:272]
        crops.append(((image - MEAN) / STD).transpose(2, 0, 1))
    return np.stack(crops)


@pytest.mark.parametrize(
    'options, expected',
    [
        (['--depth', '101', '--net', 'dfn-mr'], 'choose one of resnet 50, resnet 101, dfn-mr 44'),
        (['--batch-size', '5', '--cpus', '2'], 'cannot be split evenly over 2 devices'),
        (['--batch-size', '32'], 'too few for a batch of 32'),
        (['--dtype', 'float16'], 'needs --gpus'),
        (['--dtype', 'bfloat16', '--gpus', '0'], 'GPUs have float16'),
        (['--mirror', '--gpus', '0'], '--mirror is for the CPU'),
    ],
)
def test_a_mistake_is_one_line(mistake, folder, tmp_path, options, expected):
    assert expected in mistake(train_imagenet.main, *words(folder, tmp_path / 'logs', *options))
    assert not (tmp_path / 'logs').exists()


def test_options_are_refused_before_150_gb_are_packed(mistake, tmp_path):
    """There is no data set here, which is not what the line says."""
    options = ['--batch-size', '5', '--cpus', '2']
    line = mistake(train_imagenet.main, *words(tmp_path / 'none', tmp_path / 'logs', *options))
    assert 'cannot be split evenly over 2 devices' in line
