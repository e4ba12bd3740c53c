"""Training steps and evaluation, on batches of noise."""

from collections.abc import Iterator
import contextlib
import importlib.util
import os
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.remote import ROOT, Remote
from benchmarks.rounds import THREADS, Row, Setting, check_same, compare, race
from training.devices import has_bfloat16

NETS = (('dfn-mr', 14), ('dfn-mr', 26), ('dfn-mr', 56), ('resnet', 26), ('resnet', 110), ('dfn-il', 14))
BATCH = 64
COMMITTED = ('dfn-mr-14', 'resnet-26', 'plain-26', 'dfn-il-14', 'dfn-f3-14', 'ensemble-14')
# Settings of MXNet, glibc and libgomp that are said to matter.
SETTINGS: dict[str, dict[str, str]] = {
    'no bulks of operators': {'MXNET_EXEC_BULK_EXEC_TRAIN': '0'},
    'bulks of 1,000 operators': {
        f'MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN{direction}': '1000' for direction in ('', '_FWD', '_BWD')
    },
    'a pool of memory that rounds sizes': {'MXNET_CPU_MEM_POOL_TYPE': 'Round'},
    'no pool of memory': {'MXNET_CPU_MEM_POOL_TYPE': 'Unpooled'},
    'pages of their own for large blocks': {'MALLOC_MMAP_THRESHOLD_': str(2**17)},
    'memory that is never given back': {
        'MALLOC_MMAP_THRESHOLD_': str(2**30),
        'MALLOC_TRIM_THRESHOLD_': str(2**32),
        'MALLOC_TOP_PAD_': str(2**28),
    },
    'huge pages': {'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=1'},
    'threads bound to cores': {'OMP_PROC_BIND': 'true'},
    'no arrays in place of others': {'NNVM_EXEC_MATCH_RANGE': '0'},
}
# By default MXNet takes half of the processors, the other half for hyperthreads.
MXNETS_THREADS = {'OMP_NUM_THREADS': str(max(1, (os.cpu_count() or 1) // 2))}


def training(setting: Setting) -> Iterator[Row]:
    """A training step of the paper's networks beside PyTorch's, eager and compiled, and beside MXNet's defaults."""
    ratios = []
    for net, depth in NETS:
        options: dict[str, Any] = {'net': net, 'depth': depth, 'batch': BATCH}
        with (
            setting.ours('training', **options) as ours,
            setting.torch('training', **options) as eager,
            setting.torch('training', compiled=True, **options) as compiled,
            setting.ours('defaults', MXNETS_THREADS, **options) as defaults,
        ):
            check_same(ours, eager)
            rivals = {'ours': ours, 'eager': eager, 'compiled': compiled, 'defaults': defaults}
            seconds = race(rivals, setting.rounds)
        faster, *rows = _beside_both(f'train {net} {depth}', seconds, 1.0)
        ratios.append(faster)
        yield from rows
        target = 2.0 if has_bfloat16() else 1.5  # with AVX-512, and without
        yield compare(f"train {net} {depth} / MXNet's defaults", seconds, 'defaults', target, BATCH)
    yield Row('train, median / the faster PyTorch', ratio=statistics.median(ratios), target=1.05)


def _beside_both(name, seconds, target):
    """The ratio to the faster of eager and compiled PyTorch, and a row for each; the faster has the target."""
    medians = {peer: statistics.median(seconds[peer]) for peer in ('eager', 'compiled')}
    faster = min(medians, key=lambda peer: medians[peer])
    rows = [
        compare(f'{name} / PyTorch, {peer}', seconds, peer, target if peer == faster else None, BATCH)
        for peer in medians
    ]
    return rows[list(medians).index(faster)].ratio, *rows


def gluoncv(setting: Setting) -> Iterator[Row]:
    """A training step of ResNet 20 beside GluonCV's, with the same threads."""
    with (
        setting.ours('training', net='resnet', depth=20, batch=BATCH) as ours,
        setting.ours('gluoncv', batch=BATCH) as peer,
    ):
        seconds = race({'ours': ours, 'gluoncv': peer}, setting.rounds)
    yield compare('train resnet 20 / GluonCV', seconds, 'gluoncv', 1.2, BATCH)


def imagenet(setting: Setting) -> Iterator[Row]:
    """A training step of DFN-MR 44 on 16 images of 224×224 beside PyTorch's."""
    few = setting._replace(rounds=min(5, setting.rounds))
    yield _beside_torch(
        'train dfn-mr 44, ImageNet / PyTorch, eager',
        few,
        1.1,
        'training',
        net='dfn-mr',
        depth=44,
        imagenet=True,
        batch=16,
    )


def evaluation(setting: Setting) -> Iterator[Row]:
    """The probabilities of a batch beside PyTorch's, eager and compiled."""
    for net, depth in NETS:
        options: dict[str, Any] = {'net': net, 'depth': depth, 'batch': BATCH}
        with (
            setting.ours('evaluation', **options) as ours,
            setting.torch('evaluation', **options) as eager,
            setting.torch('evaluation', compiled=True, **options) as compiled,
        ):
            seconds = race({'ours': ours, 'eager': eager, 'compiled': compiled}, setting.rounds)
        yield from _beside_both(f'evaluate {net} {depth}', seconds, 1.1)[1:]


def onnxruntime(setting: Setting) -> Iterator[Row]:
    """The probabilities of a batch by committed runs, beside onnxruntime with the file that export.py writes."""
    for net in COMMITTED:
        name, run_dir = f'evaluate {net} / onnxruntime', os.path.join(ROOT, 'logs', 'cifar10', net, 'epochs8-seed1')
        if not importlib.util.find_spec('onnxruntime') or not importlib.util.find_spec('onnx'):
            yield Row(name, problem='it needs `make extras`')
            continue
        with (
            setting.on_cpu.ours('run', run_dir=run_dir, batch=BATCH) as ours,
            Remote(sys.executable, 'onnx_subjects', 'run', THREADS, run_dir=run_dir, batch=BATCH) as peer,
        ):
            check_same(ours, peer)
            seconds = race({'ours': ours, 'onnxruntime': peer}, setting.rounds)
        yield compare(name, seconds, 'onnxruntime', None, BATCH)


def shared(setting: Setting) -> Iterator[Row]:
    """A training step of DFN-MR 14 beside one busy process, over the same on an idle machine.

    The threads are those that a run starts with there.
    """
    chosen = {'OMP_NUM_THREADS': ''}
    with setting.on_cpu.ours('training', chosen, net='dfn-mr', depth=14, batch=BATCH) as ours:
        ours.seconds(3)
        idle = [ours.seconds(5) for _ in range(min(5, setting.rounds))]
    busy = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try:
        with setting.on_cpu.ours('training', chosen, net='dfn-mr', depth=14, batch=BATCH) as ours:
            ours.seconds(3)
            beside = [ours.seconds(5) for _ in range(min(5, setting.rounds))]
    finally:
        busy.kill()
        busy.wait()
    slow, fast = statistics.median(beside), statistics.median(idle)
    yield Row('train dfn-mr 14 beside a busy process / idle', BATCH / slow, BATCH / fast, fast / slow, 0.5)


def settings(setting: Setting) -> Iterator[Row]:
    """A training step of DFN-MR 14 as it is, beside the same with other settings of MXNet, glibc or libgomp."""
    with contextlib.ExitStack() as stack:
        rivals = {
            name: stack.enter_context(setting.on_cpu.ours('training', environment, net='dfn-mr', depth=14, batch=BATCH))
            for name, environment in {'ours': {}, **SETTINGS}.items()
        }
        seconds = race(rivals, setting.rounds)
    for name in SETTINGS:
        yield compare(f'train dfn-mr 14 / with {name}', seconds, name, None, BATCH)


def reduced(setting: Setting) -> Iterator[Row]:
    """A training step of DFN-MR 14 in 16 bits beside PyTorch's autocast: bfloat16, or float16 on a GPU."""
    dtype = 'bfloat16' if setting.gpus is None else 'float16'
    name = f'train dfn-mr 14, {dtype} / PyTorch'
    if dtype == 'bfloat16' and not has_bfloat16():
        yield Row(name, target=1.0, problem='it needs a CPU with AVX-512')
    else:
        yield _beside_torch(name, setting, 1.0, 'training', net='dfn-mr', depth=14, batch=BATCH, dtype=dtype)


def _beside_torch(name, setting, target, subject, batch, **options):
    with setting.ours(subject, batch=batch, **options) as ours, setting.torch(subject, batch=batch, **options) as torch:
        if subject == 'training' and 'dtype' not in options:
            check_same(ours, torch)
        seconds = race({'ours': ours, 'torch': torch}, setting.rounds)
    return compare(name, seconds, 'torch', target, batch)
