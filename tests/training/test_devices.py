"""From --gpus and --cpus to contexts, with MXNet's answers replaced where there is no GPU."""

import ctypes
import shutil
import subprocess

import pytest

from common.errors import UserError
from common.mxnet import mx
from training import devices


@pytest.fixture
def two_gpus(monkeypatch):
    """A GPU build that sees two GPUs, as far as MXNet's queries go."""
    monkeypatch.setattr(mx.runtime, 'Features', lambda: type('F', (), {'is_enabled': lambda self, name: True})())
    monkeypatch.setattr(mx.context, 'num_gpus', lambda: 2)
    monkeypatch.setattr(devices, '_compute_capability', lambda gpu: (8, 9))


def test_cpus_are_so_many_contexts():
    assert devices.contexts(cpus=3) == [mx.cpu(0), mx.cpu(1), mx.cpu(2)]


def test_gpus_by_number(two_gpus):
    assert devices.contexts('1,0') == [mx.gpu(1), mx.gpu(0)]


def test_a_gpu_that_is_not_there(two_gpus):
    with pytest.raises(UserError, match='there is no GPU 2: MXNet sees 2'):
        devices.contexts('0,2')


def test_a_build_without_cuda():
    with pytest.raises(UserError, match='this one has no CUDA: install it with `make .venv GPU=1`; without --gpus the'):
        devices.contexts('0')


@pytest.mark.parametrize(
    'gpus, message',
    [
        ('all', '--gpus all: give the numbers of the GPUs'),
        ('0,0', '--gpus 0,0: name each GPU once'),
        ('-1', '--gpus -1: name each GPU once, by its number from 0'),
    ],
)
def test_numbers_of_gpus_that_are_none(two_gpus, gpus, message):
    with pytest.raises(UserError, match=message):
        devices.contexts(gpus)


@pytest.mark.parametrize('capability, word', [((9, 0), 'new'), ((10, 0), 'new'), ((3, 7), 'old')])
def test_a_gpu_the_wheel_has_no_code_for(two_gpus, monkeypatch, capability, word):
    monkeypatch.setattr(devices, '_compute_capability', lambda gpu: capability if gpu == 1 else (7, 0))
    major, minor = capability
    expected = f'GPU 1 is too {word} for this MXNet: .*not on Hopper or later; this one has {major}.{minor}'
    with pytest.raises(UserError, match=expected):
        devices.contexts('0,1')
    devices.contexts('0')


def test_the_driver_is_asked_for_the_compute_capability(monkeypatch, tmp_path):
    """A library with the driver's three functions, compiled here, stands for libcuda.so.1."""
    if not shutil.which('cc'):
        pytest.skip('no C compiler')
    (tmp_path / 'cuda.c').write_text("""
        int cuInit(unsigned flags) { return 0; }
        int cuDeviceGet(int *device, int ordinal) { *device = ordinal + 100; return 0; }
        int cuDeviceGetAttribute(int *value, int attribute, int device) {
            *value = device == 101 ? (attribute == 75 ? 9 : attribute == 76 ? 5 : -1) : -2; return 0; }""")
    library = str(tmp_path / 'libcuda.so')
    subprocess.check_call(['cc', '-shared', '-fPIC', '-o', library, str(tmp_path / 'cuda.c')])
    opened = ctypes.CDLL(library)
    monkeypatch.setattr(devices.ctypes, 'CDLL', lambda name: {'libcuda.so.1': opened}[name])
    assert devices._compute_capability(1) == (9, 5)


@pytest.mark.parametrize('flags, expected', [('avx2 avx512f avx512bw', True), ('avx2 avx512f', False), ('', False)])
def test_bfloat16_needs_avx_512(monkeypatch, flags, expected):
    monkeypatch.setattr(devices, '_cpuinfo', {'flags': flags}.get)
    assert devices.has_bfloat16() == expected


def test_what_is_recorded_of_the_devices():
    assert devices.describe([mx.cpu(0), mx.cpu(1)])['devices'] == ['cpu(0)', 'cpu(1)']
    assert devices.describe([])['processor']
