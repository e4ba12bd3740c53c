"""Memory: of a network in training beside PyTorch's, and of preparing and reading the whole SVHN."""

from collections.abc import Iterator
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import inputs
from benchmarks.remote import ROOT, Remote, peak_memory
from benchmarks.rounds import Row, Setting

MOST = 5  # gigabytes that SVHN may take
TRAINING = 40  # seconds of training on it; its memory no longer grows then

PREPARE = """
import sys
import data
data.load('svhn', sys.argv[1], splits=[], verify=False)
"""


def networks(setting: Setting) -> Iterator[Row]:
    """The most memory of training at batch 64, with --mirror too, beside PyTorch's. On the CPU alone."""
    if setting.gpus is not None:
        return
    for net, depth in (('dfn-mr', 98), ('resnet', 194)):
        options: dict[str, Any] = {'net': net, 'depth': depth}
        peer = _peak(setting.torch('training', **options))
        for mirror, label in ((False, ''), (True, ', mirrored')):
            ours = _peak(setting.ours('training', mirror=mirror, **options))
            yield Row(f'memory of PyTorch / {net} {depth}{label} (GB)', ours, peer, peer / ours, 1.0)


def _peak(subject: Remote) -> float:
    with subject:
        subject.seconds(3)
        return subject.peak_memory()


def svhn(setting: Setting) -> Iterator[Row]:
    """The most memory of preparing SVHN and of training on it, beside 5 GB.

    Noise of the official files' sizes stands for them; it takes 6 GB in the folder for temporary files.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_svhn(folder)
        prepare = peak_of_command([sys.executable, '-c', PREPARE, folder])
        train = peak_of_command(
            [
                sys.executable,
                'train_svhn.py',
                '--net',
                'dfn-mr',
                '--depth',
                '14',
                '--epochs',
                '1',
                '--data-dir',
                folder,
                '--no-verify',
                '--log-dir',
                folder,
            ],
            TRAINING,
        )
    for what, gigabytes in (('prepare', prepare), ('train on', train)):
        yield Row(f'{MOST} GB / memory to {what} SVHN (GB)', gigabytes, MOST, MOST / gigabytes, 1.0)


def peak_of_command(command: list[str], seconds: float | None = None) -> float:
    """Run a command and return the most memory it had, in gigabytes.

    Args:
        seconds: after which SIGTERM ends it; None lets it end by itself.

    Raises:
        CalledProcessError: it failed.
    """
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    begun, most = time.monotonic(), 0.0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):  # it has just ended
            most = peak_memory(process.pid)
        time.sleep(0.2)
        if seconds and time.monotonic() - begun > seconds:
            process.send_signal(signal.SIGTERM)
            seconds = None
    if process.returncode not in (0, 128 + signal.SIGTERM):
        raise subprocess.CalledProcessError(process.returncode, command)
    return most
