"""NVIDIA's driver: libraries with its functions, compiled here, stand for libcuda.so.1."""

import ctypes
import shutil
import subprocess

import pytest

from training import nvidia

TWO_GPUS = """
    #include <string.h>
    int cuInit(unsigned flags) { return 0; }
    int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
    int cuDeviceGetCount(int *count) { *count = 2; return 0; }
    int cuDeviceGet(int *device, int ordinal) { *device = ordinal + 100; return 0; }
    int cuDeviceGetName(char *name, int size, int device) {
        strncpy(name, device == 101 ? "NVIDIA H100" : "NVIDIA L40S", size); return 0; }
    int cuDeviceGetAttribute(int *value, int attribute, int device) {
        *value = device == 101 ? (attribute == 75 ? 9 : 0) : (attribute == 75 ? 8 : attribute == 76 ? 9 : -1);
        return 0; }"""
FAILING = """
    int cuInit(unsigned flags) {{ return {status}; }}
    int cuDriverGetVersion(int *version) {{ *version = 11080; return 0; }}
    int cuDeviceGetCount(int *count) {{ *count = 7; return 3; }}"""


@pytest.fixture
def library(monkeypatch, tmp_path):
    """Let a C source be libcuda.so.1."""
    if not shutil.which('cc'):
        pytest.skip('no C compiler')

    def compile_(source):
        (tmp_path / 'cuda.c').write_text(source)
        path = str(tmp_path / 'libcuda.so')
        subprocess.check_call(['cc', '-shared', '-fPIC', '-o', path, str(tmp_path / 'cuda.c')])
        opened = ctypes.CDLL(path)
        monkeypatch.setattr(nvidia.ctypes, 'CDLL', lambda name: {'libcuda.so.1': opened}[name])

    return compile_


def test_the_driver_names_its_gpus(library):
    library(TWO_GPUS)
    gpus = nvidia.Gpu('NVIDIA L40S', (8, 9)), nvidia.Gpu('NVIDIA H100', (9, 0))
    assert nvidia.driver() == nvidia.Driver((12, 4), gpus)
    assert str(gpus[1]) == 'NVIDIA H100, compute capability 9.0'


def test_a_driver_without_a_gpu(library):
    library(FAILING.format(status=100))
    assert nvidia.driver() == nvidia.Driver((11, 8))


def test_a_driver_that_does_not_work(library):
    library(FAILING.format(status=803))
    assert 'cuInit ends with error 803' in nvidia.driver().problem and nvidia.driver().gpus == ()


def test_no_driver(monkeypatch):
    monkeypatch.setattr(nvidia.ctypes, 'CDLL', lambda name: (_ for _ in ()).throw(OSError(name)))
    assert nvidia.driver() == nvidia.Driver(problem='none, there is no libcuda.so.1')
