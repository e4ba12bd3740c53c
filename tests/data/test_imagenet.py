"""ImageNet's preparation: labels, order and pixels against an account of their own; what is official; what is there."""

import glob
import io
import os

import numpy as np
from PIL import Image
import pytest

from common.mxnet import mx
import data
from data import imagenet, recordio
from data.packing import workers
from tests.conftest import official_folder
from tests.data.small_imagenet import WNIDS, contents, cut, edit, picture, prepare, prepare_fails, records, write


def split_records(folder, split):
    """[(id, label, image)] of a split."""
    return records(os.path.join(str(folder), 'imagenet-' + split))


def all_contents(folder):
    """{name: bytes} of the prepared files; there is nothing else of theirs."""
    found = contents(folder)
    assert sorted(found) == [
        'imagenet-train.crc',
        'imagenet-train.idx',
        'imagenet-train.json',
        'imagenet-train.rec',
        'imagenet-val.crc',
        'imagenet-val.idx',
        'imagenet-val.json',
        'imagenet-val.rec',
    ]
    return found


@pytest.mark.usefixtures('small_sides')
def test_tars_and_folders_give_the_same_records_and_the_right_labels(copy, tmp_path):
    about = prepare(copy.write_tars(tmp_path / 'tars'))
    assert about == prepare(copy.write_folders(tmp_path / 'folders'))
    assert all_contents(tmp_path / 'tars') == all_contents(tmp_path / 'folders')
    for split, count in (('train', 20), ('val', 10)):
        found = split_records(tmp_path / 'tars', split)
        assert [i for i, _, _ in found] == list(range(count))
        labels = [copy.label(split, name) for name in copy.order(split)]
        assert [label for _, label, _ in found] == labels
        assert about[split]['labels'] == np.bincount(labels, minlength=4).tolist()
        assert about[split]['classes'] == WNIDS and about[split]['records'] == count
    labels = [label for _, label, _ in split_records(tmp_path / 'tars', 'train')]
    assert len(set(labels[:10])) > 2  # not sorted by class
    assert prepare(tmp_path / 'tars') == about  # which changes nothing
    assert not any(entry['verified'] for entry in about.values())


