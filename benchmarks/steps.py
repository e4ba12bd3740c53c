"""Training steps and evaluation, on batches of noise."""
import os
import statistics
import sys

from benchmarks.rounds import Row, check_same, faster, race
from benchmarks.subject import Remote

NETS = [('dfn-mr', 14), ('dfn-mr', 26), ('dfn-mr', 56), ('resnet', 26), ('resnet', 110), ('dfn-il', 14)]
BATCH = 64

# MXNet takes half of the processors, for hyperthreads, unless OMP_NUM_THREADS is set.
MXNETS_THREADS = str(max(1, os.cpu_count() // 2))


def training(setting):
    """A training step of the paper's networks beside PyTorch's, and beside MXNet's under its defaults."""
    ratios = []
    for net, depth in NETS:
        words = ['--net', net, '--depth', depth, '--batch', BATCH, *setting.devices]
        with Remote(sys.executable, 'subjects', 'training', *words) as ours, \
                Remote(setting.torch, 'torch_subjects', 'training', *words) as torch, \
                Remote(sys.executable, 'subjects', 'defaults', *words, OMP_NUM_THREADS=MXNETS_THREADS) as defaults:
            check_same(ours, torch)
            seconds = race({'ours': ours, 'torch': torch, 'defaults': defaults}, setting.rounds)
        row = faster('train %s %d / PyTorch' % (net, depth), seconds, 'torch', 1.0, BATCH)
        ratios.append(row.ratio)
        yield row
        yield faster("train %s %d / MXNet's defaults" % (net, depth), seconds, 'defaults', 2.0, BATCH)
    yield Row('train, median / PyTorch', None, None, statistics.median(ratios), 1.1)


def gluoncv(setting):
    """A training step of ResNet 20 beside GluonCV's, with the same threads."""
    with Remote(sys.executable, 'subjects', 'training', '--net', 'resnet', '--depth', 20, *setting.devices) as ours, \
            Remote(sys.executable, 'subjects', 'gluoncv', *setting.devices) as peer:
        yield faster('train resnet 20 / GluonCV', race({'ours': ours, 'gluoncv': peer}, setting.rounds), 'gluoncv', 1.2,
                     BATCH)


def imagenet(setting):
    """A training step of DFN-MR 44 at 224×224, batch 16, beside PyTorch's."""
    few = setting._replace(rounds=min(5, setting.rounds))
    yield from _beside_torch('train dfn-mr 44, ImageNet / PyTorch', few, 0.9, 'training',
                             ['--net', 'dfn-mr', '--depth', 44, '--imagenet', '--batch', 16], 16)


def evaluation(setting):
    """The probabilities of a batch beside PyTorch's."""
    for net, depth in NETS:
        yield from _beside_torch('evaluate %s %d / PyTorch' % (net, depth), setting, 1.0, 'evaluation',
                                 ['--net', net, '--depth', depth, '--batch', BATCH], BATCH)


def reduced(setting):
    """A training step of DFN-MR 14 with 16 bits: bfloat16 on the CPU, float16 on a GPU, beside PyTorch's autocast."""
    dtype = 'bfloat16' if setting.gpus is None else 'float16'
    yield from _beside_torch('train dfn-mr 14, %s / PyTorch' % dtype, setting, 1.0, 'training',
                             ['--net', 'dfn-mr', '--depth', 14, '--batch', BATCH, '--dtype', dtype], BATCH)


def _beside_torch(name, setting, target, what, words, images):
    words = [what, *words, *setting.devices]
    with Remote(sys.executable, 'subjects', *words) as ours, Remote(setting.torch, 'torch_subjects', *words) as torch:
        if what == 'training' and '--dtype' not in words:
            check_same(ours, torch)
        yield faster(name, race({'ours': ours, 'torch': torch}, setting.rounds), 'torch', target, images)
