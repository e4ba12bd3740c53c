"""From --gpus and --cpus to MXNet contexts."""

from collections.abc import Sequence
import ctypes
import platform

from common.errors import UserError
from common.mxnet import mx

# The GPU wheels hold machine code for sm_50, 60, 70, 80 and 86, and no PTX to compile for others. Within a generation
# older code runs on newer chips, so they serve compute capability 5.0 to 8.9.
OLDEST, NEWEST = (5, 0), (8, 9)


def contexts(gpus: str | None = None, cpus: int = 1) -> list[mx.Context]:
    """The contexts of `--gpus 0,1` or `--cpus N`.

    Raises:
        UserError: MXNet cannot use a GPU that is named.
    """
    if gpus is None:
        return [mx.cpu(i) for i in range(cpus)]
    try:
        ids = [int(part) for part in gpus.split(',')]
    except ValueError:
        raise UserError(f'--gpus {gpus}: give the numbers of the GPUs, such as --gpus 0,1') from None
    if len(set(ids)) < len(ids) or min(ids) < 0:
        raise UserError(f'--gpus {gpus}: name each GPU once, by its number from 0')
    _check_gpus(ids)
    return [mx.gpu(i) for i in ids]


def _check_gpus(ids):
    if not mx.runtime.Features().is_enabled('CUDA'):
        raise UserError(
            '--gpus needs a GPU build of MXNet, and this one has no CUDA: install it with '
            '`make .venv GPU=1`; without --gpus the CPU is used'
        )
    there = mx.context.num_gpus()
    if max(ids) >= there:
        raise UserError(f'there is no GPU {max(ids)}: MXNet sees {there}')
    for i in ids:
        capability = _compute_capability(i)
        if not OLDEST <= capability <= NEWEST:
            age = 'new' if capability > NEWEST else 'old'
            raise UserError(
                f'GPU {i} is too {age} for this MXNet: its wheels run on Maxwell to Ada (compute '
                f'capability 5.0 to 8.9), not on Hopper or later; this one has {capability[0]}.'
                f'{capability[1]}; use another GPU, or the CPU'
            )


def _compute_capability(gpu):
    """(major, minor) from NVIDIA's driver; MXNet itself only fails at its first kernel."""
    cuda = ctypes.CDLL('libcuda.so.1')
    device, values = ctypes.c_int(), []
    cuda.cuInit(0)
    cuda.cuDeviceGet(ctypes.byref(device), gpu)
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        values.append(value.value)
    return tuple(values)


def check_dtype(dtype: str, on_gpus: bool, what: str) -> None:
    """Raise UserError, about `what`, unless MXNet can compute in a type on GPUs, or on this machine's CPU."""
    if dtype == 'float16' and not on_gpus:
        raise UserError(f'{what} needs --gpus: MXNet has no convolutions of float16 on the CPU')
    if dtype == 'bfloat16' and on_gpus:
        raise UserError(f'{what} is for a CPU with AVX-512; GPUs have float16')
    if dtype == 'bfloat16' and not has_bfloat16():
        raise UserError(f'{what} is for a CPU with AVX-512, which this one does not have')


def has_bfloat16() -> bool:
    """Whether MXNet can compute in bfloat16 on this CPU: oneDNN needs AVX-512, and is fast with AVX512-BF16."""
    return 'avx512bw' in _cpuinfo('flags').split()


def describe(devices: Sequence[mx.Context]) -> dict:
    """What to record of the devices: their names, and the processor."""
    return {'devices': [str(device) for device in devices], 'processor': _processor()}


def _processor():
    return _cpuinfo('model name') or platform.machine()


def _cpuinfo(field):
    """The field of the first processor, '' where it has none."""
    try:
        with open('/proc/cpuinfo') as file:
            return next(line.split(':', 1)[1].strip() for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return ''
