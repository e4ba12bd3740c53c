"""Image files → RecordIO, resized, in chunks and in several processes, so that it can be interrupted.

Each process writes a chunk's records to a file of their own, NAME.unfinished.rec gets them in order, and
NAME.unfinished.jsonl, the journal, has a line for each chunk that is in it. So an interrupted packing goes on after
the last whole chunk.
"""
import collections
import contextlib
import errno
import fcntl
import functools
import glob
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import struct
import sys
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.mxnet import mx, physical_cores
from common.errors import UserError
from common.files import BLOCK, file_digest, write_atomically

FORMAT = 1           # of the records, the side file and the journal; another number is rebuilt
CHUNK = 512          # images; about 50 MB, and 10 seconds of a core
PATIENCE = 5         # seconds between looks whether the workers are alive

# Pillow's options
CODINGS = {'jpeg95': {'format': 'JPEG', 'quality': 95}, 'png': {'format': 'PNG', 'compress_level': 3}}

FORMATS = ('JPEG', 'PNG')  # one of the official files, n02105855_2933.JPEG, is a PNG
LONGEST = 65500            # pixels; where libjpeg ends
# what Pillow raises for a damaged file
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Original(NamedTuple):
    """Where the bytes of an image are: a file in the folder `where`, or `size` bytes from `offset` of the tar `where`.

    wnid: its class; None where only the devkit knows it.
    """

    name: str
    wnid: str
    where: str
    offset: int = None
    size: int = None


class Job(NamedTuple):
    """A split that has to be made: its images in the order of the records, their labels (n,) int.

    classes: the labels' names. official: whether it is the official data. shorter_side: pixels to store; coding: how.
    """

    originals: list
    labels: np.ndarray
    classes: list
    official: bool
    shorter_side: int
    coding: str


class Chunk(NamedTuple):
    """All that a worker needs to write some of the records. number: from 0; first: the id of the first record."""

    path: str
    number: int
    first: int
    originals: list
    labels: list
    shorter_side: int
    coding: str


def check(prefix):
    """The side file's dict where the three files belong together, None where they have to be made again.

    Of the .rec the length is checked only: at every start, a digest of 100 GB would take minutes.
    """
    try:
        with open(prefix + '.json') as file:
            about = json.load(file)
        fits = (about['format'] == FORMAT and about['rec_bytes'] == os.path.getsize(prefix + '.rec')
                and about['idx_sha256'] == file_digest(prefix + '.idx', 'sha256'))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return about if fits else None


# The work on an image and on a chunk

def target_size(size, shorter_side):
    """(width, height) in pixels for an image of `size`, the longer side rounded to the nearest."""
    return tuple((2 * side * shorter_side + min(size)) // (2 * min(size)) for side in size)


def convert(content, shorter_side, coding):
    """The bytes of an image file → the bytes to store, a key of CODINGS being the coding.

    Grey and CMYK become RGB; the size is changed, where it is not right already, by Pillow's bilinear filter, which
    averages where it shrinks. None where the image cannot be decoded whole.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of damaged Exif, which some official files have
            image = Image.open(io.BytesIO(content), formats=FORMATS).convert('RGB')
    except UNDECODABLE:
        return None
    size = target_size(image.size, shorter_side)
    if max(size) > LONGEST:
        return None
    if size != image.size:
        image = image.resize(size, Image.BILINEAR)
    image.info.clear()  # nothing but pixels is stored: no colour profile, no comment
    stored = io.BytesIO()
    image.save(stored, **CODINGS[coding])
    return stored.getvalue()


def _read(original):
    """The bytes of an image; None for a file of its own that cannot be read."""
    if original.offset is None:
        try:
            with open(os.path.join(original.where, original.name), 'rb') as file:
                return file.read()
        except OSError:
            return None
    with open(original.where, 'rb') as file:
        file.seek(original.offset)
        return file.read(original.size)


def _write_chunk(chunk):
    """Write a chunk's records to its file; return the file's path and the chunk's line of the journal, a dict."""
    try:
        places, undecodable = _write_each(chunk)
    except mx.MXNetError as error:
        raise UserError(_no_room(chunk.path)) from error
    return chunk.path, {'chunk': chunk.number, 'bytes': os.path.getsize(chunk.path), 'records': places,
                        'undecodable': undecodable, 'sha256': file_digest(chunk.path, 'sha256')}


def _write_each(chunk):
    """Returns the records' [id, offset], and the names of the images that are none."""
    undecodable = []
    record = mx.recordio.MXIndexedRecordIO(os.devnull, chunk.path, 'w')
    for i, (original, label) in enumerate(zip(chunk.originals, chunk.labels), chunk.first):
        _leave_with_parent()
        content = _read(original)
        content = content and convert(content, chunk.shorter_side, chunk.coding)
        if not content:
            undecodable.append(original.name)
        else:
            record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(label), i, 0), content))
    written = record.tell()
    record.close()
    if os.path.getsize(chunk.path) != written:  # MXNet does not report what a full disk swallows at closing
        raise UserError(_no_room(chunk.path))
    return list(record.idx.items()), undecodable


