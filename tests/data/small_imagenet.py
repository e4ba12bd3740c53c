"""A small ImageNet for the tests: as folders or as the official tar files, with what is known of its records."""

import glob
import io
import os
import tarfile

import numpy as np
from PIL import Image
import pytest
from scipy.io import savemat

from common.errors import UserError
from common.mxnet import mx
from data import imagenet

WNIDS = ['n00000003', 'n00000010', 'n00000021', 'n00000100']
# the devkit's numbering, which is not the order of the wnids; 5 is no leaf
NUMBERS = {3: 'n00000003', 1: 'n00000010', 4: 'n00000021', 2: 'n00000100', 5: 'n00000001'}


def encoded(image, **options):
    """An image's file, JPEG unless told otherwise."""
    file = io.BytesIO()
    image.save(file, **{'format': 'JPEG', 'quality': 90, **options})
    return file.getvalue()


def picture(random, width=40, height=30, mode='RGB', **options):
    """The file of an image of smooth noise."""
    noise = Image.fromarray(random.randint(0, 256, (4, 5, 3)).astype(np.uint8))
    return encoded(noise.resize((width, height), Image.BICUBIC).convert(mode), **options)


class Copy:
    """A small ImageNet. train: {file name: bytes}; val: {file name: (wnid, bytes)}."""

    def __init__(self, random, per_class=5, val=10):
        self.train = {f'{wnid}_{i}.JPEG': picture(random, 40 + i) for wnid in WNIDS for i in range(per_class)}
        self.val = {
            f'ILSVRC2012_val_{i + 1:08d}.JPEG': (WNIDS[random.randint(4)], picture(random, 30, 40 + i))
            for i in range(val)
        }

    def order(self, split):
        """The file names in the order of the records."""
        names = sorted(getattr(self, split))
        return names if split == 'val' else [names[i] for i in np.random.RandomState(2016).permutation(len(names))]

    def label(self, split, name):
        """The label of an image."""
        return WNIDS.index(self.val[name][0] if split == 'val' else name.split('_')[0])

    def write_folders(self, folder, splits=('train', 'val')):
        """As folders by wnid, with files beside the images that are none; returns the folder."""
        for split in splits:
            for name, content in getattr(self, split).items():
                wnid, content = content if split == 'val' else (name.split('_')[0], content)
                write(os.path.join(str(folder), split, wnid, name), content)
                write(os.path.join(str(folder), split, wnid, '._' + name), b'an Apple was here')
        write(os.path.join(str(folder), splits[0], 'README.txt'), b'')
        return str(folder)

    def write_tars(self, folder):
        """As the official tar files and the devkit; returns the folder."""
        inner = {
            wnid + '.tar': tar({name: content for name, content in self.train.items() if name.startswith(wnid)})
            for wnid in reversed(WNIDS)
        }
        write(os.path.join(str(folder), 'ILSVRC2012_img_train.tar'), tar(inner))
        write(
            os.path.join(str(folder), 'ILSVRC2012_img_val.tar'),
            tar({name: self.val[name][1] for name in sorted(self.val, reverse=True)}),
        )
        write_devkit(folder, [self.val[name][0] for name in sorted(self.val)])
        return str(folder)


def write(path, content):
    """A file, and the folders that it needs."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content)


def edit(path, change):
    """Replace a file's bytes by a function of them."""
    with open(path, 'rb') as file:
        content = file.read()
    write(path, change(content))


def cut(path, count):
    """Take bytes off a file's end."""
    os.truncate(path, os.path.getsize(path) - count)


def tar(contents, mode='w'):
    """The bytes of a tar file of {name: bytes}."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def write_devkit(folder, wnids):
    """The devkit, packed, with the validation images' classes in the order of their names."""
    synsets = np.zeros(
        len(NUMBERS),
        [
            (name, object)
            for name in (
                'ILSVRC2012_ID',
                'WNID',
                'words',
                'gloss',
                'num_children',
                'children',
                'wordnet_height',
                'num_train_images',
            )
        ],
    )
    for row, (number, wnid) in zip(synsets, NUMBERS.items()):
        row['ILSVRC2012_ID'], row['WNID'], row['words'], row['gloss'] = float(number), wnid, 'a, b', 'c'
        row['num_children'], row['children'] = (2.0, [1.0, 2.0]) if number == 5 else (0.0, [])
        row['wordnet_height'], row['num_train_images'] = 0.0, 0.0
    meta = io.BytesIO()
    savemat(meta, {'synsets': synsets})
    number_of = {wnid: number for number, wnid in NUMBERS.items()}
    write(
        os.path.join(str(folder), 'ILSVRC2012_devkit_t12.tar.gz'),
        tar(
            {
                'ILSVRC2012_devkit_t12/data/meta.mat': meta.getvalue(),
                'ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt': ''.join(
                    f'{number_of[wnid]}\n' for wnid in wnids
                ).encode(),
            },
            'w:gz',
        ),
    )


def prepare(folder, **options):
    """imagenet.prepare() in this process, of what is not official."""
    return imagenet.prepare(str(folder), **{'verify': False, 'processes': 0, **options})


def prepare_fails(folder, expected, **options):
    """prepare() says what is wrong in a line, and leaves nothing."""
    before = glob.glob(os.path.join(str(folder), 'imagenet-*'))
    with pytest.raises(UserError, match=expected) as error:
        prepare(folder, **options)
    assert '\n' not in str(error.value)
    assert glob.glob(os.path.join(str(folder), 'imagenet-*')) == before


def records(prefix):
    """[(id, label, image (height, width, 3) RGB)] of PREFIX.rec, read by its index."""
    reader = mx.recordio.MXIndexedRecordIO(str(prefix) + '.idx', str(prefix) + '.rec', 'r')
    found = []
    for key in reader.keys:
        header, content = mx.recordio.unpack(reader.read_idx(key))
        assert header.id == key
        found.append((key, header.label, np.array(Image.open(io.BytesIO(content)))))
    reader.close()
    return found


def contents(folder, prefix='imagenet-'):
    """{name: bytes} of the files whose names begin with prefix."""
    found = {}
    for path in glob.glob(os.path.join(str(folder), prefix + '*')):
        with open(path, 'rb') as file:
            found[os.path.basename(path)] = file.read()
    return found
