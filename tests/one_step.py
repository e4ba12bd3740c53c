"""Start up and train one step, under whatever Python runs this (see pythons.sh)."""
import platform
import sys

sys.path.insert(0, '.')
import symbols  # noqa: E402  alone, before MXNet: it sets MXNet up
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from symbols.analysis.summary import parameter_shapes, statistics_shapes  # noqa: E402
from training.initialiser import initial_parameters, initial_statistics  # noqa: E402
from training.optimiser import NesterovSGD  # noqa: E402
from training.replicas import Replicas, outputs  # noqa: E402

symbol = symbols.get_symbol('dfn-mr', 14)
replicas = Replicas(symbol, [mx.cpu()], (3, 32, 32), initial_parameters(parameter_shapes(symbol), 1),
                    initial_statistics(statistics_shapes(symbol)))
optimiser = NesterovSGD(replicas)
random = np.random.RandomState(0)
data, labels = random.randn(16, 3, 32, 32).astype(np.float32), (np.arange(16) % 10).astype(np.float32)
losses = []
for _ in range(2):
    probabilities, = outputs(replicas.gradients([(data, labels)]))
    optimiser.step(0.01, 16)
    losses.append(-np.log(probabilities[np.arange(16), np.arange(16) % 10]).mean())
assert losses[1] < losses[0], losses
print('Python %s, numpy %s, MXNet %s: loss %.4f, after one step %.4f' % (
    platform.python_version(), np.__version__, mx.__version__, losses[0], losses[1]))
