"""ImageNet's preparation: labels, order and pixels against an account of their own; interruptions; users' mistakes."""
import fcntl
import glob
import io
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import data
from common.mxnet import mx
from data import imagenet, packing
from common.errors import UserError
from tests.conftest import ROOT, official_folder

WNIDS = ['n00000003', 'n00000010', 'n00000021', 'n00000100']
# the devkit's numbering, which is not the order of the wnids; 5 is no leaf
NUMBERS = {3: 'n00000003', 1: 'n00000010', 4: 'n00000021', 2: 'n00000100', 5: 'n00000001'}
TRAIN, VAL = 480, 256  # shorter sides


def encoded(image, **options):
    """An image's file, JPEG unless told otherwise."""
    file = io.BytesIO()
    image.save(file, **dict({'format': 'JPEG', 'quality': 90}, **options))
    return file.getvalue()


def picture(random, width=40, height=30, mode='RGB', **options):
    """The JPEG of smooth noise."""
    noise = Image.fromarray(random.randint(0, 256, (4, 5, 3)).astype(np.uint8))
    return encoded(noise.resize((width, height), Image.BICUBIC).convert(mode), **options)


class Copy:
    """A small ImageNet. train: {file name: bytes}; val: {file name: (wnid, bytes)}."""

    def __init__(self, random, per_class=5, val=10):
        self.train = {'%s_%d.JPEG' % (wnid, i): picture(random, 40 + i) for wnid in WNIDS for i in range(per_class)}
        self.val = {'ILSVRC2012_val_%08d.JPEG' % (i + 1): (WNIDS[random.randint(4)], picture(random, 30, 40 + i))
                    for i in range(val)}

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
        inner = {wnid + '.tar': tar({name: content for name, content in self.train.items() if name.startswith(wnid)})
                 for wnid in reversed(WNIDS)}
        write(os.path.join(str(folder), 'ILSVRC2012_img_train.tar'), tar(inner))
        write(os.path.join(str(folder), 'ILSVRC2012_img_val.tar'), tar(
            {name: self.val[name][1] for name in sorted(self.val, reverse=True)}))
        write_devkit(folder, [self.val[name][0] for name in sorted(self.val)])
        return str(folder)


