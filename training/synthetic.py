"""Training steps on noise: what they cost without reading, evaluating or saving."""

import time

import numpy as np

from common.mxnet import mx
from training.optimizer import NesterovSGD
from training.replicas import Replicas, outputs


class SyntheticSteps:
    """Steps on one batch of noise, whose outputs are read as the training loop reads them.

    Attributes:
        images: of the whole batch.
    """

    def __init__(self, replicas: Replicas, images: int, loss_scale: float = 1):
        """Prepare the batch, with `images` images on each device."""
        self.replicas, self.optimizer = replicas, NesterovSGD(replicas, loss_scale=loss_scale)
        random, devices = np.random.RandomState(0), len(replicas.replicas)
        self.images = images * devices
        self.parts = [
            (random.randn(images, *replicas.image_shape).astype(np.float32), np.zeros(images, np.float32))
            for _ in range(devices)
        ]

    def seconds(self, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        mx.nd.waitall()
        begun = time.perf_counter()
        for _ in range(steps):
            executors = self.replicas.gradients(self.parts)
            self.optimizer.step(0.01, self.images)
            outputs(executors)
        mx.nd.waitall()
        return (time.perf_counter() - begun) / steps
