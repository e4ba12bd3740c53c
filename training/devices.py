"""From --gpus and --cpus to MXNet contexts."""
import ctypes
import platform

from common.mxnet import mx
from common.cli import positive_int
from common.errors import UserError

# The GPU wheels hold machine code for sm_50, 60, 70, 80 and 86 and no PTX to compile for others; within a
# generation older code runs on newer chips, so they serve compute capability 5.0 to 8.9.
OLDEST, NEWEST = (5, 0), (8, 9)


def add_device_options(parser):
    """--gpus and --cpus, the same in every command. Returns the group of options."""
    devices = parser.add_argument_group('devices')
    group = devices.add_mutually_exclusive_group()
    group.add_argument('--gpus', metavar='0,1,…', help='GPUs to use; without it the CPU is used')
    group.add_argument('--cpus', type=positive_int, default=1, metavar='N',
                       help='split each batch over N CPU contexts, as over N GPUs')
    return devices


def contexts(gpus=None, cpus=1):
    """The contexts of `--gpus 0,1` or `--cpus N`; UserError where MXNet cannot use a GPU named."""
    if gpus is None:
        return [mx.cpu(i) for i in range(cpus)]
    try:
        ids = [int(part) for part in gpus.split(',')]
    except ValueError:
        raise UserError('--gpus %s: give the numbers of the GPUs, such as --gpus 0,1' % gpus) from None
    if len(set(ids)) < len(ids) or min(ids) < 0:
        raise UserError('--gpus %s: name each GPU once, by its number from 0' % gpus)
    _check_gpus(ids)
    return [mx.gpu(i) for i in ids]


def _check_gpus(ids):
    if not mx.runtime.Features().is_enabled('CUDA'):
        raise UserError('--gpus needs a GPU build of MXNet, this one has no CUDA: '
                        'make .venv GPU=1 installs it; without --gpus the CPU is used')
    there = mx.context.num_gpus()
    if max(ids) >= there:
        raise UserError('there is no GPU %d: MXNet sees %d' % (max(ids), there))
    for i in ids:
        capability = _compute_capability(i)
        if not OLDEST <= capability <= NEWEST:
            raise UserError('GPU %d is too %s for this MXNet: its wheels run on Maxwell to Ada (compute capability 5.0 '
                            'to 8.9), not on Hopper or later; this one has %d.%d; use another GPU, or the CPU'
                            % ((i, 'new' if capability > NEWEST else 'old') + capability))


def _compute_capability(gpu):
    """(major, minor) as NVIDIA's driver has it; MXNet itself only fails at its first kernel."""
    cuda = ctypes.CDLL('libcuda.so.1')
    device, values = ctypes.c_int(), []
    cuda.cuInit(0)
    cuda.cuDeviceGet(ctypes.byref(device), gpu)
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        values.append(value.value)
    return tuple(values)


def has_bfloat16():
    """Whether MXNet can compute in bfloat16 on this CPU: oneDNN does so from AVX-512 on, fast with AVX512-BF16."""
    return 'avx512bw' in _cpuinfo('flags').split()


def describe(devices):
    """What to record of the devices: their names, and the processor."""
    return {'devices': [str(device) for device in devices], 'processor': _processor()}


def _processor():
    return _cpuinfo('model name') or platform.machine()


def _cpuinfo(field):
    """The first processor's, '' where it has none."""
    try:
        with open('/proc/cpuinfo') as file:
            return next(line.split(':', 1)[1].strip() for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return ''
