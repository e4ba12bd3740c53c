"""The processes that convert images, and what one of them does: write a chunk of records to a file of its own."""

from collections.abc import Callable, Generator, Iterable, Iterator
import contextlib
import multiprocessing
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
import os
import signal
import sys
import traceback
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx, physical_cores
from common.output import printable
from data import recordio
from data.packing.convert import Form, Original, decode, encode
from data.packing.journal import no_room


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


def ordered_map(function: Callable, items: Iterable, processes: int | None) -> Generator:
    """Yield function(item) for each item, in order; several processes work ahead. Close it: they end with it.

    Each process has a pipe of its own. multiprocessing's pools share queues, and hang if a process dies while it holds
    the lock of one.

    Args:
        processes: how many; None for one on each core, 0 for none but this one.

    Raises:
        UserError: a process was killed.
    """
    workers = {} if processes == 0 else _start(function, processes or physical_cores())
    try:
        yield from _in_order(list(workers), items) if workers else map(function, items)
    finally:
        for process in workers.values():
            process.terminate()
        for process in workers.values():
            process.join()


def _start(function: Callable, count: int) -> dict[Connection, SpawnProcess]:
    """Start the processes, by the pipe that leads to each: fewer than `count` where the system allows no more."""
    context, workers = multiprocessing.get_context('spawn'), {}
    # Ctrl-C is for the command alone. The workers inherit that it is ignored, so they ignore it while they start, too.
    # Blocking the signal instead would lose none in these milliseconds, but multiprocessing unblocks it itself.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(function, theirs), daemon=True)
            process.start()
            theirs.close()  # else the pipe would not end with the process
            workers[ours] = process
    except OSError as error:
        processes = f'{len(workers) or 1} process{"es" if len(workers) > 1 else ""}'
        print(f'note: {processes} instead of {count} to prepare the images ({error.strerror})', flush=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    return workers


def _serve(function: Callable, connection: Connection) -> None:
    """Be a worker: answer each item by (the result, the exception, its traceback)."""
    with contextlib.suppress(EOFError, OSError):  # the command has gone
        while True:
            item = connection.recv()
            try:
                result = function(item)
            except Exception as error:
                connection.send((None, error, traceback.format_exc()))
            else:
                connection.send((result, None, ''))


def _in_order(workers: list[Connection], items: Iterable) -> Iterator:
    """Yield the workers' results in the order of the items.

    It runs at most two items a worker ahead: if the disk is slower than the cores, files of chunks would fill it.
    """
    numbered = enumerate(items)
    busy: dict[Connection, int] = {}  # with the number of its item
    done: dict[int, tuple[Any, Exception | None, str]] = {}
    wanted = 0
    while True:
        idle = [worker for worker in workers if worker not in busy]
        room = 2 * len(workers) - len(busy) - len(done)
        for worker, (number, item) in zip(idle[:room], numbered):
            with _alive():
                worker.send(item)
            busy[worker] = number
        if wanted in done:
            result, error, trace = done.pop(wanted)
            if error:
                raise error from RuntimeError(trace)
            wanted += 1
            yield result
        elif busy:
            ready = wait(list(busy))
            for worker in [worker for worker in busy if worker in ready]:
                with _alive():
                    done[busy.pop(worker)] = worker.recv()
        else:
            return


@contextlib.contextmanager
def _alive() -> Iterator[None]:
    """The pipe of a worker that has died is at its end."""
    try:
        yield
    except (EOFError, OSError):
        raise UserError(
            'a process that prepares the images was killed, probably out of memory: the same command goes on from here'
        ) from None
