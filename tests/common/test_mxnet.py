"""MXNet's set-up, with the facts of the machine replaced."""

import ctypes
import distutils.version  # noqa: F401  Python 3.12 and newer have it from setuptools
import math
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from common import mxnet
from tests.conftest import ROOT


def run_python(code, *options, **environment):
    """Run Python code in a process of its own; None removes a variable from its environment."""
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run(
        [sys.executable, *options, '-c', code], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120
    )


def test_every_import_of_mxnet_goes_through_the_module():
    offenders = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(('.', 'datasets', 'logs'))]
        for name in files:
            path = os.path.join(folder, name)
            if name.endswith('.py') and os.path.relpath(path, ROOT) != 'common/mxnet.py':
                with open(path) as file:
                    if re.search(r'^\s*(import mxnet|from mxnet)', file.read(), re.M):
                        offenders.append(path)
    assert offenders == []


def test_the_import_sets_the_threads():
    code = 'import os; from common.mxnet import physical_cores; print(os.environ["OMP_NUM_THREADS"], physical_cores())'
    done = run_python(code, OMP_NUM_THREADS=None, WORKERS_HERE=None)
    threads, cores = map(int, done.stdout.split())
    assert 1 <= threads <= cores <= len(os.sched_getaffinity(0)), done.stderr


# What others set in the environment

# The norm of the first gradients of a network. Two threads start whatever the load.
GRADIENTS = """
import functools
from common.mxnet import mx
import numpy as np
import symbols
from training.initializer import initial_replicas
random = np.random.RandomState(0)
replicas = initial_replicas(functools.partial(symbols.get_symbol, 'plain', 8), [mx.cpu()], symbols.IMAGE_SHAPE)
replicas.gradients([(random.randn(32, 3, 32, 32).astype('float32'), random.randint(0, 10, 32))])
print(*(np.linalg.norm(value.asnumpy()) for value in replicas.replicas[0].flat_gradients.buckets))
"""


@pytest.mark.parametrize('given', [{'OMP_THREAD_LIMIT': '1'}, {'OMP_DYNAMIC': 'true'}, {'MXNET_MKLDNN_ENABLED': '0'}])
def test_gradients_are_the_same_whatever_others_advise(given):
    expected, found = (run_python(GRADIENTS, OMP_NUM_THREADS='2', **more) for more in ({}, given))
    np.testing.assert_allclose(float(found.stdout), float(expected.stdout), rtol=1e-5)


@pytest.mark.parametrize('given', [{'OMP_PROC_BIND': 'true'}, {'GOMP_CPU_AFFINITY': '0-1'}])
def test_a_bound_thread_leaves_the_cores_to_the_others(given):
    done = run_python('import os; from common.mxnet import mx; print(os.sched_getaffinity(0))', **given)
    assert done.stdout.strip() == str(os.sched_getaffinity(0)), done.stderr


# What numpy lacks


def test_numpy_has_the_names_that_it_removed():
    assert (np.int, np.float, np.object, np.str) == (int, float, object, str)
    assert np.PINF == -np.NINF == np.inf and np.isnan(np.NaN) and np.signbit(np.NZERO) and not np.signbit(np.PZERO)
    assert np.msort(np.array([[3, 1], [2, 4]])).tolist() == [[2, 1], [3, 4]]
    assert np.alltrue([1, 1]) and not np.alltrue([1, 0]) and np.sometrue([1, 0]) and np.product([2, 3]) == 6


def test_numpys_own_bool_is_left_alone():
    """numpy.ma compares types with numpy 2's `np.bool`; numpy 1.26 has none, and MXNet needs one."""
    assert np.bool is (np.bool_ if np.__version__ >= '2' else bool)


def test_only_missing_names_are_given_back(monkeypatch):
    fake = SimpleNamespace(bool='its own')
    monkeypatch.setattr(mxnet, 'np', fake)
    mxnet.restore_numpy_names()
    assert fake.bool == 'its own' and fake.int is int and set(vars(fake)) == set(mxnet.NUMPY_NAMES)


