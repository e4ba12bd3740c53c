"""MXNet 1.9.1, set up for today's Python.  Use it for every import of MXNet:

    from common.mxnet import mx

MXNet 1.9.1 is the project's last release, so what has aged around it is mended here, before it is
imported, and nowhere else:

- numpy removed the aliases `np.bool`, `np.int`, … in 1.24; MXNet and GluonCV still read them.
- Python 3.12 removed `distutils`; setuptools, imported first, provides it.
- Python 3.9 removed `Thread.isAlive`, which the launcher in MXNet's wheel (`dmlc_tracker`) calls.
- MXNet starts processors / 2 OpenMP threads, taking half of them for hyperthreads. On a two-core
  laptop that is one. OMP_NUM_THREADS is set to the number of physical cores unless the user set it;
  several workers on one machine share them.
- The GPU wheels look for CUDA's libraries on the system. Where NVIDIA's wheels of requirements.txt are
  installed, their libraries are loaded first, so that no CUDA toolkit is needed.
"""
import builtins
import ctypes
import glob
import importlib.util
import os
import sys
import threading

from common.errors import fail_at_import

if importlib.util.find_spec('mxnet') is None:
    fail_at_import('this Python (%s) has no MXNet: run `make .venv`, then `. .venv/bin/activate`' % sys.executable)

import numpy as np  # noqa: E402

NVIDIA_WHEELS = ('cuda_runtime nvtx cuda_nvrtc cublas cufft curand cusolver cudnn nccl').split()


def restore_numpy_names():
    """Give numpy back the aliases of Python's own types that it had until 1.23."""
    for name in 'bool int float complex object str'.split():
        setattr(np, name, getattr(builtins, name))


def restore_distutils():
    """Make `import distutils` work on Python 3.12 and newer."""
    if sys.version_info >= (3, 12):
        import setuptools  # noqa: F401  installs the finder for distutils


def restore_thread_names():
    """Give threads back the older name of `is_alive`."""
    threading.Thread.isAlive = threading.Thread.is_alive


def physical_cores():
    """Cores this process may use: hyperthreads count once, a container's CPU quota is respected."""
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        path = '/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list' % cpu
        cores.add(_read(path) or str(cpu))
    quota, _, period = (_read('/sys/fs/cgroup/cpu.max') or 'max').partition(' ')
    limit = len(cores) if quota == 'max' else int(quota) // int(period)
    return max(1, min(len(cores), limit))


def share_of_cores():
    """Cores for this process, where distributed/launch.py has started several workers on the machine."""
    return max(1, physical_cores() // int(os.environ.get('WORKERS_HERE', 1)))


def _read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ''


def set_threads():
    """Choose the number of OpenMP threads, unless the user did; libgomp reads it once, when it is loaded."""
    if not os.environ.get('OMP_NUM_THREADS', '').isdigit():  # MXNet understands nothing but a number
        os.environ['OMP_NUM_THREADS'] = str(share_of_cores())


def silence_binding():
    """Without this MXNet writes "Subgraph backend MKLDNN is activated" whenever an executor is bound."""
    os.environ.setdefault('MXNET_SUBGRAPH_VERBOSE', '0')


def load_nvidia_wheels():
    """Load the libraries of NVIDIA's wheels, in the order in which they need one another.

    Only for a GPU build of MXNet: beside a CPU build they would belong to another package.
    Returns the paths loaded. A library that cannot be loaded is left for MXNet to complain about.
    """
    nvidia = importlib.util.find_spec('nvidia')
    if nvidia is None or not _gpu_build():
        return []
    loaded = []
    for wheel in NVIDIA_WHEELS:
        for folder in nvidia.submodule_search_locations:
            loaded += _load_all(sorted(glob.glob(os.path.join(folder, wheel, 'lib', '*.so*'))))
    return loaded


def _load_all(paths):
    """dlopen every path; the parts of cuDNN need one another, so go round until nothing more loads."""
    loaded, left = [], list(paths)
    while left:
        failed = []
        for path in left:
            try:
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
                loaded.append(path)
            except OSError:
                failed.append(path)
        if len(failed) == len(left):
            break
        left = failed
    return loaded


def _gpu_build():
    from importlib import metadata
    return any((dist.metadata['Name'] or '').startswith('mxnet-cu') for dist in metadata.distributions())


restore_numpy_names()
restore_distutils()
restore_thread_names()
set_threads()
silence_binding()
load_nvidia_wheels()

try:
    import mxnet as mx  # noqa: E402,F401  everything above has to come first
except OSError as error:
    hint = ('sudo apt install libgomp1' if 'libgomp' in str(error) else
            "install NVIDIA's driver and the wheels of requirements.txt, or requirements-cpu.txt instead")
    fail_at_import('MXNet cannot be loaded (%s): %s' % (error, hint))
