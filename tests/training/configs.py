"""The config.json and a row of metrics.csv of a run that never was."""

import copy
import json
import os

CONFIG = {
    'command': 'python train.py',
    'outcome': None,
    'options': {
        'net': 'plain',
        'depth': 8,
        'dataset': 'noise',
        'epochs': 2,
        'seed': 1,
        'lr': 0.1,
        'cpus': 1,
        'kv_store': 'local',
        'log_dir': 'logs',
        'data_dir': None,
        'checkpoint_minutes': 10,
        'dtype': 'float32',
    },
    'environment': {'devices': ['cpu(0)'], 'workers': 1, 'threads': 1, 'mxnet': '1.9.1'},
    'dataset': {'splits': {'train': {'content_sha256': 64 * '0'}, 'test': {'content_sha256': 64 * '0'}}},
}
ROW = {
    'epoch': 1,
    'lr': 0.1,
    'train_loss': 2.25,
    'train_error': 100 / 3,
    'test_loss': 2.5,
    'test_error': 90,
    'images_per_second': 123456.789,
    'seconds': 1e-5,
}


def config(**changes):
    """CONFIG with other values, {section: values}."""
    result = copy.deepcopy(CONFIG)
    for section, values in changes.items():
        result[section] = {**result[section], **values}
    return result


def read(path, name='config.json'):
    with open(os.path.join(path, name)) as file:
        content = json.load(file) if name.endswith('.json') else file.read()
    if name.endswith('.json'):
        content.pop('sha256', None)  # the digest of the other entries
    return content
