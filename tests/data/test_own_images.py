"""The user's own images: what becomes of folders, which images are held out, what is noticed, and mistakes."""

import errno
import io
import os
import shutil

import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from common.files import lock_folder
import data
from data.augmentation import Traits
from data.own_images import Layout, prepare
from tests.data.small_folders import CLASSES, SHOWN, picture, write_folders
from tests.data.small_imagenet import records, write

SMALL = Layout(32)
PAIR = {'cat': '.png', 'dog': '.png'}


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / 'pets')


def make(folder, layout=SMALL, **options):
    return prepare(folder, layout, **{'processes': 0, **options})


def fails(folder, expected, layout=SMALL, **options):
    """prepare() says what is wrong in a line, and leaves nothing."""
    with pytest.raises(UserError) as error:
        make(folder, layout, **options)
    assert expected in str(error.value) and '\n' not in str(error.value)
    assert not [name for name in os.listdir(folder) if name.startswith('images')]


def test_every_image_has_its_class_and_its_pixels(folder, random):
    """Against Pillow: an image of shorter side 32 is cut, not resized."""
    written = write_folders(folder, random, side=(41, 32))
    about = make(folder)
    names = sorted(CLASSES, key=lambda name: name.encode(errors='surrogatepass'))
    assert about['train']['classes'] == about['val']['classes'] == SHOWN
    for split, count in (('train', 20), ('val', 8)):
        found = records(os.path.join(folder, f'images32-{split}'))
        expected = sorted(written[split], key=os.fsencode)
        if split == 'train':
            expected = [expected[i] for i in np.random.RandomState(2016).permutation(20)]
        assert len(found) == count == about[split]['records']
        for (_, label, image), path in zip(found, expected):
            assert names[int(label)] == os.path.dirname(path)
            original = Image.open(io.BytesIO(written[split][path])).convert('RGB')
            np.testing.assert_array_equal(image, np.array(original)[:, 4:36])
    pixels = np.stack([image for _, _, image in records(os.path.join(folder, 'images32-train'))]).reshape(-1, 3)
    np.testing.assert_allclose(about['train']['mean'], pixels.mean(axis=0, dtype=float), atol=6e-4)
    np.testing.assert_allclose(about['train']['std'], pixels.std(axis=0, dtype=float), atol=6e-4)


def test_large_images_are_stored_as_imagenets(folder, random):
    write_folders(folder, random, 2, 1, PAIR, side=(300, 260))
    about = make(folder, Layout(224))
    assert [(about[split]['shorter_side'], about[split]['coding']) for split in about] == [
        (480, 'jpeg95'),
        (256, 'png'),
    ]
    ((_, _, image), _) = records(os.path.join(folder, 'images224-val'))
    with open(os.path.join(folder, 'val', 'cat', '0.png'), 'rb') as file:
        expected = Image.open(io.BytesIO(file.read())).resize((295, 256), Image.BILINEAR)
    np.testing.assert_array_equal(image, np.array(expected))

    dataset = data.load_images('pets', folder, Layout(224), mirror=False)
    assert dataset.classes == ('cat', 'dog') and not dataset.has_top5 and dataset.name == 'pets'
    ((crops, labels),) = dataset.evaluation_batches('val', 5)
    normalized = (np.array(expected)[16:240, 35:259] - np.array(about['train']['mean'])) / about['train']['std']
    np.testing.assert_allclose(crops[0], normalized.transpose(2, 0, 1), atol=1e-5)
    assert labels.tolist() == [0, 1]

    write(os.path.join(folder, 'val', 'cat', 'new.png'), picture(random, side=(300, 260)))
    make(folder, Layout(224))  # while a run trains on them
    ((again, _),) = dataset.evaluation_batches('val', 5)
    np.testing.assert_array_equal(again, crops)