def _leave_with_parent():
    """End a worker whose command was killed."""
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():
        sys.exit()


def _no_room(path):
    return '%s cannot be written: the disk is full; make room, and the same command goes on from here' % path


# The work on a split

def pack(prefix, job, processes=None):
    """Make a split's three files, going on where an earlier call was interrupted; returns the side file's dict."""
    temporary = prefix + '.unfinished'
    with _full_disk_is_one_line(temporary + '.rec'), _open(temporary + '.jsonl', 'a+b') as journal, \
            _open(temporary + '.rec', 'ab') as rec:
        _lock(journal, prefix)
        _remove_chunk_files(temporary)
        try:
            _add_chunks(temporary, job, journal, rec, processes)
        except (KeyboardInterrupt, SystemExit):
            print('%s.rec is not finished: the same command goes on from here' % prefix, flush=True)
            raise
        finally:
            _remove_chunk_files(temporary)
        about = _about(job, journal, temporary + '.idx')
        if not about['records']:
            _remove(glob.glob(glob.escape(temporary) + '.*'))
            raise UserError('none of the %d images for %s can be decoded, such as %s' % (
                len(job.originals), os.path.basename(prefix), about['undecodable'][0]))
        write_atomically(temporary + '.json', json.dumps(about, indent=1))
        for kind in ('.rec', '.idx', '.json'):
            os.replace(temporary + kind, prefix + kind)
        os.remove(journal.name)
    _report_undecodable(prefix, about)
    return about


@contextlib.contextmanager
def _full_disk_is_one_line(path):
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(_no_room(path)) from error


def _open(path, mode):
    try:
        return open(path, mode)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        raise UserError('%s cannot be written: make a folder of your own with links to the files in this one, and '
                        'name it with --data-dir' % path) from error


def _lock(journal, prefix):
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError('another process is making %s.rec: wait for it' % prefix) from error


def _remove_chunk_files(temporary):
    _remove(glob.glob(glob.escape(temporary) + '.chunk*'))


def _remove(paths):
    for path in paths:
        os.remove(path)


def _add_chunks(temporary, job, journal, rec, processes):
    done = _resume(journal, rec, _header(job))
    images, title = len(job.originals), os.path.basename(temporary).split('.')[0]
    before = min(done * CHUNK, images)
    if done:
        print('%s: going on after %d of %d images' % (title, before, images), flush=True)
    with tqdm(total=images, initial=before, desc=title, unit=' images', disable=None) as bar, \
            _workers(processes) as in_order:
        for path, entry in in_order(_write_chunk, _chunks(temporary, job, done)):
            _append(journal, rec, path, entry)
            bar.update(len(entry['records']) + len(entry['undecodable']))


def _chunks(temporary, job, done):
    """Yield the chunks that are still to be made.

    The files have this process's number: a worker whose command was killed may still write to its own.
    """
    for first in range(done * CHUNK, len(job.originals), CHUNK):
        part = slice(first, first + CHUNK)
        yield Chunk('%s.chunk%d-%d' % (temporary, os.getpid(), first), first // CHUNK, first, job.originals[part],
                    job.labels[part].tolist(), job.shorter_side, job.coding)


def _append(journal, rec, path, entry):
    """Append a chunk's file to the .rec, and when that is on the disk its line to the journal."""
    with open(path, 'rb') as file:
        shutil.copyfileobj(file, rec, BLOCK)
    _sync(rec)
    os.remove(path)
    journal.write(_line(entry))
    _sync(journal)


def _sync(file):
    file.flush()
    os.fsync(file.fileno())


