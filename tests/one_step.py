"""Train a step under whatever Python runs this, and see that the loss falls (see pythons.sh)."""

import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np  # noqa: E402

from common.mxnet import mx  # noqa: E402
import symbols  # noqa: E402
from symbols.analysis.summary import parameter_shapes, statistics_shapes  # noqa: E402
from training.initializer import initial_parameters, initial_statistics  # noqa: E402
from training.optimizer import NesterovSGD  # noqa: E402
from training.replicas import Replicas, outputs  # noqa: E402

IMAGES = 16

symbol = symbols.get_symbol('dfn-mr', 14)
replicas = Replicas(
    symbol,
    [mx.cpu()],
    symbols.IMAGE_SHAPE,
    initial_parameters(parameter_shapes(symbol), seed=1),
    initial_statistics(statistics_shapes(symbol)),
)
optimizer = NesterovSGD(replicas)
data = np.random.RandomState(0).randn(IMAGES, *symbols.IMAGE_SHAPE).astype(np.float32)
labels = np.arange(IMAGES) % 10
losses = []
for _ in range(2):
    (probabilities,) = outputs(replicas.gradients([(data, labels.astype(np.float32))]))
    optimizer.step(0.01, IMAGES)
    losses.append(-np.log(probabilities[np.arange(IMAGES), labels]).mean())
assert losses[1] < losses[0], losses
print(
    f'Python {platform.python_version()}, numpy {np.__version__}, MXNet {mx.__version__}: '
    f'loss {losses[0]:.4f}, after one step {losses[1]:.4f}'
)