def test_what_has_changed_is_made_again_and_nothing_else(folder, random, capsys):
    write_folders(folder, random, classes=PAIR)
    first = make(folder)
    shutil.copytree(folder, folder + '-copy')
    shutil.rmtree(os.path.join(folder + '-copy', 'train'))
    shutil.rmtree(os.path.join(folder + '-copy', 'val'))
    assert make(folder) == first == make(folder + '-copy')  # the source may be gone
    assert 'have changed' not in capsys.readouterr().out

    write(os.path.join(folder, 'val', 'dog', 'new.png'), picture(random))
    second = make(folder)
    assert second['train'] == first['train'] and second['val']['records'] == 5
    assert 'the images or their classes have changed: making' in capsys.readouterr().out

    write(os.path.join(folder, 'train', 'dog', '0.png'), picture(random, side=(50, 50)))
    third = make(folder)
    assert third['train']['content_sha256'] != first['train']['content_sha256']

    capsys.readouterr()
    write(os.path.join(folder, 'images32-train.json'), b'{}')
    assert make(folder) == third
    said = capsys.readouterr().out
    assert 'the files of the packed images were changed: making' in said and 'have changed' not in said


def test_hidden_folders_are_left_out_and_a_class_behind_a_dead_link_is_refused(folder, random):
    write_folders(folder, random, classes=PAIR)
    write(os.path.join(folder, 'val', 'cat', '.thumbnails', '0.png'), picture(random))
    about = make(folder)
    assert about['val']['records'] == sum(about['val']['labels']) == 4
    for link, target in (('bird', '/nowhere/bird'), ('loop', 'loop')):
        os.symlink(target, os.path.join(folder, 'val', link))
        with pytest.raises(UserError, match=f'val/{link} is a link to nowhere: mend or remove it'):
            make(folder)
        os.remove(os.path.join(folder, 'val', link))