def _line(entry):
    return (json.dumps(entry) + '\n').encode()


def _header(job):
    """What another job would have otherwise."""
    digest = hashlib.sha256(' '.join(job.classes).encode())
    for original, label in zip(job.originals, job.labels):
        digest.update(b'%s %d\n' % (os.fsencode(original.name), label))
    return {'format': FORMAT, 'images': len(job.originals), 'images_sha256': digest.hexdigest(), 'chunk': CHUNK,
            'shorter_side': job.shorter_side, 'coding': job.coding}


def _resume(journal, rec, header):
    """Cut both files to the whole chunks that they have in common, to none under another header; return how many."""
    journal.seek(0)
    if journal.readline() != _line(header):
        journal.truncate(0)
        rec.truncate(0)
        journal.write(_line(header))
        _sync(journal)
        return 0
    size, end, done, total = os.path.getsize(rec.name), journal.tell(), 0, 0
    for entry in map(_entry, journal):
        if not entry or entry['chunk'] != done or total + entry['bytes'] > size:
            break
        done, total, end = done + 1, total + entry['bytes'], end + entry['length']
    journal.truncate(end)
    rec.truncate(total)
    return done


def _entry(line):
    """A line of the journal as a dict, with its own `length`; None for one that was not written to its end."""
    try:
        return dict(json.loads(line), length=len(line)) if line.endswith(b'\n') else None
    except ValueError:
        return None


def _about(job, journal, idx_path):
    """Write the .idx and return the side file's dict, both from the finished journal."""
    journal.seek(0)
    journal.readline()
    idx, undecodable, start = [], [], 0
    counts, content = np.zeros(len(job.classes), np.int64), hashlib.sha256()
    for entry in map(_entry, journal):
        idx += ['%d\t%d\n' % (i, start + offset) for i, offset in entry['records']]
        start += entry['bytes']
        undecodable += entry['undecodable']
        np.add.at(counts, job.labels[[i for i, _ in entry['records']]], 1)
        content.update(bytes.fromhex(entry['sha256']))
    write_atomically(idx_path, ''.join(idx))
    return {
        'format': FORMAT, 'records': len(idx), 'verified': job.official, 'classes': job.classes,
        'labels': counts.tolist(), 'shorter_side': job.shorter_side, 'coding': job.coding,
        'content_sha256': content.hexdigest(), 'rec_bytes': start, 'idx_sha256': file_digest(idx_path, 'sha256'),
        'undecodable': undecodable,
    }


def _report_undecodable(prefix, about):
    names = about['undecodable']
    if names:
        print('%s: %d images cannot be decoded and are left out, %s%s; %s.json has the whole list as `undecodable`' % (
            os.path.basename(prefix), len(names), ', '.join(names[:10]), ', …' * (len(names) > 10), prefix),
            flush=True)


# Several processes

@contextlib.contextmanager
def _workers(processes):
    """A function that is like map() but works in so many processes, which end with the context; 0: in this one."""
    if processes == 0:
        yield map
        return
    before = set(multiprocessing.active_children())
    # Ctrl-C is the command's business. The workers inherit this, so they ignore it while they start as well; blocking
    # the signal instead would lose none in these milliseconds, but multiprocessing's own start unblocks it.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = multiprocessing.get_context('spawn').Pool(processes or physical_cores())
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        yield functools.partial(_in_order, pool, set(multiprocessing.active_children()) - before)
    finally:
        pool.terminate()
        pool.join()


def _in_order(pool, workers, function, items):
    """Yield the results in the order of the items.

    Unlike the pool's imap it runs at most two items a worker ahead: where the disk is slower than the cores, files of
    chunks would fill it.
    """
    pending = collections.deque()
    for item in items:
        pending.append(pool.apply_async(function, (item,)))
        if len(pending) == 2 * len(workers):
            yield _wait(pending.popleft(), workers)
    while pending:
        yield _wait(pending.popleft(), workers)


def _wait(result, workers):
    """The pool replaces a worker that was killed, but nobody would do its work: that ends here."""
    while True:
        try:
            return result.get(PATIENCE)
        except multiprocessing.TimeoutError:
            if not all(worker.is_alive() for worker in workers):
                raise UserError('a process that prepares the images was killed, perhaps for want of memory: the same '
                                'command goes on from here') from None
