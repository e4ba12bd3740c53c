"""MXNet 1.9.1, made ready for today's Python. Every import of MXNet goes through this module:

    from common.mxnet import mx

No later release of MXNet will follow. What has changed around it is therefore mended here, before the import:

- MXNet and GluonCV read names in numpy that numpy 1.24 and 2.0 removed. They are given back.
- Python 3.12 removed `distutils`. setuptools provides it.
- MXNet takes half of the processors for hyperthreads: on a two-core laptop it starts one OpenMP thread.
  OMP_NUM_THREADS is set to the number of physical cores, less those that are busy with other work, unless the user set
  it. Workers on one machine share the cores.
- Some variables that are set for other programs make MXNet wrong, slow or crash. They are undone.
- The GPU wheels of MXNet look for CUDA's libraries on the system. If NVIDIA's wheels of requirements.txt are
  installed, their libraries are loaded first, so no CUDA toolkit is needed.
"""

import ctypes
import glob
from importlib import metadata
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np

from common.errors import fail_at_import
from common.load import busy_cores
from common.role import check_role

#: NVIDIA's wheels in the order in which their libraries need one another.
NVIDIA_WHEELS = ('cuda_runtime', 'nvtx', 'cuda_nvrtc', 'cublas', 'cufft', 'curand', 'cusolver', 'cudnn', 'nccl')


def _no_longer_in_numpy(*args, **kwargs):
    raise NotImplementedError('numpy no longer has its financial functions')


#: What MXNet and GluonCV read in numpy and no longer find there.
NUMPY_NAMES = {
    # Removed in 1.24. numpy 2 has `np.bool` again, as another type.
    'bool': bool,
    'int': int,
    'float': float,
    'complex': complex,
    'object': object,
    'str': str,
    # Removed in 2.0.
    'PZERO': 0.0,
    'NZERO': -0.0,
    'PINF': np.inf,
    'NINF': -np.inf,
    'Inf': np.inf,
    'NaN': np.nan,
    'NAN': np.nan,
    'alltrue': np.all,
    'sometrue': np.any,
    'product': np.prod,
    'round_': np.round,
    'msort': lambda array: np.sort(array, axis=0),
    # Removed in 1.20. MXNet copies these functions and never calls them.
    **dict.fromkeys(('mirr', 'npv', 'pmt', 'ppmt', 'pv', 'rate'), _no_longer_in_numpy),
}


def restore_numpy_names() -> None:
    """Give numpy back the names it lacks. Those it has, in whatever meaning, stay as they are."""
    for name, value in NUMPY_NAMES.items():
        if name not in vars(np):  # hasattr would warn about some of the names in numpy 1.24 to 1.26
            setattr(np, name, value)


def restore_distutils() -> None:
    """Make `import distutils` work on Python 3.12 and newer."""
    if sys.version_info >= (3, 12):
        import setuptools  # noqa: F401  importing it is enough


def physical_cores() -> int:
    """Count the cores that this process may keep busy: a container's CPU quota is respected."""
    return max(1, int(min(cores_in_reach(), cpu_quota())))


def cores_in_reach() -> int:
    """Count the cores that this process may run on. Hyperthreads of one core count once."""
    processors = os.sched_getaffinity(0)
    topology = '/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list'
    return len({_read(topology.format(processor)) or str(processor) for processor in processors})


def cpu_quota() -> float:
    """The processors that the container may keep busy, such as 1.5; infinite where there is no limit.

    Each group of processes may have a limit, and so may each group around it: the smallest counts.
    """
    limits = [math.inf]
    for line in ['0::/', '1:cpu:/', *_read('/proc/self/cgroup').splitlines()]:  # a container may not see its own path
        _, kinds, group = line.split(':', 2)
        if kinds == '':  # version 2 of cgroups
            limits += [_limit(_read(f'/sys/fs/cgroup{place}/cpu.max').split()) for place in _upwards(group)]
        elif 'cpu' in kinds.split(','):
            folders = [f'/sys/fs/cgroup/{kinds}{place}/cpu.cfs' for place in _upwards(group)]
            limits += [_limit([_read(f'{folder}_{name}_us') for name in ('quota', 'period')]) for folder in folders]
    return min(limits)


def _upwards(group):
    """The path of a group, and those of the groups around it; the outermost is ''."""
    parts = group.strip('/').split('/')
    return dict.fromkeys(''.join(f'/{part}' for part in parts[:count] if part) for count in range(len(parts), -1, -1))


def _limit(words):
    try:
        quota, period = map(int, words)
    except ValueError:  # `max`, or no such file
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf  # version 1 says -1


