"""train_imagenet.py as a user runs it, on a few small classes."""
import os
import re
import signal

import numpy as np
import pytest
from PIL import Image

import train_imagenet
from common.mxnet import mx
from data.image_records import MEAN, STD
from tests.test_train_cifar import Interrupted, only_run, read_bytes, read_csv, read_json
from training.schedule import stepwise

WNIDS = ['n%08d' % (7 * i) for i in range(1, 8)]


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
                noise.resize((300, 240)).save(os.path.join(where, '%s_%s_%d.JPEG' % (wnid, split, i)))
    return root


def words(folder, log_dir, *more):
    """Five steps an epoch."""
    return ['train_imagenet.py', '--net', 'resnet', '--depth', '50', '--batch-size', '4', '--epochs', '1',
            '--lr', '0.01', '--data-dir', folder, '--no-verify', '--log-dir', str(log_dir)] + list(map(str, more))


def test_a_run_has_top_1_and_top_5_and_goes_on_in_the_middle_of_an_epoch(command, folder, tmp_path):
    _, out, _ = command(*words(folder, tmp_path / 'whole'), check=0)
    whole = only_run(tmp_path / 'whole')
    assert os.path.relpath(whole, str(tmp_path / 'whole')) == 'imagenet/resnet-50/batch4-lr0.01-epochs1-seed1'
    assert '20 images' in out  # five whole batches of the twenty-one

    # the errors once more, from the checkpoint and the original files
    row, = read_csv(whole)
    assert list(row) == ['epoch', 'lr', 'train_loss', 'train_error', 'test_loss', 'test_error', 'train_top5_error',
                         'test_top5_error', 'images_per_second', 'seconds']
    prefix = os.path.join(whole, 'checkpoint-0001', 'model')
    block = mx.gluon.SymbolBlock.imports(prefix + '-symbol.json', ['data', 'softmax_label'], prefix + '-0001.params')
    scores = block(mx.nd.array(centre_crops(folder)), mx.nd.zeros(len(WNIDS))).asnumpy()
    ranks = [np.argsort(-own, kind='stable').tolist().index(label) for label, own in enumerate(scores)]
    assert float(row['test_error']) == pytest.approx(100 * np.mean([rank > 0 for rank in ranks]), abs=1e-4)
    assert float(row['test_top5_error']) == pytest.approx(100 * np.mean([rank > 4 for rank in ranks]), abs=1e-4)
    assert 0 <= float(row['train_top5_error']) <= float(row['train_error']) <= 100

    _, out, _ = command('eval.py', whole, '--no-verify', '--batch-size', 3, check=0)
    assert 'val error %.2f %%, top-5 error %.2f %%' % (float(row['test_error']), float(row['test_top5_error'])) in out
    config = read_json(whole)
    assert config['dataset']['splits']['val']['records'] == 7 and config['options']['augmentation'] == 'paper'

    arguments = words(folder, tmp_path / 'stopped', '--checkpoint-minutes', '1e-5')
    status, out = Interrupted(arguments, tmp_path / 'stopped').start_and_signal(signal.SIGTERM, 1)
    assert status == 128 + signal.SIGTERM, out
    _, out, _ = command(*arguments, check=0)
    assert re.search('resumed after 0 epochs and [1-4] steps', out)
    assert read_bytes(prefix + '-0001.params') == read_bytes(
        only_run(tmp_path / 'stopped'), 'checkpoint-0001', 'model-0001.params')


def centre_crops(folder):
    """The validation images as section 6.5 evaluates them, by Pillow: shorter side 256, 224×224 from its centre."""
    crops = []
    for wnid in WNIDS:
        image = Image.open(os.path.join(folder, 'val', wnid, wnid + '_val_0.JPEG'))
        image = np.asarray(image.resize((320, 256), Image.BILINEAR), np.float64)[16:240, 48:272]
        crops.append(((image - MEAN) / STD).transpose(2, 0, 1))
    return np.stack(crops)


def test_the_defaults_and_schedules_are_the_papers():
    """Section 6.5: a tenth every 30 of 100 epochs; Appendix A.1: half every 10."""
    args = train_imagenet.parser().parse_args([])
    assert (args.net, args.depth, args.epochs, args.batch_size, args.lr, args.weight_decay, args.momentum) == (
        'dfn-mr', 44, 100, 256, 0.1, 1e-4, 0.9)
    assert args.schedule == 'main' and args.augmentation == 'paper'
    main, appendix = ([stepwise(epoch, 0.1, **train_imagenet.SCHEDULES[name]) for epoch in range(1, 101)]
                      for name in ('main', 'appendix'))
    assert main == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30 + [0.0001] * 10)
    assert appendix == pytest.approx([0.1 / 2 ** i for i in range(10) for _ in range(10)])


@pytest.mark.parametrize('options, expected', [
    (['--depth', '101', '--net', 'dfn-mr'], 'choose one of resnet 50, resnet 101, dfn-mr 44'),
    (['--batch-size', '5', '--cpus', '2'], 'cannot be split evenly over 2 devices'),
    (['--batch-size', '32'], 'too few for a batch of 32'),
    (['--dtype', 'float16'], 'needs --gpus'),
    (['--dtype', 'bfloat16', '--gpus', '0'], 'GPUs have float16'),
    (['--mirror', '--gpus', '0'], '--mirror is for the CPU')])
def test_a_mistake_is_one_line(mistake, folder, tmp_path, options, expected):
    assert expected in mistake(train_imagenet.main, *words(folder, tmp_path / 'logs', *options))
    assert not (tmp_path / 'logs').exists()
