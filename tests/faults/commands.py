"""The commands whose files the campaign damages: for each a folder as it should be, and what has to come out.

Everything is small: handwritten digits in CIFAR-10's form, 20 of a class to train on and 10 to test, and a component
network of five layers, trained for three epochs. The sources pass for the official ones, because the lists of what is
official have their lengths and digests here.
"""

from collections.abc import Callable
import contextlib
import csv
import functools
import glob
import gzip
import hashlib
import io
import json
import os
import re
import signal
from typing import NamedTuple
from unittest import mock

import numpy as np
from scipy.io import savemat

from common.files import file_digest
from common.mxnet import mx
from common.sharding import Shard
import compare
import data
from data import cifar, digits, imagenet, svhn
import eval as evaluation
import export
import plot
import predict
from tests.data.small_imagenet import Copy, picture, tar, write
from tests.faults import trials
import train_cifar
import train_svhn
from training import checkpoint, verify

RUN = 'logs/cifar10/component-26/pathLLL-batch16-epochs3-seed{}'
NETWORK = ('--net', 'component', '--path', 'LLL', '--depth', 26, '--batch-size', 16, '--data-dir', 'data')
TRAIN = ('train_cifar.py', *NETWORK, '--dataset', 'cifar10', '--epochs', 3)
MENDING = re.compile(r'^warning: |making .* again|to add them', re.MULTILINE)  # said of mended files
TIMES = ('images_per_second', 'seconds')


class Command(NamedTuple):
    """A command that a user gives after the damage.

    prepare: fills a folder, for a seed. main, words: the command. result: what the folder and the output then say.
    files: {kind of file: pattern of the paths in the folder}.
    is_source: whether the files are the only copy of the pixels, with nothing to compare them with.
    """

    prepare: Callable[[str, int], None]
    main: Callable
    words: tuple
    result: Callable[[str, trials.Ended], object]
    files: dict[str, str]
    is_source: bool = False


# Sources


TRAINED_ON, TESTED_ON = 20, 10  # images of each class


def packed_cifar(folder: str, seed: int) -> None:
    """CIFAR-10's archive; always the same bytes."""
    contents = {f'{cifar.CIFAR10.folder}/{name}': content for name, content in _cifar(seed).items()}
    write(os.path.join(folder, 'data', cifar.CIFAR10.archive.name), gzip.compress(tar(contents), mtime=0))


def unpacked_cifar(folder: str, seed: int) -> None:
    """CIFAR-10's files."""
    for name, content in _cifar(seed).items():
        write(os.path.join(folder, 'data', cifar.CIFAR10.folder, name), content)


