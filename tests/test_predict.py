"""predict.py and the classifier behind it: predictions on files equal those of an evaluation on the same images."""

import csv
import gc
import io
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from common.mxnet import mx
from data import records
import eval as evaluation
from interop.image_classifier import load
import predict
from symbols import imagenet
from tests.conftest import ROOT, in_process, official_folder
from tests.data.small_folders import SHOWN, write_folders
from tests.data.small_imagenet import encoded, write
from tests.runs import only_run, read_json, rewrite
import train_images
from training.replicas import EXECUTORS

RUN, ENSEMBLE = 'logs/cifar10/dfn-mr-14/epochs8-seed1', 'logs/cifar10/ensemble-14/epochs8-seed1'
LLL = 'logs/cifar10/component-14/pathLLL-epochs8-seed1'
CLASSES = 'airplane automobile bird cat deer dog frog horse ship truck'.split()
TURN_RIGHT = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06' + bytes(6)


def say(*words, check=0):
    return in_process(predict.main, 'predict.py', *words, check=check)


def evaluate(run, target, *words):
    """What eval.py keeps of its predictions."""
    in_process(evaluation.main, 'eval.py', run, '--predictions', target, *words, check=0)
    return np.load(target)


@pytest.fixture(scope='module')
def test_images(tmp_path_factory):
    """(folder of a CIFAR-10 with 200 of the official test images, folder of these as PNG, in the records' order)."""
    source, root = official_folder('cifar-10-batches-bin'), tmp_path_factory.mktemp('cifar')
    for name in [f'data_batch_{i}.bin' for i in range(1, 6)] + ['test_batch.bin']:
        with open(os.path.join(source, name), 'rb') as file:
            content = file.read(200 * 3073 if name == 'test_batch.bin' else 3073)
        write(str(root / 'data' / 'cifar-10-batches-bin' / name), content)
    in_process(evaluation.main, 'eval.py', RUN, '--data-dir', root / 'data', '--no-verify', check=0)
    images, _ = records.read(str(root / 'data' / 'cifar10-test'))
    for i, image in enumerate(images):
        write(str(root / 'png' / f'{i:03}.png'), encoded(Image.fromarray(image.transpose(1, 2, 0)), format='PNG'))
    return root / 'data', root / 'png'


