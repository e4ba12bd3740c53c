"""A trained network as a .safetensors file for PyTorch, and such a file as a run.

torch_networks.load reads what `write` writes, and torch_networks.save writes what `to_run` reads. This module needs no
PyTorch.
"""

import csv
import json
import os
import shlex
import shutil
import sys

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from common import sums
from common.errors import UserError
from common.files import file_digest, fsync, hidden, replacing, write_atomically
import data
from interop import names
from interop.trained import ARGUMENTS, Trained, image_shape
from paper import recipes
import symbols
from symbols import imagenet
from symbols.analysis.summary import count_parameters
from training import arrays_file, checkpoint, options, run_directory, symbol_file
from training.run_directory import FAIL

NOT_WEIGHTS = '.num_batches_tracked'  # in PyTorch's state_dict alone


def write(trained: Trained, path: str) -> None:
    """Write weights and running statistics under their names in PyTorch, and the facts as metadata.

    Raises:
        UserError: torch_networks has no such network.
    """
    if trained.facts['net'] not in names.NETWORKS:
        raise UserError(f'interop/torch_networks.py has no {trained.facts["net"]}: add it there and to names.NETWORKS')
    try:
        arrays = {names.to_torch(name): np.ascontiguousarray(value) for name, value in trained.arrays.items()}
    except ValueError as error:
        raise UserError(f'interop/torch_networks.py has no {trained.facts["net"]}: {error}') from None
    with replacing(path) as temporary, open(temporary, 'wb') as file:
        file.write(save(arrays, {'facts': json.dumps(trained.facts)}))


def read(path: str) -> Trained:
    """The network of a .safetensors file.

    Raises:
        UserError: it is damaged, or holds no network of the paper.
    """
    try:
        with safe_open(path, framework='numpy') as file:
            facts = json.loads((file.metadata() or {}).get('facts', '{}'))
            there = {name: file.get_tensor(name) for name in file.keys() if not name.endswith(NOT_WEIGHTS)}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise UserError(f'{path} cannot be read: {error}') from None
    symbol = _symbol(path, facts)
    try:
        arrays = {names.to_mxnet(name): value for name, value in there.items()}
    except ValueError as error:
        raise UserError(f'{path}: {error}') from None
    statistics = {name: arrays.pop(name) for name in symbol.list_auxiliary_states() if name in arrays}
    symbol_file.check_cost(symbol, image_shape(facts))
    symbol_file.check_arrays(path, symbol, image_shape(facts), arrays, statistics)
    for name, value in {**arrays, **statistics}.items():
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise UserError(f'{path}: {name} has to be finite float32: save the weights with `.float()`')
    return Trained(symbol, arrays, statistics, facts)


def _symbol(path, facts):
    try:
        given = {name: facts[name] for name in ARGUMENTS if facts.get(name) is not None}
        if 'size' not in facts and facts['dataset'] not in data.NAMES:
            raise UserError(f'there is no data set {facts["dataset"]}: choose one of {", ".join(data.NAMES)}')
        if not 0 <= _epoch(facts) <= facts['epochs']:
            raise UserError(f'there is no epoch {_epoch(facts)} in a run of {facts["epochs"]}')
        if facts.get('metrics') and len(facts['metrics']) != _epoch(facts):
            raise UserError(f'epoch {_epoch(facts)} does not fit metrics of {len(facts["metrics"])} epochs')
        missing = [name for name in ('classes', 'mean', 'std') if 'size' in facts and name not in facts]
        if missing:  # nothing else tells them of the user's own images
            raise UserError(f'it has no {", ".join(missing)}: give them to save() of interop/torch_networks.py')
        if 'mean' in facts or 'std' in facts:
            _check_normalization(facts.get('mean', ()), facts.get('std', ()))
        if facts.get('classes') and len(facts['classes']) != facts['num_classes']:
            raise UserError(f'{len(facts["classes"])} classes do not fit num_classes {facts["num_classes"]}')
        if given.pop('imagenet'):
            given.pop('widen', None)
            return imagenet.get_symbol(**given)
        return symbols.get_symbol(**given)
    except UserError as error:
        raise UserError(f'{path}: {error}') from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path} does not say what it is ({error}): save it with interop/torch_networks.py, '
            "save(net, path, dataset='cifar10', epochs=400)"
        ) from None