# Threads


@pytest.mark.parametrize('given, expected', [(None, '6'), ('3', '3'), ('', '6'), ('2,1', '6')])
def test_threads_are_the_physical_cores_unless_the_user_says(monkeypatch, given, expected):
    monkeypatch.setattr(mxnet, 'physical_cores', lambda: 6)
    monkeypatch.delenv('WORKERS_HERE', raising=False)
    monkeypatch.setenv('OMP_NUM_THREADS', given or '')
    if given is None:
        monkeypatch.delenv('OMP_NUM_THREADS')
    monkeypatch.setattr(mxnet, 'cores_in_reach', lambda: 6)
    monkeypatch.setattr(mxnet, 'busy_cores', lambda: 0.3)
    assert mxnet.set_threads() == (given == '3', '')
    assert os.environ['OMP_NUM_THREADS'] == expected


def choose_threads(monkeypatch, busy, cores, reach):
    """The note of set_threads with so many cores that may be used, and that are in reach, some of which are busy."""
    monkeypatch.setattr(mxnet, 'physical_cores', lambda: cores)
    monkeypatch.setattr(mxnet, 'cores_in_reach', lambda: reach)
    monkeypatch.setattr(mxnet, 'busy_cores', lambda: busy)
    monkeypatch.delenv('WORKERS_HERE', raising=False)
    monkeypatch.delenv('OMP_NUM_THREADS')
    _, note = mxnet.set_threads()
    return note


@pytest.mark.parametrize('busy, expected', [(16.2, 4), (60.8, 3), (64, 1)])
def test_a_container_with_a_quota_counts_the_cores_that_are_free(monkeypatch, busy, expected):
    """Its processes may run on any of the machine's cores, where others work too."""
    note = choose_threads(monkeypatch, busy, cores=4, reach=64)
    assert os.environ['OMP_NUM_THREADS'] == str(expected) and bool(note) == (expected < 4)


@pytest.mark.parametrize('given', [True, False])
def test_other_commands_choose_their_own_threads(monkeypatch, given):
    monkeypatch.setattr(mxnet, 'THREADS_GIVEN', given)
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    monkeypatch.setenv('OTHER', 'kept')
    found = mxnet.environment_of_commands()
    assert found.get('OMP_NUM_THREADS') == ('3' if given else None) and found['OTHER'] == 'kept'


@pytest.mark.parametrize('busy, expected', [(1.2, 5), (2.6, 3), (40, 1)])
def test_busy_cores_get_no_thread(monkeypatch, busy, expected):
    note = choose_threads(monkeypatch, busy, cores=6, reach=6)
    assert os.environ['OMP_NUM_THREADS'] == str(expected)
    assert (
        note.startswith(f'{min(round(busy), 6)} of 6 cores are busy') and '(OMP_NUM_THREADS=6 starts them all)' in note
    )
    monkeypatch.setenv('WORKERS_HERE', '2')  # the launcher's workers are each other's load
    monkeypatch.delenv('OMP_NUM_THREADS')
    assert mxnet.set_threads() == (False, '') and os.environ['OMP_NUM_THREADS'] == '3'


def test_a_command_starts_anew_with_other_threads():
    code = (
        'import os, sys\nfrom common.mxnet import THREADS_GIVEN, restart_with_threads\n'
        'if not THREADS_GIVEN: restart_with_threads(7)\nprint(os.environ["OMP_NUM_THREADS"], sys.flags.optimize)'
    )
    done = run_python(code, '-O', OMP_NUM_THREADS=None)
    assert done.stdout == '7 1\n', done.stderr


@pytest.mark.parametrize('workers, expected', [('1', 6), ('2', 3), ('4', 1), ('999', 1)])
def test_workers_on_one_machine_share_its_cores(monkeypatch, workers, expected):
    monkeypatch.setattr(mxnet, 'physical_cores', lambda: 6)
    monkeypatch.setenv('WORKERS_HERE', workers)
    assert mxnet.share_of_cores() == expected


