"""A trained network of a run, with all that other frameworks have to know of it."""

import os
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx
import data
import symbols
from symbols import imagenet
from training import checkpoint, options, run_directory, symbol_file

#: What says which of the user's own images are for testing.
OWN_IMAGES = ('size', 'val_fraction', 'split_seed')
#: What `symbols.get_symbol` and torch_networks.build are called with.
ARGUMENTS = ('net', 'depth', 'num_classes', 'widen', 'imagenet', 'bn_momentum', *symbols.ARGUMENTS)


class Trained(NamedTuple):
    """A network, its weights and running statistics {name: float32 array}, and what is known of them.

    facts: {name: value as in JSON}: ARGUMENTS, the data set, its classes, mean and std of R, G, B in 0–255, the epoch,
        the SHA-256 of MXNet's file, and `trained`: the options that the run was trained with, and how many devices.
    config: of the run, where it is from one.
    """

    symbol: mx.sym.Symbol
    parameters: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    facts: dict[str, Any]
    config: dict | None = None

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and running statistics together."""
        return {**self.parameters, **self.statistics}

    @property
    def mxnet_arrays(self) -> dict[str, mx.nd.NDArray]:
        """The same as MXNet's files of arrays name them."""
        return {
            **{f'arg:{name}': mx.nd.array(value) for name, value in self.parameters.items()},
            **{f'aux:{name}': mx.nd.array(value) for name, value in self.statistics.items()},
        }


def image_shape(facts: dict) -> tuple[int, int, int]:
    """(channels, height, width) of a network's images."""
    return imagenet.IMAGE_SHAPE if facts['imagenet'] else symbols.IMAGE_SHAPE


def read(run_dir: str) -> Trained:
    """The network of a run's newest checkpoint, or of the checkpoint of a run whose folder is named.

    Raises:
        UserError: there is no run, no checkpoint, or they do not belong together.
    """
    folder = checkpoint.resolve(run_dir)
    config = run_directory.read_config(os.path.dirname(folder) if folder else run_dir)
    if not folder:
        raise UserError(f'{run_dir} {checkpoint.NO_WEIGHTS}')
    symbol, *arrays = checkpoint.load_model(folder)
    parameters, statistics = ({name: value.asnumpy() for name, value in part.items()} for part in arrays)
    own, (epoch, _) = config['options'], checkpoint.position(folder)
    is_imagenet = own.get('size', own['dataset']) in ('imagenet', imagenet.IMAGE_SHAPE[-1])
    shape = image_shape({'imagenet': is_imagenet})
    symbol_file.check_cost(symbol, shape)
    symbol_file.check_arrays(run_dir, symbol, shape, parameters, statistics)
    facts = {
        **{name: own[name] for name in (*ARGUMENTS, *OWN_IMAGES) if own.get(name) is not None},
        'num_classes': symbol.infer_shape(data=(1, *shape))[1][0][1],
        'widen': own.get('widen', 1),
        'imagenet': is_imagenet,
        **_data_set(config),
        'epoch': epoch,
        'epochs': own['epochs'],
        'trained': {**options.fixed(own), 'devices': run_directory.count_devices(config)},
        'weights_sha256': file_digest(checkpoint.params_path(folder), 'sha256'),
    }
    return Trained(symbol, parameters, statistics, facts, config)


def _data_set(config):
    """Name, classes where they are known, mean and std."""
    (mean, std), classes = data.mean_and_std_of(config), data.classes_of(config)
    known = {'classes': classes} if classes else {}
    return {'dataset': config['options']['dataset'], **known, 'mean': mean, 'std': std}
