"""Time and memory of preparing and of reading the whole SVHN.

The official files are not needed: three of their sizes and layout are made of blurred noise (6 GB in the folder for
temporary files while it runs). Each part is a process of its own, so that its memory can be told apart.
"""
import contextlib
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks.rounds import Row
from benchmarks.subject import ROOT, peak_memory

MOST = 5        # GB
TRAINING = 40   # seconds

MAKE = '''
import sys
import cv2, numpy as np, scipy.io
random = np.random.RandomState(0)
for name, count in (('train', 73257), ('extra', 531131), ('test', 26032)):
    images = np.empty((32, 32, 3, count), np.uint8, order='F')
    for i in range(count):
        images[..., i] = cv2.resize(random.randint(0, 256, (6, 6, 3)).astype(np.uint8), (32, 32))
    labels = random.randint(1, 11, (count, 1)).astype(np.uint8)
    scipy.io.savemat('%s/%s_32x32.mat' % (sys.argv[1], name), {'X': images, 'y': labels}, do_compression=True)
'''
PREPARE = '''
import sys
import data
data.load('svhn', sys.argv[1], splits=[], verify=False)
'''
TRAIN = '''
import sys
import train_svhn
from common import cli
sys.argv = ['train_svhn.py', '--net', 'dfn-mr', '--depth', '14', '--epochs', '1', '--data-dir', sys.argv[1],
            '--no-verify', '--log-dir', sys.argv[1] + '/logs']
cli.run(train_svhn.main)
'''


def peak(code, folder, seconds=None):
    """Run Python code on a folder, ended by SIGTERM after some seconds; returns its peak memory in GB."""
    process = subprocess.Popen([sys.executable, '-c', code, folder], cwd=ROOT, stdout=subprocess.DEVNULL)
    begun, most = time.monotonic(), 0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):  # it has just ended
            most = peak_memory(process.pid)
        time.sleep(0.2)
        if seconds and time.monotonic() - begun > seconds:
            process.send_signal(signal.SIGTERM)
            seconds = None
    if process.returncode not in (0, 128 + signal.SIGTERM):
        sys.exit('it failed')
    return most


def measure(setting):
    """Preparing SVHN, and training on it, beside 5 GB."""
    with tempfile.TemporaryDirectory() as folder:
        peak(MAKE, folder)
        for what, gigabytes in (('prepare', peak(PREPARE, folder)), ('train on', peak(TRAIN, folder, TRAINING))):
            yield Row('%d GB / memory to %s SVHN (GB)' % (MOST, what), gigabytes, MOST, MOST / gigabytes, 1.0)
