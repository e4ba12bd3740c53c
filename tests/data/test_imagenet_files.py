"""Finding ImageNet's images: folders, tar files, the devkit; a line for what cannot be used."""

import glob
import os
import tarfile

import pytest

from data.imagenet_files import find_images
from tests.data.small_imagenet import edit, prepare, prepare_fails, tar, write, write_devkit

pytestmark = pytest.mark.usefixtures('small_sides')


def found(source, by_devkit=False):
    """{(file name, wnid, bytes)} of the images found."""
    return {(original.name, original.wnid, original.read()) for original in find_images(str(source), by_devkit)}


def expected(copy, split):
    """What has to be found of a copy."""
    if split == 'val':
        return {(name, wnid, content) for name, (wnid, content) in copy.val.items()}
    return {(name, name.split('_')[0], content) for name, content in copy.train.items()}


def test_tars_and_folders_have_the_same_images(copy, tmp_path):
    copy.write_tars(tmp_path / 'tars')
    copy.write_folders(tmp_path / 'folders')
    for split in ('train', 'val'):
        by_devkit = split == 'val'
        assert found(tmp_path / 'tars' / f'ILSVRC2012_img_{split}.tar', by_devkit) == expected(copy, split)
        assert found(tmp_path / 'folders' / split, by_devkit) == expected(copy, split)


def test_tars_of_folders_do_as_well(copy, tmp_path):
    write(
        str(tmp_path / 'train.tar'),
        tar({f'./train/{name.split("_")[0]}/{name}': content for name, content in copy.train.items()}),
    )
    write(str(tmp_path / 'val.tar'), tar({f'{wnid}/{name}': content for name, (wnid, content) in copy.val.items()}))
    assert found(tmp_path / 'train.tar') == expected(copy, 'train')
    assert found(tmp_path / 'val.tar') == expected(copy, 'val')


def test_validation_images_in_no_folders_are_labeled_by_the_devkit_unpacked_or_not(copy, tmp_path):
    copy.write_tars(tmp_path)
    with tarfile.open(str(tmp_path / 'ILSVRC2012_img_val.tar')) as file:
        file.extractall(str(tmp_path / 'val'))
    assert found(tmp_path / 'val', True) == expected(copy, 'val')
    with tarfile.open(str(tmp_path / 'ILSVRC2012_devkit_t12.tar.gz')) as file:
        file.extractall(str(tmp_path))
    os.remove(str(tmp_path / 'ILSVRC2012_devkit_t12.tar.gz'))
    assert found(tmp_path / 'val', True) == expected(copy, 'val')


def test_a_file_that_cannot_be_read_is_found_all_the_same(copy, tmp_path):
    """It is named as undecodable later."""
    copy.write_folders(tmp_path)
    os.symlink('nowhere', str(tmp_path / 'val' / 'n00000021' / 'a_dangling.JPEG'))
    assert ('a_dangling.JPEG', 'n00000021', b'') in found(tmp_path / 'val')


# Users' mistakes


def overwrite(content, needle):
    """Destroy the tar header that names a file."""
    place = content.index(needle)
    return content[:place] + b'x' * 512 + content[place + 512 :]


