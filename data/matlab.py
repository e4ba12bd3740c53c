"""Variables of a MATLAB file, read by scipy in a process of its own.

A damaged file can crash scipy, or make it ask for memory without end. The process has limits, and its end is an
exception here. It runs this file as a program, which imports nothing of the project: MXNet takes seconds to start.
"""

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
from typing import IO, Any

import numpy as np

MEMORY = 4 << 30  # bytes; the largest file has 1.6 GB of images
SECONDS = 1800  # of a core


class Unreadable(Exception):
    """The file cannot be read; the text says why."""


class Killed(Unreadable):
    """The process that reads it was killed, so the file may be sound."""


def read_arrays(file: IO[bytes], names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of numbers by their names.

    Args:
        file: an open file on the disk.
        names: of the variables.

    Raises:
        Unreadable: one of them is missing or no such array, or the file is damaged.
    """
    with _reader(file, 'arrays', *names) as process:
        return {name: _receive(process) for name in names}


def read_synsets(content: bytes) -> dict[int, str]:
    """{ILSVRC2012_ID: WNID} of ImageNet's meta.mat, whose bytes these are.

    Raises:
        Unreadable: the file is another one, or damaged.
    """
    with _reader(subprocess.PIPE, 'synsets') as process:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(content)
        return {int(number): wnid for number, wnid in _answer(process).items()}


class _reader(subprocess.Popen):
    """The process that reads `file`, which does not outlive its context."""

    def __init__(self, file, *arguments):
        environment = {**os.environ, 'OPENBLAS_NUM_THREADS': '1'}  # each thread would have its memory
        super().__init__(
            [sys.executable, __file__, *arguments],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def __exit__(self, *exception):
        self.kill()
        super().__exit__(*exception)


def _answer(process: subprocess.Popen) -> dict:
    """The next line of what the process says."""
    assert process.stdout
    line = process.stdout.readline()
    if not line.endswith(b'\n'):
        raise _end(process)
    answer = json.loads(line)
    if 'error' in answer:
        raise Unreadable(answer['error'])
    return answer


def _receive(process: subprocess.Popen) -> np.ndarray:
    about = _answer(process)
    array = np.empty(about['shape'], about['dtype'], order='F')
    assert process.stdout
    rest = array.reshape(-1, order='F').view(np.uint8).data
    while rest:
        count = process.stdout.readinto(rest)  # type: ignore[attr-defined]  # it is a buffered reader
        if not count:
            raise _end(process)
        rest = rest[count:]
    return array


def _end(process: subprocess.Popen) -> Unreadable:
    status = process.wait()
    if status == -signal.SIGKILL:
        return Killed('the process that reads it was killed, probably out of memory: free some')
    return Unreadable(
        f'the process that reads it ended by {signal.Signals(-status).name}' if status < 0 else f'status {status}'
    )


# What the process does


def main() -> None:
    """Read a MATLAB file on standard input; write what was asked for to standard output."""
    sys.path.pop(0)  # this file's folder, whose names are not meant
    for limit, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        {'arrays': _send_arrays, 'synsets': _send_synsets}[sys.argv[1]](sys.stdin.buffer, *sys.argv[2:])
    except MemoryError:
        _send({'error': f'it asks for more than {MEMORY >> 20:,} MB of memory'})
    except Exception as error:  # scipy and zlib raise many kinds for a damaged file
        _send({'error': str(error) or type(error).__name__})


def _send_arrays(file: IO[bytes], *names: str) -> None:
    from scipy.io import loadmat

    contents = loadmat(file, variable_names=names)
    for name in names:
        array = np.asarray(contents.get(name))
        if array.dtype.kind not in 'uif' or not array.size:
            raise ValueError(f'it has no array {name} of numbers')
        _send({'shape': array.shape, 'dtype': array.dtype.str})
        sys.stdout.buffer.write(array.reshape(-1, order='F').view(np.uint8).data)
    sys.stdout.buffer.flush()


def _send_synsets(file: IO[bytes]) -> None:
    from scipy.io import loadmat

    synsets = np.atleast_1d(loadmat(io.BytesIO(file.read()), squeeze_me=True)['synsets'])
    _send({int(number): str(wnid) for number, wnid in zip(synsets['ILSVRC2012_ID'], synsets['WNID'])})


def _send(answer: Any) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b'\n')
    sys.stdout.buffer.flush()


if __name__ == '__main__':
    main()
