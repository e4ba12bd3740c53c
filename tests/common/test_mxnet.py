"""The compatibility module and the preflight, with the machine's facts replaced."""
import ctypes
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from common import mxnet as compat
from common import preflight
from tests.conftest import ROOT


def run_python(code, **environment):
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, env={**os.environ, **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def test_every_import_of_mxnet_goes_through_compat():
    """No module of the repository imports MXNet itself, but the start-up check that is meant to."""
    offenders = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(('.', 'datasets', 'logs'))]
        for name in files:
            path = os.path.join(folder, name)
            if name.endswith('.py') and os.path.relpath(path, ROOT) not in ('common/mxnet.py', 'tests/one_step.py'):
                with open(path) as file:
                    if re.search(r'^\s*(import mxnet|from mxnet)', file.read(), re.M):
                        offenders.append(path)
    assert offenders == []


def test_numpy_has_its_old_names_and_distutils_is_there():
    done = run_python('import common.mxnet as compat, numpy as np, distutils.version; assert np.bool is bool and np.float is float; '
                      'import gluoncv; from common.mxnet import mx; print(mx.nd.array([True, False]).sum().asscalar())')
    assert done.stdout.strip() == '1.0', done.stderr


@pytest.mark.parametrize('given, expected', [(None, None), ('3', '3'), ('', None), ('2,1', None)])
def test_threads_are_the_physical_cores_unless_the_user_says(given, expected):
    environment = {} if given is None else {'OMP_NUM_THREADS': given}
    code = 'import os; %s; import common.mxnet as compat; print(os.environ["OMP_NUM_THREADS"], compat.physical_cores())'
    done = run_python(code % ('pass' if environment else 'os.environ.pop("OMP_NUM_THREADS", None)'), **environment)
    threads, cores = done.stdout.split()
    assert threads == (expected or cores) and 1 <= int(cores) <= len(os.sched_getaffinity(0))


def test_workers_on_one_machine_share_its_cores():
    code = 'import os; del os.environ["OMP_NUM_THREADS"]; import common.mxnet as compat; print(os.environ["OMP_NUM_THREADS"])'
    assert [run_python(code, OMP_NUM_THREADS='1', WORKERS_HERE=str(workers)).stdout.strip()
            for workers in (1, 999)] == [
        str(compat.physical_cores()), '1']


@pytest.mark.parametrize('siblings, quota, expected', [
    ({0: '0,2', 1: '1,3', 2: '0,2', 3: '1,3'}, 'max 100000', 2),   # four hyperthreads on two cores
    ({0: '0', 1: '1', 2: '2', 3: '3'}, '', 4),                     # no cgroup file
    ({0: '0', 1: '1', 2: '2', 3: '3'}, '150000 100000', 1),        # a container of one and a half
    ({0: '', 1: ''}, '', 2),                                       # a system that does not tell
])
def test_physical_cores(monkeypatch, siblings, quota, expected):
    def read(path):
        if path.endswith('cpu.max'):
            return quota
        return siblings[int(re.search(r'cpu(\d+)/', path).group(1))]

    monkeypatch.setattr(compat, '_read', read)
    monkeypatch.setattr(compat.os, 'sched_getaffinity', lambda _: set(siblings))
    assert compat.physical_cores() == expected


def test_nvidias_wheels_are_loaded_in_order_for_a_gpu_build_only(monkeypatch, tmp_path):
    for wheel, library in [('cudnn', 'libcudnn.so.8'), ('cublas', 'libcublas.so.11'), ('nccl', 'libnccl.so.2'),
                           ('cuda_runtime', 'libcudart.so.11.0'), ('other', 'libother.so')]:
        (tmp_path / wheel / 'lib').mkdir(parents=True)
        (tmp_path / wheel / 'lib' / library).write_bytes(b'')
    loaded = []

    def load(path, mode):
        assert mode == ctypes.RTLD_GLOBAL
        loaded.append(os.path.basename(path))

    monkeypatch.setattr(compat.ctypes, 'CDLL', load)
    monkeypatch.setattr(compat.importlib.util, 'find_spec',
                        lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    monkeypatch.setattr(compat, '_gpu_build', lambda: False)
    assert compat.load_nvidia_wheels() == [] and loaded == []
    monkeypatch.setattr(compat, '_gpu_build', lambda: True)
    compat.load_nvidia_wheels()
    assert loaded == ['libcudart.so.11.0', 'libcublas.so.11', 'libcudnn.so.8', 'libnccl.so.2']


def test_libraries_that_need_one_another_are_loaded_in_whatever_order_works(monkeypatch):
    loaded = []

    def load(path, mode):
        if path == 'a' and 'b' not in loaded or path == 'never':
            raise OSError(path)
        loaded.append(path)

    monkeypatch.setattr(compat.ctypes, 'CDLL', load)
    assert compat._load_all(['a', 'b', 'never']) == ['b', 'a']


def test_preflight_names_everything_in_one_line(monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(preflight.ctypes, 'CDLL', lambda name: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr(preflight.shutil, 'which', lambda name: None)
    monkeypatch.setattr(preflight.os.path, 'exists', lambda path: False)
    monkeypatch.setattr(preflight.os.path, 'realpath', lambda path: '/usr/bin/python3.13')
    monkeypatch.setattr(preflight.sys, 'version_info', (3, 13, 0))
    assert preflight.problem() == ('the system lacks something; run: sudo apt install '
                                   'python3-venv libgomp1 build-essential python3-dev')
    monkeypatch.setattr(preflight.sys, 'version_info', (3, 11, 0))  # a second Python beside the system's
    assert preflight.problem().endswith('apt install python3.11-venv libgomp1')


@pytest.mark.parametrize('name, value, expected', [
    ('version_info', (3, 7, 1), 'runs on 3.8 to 3.13'), ('version_info', (3, 14, 0), 'runs on 3.8 to 3.13'),
    ('platform', 'darwin', 'not for')])
def test_preflight_refuses_what_cannot_work(monkeypatch, name, value, expected):
    monkeypatch.setattr(preflight.sys, name, value)
    assert expected in preflight.problem()


def test_this_machine_passes_the_preflight():
    assert preflight.problem() is None


@pytest.mark.parametrize('script', [['train_cifar.py'], ['eval.py'], ['plot.py'], ['-m', 'symbols']])
def test_a_python_without_the_packages_is_one_line(script):
    """-S leaves the environment's packages out."""
    done = subprocess.run([sys.executable, '-S'] + script + ['--help'], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert 'has no MXNet: run `make .venv`' in done.stderr


def test_a_program_of_somebody_else_gets_an_import_error():
    done = subprocess.run([sys.executable, '-S', '-c', 'import symbols'], cwd=ROOT, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert done.returncode == 1 and 'ImportError: this Python' in done.stderr