def write(path, content):
    """A file, and the folders that it needs."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content)


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
    synsets = np.zeros(len(NUMBERS), [(name, object) for name in (
        'ILSVRC2012_ID', 'WNID', 'words', 'gloss', 'num_children', 'children', 'wordnet_height', 'num_train_images')])
    for row, (number, wnid) in zip(synsets, NUMBERS.items()):
        row['ILSVRC2012_ID'], row['WNID'], row['words'], row['gloss'] = float(number), wnid, 'a, b', 'c'
        row['num_children'], row['children'] = (2.0, [1.0, 2.0]) if number == 5 else (0.0, [])
        row['wordnet_height'], row['num_train_images'] = 0.0, 0.0
    meta = io.BytesIO()
    savemat(meta, {'synsets': synsets})
    number_of = {wnid: number for number, wnid in NUMBERS.items()}
    write(os.path.join(str(folder), 'ILSVRC2012_devkit_t12.tar.gz'), tar({
        'ILSVRC2012_devkit_t12/data/meta.mat': meta.getvalue(),
        'ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt':
            ''.join('%d\n' % number_of[wnid] for wnid in wnids).encode()}, 'w:gz'))


@pytest.fixture
def copy(random):
    return Copy(random)


def prepare(folder, **options):
    """prepare() in this process, of what is not official."""
    return imagenet.prepare(str(folder), **dict({'verify': False, 'processes': 0}, **options))


def records(folder, split):
    """[(id, label, image (height, width, 3) RGB)] of a split, read by its index."""
    prefix = os.path.join(str(folder), 'imagenet-' + split)
    reader = mx.recordio.MXIndexedRecordIO(prefix + '.idx', prefix + '.rec', 'r')
    found = []
    for key in reader.keys:
        header, content = mx.recordio.unpack(reader.read_idx(key))
        assert header.id == key
        found.append((key, header.label, np.array(Image.open(io.BytesIO(content)))))
    reader.close()
    return found


def contents(folder):
    """{name: bytes} of the prepared files; there is nothing else of theirs."""
    found = {}
    for path in glob.glob(os.path.join(str(folder), 'imagenet-*')):
        with open(path, 'rb') as file:
            found[os.path.basename(path)] = file.read()
    assert sorted(found) == ['imagenet-%s.%s' % (split, kind) for split in ('train', 'val')
                             for kind in ('idx', 'json', 'rec')]
    return found


def test_tars_and_folders_give_the_same_records_and_the_right_labels(copy, tmp_path):
    about = prepare(copy.write_tars(tmp_path / 'tars'))
    assert about == prepare(copy.write_folders(tmp_path / 'folders'))
    assert contents(tmp_path / 'tars') == contents(tmp_path / 'folders')
    for split, count in (('train', 20), ('val', 10)):
        found = records(tmp_path / 'tars', split)
        assert [i for i, _, _ in found] == list(range(count))
        labels = [copy.label(split, name) for name in copy.order(split)]
        assert [label for _, label, _ in found] == labels
        assert about[split]['labels'] == np.bincount(labels, minlength=4).tolist()
        assert about[split]['classes'] == WNIDS and about[split]['records'] == count
    labels = [label for _, label, _ in records(tmp_path / 'tars', 'train')]
    assert len(set(labels[:10])) > 2  # not sorted by class
    assert prepare(tmp_path / 'tars') == about  # which changes nothing
    assert not any(entry['verified'] for entry in about.values())


def test_validation_pixels_are_resampled_once_and_training_pixels_nearly(copy, tmp_path):
    copy.train['n00000003_77.JPEG'] = picture(np.random.RandomState(1), 1000, 600)
    copy.val['ILSVRC2012_val_00000011.JPEG'] = 'n00000010', picture(np.random.RandomState(1), 700, 401)
    copy.val['ILSVRC2012_val_00000012.JPEG'] = 'n00000010', picture(np.random.RandomState(2), 256, 300)
    prepare(copy.write_folders(tmp_path))
    sizes = set()
    for (_, _, image), name in zip(records(tmp_path, 'val'), copy.order('val')):
        original = Image.open(io.BytesIO(copy.val[name][1])).convert('RGB')
        size = {(700, 401): (447, 256), (256, 300): (256, 300)}.get(
            original.size, (VAL, int(original.height * VAL / 30 + 0.5)))
        np.testing.assert_array_equal(image, np.array(original.resize(size, Image.BILINEAR)))
        sizes.add(size)
    assert len(sizes) == 12
    for (_, _, image), name in zip(records(tmp_path, 'train'), copy.order('train')):
        original = Image.open(io.BytesIO(copy.train[name]))
        size = (800, 480) if original.width == 1000 else (original.width * TRAIN // 30, TRAIN)
        difference = image - np.array(original.resize(size, Image.BILINEAR), np.float64)
        assert image.shape == (size[1], size[0], 3) and np.abs(difference).mean() < 3


@pytest.mark.parametrize('size, shorter, expected', [
    ((500, 375), 480, (640, 480)), ((375, 500), 256, (256, 341)), ((500, 334), 256, (383, 256)),
    ((480, 480), 480, (480, 480)), ((3, 2), 255, (383, 255)), ((1, 7), 480, (480, 3360)),
    ((641, 480), 480, (641, 480))])
def test_the_longer_side_is_rounded_to_the_nearest(size, shorter, expected):
    assert packing.target_size(size, shorter) == expected


def test_mxnets_iterator_reads_them_in_parts(copy, tmp_path):
    prepare(copy.write_tars(tmp_path))
    labels = []
    for part in range(2):
        iterator = mx.io.ImageRecordIter(
            path_imgrec=str(tmp_path / 'imagenet-train.rec'), path_imgidx=str(tmp_path / 'imagenet-train.idx'),
            data_shape=(3, 480, 480), batch_size=10, num_parts=2, part_index=part, round_batch=False, verbose=False)
        labels += [label for batch in iterator for label in batch.label[0].asnumpy()]
    assert labels == [copy.label('train', name) for name in copy.order('train')]


def test_the_files_are_those_that_mxnet_writes_in_one_go(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, 'CHUNK', 3)
    prepare(copy.write_folders(tmp_path))
    for split in ('train', 'val'):
        reader = mx.recordio.MXRecordIO(str(tmp_path / ('imagenet-%s.rec' % split)), 'r')
        writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / 'again.idx'), str(tmp_path / 'again.rec'), 'w')
        for i, content in enumerate(iter(reader.read, None)):
            writer.write_idx(i, content)
        writer.close()
        for kind in ('.idx', '.rec'):
            assert (tmp_path / ('again' + kind)).read_bytes() == contents(tmp_path)['imagenet-' + split + kind]


ODD = {
    'a': lambda random: picture(random, mode='CMYK'),
    'b': lambda random: picture(random, mode='L'),
    'c': lambda random: picture(random, format='PNG'),
    'd': lambda random: picture(random, mode='P', format='PNG', transparency=0),
    'e': lambda random: picture(random, exif=b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06' + bytes(6)),
    'f': lambda random: picture(random, icc_profile=b'x' * 500, comment=b'y' * 500),
    'g': lambda random: picture(random, 400, 300)[:-500],
    'h': lambda random: b'',
    'i': lambda random: b'not an image\n' * 50,
    'j': lambda random: picture(random, format='GIF'),
    'k': lambda random: picture(random, 2, 1000),
    'l': lambda random: picture(random, 10, 9000),
}


def test_odd_images_are_converted_and_undecodable_ones_named(tmp_path, random, copy, capsys):
    copy.val = {'%s.JPEG' % name: ('n00000021', make(random)) for name, make in ODD.items()}
    about = prepare(copy.write_folders(tmp_path))['val']
    assert about['undecodable'] == ['g.JPEG', 'h.JPEG', 'i.JPEG', 'j.JPEG', 'k.JPEG', 'l.JPEG']
    out = capsys.readouterr().out
    assert '6 images cannot be decoded' in out and 'g.JPEG' in out and 'imagenet-val.json' in out
    found = records(tmp_path, 'val')
    assert [i for i, _, _ in found] == list(range(6)) and about['labels'] == [0, 0, 6, 0]
    for (i, label, image), (_, content) in zip(found, copy.val.values()):
        expected = Image.open(io.BytesIO(content)).convert('RGB').resize((341, 256), Image.BILINEAR)
        np.testing.assert_array_equal(image, np.array(expected))
    assert Image.open(io.BytesIO(copy.val['e.JPEG'][1])).getexif()[0x112] == 6  # would turn the image
    with open(str(tmp_path / 'imagenet-val.rec'), 'rb') as file:
        stored = file.read()
    assert b'xxxxxx' not in stored and b'yyyyyy' not in stored and b'eXIf' not in stored


def test_files_that_cannot_be_read_are_named_as_well(tmp_path, copy):
    copy.write_folders(tmp_path)
    os.symlink('nowhere', str(tmp_path / 'val' / 'n00000021' / 'a_dangling.JPEG'))
    job = imagenet._jobs(str(tmp_path), {'train': None, 'val': None}, False)['val']
    os.remove(os.path.join(job.originals[0].where, job.originals[0].name))  # between the listing and the reading
    about = packing.pack(str(tmp_path / 'imagenet-val'), job, 0)
    assert about['undecodable'] == [job.originals[0].name, 'a_dangling.JPEG']


def test_an_evaluation_needs_the_validation_images_alone(tmp_path, copy):
    folder = copy.write_folders(tmp_path, ['val'])
    dataset = data.load_for_evaluation('imagenet', folder, verify=False)
    assert dataset.classes == tuple(sorted(WNIDS)) and list(dataset.about) == ['val']
    assert sum(len(labels) for _, labels in dataset.evaluation_batches('val', 3)) == len(copy.val)
    assert not (tmp_path / 'imagenet-train.rec').exists()


def test_images_none_of_which_can_be_decoded_are_an_error_and_leave_nothing(tmp_path, copy):
    copy.train = {name: content[:300] for name, content in copy.train.items()}
    prepare_fails(copy.write_folders(tmp_path), 'none of the 20 images for imagenet-train can be decoded, such as n0')
    assert not glob.glob(str(tmp_path / 'imagenet-*'))


def test_two_classes_with_the_same_file_names(tmp_path, random):
    """Sorted by name, then by wnid."""
    for wnid, size in (('n00000003', 30), ('n00000010', 40)):
        for split in ('train', 'val'):
            write(str(tmp_path / split / wnid / '1.jpg'), picture(random, 30, size))
    prepare(tmp_path)
    assert [(label, image.shape[0]) for _, label, image in records(tmp_path, 'val')] == [(0, 256), (1, 341)]


def test_validation_images_in_no_folders_are_labelled_by_the_devkit_unpacked_or_not(copy, tmp_path):
    packed, unpacked = tmp_path / 'packed', tmp_path / 'unpacked'
    copy.write_tars(packed)
    prepare(packed)
    copy.write_folders(unpacked, ['train'])
    for archive, where in (('img_val.tar', 'val'), ('devkit_t12.tar.gz', '')):
        with tarfile.open(str(packed / ('ILSVRC2012_' + archive))) as file:
            file.extractall(str(unpacked / where))
    prepare(unpacked)
    assert contents(packed) == contents(unpacked)


def test_tars_of_folders_do_as_well(copy, tmp_path):
    prepare(copy.write_folders(tmp_path / 'folders'))
    write(str(tmp_path / 'tars' / 'ILSVRC2012_img_train.tar'), tar(
        {'./train/%s/%s' % (name.split('_')[0], name): content for name, content in copy.train.items()}))
    write(str(tmp_path / 'tars' / 'ILSVRC2012_img_val.tar'), tar(
        {'%s/%s' % (wnid, name): content for name, (wnid, content) in copy.val.items()}))
    prepare(tmp_path / 'tars')
    assert contents(tmp_path / 'folders') == contents(tmp_path / 'tars')


# Interruptions

PREPARE = ('import errors, sys; from data import imagenet, packing; packing.CHUNK = 2\n'
           'errors.run(lambda: imagenet.prepare(sys.argv[1], verify=False, processes=int(sys.argv[2])) and None)')


def journal_lines(folder):
    """How many whole lines the journal of the training images has."""
    try:
        with open(os.path.join(str(folder), 'imagenet-train.unfinished.jsonl'), 'rb') as file:
            return file.read().count(b'\n')
    except FileNotFoundError:
        return 0


def start_and_signal(folder, processes, number, lines, pause=0.0):
    """Prepare; send a signal when the journal has so many lines. Returns (status, stdout, stderr)."""
    process = subprocess.Popen([sys.executable, '-c', PREPARE, str(folder), str(processes)], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               start_new_session=True)
    limit = time.time() + 60
    while journal_lines(folder) < lines and process.poll() is None and time.time() < limit:
        time.sleep(0.002)
    time.sleep(pause)
    # a terminal's Ctrl-C goes to the workers as well
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)  # which needs the end of the workers too: they have the same pipes
    return process.returncode, out, err


def test_a_preparation_interrupted_again_and_again_ends_in_the_same_bytes(tmp_path, random, monkeypatch):
    copy = Copy(random, per_class=0)
    large = [picture(random, 1300 + 100 * i, 1100) for i in range(4)]  # which take a while
    copy.train = {'%s_%d.JPEG' % (wnid, i): large[(i + j) % 4] for j, wnid in enumerate(WNIDS) for i in range(7)}
    folder = copy.write_folders(tmp_path / 'interrupted')
    monkeypatch.setattr(packing, 'CHUNK', 2)
    prepare(copy.write_tars(tmp_path / 'whole'))

    # a little after the header, while the worker starts
    assert start_and_signal(folder, 1, signal.SIGINT, 1, pause=0.3)[::2] == (130, 'error: interrupted\n')
    assert journal_lines(folder) == 1 and not glob.glob(folder + '/*.chunk*')
    assert start_and_signal(folder, 2, signal.SIGKILL, 3)[0] == -signal.SIGKILL
    assert journal_lines(folder) >= 3
    status, out, err = start_and_signal(folder, 1, signal.SIGTERM, 7)
    assert status == 128 + signal.SIGTERM and err == ''
    assert 'imagenet-train: going on after ' in out and 'the same command goes on from here' in out
    assert 7 <= journal_lines(folder) < 15 and not glob.glob(folder + '/*.chunk*')
    prepare(folder)
    assert contents(folder) == contents(tmp_path / 'whole')


@pytest.fixture
def unfinished(copy, tmp_path, monkeypatch):
    """A folder where the training images' preparation was interrupted after 4 chunks of 10."""
    monkeypatch.setattr(packing, 'CHUNK', 2)
    folder, append = copy.write_folders(tmp_path / 'unfinished'), packing._append

    def append_four(*args):
        append(*args)
        if journal_lines(folder) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, '_append', append_four)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder)
    return folder


