"""Training steps and evaluation, on batches of noise."""

from collections.abc import Iterator
import os
import statistics
from typing import Any

from benchmarks.rounds import Row, Setting, check_same, compare, median_ratio, race
from training.devices import has_bfloat16

NETS = (('dfn-mr', 14), ('dfn-mr', 26), ('dfn-mr', 56), ('resnet', 26), ('resnet', 110), ('dfn-il', 14))
BATCH = 64
# By default MXNet takes half of the processors, the other half for hyperthreads.
MXNETS_THREADS = {'OMP_NUM_THREADS': str(max(1, (os.cpu_count() or 1) // 2))}


def training(setting: Setting) -> Iterator[Row]:
    """A training step of the paper's networks beside PyTorch's, and beside MXNet's defaults."""
    ratios = []
    for net, depth in NETS:
        options: dict[str, Any] = {'net': net, 'depth': depth, 'batch': BATCH}
        with (
            setting.ours('training', **options) as ours,
            setting.torch('training', **options) as torch,
            setting.ours('defaults', MXNETS_THREADS, **options) as defaults,
        ):
            check_same(ours, torch)
            seconds = race({'ours': ours, 'torch': torch, 'defaults': defaults}, setting.rounds)
        ratios.append(median_ratio(seconds['torch'], seconds['ours']))
        yield compare(f'train {net} {depth} / PyTorch', seconds, 'torch', 1.0, BATCH)
        yield compare(f"train {net} {depth} / MXNet's defaults", seconds, 'defaults', 2.0, BATCH)
    yield Row('train, median / PyTorch', ratio=statistics.median(ratios), target=1.1)


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
        'train dfn-mr 44, ImageNet / PyTorch', few, 0.9, 'training', net='dfn-mr', depth=44, imagenet=True, batch=16
    )


def evaluation(setting: Setting) -> Iterator[Row]:
    """The probabilities of a batch beside PyTorch's."""
    for net, depth in NETS:
        yield _beside_torch(
            f'evaluate {net} {depth} / PyTorch', setting, 1.0, 'evaluation', net=net, depth=depth, batch=BATCH
        )


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