def _cifar(seed):
    """{name: contents} of CIFAR-10's files; other digits for another seed."""
    images, labels = digits.read()[0]['train']
    order = np.random.RandomState(seed).permutation(len(images))
    of_class = [[index for index in order if labels[index] == label] for label in range(10)]
    parts = [[indices[part::5][: TRAINED_ON // 5] for indices in of_class] for part in range(5)]
    parts.append([indices[-TESTED_ON:] for indices in of_class])
    return {
        name: b''.join(
            bytes([label]) + images[index].transpose(2, 0, 1).tobytes()
            for indices in zip(*part)
            for label, index in enumerate(indices)
        )
        for name, part in zip(cifar.CIFAR10.names, parts, strict=True)
    }


def svhn_files(folder: str, seed: int) -> None:
    """SVHN's three files, with 30, 30 and 20 images."""
    os.makedirs(os.path.join(folder, 'data'))
    random = np.random.RandomState(seed)
    for name, count in (('train', 30), ('extra', 30), ('test', 20)):
        images = random.randint(0, 256, (32, 32, 3, count)).astype(np.uint8)
        labels = np.arange(count)[:, None] % 10 + 1
        content = io.BytesIO()
        savemat(content, {'X': images, 'y': labels.astype(np.uint8)}, do_compression=True)
        # The text at its beginning has the date.
        write(
            os.path.join(folder, 'data', f'{name}_32x32.mat'),
            b'MATLAB 5.0 MAT-file'.ljust(116) + content.getvalue()[116:],
        )


def imagenet_folders(folder: str, seed: int) -> None:
    """A small ImageNet as folders."""
    Copy(np.random.RandomState(seed)).write_folders(os.path.join(folder, 'data'))


def imagenet_tars(folder: str, seed: int) -> None:
    """A small ImageNet as the official tar files."""
    Copy(np.random.RandomState(seed)).write_tars(os.path.join(folder, 'data'))


def imagenet_records(folder: str, seed: int) -> None:
    """A small ImageNet, packed, and a network for it."""
    imagenet_folders(folder, seed)
    imagenet.prepare(os.path.join(folder, 'data'), verify=False)
    x = mx.sym.Convolution(mx.sym.var('data'), kernel=(7, 7), stride=(7, 7), num_filter=4, name='c')
    x = mx.sym.FullyConnected(mx.sym.mean(x, axis=(2, 3)), num_hidden=4, name='fc')
    random = np.random.RandomState(0)
    shapes = {'c_weight': (4, 3, 7, 7), 'c_bias': (4,), 'fc_weight': (4, 4), 'fc_bias': (4,)}
    mx.sym.SoftmaxOutput(x, name='softmax').save(os.path.join(folder, 'net-symbol.json'))
    mx.nd.save(
        os.path.join(folder, 'net.params'),
        {f'arg:{name}': mx.nd.array(random.randn(*shape)) for name, shape in shapes.items()},
    )


@contextlib.contextmanager
def official(folder: str):
    """Let the small sources of a prepared folder pass for the official ones; nothing is fetched from anywhere."""
    places = {}
    for source, name in ((packed_cifar, 'cifar'), (svhn_files, 'svhn')):
        places[name] = os.path.join(folder, f'official-{name}')
        if not os.path.isdir(places[name]):
            source(places[name], 1)

    def small(archive, place):
        path = os.path.join(places[place], 'data', archive.name)
        return archive._replace(base='http://127.0.0.1:9/', size=os.path.getsize(path), md5=file_digest(path, 'md5'))

    layout = cifar.CIFAR10._replace(
        archive=small(cifar.CIFAR10.archive, 'cifar'), per_class={'train': TRAINED_ON, 'test': TESTED_ON}
    )
    read = data.SOURCES['cifar10']._replace(read=functools.partial(cifar.read, layout))
    pack = imagenet.pack
    with (
        mock.patch.object(
            imagenet, 'pack', lambda prefix, job, processes: pack(prefix, job, 0)
        ),  # no pool of processes
        mock.patch.dict(data.SOURCES, cifar10=read),
        mock.patch.dict(svhn.FILES, {name: small(archive, 'svhn') for name, archive in svhn.FILES.items()}),
    ):
        yield


# Runs


def unfinished(folder: str, seed: int) -> None:
    """A run that was killed after two of three epochs."""
    packed_cifar(folder, 1)
    ended = trials.forked(_killed_after_two_epochs, *TRAIN, '--seed', seed, cwd=folder)
    assert ended.status == -signal.SIGKILL, ended


def _killed_after_two_epochs():
    save = checkpoint.save

    def save_and_die(run_dir, *rest):
        save(run_dir, *rest)
        if os.path.isdir(os.path.join(run_dir, 'checkpoint-0002')):
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save = save_and_die
    return train_cifar.main()


def finished(folder: str, seed: int) -> None:
    """A run that is finished, and an image for it."""
    packed_cifar(folder, 1)
    write(os.path.join(folder, 'image.png'), picture(np.random.RandomState(0), format='PNG'))
    ended = trials.forked(train_cifar.main, *TRAIN, '--seed', seed, cwd=folder)
    assert ended.status == 0, ended


def trained(folder: str, ended: trials.Ended) -> object:
    """What a training leaves: the bits of the last checkpoint, the metrics without times, the outcome."""
    (run,) = glob.glob(os.path.join(folder, 'logs/*/*/*'))
    last = sorted(glob.glob(os.path.join(run, 'checkpoint-*')))[-1]
    names = [name for name in sorted(os.listdir(last)) if name.endswith('.params') or name == 'model-symbol.json']
    with open(os.path.join(run, 'metrics.csv'), newline='') as file:
        rows = [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    with open(os.path.join(run, 'config.json')) as file:
        outcome = json.load(file)['outcome']
    return {name: file_digest(os.path.join(last, name), 'sha256') for name in names}, rows, _timeless(outcome)


def _timeless(outcome):
    return {name: value for name, value in (outcome or {}).items() if name in ('status', 'epochs', 'test_error')}


def said(folder: str, ended: trials.Ended) -> object:
    """What a command printed, without what it mended."""
    return [line for line in ended.out.splitlines() if not MENDING.search(line)]


def drawn(folder: str, ended: trials.Ended) -> object:
    """The picture's bits."""
    return file_digest(os.path.join(folder, 'curves.png'), 'sha256')


def exported(folder: str, ended: trials.Ended) -> object:
    """The bits of the exported files."""
    return {path[-12:]: file_digest(path, 'sha256') for path in sorted(glob.glob(os.path.join(folder, 'exported*')))}


def packed(folder: str, ended: trials.Ended) -> object:
    """The bits of the records."""
    return {
        os.path.basename(path): file_digest(path, 'sha256')
        for path in sorted(glob.glob(os.path.join(folder, 'data', '*.rec')))
    }


def pack_imagenet() -> None:
    """What train_imagenet.py does first."""
    imagenet.prepare('data', verify=False)


def read_imagenet() -> None:
    """What train_imagenet.py does then: prints the digest of an epoch's batches."""
    dataset = data.load_imagenet('data', verify=False)
    digest = hashlib.sha256()
    for parts, _ in dataset.train_batches(8, 1, Shard(), 'paper').epoch(1, 0):
        for images, labels in parts:
            digest.update(np.ascontiguousarray(images).tobytes() + np.ascontiguousarray(labels).tobytes())
    print(digest.hexdigest())


RUN_FILES = {
    'config.json': RUN + '/config.json',
    'metrics.csv': RUN + '/metrics.csv',
    'train.log': RUN + '/train.log',
    'progress.json': RUN + '/checkpoint-*/progress.json',
    'model-symbol.json': RUN + '/checkpoint-*/model-symbol.json',
    'model-*.params': RUN + '/checkpoint-*/model-*.params',
    'momentum.params': RUN + '/checkpoint-*/momentum.params',
    'SHA256SUMS of a checkpoint': RUN + '/checkpoint-*/SHA256SUMS',
}
DATA_FILES = {f'{ending} of small images': f'data/cifar10-*{ending}' for ending in ('.rec', '.idx', '.json')}
RUN_DATA = RUN_FILES | DATA_FILES
RUN_SUMS = {'SHA256SUMS of a run': RUN + '/SHA256SUMS'}
SVHN = ('train_svhn.py', *NETWORK, '--epochs', 1, '--split', 'full')

COMMANDS = {
    'train again': Command(unfinished, train_cifar.main, TRAIN, trained, RUN_DATA),
    'train, finished': Command(finished, train_cifar.main, TRAIN, said, RUN_FILES | RUN_SUMS),
    'eval': Command(finished, evaluation.main, ('eval.py', 'logs'), said, RUN_DATA | RUN_SUMS),
    'compare': Command(finished, compare.main, ('compare.py', 2), said, RUN_FILES | RUN_SUMS),
    'plot': Command(finished, plot.main, ('plot.py', 'curves', 'logs', '--out', 'curves'), drawn, RUN_FILES | RUN_SUMS),
    'predict': Command(finished, predict.main, ('predict.py', RUN.format(1), 'image.png'), said, RUN_FILES | RUN_SUMS),
    'export': Command(
        finished, export.main, ('export.py', RUN.format(1), '--to', 'gluon', 'exported'), exported, RUN_FILES | RUN_SUMS
    ),
    'verify': Command(finished, verify.main, ('verify', 'logs'), said, RUN_FILES | RUN_SUMS),
    'train on an archive': Command(
        packed_cifar, train_cifar.main, (*TRAIN[:-1], 1), trained, {'CIFAR-10, packed': 'data/*.tar.gz'}
    ),
    'train on .mat': Command(svhn_files, train_svhn.main, SVHN, trained, {'SVHN, .mat': 'data/*.mat'}),
    'train on unpacked files': Command(
        unpacked_cifar, train_cifar.main, (*TRAIN[:-1], 1), trained, {'CIFAR-10, unpacked': 'data/*/*.bin'}, True
    ),
    'pack folders': Command(
        imagenet_folders, pack_imagenet, ('train_imagenet.py',), packed, {"ImageNet's images": 'data/*/*/n*.JPEG'}, True
    ),
    'pack tar files': Command(
        imagenet_tars, pack_imagenet, ('train_imagenet.py',), packed, {"ImageNet's archives": 'data/ILSVRC*'}, True
    ),
    'train on ImageNet': Command(
        imagenet_records,
        read_imagenet,
        ('train_imagenet.py',),
        said,
        {f"{ending} of ImageNet's": f'data/imagenet-train{ending}' for ending in ('.rec', '.idx', '.crc', '.json')},
    ),
    'eval on ImageNet': Command(
        imagenet_records,
        evaluation.main,
        *[
            ('eval.py', '--symbol', 'net-symbol.json', '--params', 'net.params', '--dataset', 'imagenet', '--no-verify')
            + ('--data-dir', 'data')
        ],
        said,
        {f"{ending} of ImageNet's": f'data/imagenet-val{ending}' for ending in ('.rec', '.idx', '.crc', '.json')},
    ),
}