def add(path, content):
    """Append bytes to a file."""
    with open(path, 'ab') as file:
        file.write(content)


def cut(path, count):
    """Take bytes off a file's end."""
    os.truncate(path, os.path.getsize(path) - count)


@pytest.mark.parametrize('damage, left', [
    (lambda prefix: None, 6),
    (lambda prefix: add(prefix + '.jsonl', b'{"chunk": 4, "byt'), 6),
    (lambda prefix: add(prefix + '.jsonl', b'{"chunk": 4, "bytes": 0}'), 6),
    (lambda prefix: add(prefix + '.jsonl', bytes(100)), 6),
    (lambda prefix: add(prefix + '.rec', bytes(1000)), 6),
    (lambda prefix: write(prefix + '.chunk1-8', b'x'), 6),
    (lambda prefix: cut(prefix + '.jsonl', 1), 7),
    (lambda prefix: cut(prefix + '.rec', 1), 7),
    (lambda prefix: os.remove(prefix + '.rec'), 10),
    (lambda prefix: os.remove(prefix + '.jsonl'), 10),
    (lambda prefix: write(prefix + '.jsonl', b'{"format": 0}\n'), 10),
])
def test_what_is_whole_is_kept(unfinished, copy, tmp_path, monkeypatch, damage, left):
    damage(os.path.join(unfinished, 'imagenet-train.unfinished'))
    made, write_chunk = [], packing._write_chunk
    monkeypatch.setattr(packing, '_write_chunk', lambda chunk: (made.append(chunk), write_chunk(chunk))[1])
    prepare(unfinished)
    assert len(made) == left + 5  # of the validation images
    prepare(copy.write_folders(tmp_path / 'whole'))
    assert contents(unfinished) == contents(tmp_path / 'whole')


