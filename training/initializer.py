"""Initial weights: He-normal convolutions [7], uniform FC, gamma 1, beta 0 (section 6.2)."""

from collections.abc import Callable, Sequence
import zlib

import numpy as np

from distributed.collectives import Collectives
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from symbols.fused import fuse
from training.replicas import Replicas
from training.transfer import Taken, frozen_form, frozen_names


def initial_parameters(shapes: dict[str, tuple], seed: int) -> dict[str, np.ndarray]:
    """{name: float32 array} for {name: shape}: the weights that a network starts from.

    Convolutions are normal with a standard deviation of √(2 / fan-in). FC is uniform in ±1/√fan-in, its bias 0. Each
    parameter comes from a random stream of its own, a function of seed and name. So networks that share names start
    from the same weights, and so does every worker.
    """
    return {
        name: _draw(name, shape, np.random.RandomState([seed, zlib.crc32(name.encode())])).astype(np.float32)
        for name, shape in shapes.items()
    }


def initial_statistics(shapes: dict[str, tuple]) -> dict[str, np.ndarray]:
    """{name: float32 array}: running means 0, running variances 1."""
    return {name: np.full(shape, name.endswith('_var'), np.float32) for name, shape in shapes.items()}


def _draw(name, shape, random):
    if name.endswith('_gamma'):
        return np.ones(shape)
    if name.endswith(('_beta', '_bias')):
        return np.zeros(shape)
    fan_in = np.prod(shape[1:])
    if len(shape) == 4:
        return random.normal(0, np.sqrt(2 / fan_in), shape)
    return random.uniform(-1, 1, shape) / np.sqrt(fan_in)


def initial_replicas(
    network: Callable,
    devices: Sequence,
    image_shape: tuple[int, ...],
    seed: int = 1,
    collectives: Collectives | None = None,
    dtype: str = 'float32',
    loss_scale: float = 1,
    mirror: bool = False,
    taken: Taken = Taken(),  # noqa: B008
    freeze: bool = False,
) -> Replicas:
    """Replicas of a network at its initial weights; on the CPU in the form that trains faster.

    Args:
        network: (dtype, loss_scale) → the symbol as drawn.
        image_shape: (channels, height, width).
        mirror: see symbols/fused.
        taken: arrays that take the place of initial ones.
        freeze: whether FC alone learns.
    """
    drawn, trained = network(), network(dtype=dtype, loss_scale=loss_scale)
    if freeze:
        trained = frozen_form(trained)
    elif devices[0].device_type == 'cpu':
        trained = fuse(trained, mirror)
    return Replicas(
        trained,
        devices,
        image_shape,
        {**initial_parameters(parameter_shapes(drawn, image_shape), seed), **taken.parameters},
        {**initial_statistics(statistics_shapes(drawn, image_shape)), **taken.statistics},
        collectives,
        drawn,
        frozen_names(drawn, image_shape) if freeze else (),
    )
