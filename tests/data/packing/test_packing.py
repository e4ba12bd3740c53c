"""Packing a split: interrupted anywhere, it ends in the same bytes; users' mistakes are one line."""

import glob
import io
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from common.mxnet import mx
from data import packing, recordio
from data.packing import Job, Original, _mean_and_std, pack, workers
from data.packing.convert import Form
from data.packing.journal import Journal
from tests.conftest import ROOT
from tests.data.small_imagenet import contents, cut, encoded, records, write


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(packing, 'CHUNK', 2)


def make_job(folder, random, count=20, side=8):
    """A job of noise, which takes the same space in each record; its images are in `folder`."""
    for i in range(count):
        write(
            os.path.join(str(folder), f'{i:02d}.JPEG'),
            encoded(Image.fromarray(random.randint(0, 256, (side, side, 3)).astype(np.uint8)), format='PNG'),
        )
    originals = [Original(f'{i:02d}.JPEG', 'n1', str(folder)) for i in range(count)]
    return Job(originals, np.arange(count) % 3, ['a', 'b', 'c'], False, Form(side, 'png'))


@pytest.fixture
def job(tmp_path, random):
    return make_job(tmp_path / 'images', random)


@pytest.fixture
def whole(job, tmp_path):
    """The bytes of the finished files."""
    os.mkdir(str(tmp_path / 'whole'))
    pack(str(tmp_path / 'whole' / 'x'), job, 0)
    found = contents(tmp_path / 'whole', '')
    assert sorted(found) == ['x.crc', 'x.idx', 'x.json', 'x.rec']
    return found


@pytest.fixture
def prefix(tmp_path):
    os.mkdir(str(tmp_path / 'made'))
    return str(tmp_path / 'made' / 'x')


def made(prefix):
    return contents(os.path.dirname(prefix), '')


def journal_lines(prefix):
    """How many whole lines the journal has."""
    try:
        with open(prefix + '.unfinished.jsonl', 'rb') as file:
            return file.read().count(b'\n')
    except FileNotFoundError:
        return 0


def at_line(monkeypatch, prefix, lines, action):
    """Do something when the journal has so many lines."""
    append = Journal.append

    def append_and_act(self, *args):
        append(self, *args)
        if journal_lines(prefix) == lines:
            action()

    monkeypatch.setattr(Journal, 'append', append_and_act)


def test_the_records_are_the_images_with_their_labels(job, prefix):
    about = pack(prefix, job, 0)
    found = records(prefix)
    assert [i for i, _, _ in found] == list(range(20)) and [label for _, label, _ in found] == job.labels.tolist()
    for (_, _, image), original in zip(found, job.originals):
        np.testing.assert_array_equal(image, np.array(Image.open(io.BytesIO(original.read()))))
    assert about['records'] == 20 and about['labels'] == [7, 7, 6] and about['classes'] == ['a', 'b', 'c']
    assert recordio.check(prefix) == about


def test_the_files_are_those_that_mxnet_writes_in_one_go(job, whole, tmp_path):
    reader = mx.recordio.MXRecordIO(str(tmp_path / 'whole' / 'x.rec'), 'r')
    writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / 'again.idx'), str(tmp_path / 'again.rec'), 'w')
    for i, content in enumerate(iter(reader.read, None)):
        writer.write_idx(i, content)
    writer.close()
    for kind in ('.idx', '.rec'):
        assert (tmp_path / ('again' + kind)).read_bytes() == whole['x' + kind]


# Interruptions


@pytest.mark.parametrize('processes', [0, 2])
def test_a_folder_that_goes_away_meanwhile_costs_no_image(prefix, job, whole, processes, tmp_path, monkeypatch):
    folder, append = tmp_path / 'images', Journal.append

    def append_and_lose(journal, *entry):
        append(journal, *entry)
        if folder.exists():
            folder.rename(tmp_path / 'elsewhere')

    monkeypatch.setattr(packing, 'CHUNK', 2)
    monkeypatch.setattr(Journal, 'append', append_and_lose)
    with pytest.raises(UserError, match='has gone since the images were listed'):
        pack(prefix, job, processes)
    monkeypatch.setattr(Journal, 'append', append)
    (tmp_path / 'elsewhere').rename(folder)
    pack(prefix, job, processes)
    assert records_of(prefix) == records_of(str(tmp_path / 'whole' / 'x'))