def test_predictions_on_files_are_those_of_eval_on_the_test_images(test_images, tmp_path):
    folder, files = test_images
    expected = evaluate(RUN, tmp_path / 'x.npz', '--data-dir', folder, '--no-verify')['probabilities']
    _, out, err = say(RUN, files, '--top', 99, '--batch-size', 7, '--csv', tmp_path / 'x.csv')
    with open(tmp_path / 'x.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected) == 200 == out.count('\n') and err == ''
    for i, (row, own, line) in enumerate(zip(rows, expected, out.splitlines())):
        assert row['file'] == str(files / f'{i:03}.png')
        assert row['class_1'] == CLASSES[own.argmax()]
        found = {row[f'class_{k}']: float(row[f'probability_{k}']) for k in range(1, 11)}
        np.testing.assert_allclose([found[name] for name in CLASSES], own, atol=1e-6)
        assert line.startswith(f'{row["file"]}: {row["class_1"]} {100 * own.max():.1f} %, {row["class_2"]} ')


def test_an_ensemble_says_what_each_member_says(test_images, tmp_path):
    folder, files = test_images
    expected = evaluate(ENSEMBLE, tmp_path / 'x.npz', '--data-dir', folder, '--no-verify')
    classifier = load(ENSEMBLE)
    names = [str(files / f'{i:03}.png') for i in range(40)]
    members = classifier.predict_members(names)
    np.testing.assert_allclose(members, expected['members'][:, :40], atol=1e-6)
    np.testing.assert_allclose(classifier.predict(names), expected['probabilities'][:40], atol=1e-6)
    _, out, _ = say(ENSEMBLE, names[0], '--members', '--top', 1, '--csv', tmp_path / 'x.csv')
    first, *others = out.splitlines()
    assert [line.split(': ')[0].strip() for line in others] == list(expected['member_names'])
    for line, own in zip(others, members[:, 0]):
        assert line.endswith(f': {CLASSES[own.argmax()]} {100 * own.max():.1f} %')
    with open(tmp_path / 'x.csv', newline='') as file:
        assert [row['member'] for row in csv.DictReader(file)] == ['', *expected['member_names']]


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """A folder with two photographs of noise, one of which its Exif turns."""
    root, random = tmp_path_factory.mktemp('photos'), np.random.RandomState(0)
    noise = Image.fromarray(random.randint(0, 256, (8, 10, 3)).astype(np.uint8)).resize((320, 256), Image.BICUBIC)
    write(str(root / 'b' / 'turned.JPG'), encoded(noise, exif=TURN_RIGHT))
    write(str(root / 'a.jpg'), encoded(noise))
    return root


def test_what_a_network_for_small_images_sees_of_a_photograph(photos):
    """By OpenCV: the shorter side 32 by area, the middle square; turned as Exif says."""
    pixels = np.array(Image.open(photos / 'a.jpg'))
    seen = cv2.resize(pixels, (40, 32), interpolation=cv2.INTER_AREA)[:, 4:36]
    plain, turned = load(RUN).predict_files([str(photos / 'a.jpg'), str(photos / 'b' / 'turned.JPG')])
    np.testing.assert_array_equal(plain.pixels, seen)
    rotated = cv2.resize(np.ascontiguousarray(np.rot90(pixels, -1)), (32, 40), interpolation=cv2.INTER_AREA)[4:36]
    np.testing.assert_array_equal(turned.pixels, rotated)


def test_an_image_is_a_file_its_bytes_an_array_or_pillows(photos):
    classifier, path = load(f'{RUN}/checkpoint-0008'), photos / 'a.jpg'
    image = Image.open(path)
    found = classifier.predict([path, str(path), path.read_bytes(), image, np.array(image)], batch_size=2)
    assert found.shape == (5, 10) and classifier.predict([]).shape == (0, 10)
    for one in (path, str(path), path.read_bytes(), image, np.array(image)):
        with pytest.raises(UserError, match='give a list of images'):
            classifier.predict(one)
    assert classifier.predict(np.array(image)[None]).shape == (1, 10)
    np.testing.assert_allclose(found, np.stack([found[0]] * 5), atol=1e-6)
    gray = np.array(image.convert('L'))
    np.testing.assert_allclose(classifier.predict([gray]), classifier.predict([np.stack([gray] * 3, -1)]), atol=1e-6)
    ((best, probability), second), *_ = classifier.top(found, 2)
    assert best == CLASSES[found[0].argmax()] and probability == found[0].max() and second[1] <= probability
    for wrong, message in (
        (np.zeros((8, 8, 4), np.uint8), r'not \(8, 8, 4\) uint8'),
        (np.zeros((8, 8, 3)), r'not \(8, 8, 3\) float64'),
        (b'', 'no image that can be decoded'),
        ('nowhere.jpg', 'nowhere.jpg: No such file'),
    ):
        with pytest.raises(UserError, match=message):
            classifier.predict([wrong])


# Many threads, which take turns often, ask two classifiers. These have to agree with what one thread was told.
THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from interop.image_classifier import load
sys.setswitchinterval(1e-6)
classifiers = [load({run!r}) for _ in range(3)]
lists = np.split(np.random.RandomState(0).randint(0, 256, (16, 32, 32, 3)).astype(np.uint8), 16)
expected = [classifiers[2].predict(images) for images in lists]
def ask(i):
    return abs(classifiers[i % 2].predict(lists[i % 16]) - expected[i % 16]).max()
with ThreadPoolExecutor(16) as pool:
    assert max(pool.map(ask, range(1000))) < 1e-4
"""


def test_threads_may_share_a_classifier(command):
    command('-c', THREADS.format(run=os.path.join(ROOT, LLL)), check=0)


def test_a_classifier_keeps_no_more_memory_for_more_lengths_of_lists():
    def executors():
        gc.collect()
        return sum(type(thing) is mx.executor.Executor for thing in gc.get_objects())

    classifier, before = load(os.path.join(ROOT, LLL)), executors()
    found = [classifier.predict(np.zeros((count, 32, 32, 3), np.uint8)) for count in (1, 2, 3, 4, 1)]
    np.testing.assert_allclose(np.concatenate(found), np.repeat(found[0], 11, axis=0), atol=1e-6)
    assert 0 < executors() - before <= EXECUTORS


def test_names_are_taken_as_they_are_needed(photos):
    taken = []
    names = (taken.append(i) or str(photos / 'a.jpg') for i in range(10))
    next(load(RUN).predict_files(names, batch_size=2))
    assert taken == [0, 1]


@pytest.fixture(scope='module')
def own_runs(tmp_path_factory):
    """Runs on images of the user's own, {size: (run, validation folder)}; the large network is narrow."""
    root, runs = tmp_path_factory.mktemp('own'), {}
    write_folders(root / 'pets', np.random.RandomState(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenet, 'WIDTHS', (32, 64, 128, 256))
        for size, net, depth in ((32, 'dfn-mr', 8), (224, 'resnet', 50)):
            words = ['--data-dir', root / 'pets', '--net', net, '--depth', depth, '--size', size, '--epochs', 1]
            words += ['--log-dir', root / str(size), '--batch-size', 10, '--lr', 0.01]
            in_process(train_images.main, 'train_images.py', *words, check=0)
            runs[size] = only_run(root / str(size))
    return runs, root / 'pets' / 'val'


@pytest.mark.parametrize('size', [32, 224])
def test_predictions_on_validation_files_are_those_of_eval(own_runs, size, tmp_path):
    """Records are in the order of the paths, by bytes; so is a folder."""
    runs, folder = own_runs
    expected = evaluate(runs[size], tmp_path / 'x.npz')
    _, out, _ = say(runs[size], folder, '--csv', tmp_path / 'x.csv', '--grid', tmp_path / 'x.png')
    with open(tmp_path / 'x.csv', newline='', encoding='utf-8', errors='surrogateescape') as file:
        rows = list(csv.DictReader(file))
    assert [os.path.exists(row['file']) for row in rows] == [True] * 8 and 'caf\\udce9/0.jpg: ' in out
    for row, own in zip(rows, expected['probabilities'], strict=True):
        found = {row[f'class_{k}']: float(row[f'probability_{k}']) for k in range(1, 5)}
        np.testing.assert_allclose([found[name] for name in SHOWN], own, atol=1e-6)
    assert Image.open(tmp_path / 'x.png').format == 'PNG'


def test_imagenet_ignores_exif_and_has_its_own_normalization(own_runs, photos, tmp_path):
    """As its preparation does. A run of an earlier version does not know its classes."""
    run = str(tmp_path / 'run')
    shutil.copytree(own_runs[0][224], run)
    config = read_json(run)
    config['options']['dataset'] = 'imagenet'
    del config['options']['size'], config['dataset']['classes'], config['dataset']['mean'], config['dataset']['std']
    for split in config['dataset']['splits'].values():
        del split['classes']
    rewrite(run, 'config.json', config)
    classifier = load(run)
    plain, turned = classifier.predict_files([str(photos / 'a.jpg'), str(photos / 'b' / 'turned.JPG')])
    np.testing.assert_array_equal(plain.pixels, np.array(Image.open(photos / 'a.jpg'))[16:240, 48:272])
    np.testing.assert_array_equal(plain.pixels, turned.pixels)
    assert classifier.classes == ['0', '1', '2', '3']


def test_what_cannot_be_read_is_named_and_skipped(photos, tmp_path, monkeypatch):
    shutil.copy(photos / 'a.jpg', tmp_path / 'a.jpg')
    write(str(tmp_path / 'bad.jpg'), b'no image')
    write(str(tmp_path / 'notes.txt'), b'')
    _, out, err = say(RUN, tmp_path / 'missing.png', tmp_path, check=1)
    assert out.startswith(f'{tmp_path / "a.jpg"}: ') and out.count('\n') == 1
    assert err.splitlines() == [
        f'skipped: {tmp_path / "missing.png"}: No such file or directory',
        f'skipped: {tmp_path / "bad.jpg"}: this is no image that can be decoded (JPEG, PNG, WebP or BMP)',
    ]
    monkeypatch.setattr(sys, 'stdin', io.StringIO(f'{tmp_path / "a.jpg"}\n\n{photos / "a.jpg"}\n'))
    _, out, _ = say(RUN, '-', '--top', 1)
    assert [line.split(': ')[0] for line in out.splitlines()] == [str(tmp_path / 'a.jpg'), str(photos / 'a.jpg')]


@pytest.mark.parametrize(
    'words, expected',
    [
        (['nowhere', 'a.jpg'], 'nowhere is not a run directory'),
        (['logs/samples/digits/dfn-mr-14/epochs15-seed1', 'a.jpg'], 'has no weights'),
        ([RUN, '--members', 'a.jpg'], '--members is for ensembles'),
        ([RUN, 'paper/templates'], 'paper/templates has no images'),
        ([RUN, 'a.jpg', '--csv', 'nowhere/a.csv'], 'there is no folder nowhere'),
        ([RUN, 'a.jpg', '--csv', 'docs'], 'docs is a folder'),
        ([RUN, 'a.jpg', '--csv', 'new', '--grid', './new'], './new would be written twice'),
        ([RUN, 'a.jpg', '--top', '0'], '0 is not a whole number from 1'),
        ([RUN, '-', '-'], '- can be given once'),
    ],
)
def test_a_mistake_is_one_line(mistake, words, expected):
    assert expected in mistake(predict.main, 'predict.py', *words)


def test_names_on_standard_input_are_any_bytes():
    """As find prints them."""
    done = subprocess.run(
        [sys.executable, 'predict.py', RUN, '-'],
        cwd=ROOT,
        env={**os.environ, 'PYTHONIOENCODING': 'utf-8:strict'},  # as in most locales
        input=b'caf\xe9.png\n',
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (1, b'skipped: caf\\udce9.png: No such file or directory\n')


def test_no_names_are_a_mistake_and_an_earlier_table_stays(mistake, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'stdin', io.StringIO(''))
    table = tmp_path / 'table.csv'
    table.write_text('of before')
    assert 'no image was named' in mistake(predict.main, 'predict.py', RUN, '-', '--csv', table)
    assert table.read_text() == 'of before'