@pytest.mark.parametrize(
    'siblings, quota, expected',
    [
        ({0: '0,2', 1: '1,3', 2: '0,2', 3: '1,3'}, 'max 100000', 2),  # four hyperthreads on two cores
        ({0: '0', 1: '1', 2: '2', 3: '3'}, '', 4),  # no cgroup file
        ({0: '0', 1: '1', 2: '2', 3: '3'}, '150000 100000', 1),  # a container of one and a half
        ({0: '0', 1: '1'}, '50000 100000', 1),  # a container of half a core
        ({0: '', 1: ''}, '', 2),  # a system that does not tell
    ],
)
def test_physical_cores(monkeypatch, siblings, quota, expected):
    def read(path):
        if 'cgroup' in path:
            return quota if path == '/sys/fs/cgroup/cpu.max' else ''
        return siblings[int(re.search(r'cpu(\d+)/', path).group(1))]

    monkeypatch.setattr(mxnet, '_read', read)
    monkeypatch.setattr(mxnet.os, 'sched_getaffinity', lambda _: set(siblings))
    assert mxnet.physical_cores() == expected


@pytest.mark.parametrize(
    'files, expected',
    [
        ({'cpu.max': '150000 100000'}, 1.5),
        ({'cpu.max': 'max 100000'}, math.inf),
        ({'/proc/self/cgroup': '0::/a/b', 'a/b/cpu.max': 'max 100000', 'a/cpu.max': '300000 100000'}, 3),
        ({'/proc/self/cgroup': '0::/../b', 'cpu.max': '200000 100000'}, 2),  # of a group that cannot be seen
        (
            {
                '/proc/self/cgroup': '4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/',
                'cpu,cpuacct/a/b/cpu.cfs_quota_us': '250000',
                'cpu,cpuacct/a/b/cpu.cfs_period_us': '100000',
                'cpu,cpuacct/a/cpu.cfs_quota_us': '-1',
                'cpu,cpuacct/a/cpu.cfs_period_us': '100000',
            },
            2.5,
        ),
        ({'cpu/cpu.cfs_quota_us': '50000', 'cpu/cpu.cfs_period_us': '100000'}, 0.5),
        ({'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000'}, math.inf),
        ({'cpu.max': 'nonsense'}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_quota_of_a_container(monkeypatch, files, expected):
    monkeypatch.setattr(mxnet, '_read', lambda path: files.get(path.removeprefix('/sys/fs/cgroup/'), ''))
    assert mxnet.cpu_quota() == expected


# NVIDIA's wheels


def test_nvidias_wheels_are_loaded_in_order_for_a_gpu_build_only(monkeypatch, tmp_path):
    for wheel, library in [
        ('cudnn', 'libcudnn.so.8'),
        ('cublas', 'libcublas.so.11'),
        ('nccl', 'libnccl.so.2'),
        ('cuda_runtime', 'libcudart.so.11.0'),
        ('other', 'libother.so'),
    ]:
        (tmp_path / wheel / 'lib').mkdir(parents=True)
        (tmp_path / wheel / 'lib' / library).write_bytes(b'')
    loaded = []

    def load(path, mode):
        assert mode == ctypes.RTLD_GLOBAL
        loaded.append(os.path.basename(path))

    monkeypatch.setattr(mxnet.ctypes, 'CDLL', load)
    monkeypatch.setattr(
        mxnet.importlib.util, 'find_spec', lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    monkeypatch.setattr(mxnet, '_is_gpu_build', lambda: False)
    assert mxnet.load_nvidia_wheels() == [] and loaded == []
    monkeypatch.setattr(mxnet, '_is_gpu_build', lambda: True)
    paths = mxnet.load_nvidia_wheels()
    assert loaded == ['libcudart.so.11.0', 'libcublas.so.11', 'libcudnn.so.8', 'libnccl.so.2']
    assert [os.path.basename(path) for path in paths] == loaded


def test_libraries_that_need_one_another_are_loaded_in_whatever_order_works(monkeypatch):
    loaded = []

    def load(path, mode):
        if path == 'a' and 'b' not in loaded or path == 'never':
            raise OSError(path)
        loaded.append(path)

    monkeypatch.setattr(mxnet.ctypes, 'CDLL', load)
    assert mxnet._load_all(['a', 'b', 'never']) == ['b', 'a']


@pytest.mark.parametrize('names, expected', [(['numpy', 'mxnet'], False), ([None, 'mxnet-cu112'], True)])
def test_a_gpu_build_is_known_by_its_name(monkeypatch, names, expected):
    packages = [SimpleNamespace(metadata={'Name': name}) for name in names]
    monkeypatch.setattr(mxnet.metadata, 'distributions', lambda: packages)
    assert mxnet._is_gpu_build() is expected


# What cannot be imported


@pytest.mark.parametrize(
    'script',
    [
        ['train_cifar.py'],
        ['train_imagenet.py'],
        ['eval.py'],
        ['plot.py'],
        ['compare.py'],
        ['reproduce.py'],
        ['-m', 'symbols'],
        ['-m', 'benchmarks'],
    ],
)
def test_a_python_without_the_packages_is_one_line(script):
    """-S leaves the environment's packages out."""
    done = subprocess.run([sys.executable, '-S', *script, '--help'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert 'has no MXNet: run `make .venv`' in done.stderr


@pytest.mark.parametrize(
    'script', [['train_cifar.py'], ['compare.py'], ['-m', 'symbols'], ['-m', 'distributed.launch']]
)
def test_a_python_without_docstrings_is_one_line(script):
    """MXNet joins its own docstrings, which -OO drops."""
    done = subprocess.run([sys.executable, '-OO', *script, '--help'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert 'leave out -OO' in done.stderr


def test_a_program_of_somebody_else_gets_an_import_error():
    done = run_python('import symbols', '-S')
    assert done.returncode == 1 and 'ImportError: this Python' in done.stderr


@pytest.mark.parametrize(
    'missing, remedy', [('libgomp.so.1', 'sudo apt install libgomp1'), ('libcuda.so.1', "install NVIDIA's driver")]
)
def test_a_missing_library_is_named_with_its_remedy(tmp_path, missing, remedy):
    (tmp_path / 'mxnet.py').write_text(f'raise OSError("{missing}: cannot open shared object file")\n')
    done = run_python('import common.mxnet', PYTHONPATH=str(tmp_path))
    assert f'MXNet cannot be loaded ({missing}: cannot open shared object file): {remedy}' in done.stderr


@pytest.mark.skipif(not shutil.which('cc') or not shutil.which('ldd'), reason='no C compiler')
def test_all_missing_libraries_are_named_at_once(tmp_path):
    """A libmxnet.so that is linked with two libraries, one of which is gone and one of which the C library has."""
    folder = tmp_path / 'mxnet'
    folder.mkdir()
    (folder / '__init__.py').write_text('raise OSError("libone.so: cannot open shared object file")\n')
    for name in ('one', 'two'):
        subprocess.run(['cc', '-shared', '-x', 'c', '-', '-o', tmp_path / f'lib{name}.so'], input=b'', check=True)
    linked = ['-L', tmp_path, '-Wl,--no-as-needed', '-lone', '-ltwo', '-lm']
    subprocess.run(['cc', '-shared', '-o', folder / 'libmxnet.so', *linked], check=True)
    for name in ('one', 'two'):
        (tmp_path / f'lib{name}.so').unlink()
    done = run_python('import common.mxnet', PYTHONPATH=str(tmp_path))
    assert "MXNet cannot be loaded (it lacks libone.so, libtwo.so): install NVIDIA's driver" in done.stderr