def records_of(prefix):
    about = recordio.read_about(prefix)
    assert not about['undecodable']
    return [recordio.Records(prefix, about).raw(i) for i in range(about['records'])]


# Packs in another process, which is killed after three chunks.
KILLED = """
import os, pickle, signal, sys
from data import packing
from data.packing.convert import Form
from data.packing.journal import Journal
def append_and_die(self, path, entry, append=Journal.append):
    append(self, path, entry)
    if entry['chunk'] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
packing.CHUNK, Journal.append = 2, append_and_die
packing.pack(sys.argv[1], pickle.load(sys.stdin.buffer), 1)
"""


def interrupt(number):
    """Send this process a signal; a terminal's Ctrl-C goes to the workers as well."""
    if number == signal.SIGINT:
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, number)
    os.kill(os.getpid(), number)


def test_a_packing_interrupted_again_and_again_ends_in_the_same_bytes(job, whole, prefix, monkeypatch, capsys):
    in_order = workers._in_order

    def in_order_but_interrupted(*args):
        threading.Timer(0.1, interrupt, [signal.SIGINT]).start()  # while the worker starts
        return in_order(*args)

    with monkeypatch.context() as patch:
        patch.setattr(workers, '_in_order', in_order_but_interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(prefix, job, 1)
    assert journal_lines(prefix) == 1 and not glob.glob(prefix + '*.chunk*') and not multiprocessing.active_children()

    # run() ends when the worker has ended too: it has the same pipe
    killed = subprocess.run(
        [sys.executable, '-c', KILLED, prefix], cwd=ROOT, input=pickle.dumps(job), stdout=subprocess.PIPE, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL and journal_lines(prefix) == 4

    with monkeypatch.context() as patch:
        at_line(patch, prefix, 7, lambda: interrupt(signal.SIGTERM))
        handler = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # as common.cli does
        try:
            with pytest.raises(SystemExit):
                pack(prefix, job, 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    out = capsys.readouterr().out
    assert 'x: going on after 6 of 20 images' in out and 'the same command goes on from here' in out
    assert journal_lines(prefix) == 7 and not glob.glob(prefix + '*.chunk*')
    pack(prefix, job, 0)
    assert made(prefix) == whole


@pytest.fixture
def unfinished(job, prefix, monkeypatch):
    """The prefix of a split whose packing was interrupted after 4 chunks of 10."""

    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        at_line(patch, prefix, 5, stop)
        with pytest.raises(KeyboardInterrupt):
            pack(prefix, job, 0)
    return prefix


def add(path, content):
    """Append bytes to a file."""
    with open(path, 'ab') as file:
        file.write(content)


@pytest.mark.parametrize(
    'damage, left',
    [
        (lambda temporary: None, 6),
        (lambda temporary: add(temporary + '.jsonl', b'{"chunk": 4, "byt'), 6),
        (lambda temporary: add(temporary + '.jsonl', b'{"chunk": 4, "bytes": 0}'), 6),
        (lambda temporary: add(temporary + '.jsonl', bytes(100)), 6),
        (lambda temporary: add(temporary + '.rec', bytes(1000)), 6),
        (lambda temporary: write(temporary + '.chunk1-8', b'x'), 6),
        (lambda temporary: cut(temporary + '.jsonl', 1), 7),
        (lambda temporary: cut(temporary + '.rec', 1), 7),
        (lambda temporary: os.remove(temporary + '.rec'), 10),
        (lambda temporary: os.remove(temporary + '.jsonl'), 10),
        (lambda temporary: write(temporary + '.jsonl', b'{"format": 0}\n'), 10),
    ],
)
def test_what_is_whole_is_kept(unfinished, job, whole, monkeypatch, damage, left):
    damage(unfinished + '.unfinished')
    chunks, write_chunk = [], workers.write_chunk
    monkeypatch.setattr(workers, 'write_chunk', lambda chunk: (chunks.append(chunk), write_chunk(chunk))[1])
    pack(unfinished, job, 0)
    assert len(chunks) == left
    assert made(unfinished) == whole


@pytest.mark.parametrize(
    'change',
    [
        {'classes': ['a', 'b', 'd']},
        {'form': Form(9, 'png')},
        {'form': Form(8, 'jpeg95')},
        {'form': Form(8, 'png', upright=True)},
        {'source': {'source_sha256': 'another'}},
        {'labels': np.zeros(20, int)},
        {'originals': [Original('elsewhere.JPEG', 'n1', '.')] * 20},
    ],
)
def test_another_job_starts_over(unfinished, job, change, capsys):
    capsys.readouterr()
    if 'originals' in change:
        change = {'originals': job.originals[::-1]}
    pack(unfinished, job._replace(**change), 0)
    assert 'going on' not in capsys.readouterr().out
    assert recordio.check(unfinished)['records'] == 20


def test_another_process_at_it_is_one_line(unfinished, job, whole):
    journal = Journal(unfinished + '.unfinished')
    with pytest.raises(UserError, match='another process is making .*x.rec: wait for it'):
        pack(unfinished, job, 0)
    journal.close()
    pack(unfinished, job, 0)
    assert made(unfinished) == whole


@pytest.mark.parametrize('chunks', [0.5, 2.5])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, random, prefix, full_disk, chunks):
    """Half a chunk does not fit into its file, or two chunks and a half into the .rec."""
    job = make_job(tmp_path / 'images', random, side=64)
    os.mkdir(str(tmp_path / 'whole'))
    size = pack(str(tmp_path / 'whole' / 'x'), job, 0)['rec_bytes']
    with full_disk(int(size / 10 * chunks)), pytest.raises(UserError, match='the disk is full; make room') as error:
        pack(prefix, job, 0)
    assert '\n' not in str(error.value)
    assert journal_lines(prefix) == 1 + int(chunks) and not glob.glob(prefix + '*.chunk*')
    pack(prefix, job, 0)
    assert made(prefix) == contents(tmp_path / 'whole', '')


# Images that cannot be used


def test_undecodable_images_are_named_and_left_out(job, prefix, capsys):
    """Damaged ones, and a link to nowhere; there may be more than are printed."""
    for number in (1, 3):
        cut(os.path.join(job.originals[number].where, job.originals[number].name), 60)
    os.remove(os.path.join(job.originals[7].where, job.originals[7].name))
    os.symlink('nowhere', os.path.join(job.originals[7].where, job.originals[7].name))
    about = pack(prefix, job, 0)
    assert about['undecodable'] == ['01.JPEG', '03.JPEG', '07.JPEG'] and about['labels'] == [6, 5, 6]
    assert [i for i, _, _ in records(prefix)] == [i for i in range(20) if i not in (1, 3, 7)]
    assert f'x: 3 images cannot be decoded and are left out, 01.JPEG, 03.JPEG, 07.JPEG; {prefix}.json has' in (
        capsys.readouterr().out
    )
    assert recordio.read_about(prefix) == about


def test_images_none_of_which_can_be_decoded_are_an_error_and_leave_nothing(job, prefix):
    for original in job.originals:
        write(os.path.join(original.where, original.name), b'nothing')
    with pytest.raises(UserError, match='none of the 20 images for x can be decoded, such as 00.JPEG'):
        pack(prefix, job, 0)
    assert not made(prefix)


def test_mean_and_deviation_are_those_of_the_images_that_can_be_decoded(job, prefix):
    os.truncate(os.path.join(job.originals[3].where, job.originals[3].name), 50)
    images = [np.array(Image.open(io.BytesIO(original.read()))) for original in job.originals[:3] + job.originals[4:]]
    pixels = np.stack(images).reshape(-1, 3).astype(float)
    about = pack(prefix, job._replace(measured=True, source={'source_sha256': 'x'}), 0)
    np.testing.assert_allclose(about['mean'], pixels.mean(axis=0), atol=6e-4)
    np.testing.assert_allclose(about['std'], pixels.std(axis=0), atol=6e-4)
    assert about['undecodable'] == ['03.JPEG'] and about['source_sha256'] == 'x'


def test_a_channel_that_is_the_same_everywhere_is_not_divided_by_zero():
    counts = np.zeros((3, 256), int)
    counts[0, 0], counts[1, [0, 255]], counts[2, 7] = 10, 5, 10
    assert _mean_and_std(counts) == {'mean': [0.0, 127.5, 7.0], 'std': [1.0, 127.5, 1.0]}
