"""Image files → RecordIO, resized, in chunks and in several processes. An interrupted packing goes on where it was.

convert.py is about one image, workers.py about the processes, journal.py about what is done already. Each process
writes a chunk's records to a file of its own; the command appends these files in order to NAME.unfinished.rec.
"""

from collections.abc import Iterator
from contextlib import closing
import glob
import hashlib
import os
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.errors import UserError
from common.files import file_digest
from data import recordio
from data.packing import workers
from data.packing.convert import Form, Original
from data.packing.journal import Journal, full_disk_is_one_line

CHUNK = 512  # images; about 50 MB, and 10 seconds of a core


class Job(NamedTuple):
    """A split to be made.

    originals: in the order of the records; each has a `name` and read(). labels: (n,) int. classes: the labels' names.
    official: whether it is the official data. form: how the images are stored. measured: whether the side file gets the
    channels' mean and standard deviation. source: what else the side file says of where the images come from.
    """

    originals: list[Original]
    labels: np.ndarray
    classes: list[str]
    official: bool
    form: Form
    measured: bool = False
    source: dict = {}


def pack(prefix: str, job: Job, processes: int | None = None) -> dict:
    """Make a split's files, or go on where an earlier call was interrupted; return the side file's dict.

    Args:
        prefix: of the files.
        job: what to make.
        processes: how many convert images; None for one on each core, 0 for none but this one.
    """
    temporary = prefix + '.unfinished'
    with full_disk_is_one_line(temporary + '.rec'), closing(Journal(temporary)) as journal:
        _remove_chunk_files(temporary)
        try:
            _add_chunks(temporary, job, journal, processes)
        except (KeyboardInterrupt, SystemExit):
            print(f'{prefix}.rec is not finished: the same command goes on from here', flush=True)
            raise
        finally:
            _remove_chunk_files(temporary)
        about = _write_index(temporary, job, journal)
        if not about['records']:
            recordio.discard(temporary)
            raise UserError(
                f'none of the {len(job.originals)} images for {os.path.basename(prefix)} can be decoded, '
                f'such as {about["undecodable"][0]}'
            )
        recordio.finish(temporary, prefix, about)
        journal.remove()
    _report_undecodable(prefix, about['undecodable'])
    return about


def _remove_chunk_files(temporary: str) -> None:
    for path in glob.glob(glob.escape(temporary) + '.chunk*'):
        os.remove(path)


def _add_chunks(temporary: str, job: Job, journal: Journal, processes: int | None) -> None:
    done = journal.resume(_header(job))
    images, title = len(job.originals), os.path.basename(temporary).removesuffix('.unfinished')
    before = min(done * CHUNK, images)
    if done:
        print(f'{title}: going on after {before} of {images} images', flush=True)
    with (
        tqdm(total=images, initial=before, desc=title, unit=' images', disable=None) as bar,
        closing(workers.ordered_map(workers.write_chunk, _chunks(temporary, job, done), processes)) as chunks,
    ):
        for path, entry in chunks:
            journal.append(path, entry)
            bar.update(len(entry['records']) + len(entry['undecodable']))


def _header(job: Job) -> dict:
    """Two jobs with the same header make the same files."""
    digest = hashlib.sha256(' '.join(job.classes).encode())
    for original, label in zip(job.originals, job.labels):
        digest.update(b'%s %d\n' % (os.fsencode(original.name), label))
    return {
        'format': recordio.FORMAT,
        'images': len(job.originals),
        'images_sha256': digest.hexdigest(),
        'chunk': CHUNK,
        **_described(job.form),
        **job.source,
    }


def _described(form: Form) -> dict:
    """What the journal and the side file say of the form; what is off is left out."""
    return {name: value for name, value in form._asdict().items() if value}


def _chunks(temporary: str, job: Job, done: int) -> Iterator[workers.Chunk]:
    """Yield the chunks after the first `done`.

    Their files have this process's number: a worker whose command was killed may still write to its own.
    """
    for first in range(done * CHUNK, len(job.originals), CHUNK):
        part = slice(first, first + CHUNK)
        yield workers.Chunk(
            f'{temporary}.chunk{os.getpid()}-{first}',
            first // CHUNK,
            first,
            job.originals[part],
            job.labels[part].tolist(),
            job.form,
            job.measured,
        )


def _write_index(temporary: str, job: Job, journal: Journal) -> dict:
    """Write the .idx and the .crc from the finished journal; return the side file's dict."""
    offsets, checksums, undecodable, start = [], [], [], 0
    counts, levels, content = np.zeros(len(job.classes), np.int64), np.zeros(3 * 256, np.int64), hashlib.sha256()
    for entry in journal.entries():
        offsets += [(i, start + offset) for i, offset in entry['records']]
        start += entry['bytes']
        checksums += entry.get('checksums', [])  # earlier versions wrote none
        undecodable += entry['undecodable']
        np.add.at(counts, job.labels[[i for i, _ in entry['records']]], 1)
        levels += np.array(entry.get('levels', 0))
        content.update(bytes.fromhex(entry['sha256']))
    recordio.write_index(temporary + '.idx', offsets)
    about = {
        'format': recordio.FORMAT,
        'records': len(offsets),
        'verified': job.official,
        'classes': job.classes,
        'labels': counts.tolist(),
        **_described(job.form),
        'content_sha256': content.hexdigest(),
        'rec_bytes': start,
        'idx_sha256': file_digest(temporary + '.idx', 'sha256'),
        'undecodable': undecodable,
        **(_mean_and_std(levels.reshape(3, 256)) if job.measured else {}),
        **job.source,
    }
    if len(checksums) == len(offsets):
        about['crc_sha256'] = recordio.write_checksums(temporary, checksums)
    return about


def _mean_and_std(counts: np.ndarray) -> dict:
    """Of the channels R, G, B, by the number of pixels of each level 0–255, (3, 256) int.

    A channel that is the same everywhere, as in fluorescence images, gets the deviation 1: it is divided by it.
    """
    levels, pixels = np.arange(256), np.maximum(counts.sum(axis=1), 1)
    mean, square = counts @ levels / pixels, counts @ levels**2 / pixels
    std = np.sqrt(np.maximum(square - mean**2, 0)).round(3)
    return {'mean': mean.round(3).tolist(), 'std': np.where(std > 0, std, 1).tolist()}


def _report_undecodable(prefix: str, names: list[str]) -> None:
    if names:
        shown = ', '.join(names[:10]) + ', …' * (len(names) > 10)
        print(
            f'{os.path.basename(prefix)}: {len(names)} images cannot be decoded and are left out, {shown}; '
            f'{prefix}.json has the whole list as `undecodable`',
            flush=True,
        )
