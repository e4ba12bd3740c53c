"""NVIDIA's driver, asked through its library: which GPUs there are. It needs neither CUDA nor MXNet."""

import ctypes
from typing import NamedTuple

NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


class Gpu(NamedTuple):
    """A GPU: its name, and its compute capability, (major, minor)."""

    name: str
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f'{self.name}, compute capability {self.capability[0]}.{self.capability[1]}'


class Driver(NamedTuple):
    """The driver.

    cuda: the newest CUDA that it serves, (major, minor); None without a driver that works.
    gpus: in CUDA's order, and without those that CUDA_VISIBLE_DEVICES hides, so that GPU i is MXNet's gpu(i).
    problem: why it does not work; empty where it does, with GPUs or without.
    """

    cuda: tuple[int, int] | None = None
    gpus: tuple[Gpu, ...] = ()
    problem: str = ''


def driver() -> Driver:
    """What the driver says now."""
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return Driver(problem='none, there is no libcuda.so.1')
    status = cuda.cuInit(0)
    if status not in (0, NO_DEVICE):
        return Driver(problem=f'it does not work, cuInit ends with error {status}; nvidia-smi may say more')
    version = _number(cuda.cuDriverGetVersion)
    count = 0 if status else _number(cuda.cuDeviceGetCount)
    return Driver((version // 1000, version % 1000 // 10), tuple(_gpu(cuda, number) for number in range(count)))


def _number(function, *arguments):
    """The number that a function writes where its first argument points."""
    value = ctypes.c_int()
    function(ctypes.byref(value), *arguments)
    return value.value


def _gpu(cuda, number):
    device = _number(cuda.cuDeviceGet, number)
    name = ctypes.create_string_buffer(100)
    cuda.cuDeviceGetName(name, len(name), device)
    major, minor = (_number(cuda.cuDeviceGetAttribute, attribute, device) for attribute in (MAJOR, MINOR))
    return Gpu(name.value.decode(errors='replace'), (major, minor))