@pytest.mark.parametrize(
    'name, change, problem',
    [
        ('train.tar', lambda content: content[: len(content) // 2], 'train.tar cannot be read .*truncated or altered'),
        ('train.tar', lambda content: content[:-15000], 'train.tar cannot be read'),
        ('train.tar', lambda content: overwrite(content, b'n00000010.tar'), r'train.tar cannot be read \(no header at'),
        ('train.tar', lambda content: overwrite(content, b'n00000010_3.'), r'train.tar cannot be read \(no header at'),
        (
            'val.tar',
            lambda content: overwrite(content, b'ILSVRC2012_val_00000003'),
            r'val.tar cannot be read \(no header',
        ),
        (
            'val.tar',
            lambda content: content[: content.index(b'ILSVRC2012_val_00000003') + 100],
            'val.tar cannot be read',
        ),
        ('val.tar', lambda content: b'', 'val.tar cannot be read'),
        ('val.tar', lambda content: b'<html>not found</html>' * 1000, 'val.tar cannot be read'),
        ('train.tar', lambda content: tar({'readme.txt': b'x'}), 'train.tar has no images by class'),
        ('train.tar', lambda content: tar({'n00000003.tar': tar({})}), 'n00000003.tar in .*train.tar has no JPEG'),
        (
            'devkit',
            lambda content: content[: len(content) // 2],
            'devkit_t12 in .* cannot be read .*truncated or altered',
        ),
        ('devkit', lambda content: b'', 'devkit_t12 in .* cannot be read'),
        (
            'devkit',
            lambda content: tar({'ILSVRC2012_devkit_t12/data/meta.mat': b'x' * 1000}),
            'devkit_t12 in .* cannot be',
        ),
    ],
)
def test_a_damaged_file_is_one_line(copy, tmp_path, name, change, problem):
    folder = copy.write_tars(tmp_path)
    edit(glob.glob(f'{folder}/*{name}*')[0], change)
    prepare_fails(folder, problem)


def test_labels_that_do_not_fit_are_one_line(copy, tmp_path):
    folder = copy.write_tars(tmp_path)
    write_devkit(folder, ['n00000003'] * 9)
    prepare_fails(folder, 'val.tar has 10 images, but the ground truth in ILSVRC2012_devkit_t12 has 9 lines')
    write_devkit(folder, ['n00000003'] * 9 + ['n00000001'])
    prepare_fails(folder, 'val.tar has images of n00000001, which the training images do not have')
    os.remove(os.path.join(folder, 'ILSVRC2012_devkit_t12.tar.gz'))
    prepare_fails(folder, 'has no labels: put ILSVRC2012_devkit_t12.tar.gz of https://image-net.org beside it')


def test_folders_that_cannot_be_used_are_one_line(copy, tmp_path):
    folder = copy.write_folders(tmp_path)
    write(os.path.join(folder, 'val', 'n00000099', '1.JPEG'), b'')
    prepare_fails(folder, 'val has images of n00000099, which the training images do not have')
    os.remove(os.path.join(folder, 'val', 'n00000099', '1.JPEG'))
    prepare_fails(folder, 'val/n00000099 has no JPEG')
    os.rename(os.path.join(folder, 'train'), os.path.join(folder, 'kept'))
    write(os.path.join(folder, 'train', 'goldfish', '1.JPEG'), b'')
    prepare_fails(folder, 'train has no images by class: its folders must be named by wnid')


def test_the_devkits_numbers_stand_for_wnids(copy, tmp_path):
    """One image of each class."""
    wnids = sorted(['n00000003', 'n00000010', 'n00000021', 'n00000100'])
    images = list(copy.train.values())[:4]
    write(str(tmp_path / 'val.tar'), tar({f'{i}.JPEG': image for i, image in enumerate(images)}))
    write_devkit(tmp_path, wnids[::-1])
    assert sorted((name, wnid) for name, wnid, _ in found(tmp_path / 'val.tar', True)) == [
        (f'{i}.JPEG', wnid) for i, wnid in enumerate(wnids[::-1])
    ]


def header(name, **attributes):
    """A member of a tar file that says what it likes, without content."""
    member = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(member, key, value)
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    'members, problem',
    [
        (header('n00000003/1.JPEG', type=tarfile.LNKTYPE, linkname='n00000003/2.JPEG'), '1.JPEG is not a plain file'),
        (header('n00000003/1.JPEG', type=tarfile.SYMTYPE, linkname='/etc/passwd'), '1.JPEG is not a plain file'),
        (header('n00000003/1.JPEG', type=tarfile.FIFOTYPE), '1.JPEG is not a plain file'),
        (header('n00000003/1.JPEG', type=tarfile.BLKTYPE), '1.JPEG is not a plain file'),
        (header('n00000003.tar', type=tarfile.SYMTYPE, linkname='x'), 'n00000003.tar is not a plain file'),
        (header('n00000003/1.JPEG', type=tarfile.GNUTYPE_SPARSE), '1.JPEG is not a plain file'),
        (header('n00000003/1.JPEG', size=1 << 40), 'unexpected end of data'),
        (header('n00000003/1.JPEG', size=-(1 << 20)), 'train.tar cannot be read'),
        (header('x', type=tarfile.GNUTYPE_LONGNAME, size=1 << 40), 'train.tar cannot be read'),
        (header('x', type=tarfile.XHDTYPE, size=1 << 40), 'train.tar cannot be read'),
        (header('x', type=tarfile.XHDTYPE, size=-(1 << 40)), 'train.tar cannot be read'),
        (header('x', type=tarfile.GNUTYPE_LONGNAME) * 3000, 'train.tar cannot be read'),
        (
            tar({'n00000003.tar': tar({'n00000003.tar': tar({'1.JPEG': b''})})}),
            'n00000003.tar is a tar file in n00000003.tar',
        ),
        (tar({'n00000003/1.JPEG': b'x'})[:1024] + tar({'./n00000003/1.JPEG': b'y'}), 'has 1.JPEG twice'),
    ],
)
def test_a_member_that_is_odd_is_refused_by_its_name(copy, tmp_path, members, problem):
    folder = copy.write_tars(tmp_path)
    write(glob.glob(f'{folder}/*train.tar')[0], members)
    prepare_fails(folder, problem)


def test_members_that_lead_elsewhere_write_nothing(copy, tmp_path):
    """Their names are those of images all the same."""
    os.mkdir(str(tmp_path / 'deep'))
    contents = {f'../../{name.split("_")[0]}/{name}': content for name, content in copy.train.items()}
    write(str(tmp_path / 'deep' / 'train.tar'), tar(contents))
    before = sorted(os.walk(str(tmp_path)))
    assert found(tmp_path / 'deep' / 'train.tar') == expected(copy, 'train')
    assert sorted(os.walk(str(tmp_path))) == before


@pytest.mark.parametrize('name', ['ILSVRC2012_img_train.tar', 'ILSVRC2012_img_val.tar', 'ILSVRC2012_devkit_t12.tar.gz'])
def test_a_pipe_is_no_archive_and_nobody_waits_for_it(copy, tmp_path, name):
    folder = copy.write_tars(tmp_path)
    os.remove(os.path.join(folder, name))
    os.mkfifo(os.path.join(folder, name))
    prepare_fails(folder, f'{name} is not a file')


# Folders as they are found


@pytest.mark.parametrize(
    'add',
    [
        lambda train: [write(os.path.join(train, *where, '.DS_Store'), b'x') for where in ((), ('n00000003',))],
        lambda train: os.mkdir(os.path.join(train, 'n00000003', 'x.JPEG')),
        lambda train: os.mkdir(os.fsencode(train) + b'/\xff\xfe'),
        lambda train: write(os.path.join(train, 'n00000098'), b'a file'),
    ],
)
def test_what_is_no_image_is_passed_over(copy, tmp_path, add):
    folder = copy.write_folders(tmp_path)
    add(os.path.join(folder, 'train'))
    assert found(os.path.join(folder, 'train')) == expected(copy, 'train')


def test_names_of_any_bytes_are_found(copy, tmp_path):
    folder, content = copy.write_folders(tmp_path), next(iter(copy.train.values()))
    names = [b'\xff\xfe.JPEG', b'\x1b[31m\n.jpg', 'é.Jpeg'.encode()]
    for name in names:
        with open(os.path.join(os.fsencode(folder), b'train/n00000003', name), 'wb') as file:
            file.write(content)
    added = {(os.fsdecode(name), 'n00000003', content) for name in names}
    assert found(os.path.join(folder, 'train')) == expected(copy, 'train') | added


def test_pipes_and_links_to_nowhere_are_named_as_undecodable(copy, tmp_path):
    folder = copy.write_folders(tmp_path)
    where = os.path.join(folder, 'train', 'n00000003')
    os.mkfifo(os.path.join(where, 'pipe.JPEG'))
    os.symlink('loop.JPEG', os.path.join(where, 'loop.JPEG'))
    os.symlink('/dev/zero', os.path.join(where, 'device.JPEG'))
    assert sorted(prepare(folder)['train']['undecodable']) == ['device.JPEG', 'loop.JPEG', 'pipe.JPEG']


@pytest.mark.parametrize('target', ['nowhere', 'n00000099', 'n00000003/n00000003_0.JPEG'])
def test_a_class_that_is_a_link_to_no_folder_is_one_line(copy, tmp_path, target):
    """All labels behind it would be others without it."""
    folder = copy.write_folders(tmp_path)
    os.symlink(target, os.path.join(folder, 'train', 'n00000099'))
    prepare_fails(folder, 'train/n00000099 is a link to no folder')


@pytest.mark.parametrize(
    'save',
    [
        lambda text: text.replace(b'\n', b'\r\n'),
        lambda text: b'\xef\xbb\xbf' + text,
        lambda text: b''.join(b'"%s"\r\n' % line for line in text.split()),
        lambda text: text + b'\n \r\n\n',
    ],
)
def test_numbers_that_another_program_saved_are_the_same(copy, tmp_path, save):
    folder = copy.write_tars(tmp_path)
    devkit = os.path.join(folder, 'ILSVRC2012_devkit_t12')
    with tarfile.open(devkit + '.tar.gz') as file:
        file.extractall(folder)
    os.remove(devkit + '.tar.gz')
    edit(os.path.join(devkit, 'data', 'ILSVRC2012_validation_ground_truth.txt'), save)
    assert found(os.path.join(folder, 'ILSVRC2012_img_val.tar'), True) == expected(copy, 'val')


@pytest.mark.parametrize('text', [b'hello\n' * 10, b'77\n' * 10, b'1.0\n' * 10, b'\xff\xfe1\0\n\0' * 10, b''])
def test_numbers_that_are_none_are_one_line(copy, tmp_path, text):
    folder = copy.write_tars(tmp_path)
    devkit = os.path.join(folder, 'ILSVRC2012_devkit_t12')
    with tarfile.open(devkit + '.tar.gz') as file:
        file.extractall(folder)
    write(os.path.join(devkit, 'data', 'ILSVRC2012_validation_ground_truth.txt'), text)
    prepare_fails(folder, 'ILSVRC2012_devkit_t12')
