"""The error of the eight component networks, trained one by one, as one ensemble: a file beside their runs.

It is a number that no run by itself has (Table 2, the column Overall without weight sharing). together-seed1.json
beside the runs pathLLL-seed1 … pathRRR-seed1 has the options that they share, with `members` and `test_error`, in
percent.
"""
import json
import os
import re

from common.errors import UserError
from common.files import write_atomically
from symbols.ensemble import COMPONENTS
from training.runlog import count_devices, status

PREFIX = 'together'


def path_of(configs):
    """The file for runs {run directory: config}; UserError unless they are the eight, finished, and alike.

    A directory's name has the options and the seed; on how many devices a run was made it does not say.
    """
    devices = {count_devices(config) for config in configs.values()}
    paths = [config['options'].get('path') for config in configs.values()]
    files = {path_beside(os.path.abspath(run_dir)) for run_dir in configs}
    if sorted(map(str, paths)) != sorted(COMPONENTS) or len(files) > 1 or len(devices) > 1:
        raise UserError('--save is for the eight component networks of one depth, trained with the same options, '
                        'seed and number of devices: name their run directories')
    for run_dir, config in configs.items():
        if status(config) != 'finished':
            raise UserError('%s is not finished: --save is for finished runs' % run_dir)
    return path_beside(os.path.normpath(next(iter(configs))))


def path_beside(run_dir):
    """The file for the run of a component network and its seven fellows."""
    folder, name = os.path.split(run_dir)
    return os.path.join(folder, re.sub('^path[LR]{3}-', PREFIX + '-', name) + '.json')


def save(path, configs, error):
    """Write the file; error: of the ensemble, in percent."""
    first = next(iter(configs.values()))
    options = {name: value for name, value in first['options'].items() if name != 'path'}
    write_atomically(path, json.dumps({
        'members': [os.path.basename(os.path.normpath(run_dir)) for run_dir in configs], 'test_error': error,
        'options': options, 'environment': first['environment'], 'dataset': first['dataset'],
        'outcome': {'status': 'finished', 'epochs': options['epochs'], 'test_error': error}}, indent=1) + '\n')


def find(folder):
    """Paths of the files in a folder, if it is there."""
    there = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.normpath(os.path.join(folder, name)) for name in sorted(there)
            if re.fullmatch(PREFIX + r'-.*\.json', name)]
