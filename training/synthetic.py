"""Training steps on noise: what they cost without reading, evaluating or saving."""
import time

import numpy as np

from common.mxnet import mx
from training.optimiser import NesterovSGD
from training.replicas import outputs


class SyntheticSteps:
    """Steps of Replicas on one batch of noise, `images` of it on each device; the outputs are read, as the log does."""

    def __init__(self, replicas, images, loss_scale=1):
        self.replicas, self.optimiser = replicas, NesterovSGD(replicas, loss_scale=loss_scale)
        random, devices = np.random.RandomState(0), len(replicas.replicas)
        self.images = images * devices
        self.parts = [(random.randn(images, *replicas.image_shape).astype(np.float32), np.zeros(images, np.float32))
                      for _ in range(devices)]

    def seconds(self, steps):
        """Mean seconds of a step."""
        mx.nd.waitall()
        begun = time.perf_counter()
        for _ in range(steps):
            executors = self.replicas.gradients(self.parts)
            self.optimiser.step(0.01, self.images)
            outputs(executors)
        mx.nd.waitall()
        return (time.perf_counter() - begun) / steps
