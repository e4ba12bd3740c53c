"""The processes that convert images, and what one of them does: write a chunk of records to a file of its own."""

import collections
from collections.abc import Callable, Iterable, Iterator
import contextlib
import functools
import multiprocessing
from multiprocessing.pool import AsyncResult, Pool
import os
import signal
import sys
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx, physical_cores
from common.output import printable
from data import recordio
from data.packing.convert import Form, Original, decode, encode
from data.packing.journal import no_room

PATIENCE = 5  # seconds after which the parent looks whether its workers are alive


class Chunk(NamedTuple):
    """All that a worker must know to write some of the records to `path`. first: the id of the first record."""

    path: str
    number: int
    first: int
    originals: list[Original]
    labels: list[int]
    form: Form
    measured: bool


def write_chunk(chunk: Chunk) -> tuple[str, dict]:
    """Write a chunk's records to its file; return the file's path and the chunk's entry in the journal."""
    undecodable, levels = [], np.zeros(3 * 256, np.int64)
    with recordio.writer(chunk.path, os.devnull, no_room(chunk.path)) as record:
        for i, (original, label) in enumerate(zip(chunk.originals, chunk.labels), chunk.first):
            _leave_with_parent()
            image = decode(original.read(), chunk.form)
            if not image:
                undecodable.append(printable(original.name))
                continue
            if chunk.measured:
                levels += image.histogram()
            header = mx.recordio.IRHeader(0, float(label), i, 0)
            record.write_idx(i, mx.recordio.pack(header, encode(image, chunk.form.coding)))
    return chunk.path, {
        'chunk': chunk.number,
        'bytes': os.path.getsize(chunk.path),
        'records': list(record.idx.items()),
        'undecodable': undecodable,
        'sha256': file_digest(chunk.path, 'sha256'),
        **({'levels': levels.tolist()} if chunk.measured else {}),
        'checksums': recordio.checksums(chunk.path, list(record.idx.values())),
    }


def _leave_with_parent() -> None:
    """End a worker whose command was killed."""
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():
        sys.exit()


@contextlib.contextmanager
def ordered_map(processes: int | None) -> Iterator[Callable[[Callable, Iterable], Iterator]]:
    """A function like map() that works in several processes, which end with the context.

    Args:
        processes: how many; None for one on each core, 0 for none but this one.
    """
    if processes == 0:
        yield map
        return
    before = set(multiprocessing.active_children())
    # Ctrl-C is for the command alone. The workers inherit that it is ignored, so they ignore it while they start, too.
    # Blocking the signal instead would lose none in these milliseconds, but multiprocessing unblocks it itself.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = multiprocessing.get_context('spawn').Pool(processes or physical_cores())
    except OSError as error:  # no /dev/shm, where its locks are, or a limit of processes
        print(f'note: one process alone prepares the images, others cannot be started ({error.strerror})', flush=True)
        pool = None
    finally:
        signal.signal(signal.SIGINT, handler)
    if not pool:
        yield map
        return
    try:
        yield functools.partial(_in_order, pool, set(multiprocessing.active_children()) - before)
    finally:
        pool.terminate()
        pool.join()


def _in_order(pool: Pool, workers: set, function: Callable, items: Iterable) -> Iterator:
    """Yield the results in the order of the items.

    Unlike the pool's imap it runs at most two items a worker ahead: if the disk is slower than the cores, files of
    chunks would fill it.
    """
    pending = collections.deque()
    for item in items:
        pending.append(pool.apply_async(function, (item,)))
        if len(pending) == 2 * len(workers):
            yield _wait(pending.popleft(), workers)
    while pending:
        yield _wait(pending.popleft(), workers)


def _wait(result: AsyncResult, workers: set) -> Any:
    """A pool replaces a worker that was killed, but not its work: without this look it would wait forever."""
    while True:
        try:
            return result.get(PATIENCE)
        except multiprocessing.TimeoutError:
            if not all(worker.is_alive() for worker in workers):
                raise UserError(
                    'a process that prepares the images was killed, perhaps for want of memory: the same '
                    'command goes on from here'
                ) from None
