"""From --gpus and --cpus to MXNet contexts. What there is here, which GPU fits, and what to do:

python -m training.devices
"""

from collections.abc import Sequence
from importlib import metadata
import os
import platform
import re

from common.errors import UserError
from common.mxnet import mx
from training import nvidia

# The wheels of MXNet's last releases hold machine code for sm_50, 60, 70, 80 and 86, and no PTX to compile for others.
# Within a generation older code runs on newer chips, so they serve compute capability 5.0 to 8.9. Other builds, such as
# the one in NVIDIA's container, have code for other GPUs; nothing says for which, so their first kernel tells.
WHEELS = ('mxnet-cu110', 'mxnet-cu112', 'mxnet-cu117')
OLDEST, NEWEST = (5, 0), (8, 9)
VECTORS = {'AVX2': 'avx2', 'AVX-512': 'avx512bw'}  # as Linux spells them
CONTAINER = "a newer GPU needs NVIDIA's container for MXNet (docs/gpus.md)"


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
    if not has_cuda():
        raise UserError(
            '--gpus needs a GPU build of MXNet, and this one has no CUDA: install it with '
            '`make .venv GPU=1`; without --gpus the CPU is used'
        )
    there = count_gpus()
    if max(ids) >= there:
        raise UserError(f'there is no GPU {max(ids)}: MXNet sees {there}; python -m training.devices says more')
    for number in ids:
        problem = problem_of(number)
        if problem:
            raise UserError(f'GPU {number} {problem}')
    return [mx.gpu(number) for number in ids]


def has_cuda() -> bool:
    """Whether this MXNet is a GPU build."""
    return mx.runtime.Features().is_enabled('CUDA')


def count_gpus() -> int:
    """The number of GPUs that MXNet sees.

    Raises:
        UserError: CUDA does not work.
    """
    try:
        return mx.context.num_gpus()
    except mx.MXNetError as error:
        raise UserError(
            f'CUDA does not work here ({_in_one_line(error)}): python -m training.devices says what is missing'
        ) from None


def problem_of(number: int) -> str:
    """What keeps MXNet from using a GPU that it sees; empty where its first kernel runs."""
    if package() in WHEELS:
        problem = misfit(nvidia.driver().gpus[number].capability)
        if problem:
            return problem
    try:
        (mx.nd.ones(1, mx.gpu(number)) + 1).asnumpy()
    except mx.MXNetError as error:
        gpus = dict(enumerate(nvidia.driver().gpus))
        return (
            f'({gpus.get(number, "of unknown kind")}) does not run the first kernel of this MXNet '
            f'({_in_one_line(error)}): it may have no code for this GPU, or another process uses all its memory; '
            'use another GPU, another build of MXNet (docs/gpus.md), or the CPU'
        )
    return ''


def misfit(capability: tuple[int, int]) -> str:
    """Why the wheels of MXNet do not run on a GPU of this compute capability; empty where they do."""
    if OLDEST <= capability <= NEWEST:
        return ''
    return (
        f'is too {"new" if capability > NEWEST else "old"} for this MXNet: its wheels run on Maxwell to Ada (compute '
        f'capability 5.0 to 8.9), not on Hopper or later; this one has {capability[0]}.{capability[1]}; use another '
        f'GPU, or the CPU; {CONTAINER}'
    )


def package() -> str:
    """The name of the package that MXNet came with; empty if pip did not install it."""
    folder = os.path.dirname(os.path.realpath(mx.__file__))
    for found in metadata.distributions():
        name = found.metadata['Name'] or ''
        if 'mxnet' in name and os.path.realpath(str(found.locate_file('mxnet'))) == folder:
            return name
    return ''


def _in_one_line(error):
    """What a failed check of MXNet says, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((line for line in reversed(lines) if 'Check failed' in line or 'CUDA' in line), lines[-1])
    return re.sub(r'^\[[\d:]+\] |\S+\.(cc|cu|h):\d+: ', '', line)[:200]


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
    return VECTORS['AVX-512'] in flags()


def describe(devices: Sequence[mx.Context]) -> dict:
    """What to record of the devices: their names, and the processor, on whose kind the last bits depend."""
    return {'devices': [str(device) for device in devices], 'processor': processor(), 'vectors': vectors()}


def vectors() -> str:
    """The widest vectors that oneDNN can use on this CPU."""
    return next((name for name, flag in reversed(VECTORS.items()) if flag in flags()), 'none')


def processor() -> str:
    """The name of the processor."""
    return _cpuinfo('model name') or platform.machine()


def flags() -> list[str]:
    """What the processor can do, as Linux spells it."""
    return _cpuinfo('flags').split()


def _cpuinfo(field):
    """The field of the first processor, '' where it has none."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            return next(line.split(':', 1)[1].strip() for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return ''
