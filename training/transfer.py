"""Begin a run with the weights of another one: --init-from, and --freeze to train FC alone."""

from collections.abc import Sequence
import os
from typing import NamedTuple

import numpy as np

from common.errors import UserError, few
from common.files import file_digest
from common.mxnet import mx
import data
from symbols.analysis.graph import nodes, with_attribute
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from training import checkpoint, run_directory


class Taken(NamedTuple):
    """What a run begins with: arrays {name: values}, and what config.json says of them."""

    parameters: dict[str, np.ndarray] = {}
    statistics: dict[str, np.ndarray] = {}
    described: dict = {}


def find(path: str) -> str:
    """The folder of a checkpoint: of a run its newest one.

    Raises:
        UserError: there is none.
    """
    folder = checkpoint.resolve(path)
    if not folder:
        raise UserError(f'--init-from {path}: this is neither a run that has a checkpoint nor a checkpoint')
    return folder


class Source(NamedTuple):
    """A checkpoint that a network can begin with; `differ` has the names of FC's arrays if they have other shapes."""

    folder: str
    parameters: dict[str, mx.nd.NDArray]
    statistics: dict[str, mx.nd.NDArray]
    differ: list[str]


def read(path: str, symbol: mx.sym.Symbol, image_shape: tuple) -> Source:
    """Read the weights and running statistics of a run for a network.

    Args:
        path: of the run, or of one of its checkpoints.
        symbol: the network that begins with them.

    Raises:
        UserError: there is no checkpoint, or anything but FC differs.
    """
    folder = find(path)
    _, parameters, statistics = checkpoint.load_model(folder)
    own = {**parameter_shapes(symbol, image_shape), **statistics_shapes(symbol, image_shape)}
    there = {**parameters, **statistics}
    differ = [name for name in {**own, **there} if name not in there or own.get(name) != there[name].shape]
    others = [name for name in differ if name not in fc_names(symbol)]
    if others:
        raise UserError(
            f'--init-from {path}: this is another network: {few(others)} '
            f'{"differs" if len(others) == 1 else "differ"}; choose the same --net, --depth, --widen and --size'
        )
    return Source(folder, parameters, statistics, differ)


def take(path: str, symbol: mx.sym.Symbol, image_shape: tuple, classes: Sequence[str]) -> Taken:
    """What a network begins with; FC is left out where the classes are others.

    Args:
        path, symbol: as in `read`.
        classes: which it learns to tell apart.

    Raises:
        UserError: as `read` does.
    """
    source = read(path, symbol, image_shape)
    renewed = fc_names(symbol) if source.differ or not _same_classes(source.folder, classes) else []
    parameters = {name: value.asnumpy() for name, value in source.parameters.items() if name not in renewed}
    statistics = {name: value.asnumpy() for name, value in source.statistics.items()}
    described = {
        'checkpoint': os.path.basename(source.folder),
        'weights_sha256': file_digest(checkpoint.params_path(source.folder), 'sha256'),
        'taken': len(parameters) + len(statistics),
        'renewed': renewed,
    }
    return Taken(parameters, statistics, described)


def _same_classes(folder, classes):
    """Whether a checkpoint's run has these classes; true where it does not say which it has."""
    run_dir = os.path.dirname(os.path.abspath(folder))
    known = None
    if run_directory.is_there(run_dir):
        known = data.classes_of(run_directory.read_config(run_dir))
    return known is None or tuple(known) == tuple(classes)


def fc_names(symbol: mx.sym.Symbol) -> list[str]:
    """The parameters of FC, the last layer."""
    graph = nodes(symbol)
    layers = [node for node in graph if node['op'] == 'FullyConnected']
    return list(dict.fromkeys(graph[place]['name'] for layer in layers for place, *_ in layer['inputs'][1:]))


def frozen_names(symbol: mx.sym.Symbol, image_shape: tuple) -> list[str]:
    """The parameters that --freeze leaves alone: all but FC's."""
    return [name for name in parameter_shapes(symbol, image_shape) if name not in fc_names(symbol)]


def frozen_form(symbol: mx.sym.Symbol) -> mx.sym.Symbol:
    """The network with BatchNorm as in evaluation: it uses the running statistics, which stay as they are."""
    return with_attribute(symbol, 'BatchNorm', 'use_global_stats', 'True')