def _check_normalization(mean, std):
    numbers = all(type(value) in (int, float) and 0 <= value <= 255 for value in (*mean, *std))
    if not (len(mean) == len(std) == 3 and numbers and min(std) > 0 and max(std) >= 1):
        raise UserError('mean and std have to be three numbers each, of R, G and B in 0–255, not in 0–1')


def _epoch(facts):
    """The epoch that the weights are from; unless it is known, the last that was measured, or else the last of all."""
    return facts.get('epoch', len(facts.get('metrics') or ()) or facts['epochs'])


def to_run(source: str, target: str) -> None:
    """Make a run directory, which must not be there yet, of the network in a .safetensors file.

    Its options are the paper's but for what the facts say. Its `framework` is pytorch unless it was trained here. By
    this, tables tell it from the paper's runs; `imported` says which file it came from. Its metrics.csv has the facts'
    `metrics`, if there are any: a dict for each epoch with columns of metrics.csv.

    Raises:
        UserError: it cannot be read, or its facts do not describe a valid run.
    """
    trained, temporary = read(source), hidden(target)
    epoch = _epoch(trained.facts)
    shutil.rmtree(temporary, ignore_errors=True)
    folder = os.path.join(temporary, checkpoint.folder_name(epoch, 0))
    try:
        os.makedirs(folder)
        symbol_file.save(os.path.join(folder, checkpoint.SYMBOL), trained.symbol)
        weights = checkpoint.params_path(folder)
        arrays_file.save(weights, trained.mxnet_arrays)
        fsync(weights)
        _write_metrics(temporary, trained.facts)
        write_atomically(
            os.path.join(temporary, run_directory.CONFIG), json.dumps(_config(source, target, trained), indent=1) + '\n'
        )
        sums.write(temporary, run_directory.files(temporary))
        run_directory.read_metrics(temporary)  # which reads config.json too
        os.rename(temporary, target)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f'{source}: a run made of its facts could not be read: {error}') from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_metrics(folder, facts):
    rows = facts.get('metrics')
    if rows:
        columns = [*run_directory.COLUMNS, *(name for name in rows[0] if name not in run_directory.COLUMNS)]
        with open(os.path.join(folder, run_directory.METRICS), 'w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, columns, lineterminator='\n')  # None is an empty cell
            writer.writeheader()
            writer.writerows(rows)


def _config(source, target, trained):
    facts = {'framework': 'pytorch', 'devices': 1, **trained.facts.get('trained', {}), **trained.facts}
    common = {name: options.default(name) for name, option in options.OPTIONS.items() if not option.special}
    recipe = {**common, 'data_dir': None, **recipes.of_dataset(facts['dataset'])}
    own = {name: value for name, value in facts.items() if name in options.OPTIONS}
    verified = facts.get('verified', True)
    tested_on = 'val' if 'size' in facts or facts['dataset'] == 'imagenet' else 'test'
    # The images were not recorded.
    splits = {
        'train': {'content_sha256': '', 'verified': verified},
        tested_on: {'content_sha256': None, 'verified': verified},
    }
    traits = {name: facts[name] for name in ('classes', 'mean', 'std') if name in facts}
    error = (facts.get('metrics') or [{}])[-1].get('test_error')
    fail = error is not None and error > FAIL
    ended = {'status': 'finished', 'epochs': facts['epochs'], 'test_error': error, 'fail': fail}
    return {
        'command': shlex.join(['python', *sys.argv]),
        'options': {**recipe, **own},
        'environment': {'devices': [f'{facts["framework"]}({i})' for i in range(facts['devices'])], 'workers': 1},
        'outcome': ended if _epoch(facts) == facts['epochs'] else None,
        'parameters': count_parameters(trained.symbol, image_shape(facts)),
        'imported': {
            'file': os.path.basename(source),
            'sha256': file_digest(source, 'sha256'),
            'facts': {name: value for name, value in facts.items() if name != 'metrics'},
        },
        'dataset': {'name': facts['dataset'], 'splits': splits, 'tested_on': tested_on, **traits},
    }
