"""From --gpus and --cpus to contexts, with MXNet's answers and NVIDIA's driver replaced where there is no GPU."""

import pytest

from common.errors import UserError
from common.mxnet import mx
from tests.stand_ins import pretend
from training import devices, nvidia

ADA = nvidia.Gpu('NVIDIA L40S', (8, 9))
HOPPER = nvidia.Gpu('NVIDIA H100', (9, 0))
OLD = nvidia.Gpu('Tesla K80', (3, 7))
NO_CODE = """[17:02:11] src/operator/tensor/init_op.cu:41: MXNetError
Stack trace:
  File "../include/mshadow/./stream_gpu-inl.h", line 194
Check failed: err == cudaSuccess (209 vs. 0) : no kernel image is available for execution on the device"""


@pytest.fixture
def gpus(monkeypatch):
    """Pretend: a function of the GPUs, and of the package that MXNet is from."""

    def pretend_gpus(*gpus, package='mxnet-cu112', fails=()):
        """fails: numbers of the GPUs whose first kernel does."""
        pretend(monkeypatch, len(gpus))
        monkeypatch.setattr(devices, 'package', lambda: package)
        monkeypatch.setattr(nvidia, 'driver', lambda: nvidia.Driver((12, 4), gpus))
        ones = mx.nd.ones

        def first_kernel(shape, context):
            if context.device_id in fails:
                raise mx.MXNetError(NO_CODE)
            return ones(shape, context)

        monkeypatch.setattr(mx.nd, 'ones', first_kernel)

    return pretend_gpus


def test_cpus_are_so_many_contexts():
    assert devices.contexts(cpus=3) == [mx.cpu(0), mx.cpu(1), mx.cpu(2)]


def test_gpus_by_number(gpus):
    gpus(ADA, ADA)
    assert devices.contexts('1,0') == [mx.gpu(1), mx.gpu(0)]


def test_a_gpu_that_is_not_there(gpus):
    gpus(ADA, ADA)
    with pytest.raises(UserError, match='there is no GPU 2: MXNet sees 2'):
        devices.contexts('0,2')


def test_a_build_without_cuda():
    with pytest.raises(UserError, match='this one has no CUDA: install it with `make .venv GPU=1`; without --gpus the'):
        devices.contexts('0')


@pytest.mark.parametrize(
    'words, message',
    [
        ('all', '--gpus all: give the numbers of the GPUs'),
        ('0,0', '--gpus 0,0: name each GPU once'),
        ('-1', '--gpus -1: name each GPU once, by its number from 0'),
    ],
)
def test_numbers_of_gpus_that_are_none(gpus, words, message):
    gpus(ADA, ADA)
    with pytest.raises(UserError, match=message):
        devices.contexts(words)


@pytest.mark.parametrize('package', devices.WHEELS)
@pytest.mark.parametrize('gpu, word', [(HOPPER, 'new'), (nvidia.Gpu('B200', (10, 0)), 'new'), (OLD, 'old')])
def test_a_gpu_the_wheel_has_no_code_for(gpus, package, gpu, word):
    gpus(ADA, gpu, package=package, fails=[1])
    major, minor = gpu.capability
    expected = (
        f'GPU 1 is too {word} for this MXNet: .*not on Hopper or later; this one has {major}.{minor}; .*container'
    )
    with pytest.raises(UserError, match=expected):
        devices.contexts('0,1')
    devices.contexts('0')


@pytest.mark.parametrize('package', ['', 'mxnet', 'mxnet-cu124'])
@pytest.mark.parametrize('gpu', [HOPPER, OLD])
def test_another_build_is_trusted_until_its_first_kernel(gpus, package, gpu):
    gpus(ADA, gpu, package=package)
    assert devices.contexts('0,1') == [mx.gpu(0), mx.gpu(1)]


@pytest.mark.parametrize('package', ['', 'mxnet-cu112'])
def test_a_first_kernel_that_fails_is_one_line(gpus, package):
    gpus(ADA, ADA, package=package, fails=[1])
    with pytest.raises(UserError) as error:
        devices.contexts('0,1')
    text = str(error.value)
    assert text.startswith('GPU 1 (NVIDIA L40S, compute capability 8.9) does not run the first kernel of this MXNet')
    assert 'no kernel image is available' in text and 'another build of MXNet' in text
    assert '\n' not in text and '.cu:' not in text and len(text) < 500


def test_cuda_that_does_not_work_is_one_line(gpus, monkeypatch):
    gpus(ADA)

    def fail():
        raise mx.MXNetError(
            '[1:2:3] src/c_api.cc:1: Check failed: e == cudaSuccess (35 vs. 0) : CUDA driver version is insufficient\n'
        )

    monkeypatch.setattr(mx.context, 'num_gpus', fail)
    with pytest.raises(
        UserError, match='CUDA does not work here .Check failed: .* is insufficient.: python -m training'
    ):
        devices.contexts('0')


def test_the_package_is_the_one_that_mxnet_came_with(monkeypatch):
    assert devices.package() == 'mxnet'
    monkeypatch.setattr(mx, '__file__', '/opt/mxnet/python/mxnet/__init__.py')
    assert devices.package() == ''


@pytest.mark.parametrize('flags, expected', [('avx2 avx512f avx512bw', True), ('avx2 avx512f', False), ('', False)])
def test_bfloat16_needs_avx_512(monkeypatch, flags, expected):
    monkeypatch.setattr(devices, '_cpuinfo', {'flags': flags}.get)
    assert devices.has_bfloat16() == expected


def test_what_is_recorded_of_the_devices():
    assert devices.describe([mx.cpu(0), mx.cpu(1)])['devices'] == ['cpu(0)', 'cpu(1)']
    assert devices.describe([])['processor']
