"""The report of `python -m training.devices`, for machines that are pretended."""

import mmap
import os
import sys
import types

import pytest

from common.mxnet import mx
from tests.stand_ins import pretend
from training import devices, nvidia
from training.devices import __main__ as command

ADA = nvidia.Gpu('NVIDIA L40S', (8, 9))
HOPPER = nvidia.Gpu('NVIDIA H100', (9, 0))


def report(monkeypatch, driver, package='mxnet', seen=None):
    """The report as {what: text}, with a driver, and with a GPU build where it sees `seen` GPUs."""
    if seen is not None:
        pretend(monkeypatch, seen)
    monkeypatch.setattr(nvidia, 'driver', lambda: driver)
    monkeypatch.setattr(devices, 'package', lambda: package)
    return dict(command.report())


def test_the_command_prints_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['devices'])
    command.main()
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[:4]] == ['MXNet', 'processor', 'CPU', 'driver']
    assert (
        f'{mx.__version__}, package ' in out
        and 'MKLDNN' in out
        and f'OMP_NUM_THREADS={os.environ["OMP_NUM_THREADS"]};' in out
    )


def test_without_a_driver(monkeypatch):
    lines = report(monkeypatch, nvidia.Driver(problem='none, there is no libcuda.so.1'))
    assert lines['driver'] == "NVIDIA's: none, there is no libcuda.so.1" and 'GPU 0' not in lines
    assert lines['to do'] == "train on the CPU, without --gpus; for an NVIDIA GPU, install NVIDIA's driver"


def test_a_driver_without_a_gpu(monkeypatch):
    lines = report(monkeypatch, nvidia.Driver((12, 4)))
    assert lines['driver'] == "NVIDIA's, for CUDA up to 12.4, with 0 GPUs"
    assert lines['to do'] == 'train on the CPU, without --gpus; the driver sees no GPU'


def test_the_cpu_build_beside_gpus_says_what_to_install(monkeypatch):
    lines = report(monkeypatch, nvidia.Driver((12, 4), (ADA, HOPPER)))
    assert lines['GPU 0'] == 'NVIDIA L40S, compute capability 8.9: the GPU wheel of MXNet runs on it'
    assert "does not run on it, NVIDIA's container does" in lines['GPU 1']
    assert lines['to do'] == 'install the GPU build of MXNet: `make .venv GPU=1`'
    assert "NVIDIA's container" in report(monkeypatch, nvidia.Driver((12, 4), (HOPPER,)))['to do']


def test_the_gpu_wheel_names_the_gpus_that_fit(monkeypatch):
    lines = report(monkeypatch, nvidia.Driver((12, 4), (HOPPER, ADA)), 'mxnet-cu112', seen=2)
    assert 'CUDA of unknown version' in lines['MXNet'] and 'package mxnet-cu112' in lines['MXNet']
    assert 'H100, compute capability 9.0: is too new for this MXNet' in lines['GPU 0']
    assert lines['GPU 1'].endswith(': MXNet runs on it') and lines['to do'] == 'train with --gpus 1'


def test_the_cuda_that_another_package_has_loaded_does_not_count(monkeypatch, tmp_path):
    library = tmp_path / 'libcudart.so.13'
    library.write_bytes(bytes(mmap.PAGESIZE))
    with library.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        lines = report(monkeypatch, nvidia.Driver((12, 4), (ADA,)), seen=1)
    assert lines['MXNet'].endswith(', CUDA of unknown version')  # the tests have the CPU build


def test_the_version_of_cuda(monkeypatch):
    def write_version(pointer):
        pointer._obj.value = 11020

    monkeypatch.setattr(mx.base, '_LIB', types.SimpleNamespace(cudaRuntimeGetVersion=write_version))
    assert command._cuda() == 'CUDA 11.2'


def test_hopper_with_the_wheel_and_with_another_build(monkeypatch):
    driver = nvidia.Driver((12, 4), (HOPPER,))
    assert (
        "without --gpus; a newer GPU needs NVIDIA's container" in report(monkeypatch, driver, 'mxnet-cu112', 1)['to do']
    )
    assert report(monkeypatch, driver, '', 1)['to do'] == 'train with --gpus 0'


def test_a_driver_too_old_for_this_build(monkeypatch):
    lines = report(monkeypatch, nvidia.Driver((10, 2), (ADA,)), 'mxnet-cu112', seen=0)
    assert lines['to do'] == 'install a newer driver: MXNet sees no GPU, though the driver does'

    def fail():
        raise mx.MXNetError(
            'Check failed: e == cudaSuccess: CUDA driver version is insufficient for CUDA runtime version'
        )

    monkeypatch.setattr(mx.context, 'num_gpus', fail)
    lines = dict(command.report())
    assert 'CUDA driver version is insufficient' in lines['CUDA'] and 'install a newer driver' in lines['to do']


@pytest.mark.parametrize(
    'flags, expected',
    [
        ('sse avx2', 'AVX2, no AVX-512, no AVX512-BF16; --dtype bfloat16 does not work'),
        ('avx2 avx512bw', 'AVX2, AVX-512, no AVX512-BF16; --dtype bfloat16 works slowly'),
        ('avx2 avx512bw avx512_bf16', 'AVX2, AVX-512, AVX512-BF16; --dtype bfloat16 works'),
    ],
)
def test_what_the_cpu_can(monkeypatch, flags, expected):
    monkeypatch.setattr(devices, '_cpuinfo', {'flags': flags, 'model name': 'Some CPU'}.get)
    monkeypatch.setattr(command, 'physical_cores', lambda: 2)
    lines = report(monkeypatch, nvidia.Driver(problem='none'))
    assert (
        lines['CPU'] == f'2 cores, OMP_NUM_THREADS={os.environ["OMP_NUM_THREADS"]}; {expected}'
        and lines['processor'] == 'Some CPU'
    )