@pytest.mark.parametrize('number', [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_looked_at_is_not_left_out(folder, random, monkeypatch, number):
    """It may be there again the next time."""
    write_folders(folder, random, classes=PAIR)
    original = os.stat

    def fail(path, *args, **more):
        if str(path).endswith('dog/1.png'):
            raise OSError(number, os.strerror(number), path)
        return original(path, *args, **more)

    monkeypatch.setattr(os, 'stat', fail)
    with pytest.raises(OSError) as raised:
        make(folder)
    assert raised.value.errno == number


def test_what_is_read_is_what_was_packed(folder, random, monkeypatch):
    """Another command that packs the folder for other classes waits until all is read."""
    write_folders(folder, random, classes=PAIR)
    original = data.records.read

    def read(*prefixes):
        with pytest.raises(BlockingIOError):
            lock_folder(folder, '')
        return original(*prefixes)

    monkeypatch.setattr(data.records, 'read', read)
    dataset = data.load_images('pets', folder, Layout(32))
    assert set(dataset.splits) == {'train', 'val'}
    lock_folder(folder, '').close()


def test_a_share_of_every_class_is_held_out(folder, random):
    written = write_folders(folder, random, 10, 0, PAIR)
    write(os.path.join(folder, 'train', 'dog', 'more.png'), picture(random))
    about = make(folder, Layout(32, 0.3))
    assert about['train']['labels'] == [7, 8] and about['val']['labels'] == [3, 3]
    trained, tested = (
        {image.tobytes() for _, _, image in records(os.path.join(folder, f'images32-val0.3-split0-{split}'))}
        for split in ('train', 'val')
    )
    assert len(trained) == 15 and len(tested) == 6 and not trained & tested and len(written['train']) == 20
    again = make(folder, Layout(32, 0.3))
    other = make(folder, Layout(32, 0.3, split_seed=1))
    assert again == about and other['val']['content_sha256'] != about['val']['content_sha256']


def test_images_that_cannot_be_decoded_are_left_out_and_named(folder, random, capsys):
    write_folders(folder, random, classes=PAIR)
    write(os.path.join(folder, 'train', 'cat', '1.png'), b'no image')
    os.symlink('nowhere', os.path.join(folder, 'train', 'dog', os.fsdecode(b'\xff.jpg')))
    about = make(folder)
    assert about['train']['labels'] == [4, 5]
    assert sorted(about['train']['undecodable']) == ['cat/1.png', 'dog/\\udcff.jpg']
    assert 'images32-train: 2 images cannot be decoded and are left out' in capsys.readouterr().out


def test_a_network_is_evaluated_on_other_folders_by_its_own_classes_and_normalization(folder, random):
    write_folders(folder, random, 0, 3, {'dog': '.png'})
    traits = Traits((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    dataset = data.load_images('pets', folder, SMALL, splits=['val'], classes=['ape', 'cat', 'dog'], traits=traits)
    ((images, labels),) = dataset.evaluation_batches('val', 9)
    pixels = dataset.splits['val'][0]
    np.testing.assert_allclose(images[:, 1], (pixels[:, 1] - 2.0) / 5, rtol=1e-6)
    assert labels.tolist() == [2, 2, 2] and dataset.test_split == 'val'


def test_classes_that_a_network_does_not_know_are_an_error(folder, random):
    write_folders(folder, random, classes=PAIR)
    fails(folder, 'have dog, which the network does not have', splits=['val'], classes=['ape', 'cat'])
    make(folder)
    for split in ('train', 'val'):
        shutil.rmtree(os.path.join(folder, split))
    with pytest.raises(UserError, match='have other classes than the network'):
        make(folder, splits=['val'], classes=['cat', 'dog', 'eel'])
    assert make(folder, splits=['val'], classes=['cat', 'dog'])['val']['labels'] == [2, 2]


def test_packed_splits_of_different_classes_are_an_error(folder, random):
    """An evaluation by a network with the same classes in another order leaves its own validation images there."""
    write_folders(folder, random, classes=PAIR)
    make(folder)
    make(folder, splits=['val'], classes=['dog', 'cat'])
    for split in ('train', 'val'):
        shutil.move(os.path.join(folder, split), os.path.join(folder, f'my {split}'))
    with pytest.raises(UserError, match='have other classes than one another: put them back'):
        make(folder)
    for split in ('train', 'val'):
        shutil.move(os.path.join(folder, f'my {split}'), os.path.join(folder, split))
    assert make(folder)['val']['classes'] == ['cat', 'dog']


def test_an_images_name_may_have_a_line_break(folder, random):
    write_folders(folder, random, 3, 1, PAIR)
    shutil.copy(os.path.join(folder, 'train', 'cat', '1.png'), os.path.join(folder, 'train', 'cat', '1\n.png'))
    assert make(folder)['train']['labels'] == [4, 3]


def remove(*path):
    return lambda folder, random: shutil.rmtree(os.path.join(folder, *path))


def move_up(folder, random):
    """Images that are in no folder."""
    os.rename(os.path.join(folder, 'train', 'cat'), os.path.join(folder, 'all'))
    remove('train')(folder, random)
    os.rename(os.path.join(folder, 'all'), os.path.join(folder, 'train'))


def empty(*path):
    def change(folder, random):
        remove(*path)(folder, random)
        write(os.path.join(folder, *path, 'notes.txt'), b'')
        write(os.path.join(folder, *path, '.hidden.png'), b'')

    return change


@pytest.mark.parametrize(
    'change, layout, expected',
    [
        (remove('train'), SMALL, 'has neither train/<class>/* nor train.rec'),
        (remove('val'), SMALL, 'a share of the training images with --val-fraction'),
        (remove('train', 'dog'), SMALL, 'has one class, cat'),
        (empty('train', 'dog'), SMALL, 'train/dog has no image (JPEG, PNG, WebP or BMP)'),
        (move_up, SMALL, 'train has no folders: put the images of each class into a folder of its own'),
        (
            lambda folder, random: os.rename(os.path.join(folder, 'val', 'dog'), os.path.join(folder, 'val', 'wolf')),
            SMALL,
            'have wolf, which train does not have',
        ),
        (lambda folder, random: None, Layout(32, 0.2), 'has validation images, in val: leave out --val-fraction'),
        (remove('val'), Layout(32, 0.95), 'has 5 images of cat, of which --val-fraction 0.95 leaves none to train on'),
    ],
)
def test_a_mistake_is_one_error_and_leaves_nothing(folder, random, change, layout, expected):
    write_folders(folder, random, classes=PAIR)
    change(folder, random)
    fails(folder, expected, layout)


def test_a_class_none_of_whose_images_can_be_decoded_is_an_error(folder, random):
    write_folders(folder, random, 2, 1, PAIR)
    for i in range(2):
        write(os.path.join(folder, 'train', 'dog', f'{i}.png'), b'')
    for _ in range(2):
        with pytest.raises(UserError, match='none of the training images of dog can be decoded'):
            make(folder)


def test_an_empty_folder_is_an_error_and_stays(folder):
    os.mkdir(folder)
    with pytest.raises(UserError, match='has neither train/<class>'):
        data.load_images('pets', folder, SMALL)
    assert os.path.isdir(folder)
    with pytest.raises(UserError, match='there is no folder'):
        data.load_images('pets', folder + '-else', SMALL)