def test_validation_pixels_are_resampled_once_and_training_pixels_nearly(copy, tmp_path):
    copy.train['n00000003_77.JPEG'] = picture(np.random.RandomState(1), 1000, 600)
    copy.val['ILSVRC2012_val_00000011.JPEG'] = 'n00000010', picture(np.random.RandomState(1), 700, 401)
    copy.val['ILSVRC2012_val_00000012.JPEG'] = 'n00000010', picture(np.random.RandomState(2), 256, 300)
    prepare(copy.write_folders(tmp_path))
    sizes = set()
    for (_, _, image), name in zip(split_records(tmp_path, 'val'), copy.order('val')):
        original = Image.open(io.BytesIO(copy.val[name][1])).convert('RGB')
        size = {(700, 401): (447, 256), (256, 300): (256, 300)}.get(
            original.size, (256, int(original.height * 256 / 30 + 0.5))
        )
        np.testing.assert_array_equal(image, np.array(original.resize(size, Image.BILINEAR)))
        sizes.add(size)
    assert len(sizes) == 12
    for (_, _, image), name in zip(split_records(tmp_path, 'train'), copy.order('train')):
        original = Image.open(io.BytesIO(copy.train[name]))
        size = (800, 480) if original.width == 1000 else (original.width * 480 // 30, 480)
        difference = image - np.array(original.resize(size, Image.BILINEAR), np.float64)
        assert image.shape == (size[1], size[0], 3) and np.abs(difference).mean() < 3


@pytest.mark.usefixtures('small_sides')
def test_mxnets_iterator_reads_them_in_parts(copy, tmp_path):
    prepare(copy.write_tars(tmp_path))
    labels = []
    for part in range(2):
        iterator = mx.io.ImageRecordIter(
            path_imgrec=str(tmp_path / 'imagenet-train.rec'),
            path_imgidx=str(tmp_path / 'imagenet-train.idx'),
            data_shape=(3, 48, 48),
            batch_size=10,
            num_parts=2,
            part_index=part,
            round_batch=False,
            verbose=False,
        )
        labels += [label for batch in iterator for label in batch.label[0].asnumpy()]
    assert labels == [copy.label('train', name) for name in copy.order('train')]


def test_an_evaluation_needs_the_validation_images_alone(tmp_path, copy, monkeypatch):
    monkeypatch.setattr(workers, '_start', lambda *_: {})  # in this process
    folder = copy.write_folders(tmp_path, ['val'])
    dataset = data.load_for_evaluation('imagenet', folder, verify=False)
    assert dataset.classes == tuple(sorted(WNIDS)) and list(dataset.about) == ['val']
    assert sum(len(labels) for _, labels in dataset.evaluation_batches('val', 3)) == len(copy.val)
    assert not (tmp_path / 'imagenet-train.rec').exists()


@pytest.mark.usefixtures('small_sides')
def test_two_classes_with_the_same_file_names(tmp_path, random):
    """Sorted by name, then by wnid."""
    for wnid, size in (('n00000003', 30), ('n00000010', 40)):
        for split in ('train', 'val'):
            write(str(tmp_path / split / wnid / '1.jpg'), picture(random, 30, size))
    prepare(tmp_path)
    assert [(label, image.shape[0]) for _, label, image in split_records(tmp_path, 'val')] == [(0, 32), (1, 43)]


def test_nothing_there_says_where_it_can_be_had(tmp_path, copy):
    prepare_fails(
        tmp_path / 'none',
        'has neither ILSVRC2012_img_train.tar nor train/<wnid>/.*, and neither .*val.*'
        'without an account.*https://image-net.org',
    )
    assert not (tmp_path / 'none').exists()
    prepare_fails(copy.write_folders(tmp_path, ['train']), 'has neither ILSVRC2012_img_val.tar nor val/<wnid>')


# What is official


@pytest.mark.usefixtures('small_sides')
def test_what_is_not_official_needs_no_verify(copy, tmp_path, monkeypatch):
    folder = copy.write_tars(tmp_path / 'tars')
    prepare_fails(folder, 'truncated or altered: .* bytes instead of 147,897,477,120; .*--no-verify', verify=True)
    folder = copy.write_folders(tmp_path / 'folders')
    prepare_fails(folder, '4 classes instead of 1,000; use it as it is with --no-verify', verify=True)
    monkeypatch.setattr(imagenet, 'CLASSES', 4)
    prepare_fails(folder, '20 images instead of 1,281,167; ', verify=True)
    monkeypatch.setitem(imagenet.SPLITS, 'train', imagenet.SPLITS['train']._replace(images=20))
    monkeypatch.setitem(imagenet.SPLITS, 'val', imagenet.SPLITS['val']._replace(images=10))
    prepare_fails(folder, r'val is not the official data: it has \d to \d images of a class instead of 50', verify=True)
    assert [entry['verified'] for entry in prepare(folder).values()] == [True, False]
    prepare_fails(folder, 'made from unverified files: pass --no-verify', verify=True)


@pytest.mark.usefixtures('small_sides')
def test_what_is_official_is_verified_whatever_is_asked(copy, tmp_path, monkeypatch):
    copy.val = {name: (WNIDS[i % 4], content) for i, (name, (_, content)) in enumerate(list(copy.val.items())[:8])}
    folder = copy.write_tars(tmp_path)
    monkeypatch.setattr(imagenet, 'CLASSES', 4)
    for split, images, per_class in (('train', 20, 0), ('val', 8, 2)):
        size = os.path.getsize(str(tmp_path / f'ILSVRC2012_img_{split}.tar'))
        monkeypatch.setitem(
            imagenet.SPLITS, split, imagenet.SPLITS[split]._replace(images=images, per_class=per_class, tar_bytes=size)
        )
    about = prepare(folder)
    assert about['train']['verified'] and about['val']['verified']
    assert about == prepare(folder, verify=True)


# What is there already


@pytest.mark.usefixtures('small_sides')
def test_other_training_classes_make_the_validation_labels_anew(copy, tmp_path, capsys):
    folder = copy.write_folders(tmp_path)
    before = prepare(folder)
    os.remove(os.path.join(folder, 'imagenet-train.rec'))
    write(os.path.join(folder, 'train', 'n00000000', '1.JPEG'), next(iter(copy.train.values())))
    about = prepare(folder)
    assert about['val']['classes'] == ['n00000000'] + WNIDS
    assert about['val']['labels'] == [0] + before['val']['labels']
    assert 'imagenet-val.rec has other classes than the training images: making it again' in capsys.readouterr().out
    assert [label for _, label, _ in split_records(folder, 'val')] == [
        1 + copy.label('val', name) for name in copy.order('val')
    ]


@pytest.mark.usefixtures('small_sides')
@pytest.mark.parametrize(
    'damage',
    [
        lambda prefix: cut(prefix + '.rec', 4),
        lambda prefix: cut(prefix + '.idx', 4),
        lambda prefix: os.remove(prefix + '.rec'),
        lambda prefix: os.remove(prefix + '.json'),
        lambda prefix: write(prefix + '.json', b'{'),
        lambda prefix: edit(prefix + '.json', lambda content: content.replace(b'"format": 1', b'"format": 0')),
    ],
)
def test_damage_is_noticed_and_mended(copy, tmp_path, damage):
    folder = copy.write_folders(tmp_path)
    about, before = prepare(folder), all_contents(folder)
    prefix = os.path.join(folder, 'imagenet-val')
    assert recordio.check(prefix) == about['val']
    damage(prefix)
    assert recordio.check(prefix) is None
    assert prepare(folder) == about and all_contents(folder) == before


def test_real_images(tmp_path):
    source = official_folder('imagenet')
    wnids = sorted(os.listdir(os.path.join(source, 'train')))[::150]
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for wnid in wnids:
            os.symlink(os.path.join(source, split, wnid), str(tmp_path / split / wnid))
    about = prepare(tmp_path)
    assert about['train']['classes'] == wnids and about['train']['undecodable'] == about['val']['undecodable'] == []
    for split, shorter in (('train', 480), ('val', 256)):
        originals = sorted((os.path.basename(path), path) for path in glob.glob(str(tmp_path / split / '*' / '*')))
        originals = [Image.open(path) for _, path in originals]
        found = split_records(tmp_path, split)
        assert len(found) == len(originals)
        if split == 'val':
            for (_, label, image), original in zip(found, originals):
                assert wnids[int(label)] in original.filename
                size = (shorter, image.shape[0]) if original.width < original.height else (image.shape[1], shorter)
                np.testing.assert_array_equal(image, np.array(original.convert('RGB').resize(size, Image.BILINEAR)))
                assert size[0] / size[1] == pytest.approx(original.width / original.height, rel=0.5 / shorter)
        assert {min(image.shape[:2]) for _, _, image in found} == {shorter}