def test_other_images_start_over(unfinished, copy, tmp_path, capsys):
    copy.train['n00000010_99.JPEG'] = next(iter(copy.train.values()))
    copy.write_folders(unfinished)
    capsys.readouterr()
    prepare(unfinished)
    assert 'going on' not in capsys.readouterr().out
    prepare(copy.write_folders(tmp_path / 'whole'))
    assert contents(unfinished) == contents(tmp_path / 'whole')


def test_another_process_at_it_is_one_line(unfinished):
    with open(os.path.join(unfinished, 'imagenet-train.unfinished.jsonl')) as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        prepare_fails(unfinished, 'another process is making .*imagenet-train.rec')
    prepare(unfinished)


@pytest.mark.parametrize('chunks, processes', [(0.5, 1), (2.5, 0)])
def test_a_full_disk_is_one_line_and_loses_nothing(copy, tmp_path, monkeypatch, command, chunks, processes):
    """RLIMIT_FSIZE stands for it: half a chunk does not fit into its file, or two chunks and a half into the .rec."""
    monkeypatch.setattr(packing, 'CHUNK', 2)
    whole = prepare(copy.write_folders(tmp_path / 'whole'))
    limit = int(whole['train']['rec_bytes'] / 10 * chunks)
    status, _, err = command(
        '-c', 'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d))\n%s' % (limit, limit, PREPARE),
        copy.write_folders(tmp_path / 'full'), processes)
    assert status == 2 and err.count('\n') == 1 and 'the disk is full; make room' in err, err
    assert journal_lines(tmp_path / 'full') == 1 + int(chunks)
    assert not glob.glob(str(tmp_path / 'full' / '*.chunk*'))
    prepare(tmp_path / 'full')
    assert contents(tmp_path / 'full') == contents(tmp_path / 'whole')


