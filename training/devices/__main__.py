"""What there is to train on: MXNet's build, the processor, NVIDIA's driver and GPUs, and what to do with them.

python -m training.devices
"""

from common.cli import Parser, run

import ctypes
import os

from common.errors import UserError
from common.mxnet import mx, physical_cores
from training import devices, nvidia

FEATURES = ('CUDA', 'CUDNN', 'NCCL', 'MKLDNN', 'OPENMP', 'DIST_KVSTORE')
BFLOAT16 = 'avx512_bf16'  # as Linux spells it


def main() -> None:
    """Print the report."""
    Parser(prog='python -m training.devices', description=__doc__).parse_args()
    for what, text in report():
        print(f'{what:9}  {text}')


def report() -> list[tuple[str, str]]:
    """The lines of the report: (what, text)."""
    driver, seen, fit = nvidia.driver(), 0, []
    lines = [('MXNet', _build()), ('processor', devices.processor()), ('CPU', _cpu()), ('driver', _driver(driver))]
    try:
        seen = devices.count_gpus() if devices.has_cuda() else 0
    except UserError as error:
        lines.append(('CUDA', str(error)))
    for number, gpu in enumerate(driver.gpus):
        if number < seen:
            problem = devices.problem_of(number)
            fit += [] if problem else [number]
            lines.append((f'GPU {number}', f'{gpu}: {problem or "MXNet runs on it"}'))
        else:
            works = "does not run on it, NVIDIA's container does" if devices.misfit(gpu.capability) else 'runs on it'
            lines.append((f'GPU {number}', f'{gpu}: the GPU wheel of MXNet {works}'))
    return [*lines, ('to do', _advice(driver, seen, fit))]


def _advice(driver, seen, fit):
    if fit:
        return f'train with --gpus {",".join(map(str, fit))}'
    if driver.problem or not driver.gpus:
        why = "for an NVIDIA GPU, install NVIDIA's driver" if driver.problem else 'the driver sees no GPU'
        return f'train on the CPU, without --gpus; {why}'
    if not seen and devices.has_cuda():
        return 'install a newer driver: MXNet sees no GPU, though the driver does'
    if seen or all(devices.misfit(gpu.capability) for gpu in driver.gpus):
        return f'train on the CPU, without --gpus; {devices.CONTAINER}'
    return 'install the GPU build of MXNet: `make .venv GPU=1`'


def _build():
    enabled = mx.runtime.Features().is_enabled
    features = [name for name in FEATURES if enabled(name)] + ([_cuda()] if devices.has_cuda() else [])
    return f'{mx.__version__}, package {devices.package() or "unknown"}, with {", ".join(features)}'


def _cuda():
    """The version of the CUDA library that MXNet is linked with. Other packages, such as PyTorch, may load another."""
    version = ctypes.c_int()
    try:
        mx.base._LIB.cudaRuntimeGetVersion(ctypes.byref(version))
    except AttributeError:  # it is not linked as a library of its own
        return 'CUDA of unknown version'
    return f'CUDA {version.value // 1000}.{version.value % 1000 // 10}'


def _cpu():
    flags, cores = devices.flags(), physical_cores()
    all_vectors = {**devices.VECTORS, 'AVX512-BF16': BFLOAT16}
    vectors = ', '.join(('' if flag in flags else 'no ') + name for name, flag in all_vectors.items())
    works = ('works' if BFLOAT16 in flags else 'works slowly') if devices.has_bfloat16() else 'does not work'
    return (
        f'{cores} core{"" if cores == 1 else "s"}, OMP_NUM_THREADS={os.environ["OMP_NUM_THREADS"]}; {vectors}; '
        f'--dtype bfloat16 {works}'
    )


def _driver(driver):
    if driver.problem:
        return f"NVIDIA's: {driver.problem}"
    count = len(driver.gpus)
    return f"NVIDIA's, for CUDA up to {driver.cuda[0]}.{driver.cuda[1]}, with {count} GPU{'' if count == 1 else 's'}"


if __name__ == '__main__':
    run(main)
