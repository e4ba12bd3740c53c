"""What feeds the networks: augmented images a second, of 32×32 pixels and of ImageNet's size."""

from collections.abc import Iterator
import os
import statistics
import tempfile

import numpy as np

from benchmarks import inputs
from benchmarks.inputs import CIFAR_IMAGES
from benchmarks.rounds import Row, Setting, compare, race
from common.mxnet import mx, physical_cores
import data

BATCH = 64
WANTED = 20000  # 32×32 images a second and core
SHARE = 0.03  # of a step, at most


def cifar(setting: Setting) -> Iterator[Row]:
    """The pipeline of 32×32 images on one core, also as a share of the steps of two small networks."""
    with (
        setting.on_cpu.ours('cifar', batch=BATCH) as pipeline,
        setting.ours('training', net='component', path='LLL', depth=14, batch=BATCH) as smallest,
        setting.ours('training', net='dfn-mr', depth=14, batch=BATCH) as usual,
    ):
        seconds = race({'pipeline': pipeline, 'component LLL': smallest, 'dfn-mr 14': usual}, setting.rounds)
    each = statistics.median(seconds['pipeline']) / CIFAR_IMAGES
    yield Row('feed 32x32 on one core / 20,000 a second', 1 / each, WANTED, 1 / each / WANTED, 1.0)
    for net in ('component LLL', 'dfn-mr 14'):
        share = BATCH * each / statistics.median(seconds[net])
        yield Row(f'feed 32x32, share of a step of {net} / 3 %', share, SHARE, SHARE / share, 1.0)


def imagenet(setting: Setting) -> Iterator[Row]:
    """ImageNet's pipeline beside plain decoding of the same JPEGs by libjpeg-turbo, with as many threads."""
    with tempfile.TemporaryDirectory() as folder:
        images = inputs.write_imagenet(folder)
        data.load_imagenet(folder, verify=False)
        jpegs, threads = os.path.join(folder, 'jpegs.npz'), physical_cores()
        records = mx.recordio.MXRecordIO(os.path.join(folder, 'imagenet-train.rec'), 'r')
        contents = [mx.recordio.unpack(records.read())[1] for _ in range(images)]
        np.savez(jpegs, *(np.frombuffer(content, np.uint8) for content in contents))
        with (
            setting.on_cpu.ours('imagenet', folder=folder, batch=16) as ours,
            setting.on_cpu.torch('decoding', path=jpegs, threads=threads) as peer,
        ):
            seconds = race({'ours': ours, 'decoding': peer}, min(5, setting.rounds))
    yield compare(f'feed ImageNet / libjpeg-turbo alone, {threads} threads', seconds, 'decoding', 0.8, images)