def share_of_cores() -> int:
    """Return this process's share of the cores: the launcher may have started several workers on the machine."""
    return max(1, physical_cores() // int(os.environ.get('WORKERS_HERE', '1')))


def _read(path: str) -> str:
    try:
        with open(path, encoding='utf-8') as file:
            return file.read().strip()
    except OSError:
        return ''


def set_threads() -> tuple[bool, str]:
    """Choose the number of OpenMP threads unless the user did. libgomp reads it once, when it is loaded.

    Every operator waits for its slowest thread. One that shares its core with other work makes all of them slow, so
    cores that are busy get no thread.

    Returns:
        Whether the user chose, and what to tell the user of our choice, if anything.
    """
    if os.environ.get('OMP_NUM_THREADS', '').isdigit():  # MXNet understands a plain number only
        return True, ''
    cores, note = share_of_cores(), ''
    threads = cores
    if cores > 1 and 'WORKERS_HERE' not in os.environ:  # the launcher's workers start together, and share as they are
        busy, reach = round(busy_cores()), cores_in_reach()  # with a quota, more cores are in reach than may be used
        threads = max(1, min(cores, reach - busy))
        if threads < cores:
            note = (
                f'{min(busy, reach)} of {reach} cores are busy with other work: {threads} '
                f'thread{"" if threads == 1 else "s"} instead of {cores} (OMP_NUM_THREADS={cores} starts them all)'
            )
    os.environ['OMP_NUM_THREADS'] = str(threads)
    return False, note


def undo_variables() -> None:
    """Undo what others' advice sets in the environment and MXNet cannot do with.

    If OpenMP starts fewer threads than it was asked to, oneDNN's gradients of convolutions are wrong, or it waits for
    ever. Without oneDNN, the form of the networks that trains faster on the CPU ends in a segmentation fault.
    """
    os.environ['OMP_DYNAMIC'] = 'false'
    for name in ('OMP_THREAD_LIMIT', 'MXNET_MKLDNN_ENABLED'):
        os.environ.pop(name, None)


def environment_of_commands() -> dict[str, str]:
    """The environment for other commands of ours. They choose their threads themselves unless the user did."""
    return {name: value for name, value in os.environ.items() if THREADS_GIVEN or name != 'OMP_NUM_THREADS'}


def restart_with_threads(threads: int) -> None:
    """Start this command anew with another number of threads; what it has not written yet is lost."""
    os.environ['OMP_NUM_THREADS'] = str(threads)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def silence_binding() -> None:
    """Keep MXNet from writing "Subgraph backend MKLDNN is activated" whenever it binds an executor."""
    os.environ.setdefault('MXNET_SUBGRAPH_VERBOSE', '0')


def load_nvidia_wheels() -> list[str]:
    """Load the libraries of NVIDIA's wheels for a GPU build of MXNet.

    A CPU build needs none of them; beside it, the wheels belong to another package. A library that cannot be loaded
    is skipped: MXNet's own import says what it misses.

    Returns:
        The paths of the libraries loaded, in order.
    """
    nvidia = importlib.util.find_spec('nvidia')
    if nvidia is None or not _is_gpu_build():
        return []
    loaded = []
    for wheel in NVIDIA_WHEELS:
        for folder in nvidia.submodule_search_locations or ():
            loaded += _load_all(sorted(glob.glob(os.path.join(glob.escape(folder), wheel, 'lib', '*.so*'))))
    return loaded


def _load_all(paths: list[str]) -> list[str]:
    """Load libraries that need one another: try again until no more of them load."""
    loaded: list[str] = []
    waiting = paths
    while waiting:
        failed = []
        for path in waiting:
            try:
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
                loaded.append(path)
            except OSError:
                failed.append(path)
        if len(failed) == len(waiting):
            break
        waiting = failed
    return loaded


def missing_libraries() -> list[str]:
    """Name the libraries that MXNet's own one needs and that the system and NVIDIA's wheels do not have."""
    mxnet = importlib.util.find_spec('mxnet')
    folders = (mxnet and mxnet.submodule_search_locations) or ()
    needed: list[str] = []
    if not shutil.which('ldd'):
        return needed
    for path in (os.path.join(folder, 'libmxnet.so') for folder in folders):
        listed = subprocess.run(['ldd', path], capture_output=True, text=True).stdout
        needed += re.findall(r'^\s*(\S+) => not found', listed, re.M)
    return [name for name in dict.fromkeys(needed) if not _load_all([name])]


def _is_gpu_build() -> bool:
    return any((package.metadata['Name'] or '').startswith('mxnet-cu') for package in metadata.distributions())


check_role()
restore_numpy_names()
restore_distutils()
undo_variables()
THREADS_GIVEN, THREADS_NOTE = set_threads()
silence_binding()
load_nvidia_wheels()

# MXNet would import these for its old estimators, its quantization and conversions of sparse arrays, none of which this
# project uses. Without them it starts in two thirds of the time.
NOT_NEEDED = [name for name in ('scipy', 'sklearn') if name not in sys.modules]
sys.modules.update(dict.fromkeys(NOT_NEEDED))  # type: ignore[arg-type]  # None stops an import
REACH = os.sched_getaffinity(0)

try:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of what Python deprecates; PYTHONWARNINGS=error would end it
        import mxnet as mx  # noqa: E402,F401  everything above has to come first
except OSError as error:
    remedy = (
        'sudo apt install libgomp1'
        if 'libgomp' in str(error)
        else "install NVIDIA's driver and the wheels of requirements.txt, or requirements/cpu.txt instead"
    )
    missing = missing_libraries()
    reason = f'it lacks {", ".join(missing)}' if missing else error
    fail_at_import(f'MXNet cannot be loaded ({reason}): {remedy}')
finally:
    for name in NOT_NEEDED:
        del sys.modules[name]
    # With OMP_PROC_BIND, libgomp has put this thread on one core, and with it all that it will start.
    if os.sched_getaffinity(0) != REACH:
        os.sched_setaffinity(0, REACH)
