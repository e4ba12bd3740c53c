"""Prepared data that is damaged, hostile or shared: made again from its source, or one line, and never other images."""

from common.cli import USERS_DISK

import contextlib
import ctypes
import json
import os
from random import Random
import shutil

import numpy as np
import pytest
import requests

from common.errors import UserError
import data
from data import download, imagenet, recordio
from data.image_records import ImageRecords
from tests.conftest import write_cifar
from tests.data.small_imagenet import Copy
from tests.faults.damages import DAMAGES


def load_cifar(folder):
    """All pixels and labels, and the side files."""
    dataset = data.load('cifar10', folder, verify=False)
    return [array.tobytes() for pair in dataset.splits.values() for array in pair], dataset.about


def load_imagenet(folder):
    """The same of an epoch of training and an evaluation."""
    about = imagenet.prepare(folder, verify=False, processes=0)
    dataset = ImageRecords({split: os.path.join(folder, 'imagenet-' + split) for split in about}, about)
    batches = [parts[0] for parts, _ in dataset.train_batches(4, 1).epoch(1)]
    return [array.tobytes() for batch in batches for array in batch] + [
        np.asarray(array).tobytes() for batch in dataset.evaluation_batches('val', 3) for array in batch
    ], about


SETS = {
    'cifar10': (load_cifar, lambda folder, random: write_cifar(folder, random, 20, 10), ['cifar-10-batches-bin']),
    'imagenet': (
        load_imagenet,
        lambda folder, random: Copy(random, per_class=1, val=3).write_folders(folder),
        ['train', 'val'],
    ),
}
FILES = [
    *[f'cifar10-{split}.{kind}' for split in ('train', 'test') for kind in ('rec', 'idx', 'json')],
    *[f'imagenet-{split}.{kind}' for split in ('train', 'val') for kind in ('rec', 'idx', 'crc', 'json')],
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fails(*_, **__):
        raise requests.ConnectionError

    monkeypatch.setattr(requests, 'get', fails)
    monkeypatch.setattr(download, 'PAUSE', 0)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """{data set: (its folder, another one like it, what it holds)}, prepared."""
    made = {}
    for name, (load, write, _) in SETS.items():
        folders = [str(tmp_path_factory.mktemp(name)) for _ in range(2)]
        for seed, folder in enumerate(folders):
            write(folder, np.random.RandomState(seed))
            held = load(folder)
        made[name] = (*folders, load(folders[0]))
        assert made[name][2] != held
    return made


def try_damage(prepared, tmp_path, file, damage, seed, with_source):
    """Damage a copy and load it: 'as it was', 'one line', or anything else, which is wrong."""
    name = file.split('-')[0]
    folder, other, held = prepared[name]
    load, _, source = SETS[name]
    copied = str(tmp_path / f'{damage}-{seed}-{with_source}')
    shutil.copytree(folder, copied, ignore=None if with_source else shutil.ignore_patterns(*source))
    what = DAMAGES[damage](os.path.join(copied, file), Random(seed), os.path.join(other, file))
    try:
        found = load(copied)
    except UserError as error:
        assert '\n' not in str(error)
        return 'one line', what
    finally:
        shutil.rmtree(copied)
    return ('as it was' if found == held else 'other images'), what


@pytest.mark.parametrize('file', FILES)
def test_no_damage_shows_other_images(prepared, tmp_path, file):
    """Without the source, which could mend them, all are one line, but those of checksums, which the records mend."""
    for damage in DAMAGES:
        if damage == 'replaced by another run' and file.endswith('.idx'):
            continue  # it has the same offsets
        result, what = try_damage(prepared, tmp_path, file, damage, 1, with_source=False)
        assert result == ('as it was' if file.endswith('.crc') else 'one line'), (damage, what)


@pytest.mark.parametrize('file', ['cifar10-train.idx', 'cifar10-train.rec', 'imagenet-val.json', 'imagenet-val.crc'])
def test_what_has_its_source_is_mended(prepared, tmp_path, file):
    for damage in ('one bit flipped', 'deleted'):
        assert try_damage(prepared, tmp_path, file, damage, 2, with_source=True)[0] == 'as it was'


@pytest.mark.slow
@pytest.mark.parametrize('file', FILES)
def test_many_damages_show_no_other_images(prepared, tmp_path, file):
    for damage in DAMAGES:
        for seed in range(10):
            for with_source in (False, True):
                result, what = try_damage(prepared, tmp_path, file, damage, seed, with_source)
                assert result in ('as it was', 'one line'), (damage, seed, with_source, what)


# Side files that say something else, though they are whole


@pytest.mark.parametrize(
    'change',
    [
        {'records': 54000, 'labels': [5400] * 10},
        {'labels': [1] * 20},  # more classes than the data set has
        {'labels': None},
        {'format': 2},
    ],
)
@pytest.mark.parametrize('with_source', [True, False])
def test_a_side_file_is_not_trusted(small_cifar, change, with_source):
    """With the wrong number of records the rest were black images."""
    held = load_cifar(small_cifar)
    prefix = os.path.join(small_cifar, 'cifar10-train')
    about = {**recordio.read_about(prefix), **change}
    with open(prefix + '.json', 'w') as file:
        json.dump({key: value for key, value in about.items() if value is not None}, file)
    if with_source:
        assert load_cifar(small_cifar) == held
        return
    shutil.rmtree(os.path.join(small_cifar, 'cifar-10-batches-bin'))
    with pytest.raises(UserError, match='cannot fetch'):
        load_cifar(small_cifar)


# Arrays that are not what the table of data sets promises

IMAGES, LABELS = np.zeros((6, 32, 32, 3), np.uint8), np.arange(6)


@pytest.mark.parametrize(
    'images, labels, problem',
    [
        (IMAGES, LABELS + 5, 'labels from 5 to 10 instead of whole numbers from 0 to 9'),
        (IMAGES, LABELS - 1, 'labels from -1 to 4 '),
        (IMAGES, LABELS / 2, 'labels from 0.0 to 2.5 '),
        (IMAGES, np.where(LABELS == 3, np.nan, LABELS), 'labels from nan to nan '),
        (IMAGES[:5], LABELS, '5 images and 6 labels'),
        (IMAGES + np.nan, LABELS, 'images of 32×32×3 float64 instead of bytes'),
        (IMAGES.astype(np.int64) - 1, LABELS, 'images of 32×32×3 int64 instead of bytes'),
        (IMAGES[..., :1], LABELS, 'images of 32×32×1 uint8 instead of bytes in RGB'),
        (IMAGES[..., 0], LABELS, 'images of 32×32 uint8 instead of bytes in RGB'),
        ([*IMAGES[:5], IMAGES[5, :16]], LABELS, 'images of 16×32×3 uint8 and 32×32×3 uint8 instead of .* one size'),
    ],
)
def test_arrays_out_of_range_are_one_line_before_anything_is_written(tmp_path, monkeypatch, images, labels, problem):
    def read(folder, verify):
        return {'train': (IMAGES, LABELS), 'test': (images, labels)}, True

    monkeypatch.setitem(data.SOURCES, 'digits', data.SOURCES['digits']._replace(read=read))
    with pytest.raises(UserError, match=f'^test in .*d has {problem}'):
        data.load('digits', str(tmp_path / 'd'))
    assert not (tmp_path / 'd').exists()


# Folders that are shared


@contextlib.contextmanager
def without_roots_rights():
    """As another user: what the permissions of a file forbid is forbidden, even to root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, rights) == 0
    before, rights[0] = rights[0], rights[0] & ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, rights) == 0
    try:
        yield
    finally:
        rights[0] = before
        assert libc.capset(header, rights) == 0


def tree(folder):
    return sorted((where, sorted(names)) for where, _, names in os.walk(folder))


@pytest.fixture(params=list(SETS))
def shared(request, prepared, tmp_path):
    """A copy of a prepared folder that nobody may write to, and its function."""
    folder = str(tmp_path / 'shared')
    shutil.copytree(prepared[request.param][0], folder)
    load, _, source = SETS[request.param]
    yield folder, load, prepared[request.param][2], request.param
    os.chmod(folder, 0o755)


def test_who_may_not_write_uses_what_is_prepared(shared):
    folder, load, held, _ = shared
    os.chmod(folder, 0o555)
    before = tree(folder)
    with without_roots_rights():
        assert load(folder) == held
    assert tree(folder) == before


def test_who_may_not_write_is_told_so_where_it_has_to_be_made(shared):
    folder, load, _, name = shared
    split = {'cifar10': 'test', 'imagenet': 'val'}[name]
    os.remove(os.path.join(folder, f'{name}-{split}.idx'))
    os.chmod(folder, 0o555)
    before = tree(folder)
    with without_roots_rights(), pytest.raises(UserError, match='cannot be written: .*--data-dir'):
        load(folder)
    assert tree(folder) == before


def test_who_may_not_read_is_told_so(shared):
    folder, load, _, name = shared
    os.chmod(os.path.join(folder, f'{name}-train.rec'), 0o000)
    with without_roots_rights(), pytest.raises((UserError, OSError)) as error:
        load(folder)
    assert isinstance(error.value, UserError) or error.value.errno in USERS_DISK


@pytest.mark.parametrize('size', [0, 3000])
@pytest.mark.parametrize('name', list(SETS))
def test_a_full_disk_while_preparing_is_one_line_and_the_next_call_is_right(prepared, tmp_path, full_disk, name, size):
    load, write, _ = SETS[name]
    folder = write(str(tmp_path / 'fresh'), np.random.RandomState(0))
    with full_disk(size), pytest.raises(UserError, match='cannot be written: the disk is full'):
        load(folder)
    assert not [file for file in os.listdir(folder) if file.endswith('.rec') and 'unfinished' not in file]
    assert load(folder) == prepared[name][2]