def test_a_workers_failure_ends_the_work_and_a_workers_death_too(monkeypatch):
    monkeypatch.setattr(packing, 'PATIENCE', 0.5)
    with packing._workers(1) as in_order:
        assert list(in_order(int, '123')) == [1, 2, 3]
        with pytest.raises(ValueError) as failure:
            list(in_order(int, ['1', 'x', '2']))
        assert 'Traceback' in str(failure.value.__cause__)
        with pytest.raises(UserError, match='was killed'):
            list(in_order(os._exit, [1]))


# Users' mistakes

def prepare_fails(folder, expected, **options):
    """prepare() says what is wrong in a line."""
    with pytest.raises(UserError, match=expected) as error:
        prepare(folder, **options)
    assert '\n' not in str(error.value)


def test_nothing_there_says_where_it_is_to_be_had(tmp_path, copy):
    prepare_fails(tmp_path / 'none', 'has neither ILSVRC2012_img_train.tar nor train/<wnid>/.*, and neither .*val.*'
                                     'without an account.*https://image-net.org')
    assert not (tmp_path / 'none').exists()
    prepare_fails(copy.write_folders(tmp_path, ['train']), 'has neither ILSVRC2012_img_val.tar nor val/<wnid>')
    assert not glob.glob(str(tmp_path / 'imagenet-*'))  # nothing is begun


def edit(path, change):
    """Replace a file's bytes by a function of them."""
    with open(path, 'rb') as file:
        content = file.read()
    write(path, change(content))


def overwrite(content, needle):
    """Destroy the tar header that names a file."""
    place = content.index(needle)
    return content[:place] + b'x' * 512 + content[place + 512:]


@pytest.mark.parametrize('name, change, expected', [
    ('train.tar', lambda content: content[:len(content) // 2], 'train.tar cannot be read .*truncated or altered'),
    ('train.tar', lambda content: content[:-15000], 'train.tar cannot be read'),
    ('train.tar', lambda content: overwrite(content, b'n00000010.tar'), r'train.tar cannot be read \(no header at'),
    ('train.tar', lambda content: overwrite(content, b'n00000010_3.'), r'train.tar cannot be read \(no header at'),
    ('val.tar', lambda content: overwrite(content, b'ILSVRC2012_val_00000003'), r'val.tar cannot be read \(no header'),
    ('val.tar', lambda content: content[:content.index(b'ILSVRC2012_val_00000003') + 100], 'val.tar cannot be read'),
    ('val.tar', lambda content: b'', 'val.tar cannot be read'),
    ('val.tar', lambda content: b'<html>not found</html>' * 1000, 'val.tar cannot be read'),
    ('train.tar', lambda content: tar({'readme.txt': b'x'}), 'train.tar has no images by class'),
    ('train.tar', lambda content: tar({'n00000003.tar': tar({})}), 'n00000003.tar in .*train.tar has no JPEG'),
    ('devkit', lambda content: content[:len(content) // 2], 'devkit_t12 in .* cannot be read .*truncated or altered'),
    ('devkit', lambda content: b'', 'devkit_t12 in .* cannot be read'),
    ('devkit', lambda content: tar({'ILSVRC2012_devkit_t12/data/meta.mat': b'x' * 1000}), 'devkit_t12 in .* cannot be'),
])
def test_a_damaged_file_is_one_line(copy, tmp_path, name, change, expected):
    folder = copy.write_tars(tmp_path)
    edit(glob.glob('%s/*%s*' % (folder, name))[0], change)
    prepare_fails(folder, expected)
    assert not glob.glob(folder + '/imagenet-*')


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
    prepare_fails(folder, 'train has no images by class: its folders have to be named by wnid')


def test_a_folder_that_cannot_be_written_says_what_to_do(copy, tmp_path, monkeypatch):
    def denied(path, mode='r'):
        if 'a' not in mode:
            return open(path, mode)
        raise PermissionError(13, 'Permission denied', path)
    monkeypatch.setattr(packing, 'open', denied, raising=False)
    prepare_fails(copy.write_folders(tmp_path), 'make a folder of your own with links .* --data-dir')


# What is official

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


def test_what_is_official_is_verified_whatever_is_asked(copy, tmp_path, monkeypatch):
    copy.val = {name: (WNIDS[i % 4], content) for i, (name, (_, content)) in enumerate(list(copy.val.items())[:8])}
    folder = copy.write_tars(tmp_path)
    monkeypatch.setattr(imagenet, 'CLASSES', 4)
    for split, images, per_class in (('train', 20, 0), ('val', 8, 2)):
        size = os.path.getsize(str(tmp_path / ('ILSVRC2012_img_%s.tar' % split)))
        monkeypatch.setitem(imagenet.SPLITS, split, imagenet.SPLITS[split]._replace(
            images=images, per_class=per_class, tar_bytes=size))
    about = prepare(folder)
    assert about['train']['verified'] and about['val']['verified']
    assert about == prepare(folder, verify=True)


# What is there already

def test_other_training_classes_make_the_validation_labels_anew(copy, tmp_path, capsys):
    folder = copy.write_folders(tmp_path)
    before = prepare(folder)
    os.remove(os.path.join(folder, 'imagenet-train.rec'))
    write(os.path.join(folder, 'train', 'n00000000', '1.JPEG'), next(iter(copy.train.values())))
    about = prepare(folder)
    assert about['val']['classes'] == ['n00000000'] + WNIDS
    assert about['val']['labels'] == [0] + before['val']['labels']
    assert 'imagenet-val.rec does not match: making it again' in capsys.readouterr().out
    assert [label for _, label, _ in records(folder, 'val')] == [
        1 + copy.label('val', name) for name in copy.order('val')]


@pytest.mark.parametrize('damage', [
    lambda prefix: cut(prefix + '.rec', 4),
    lambda prefix: cut(prefix + '.idx', 4),
    lambda prefix: os.remove(prefix + '.rec'),
    lambda prefix: os.remove(prefix + '.json'),
    lambda prefix: write(prefix + '.json', b'{'),
    lambda prefix: edit(prefix + '.json', lambda content: content.replace(b'"format": 1', b'"format": 0')),
])
def test_damage_is_noticed_and_mended(copy, tmp_path, damage):
    folder = copy.write_folders(tmp_path)
    about, before = prepare(folder), contents(folder)
    prefix = os.path.join(folder, 'imagenet-val')
    assert packing.check(prefix) == about['val']
    damage(prefix)
    assert packing.check(prefix) is None
    assert prepare(folder) == about and contents(folder) == before


def test_real_images(tmp_path):
    source = official_folder('imagenet')
    wnids = sorted(os.listdir(os.path.join(source, 'train')))[::150]
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for wnid in wnids:
            os.symlink(os.path.join(source, split, wnid), str(tmp_path / split / wnid))
    about = prepare(tmp_path)
    assert about['train']['classes'] == wnids and about['train']['undecodable'] == about['val']['undecodable'] == []
    for split, shorter in (('train', TRAIN), ('val', VAL)):
        originals = sorted((os.path.basename(path), path) for path in glob.glob(str(tmp_path / split / '*' / '*')))
        originals = [Image.open(path) for _, path in originals]
        found = records(tmp_path, split)
        assert len(found) == len(originals)
        if split == 'val':
            for (_, label, image), original in zip(found, originals):
                assert wnids[int(label)] in original.filename
                size = (shorter, image.shape[0]) if original.width < original.height else (image.shape[1], shorter)
                np.testing.assert_array_equal(image, np.array(original.convert('RGB').resize(size, Image.BILINEAR)))
                assert size[0] / size[1] == pytest.approx(original.width / original.height, rel=0.5 / shorter)
        assert {min(image.shape[:2]) for _, _, image in found} == {shorter}
