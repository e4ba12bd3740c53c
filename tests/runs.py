"""What is in a run directory."""

import csv
import json
import os

COLUMNS = ['epoch', 'lr', 'train_loss', 'train_error', 'test_loss', 'test_error', 'images_per_second', 'seconds']
MEASURED, TIMES = COLUMNS[:-2], COLUMNS[-2:]
DATED = ('progress.json', 'SHA256SUMS')  # they depend on time


def only_run(log_dir):
    """The one run directory under a log directory."""
    (run,) = [folder for folder, _, files in os.walk(log_dir) if 'config.json' in files]
    return run


def checkpoints(run):
    """The names of a run's checkpoints, oldest first."""
    return sorted(name for name in os.listdir(run) if name.startswith('checkpoint-'))


def read_json(run, name='config.json'):
    """A JSON file of a run."""
    with open(os.path.join(run, name)) as file:
        return json.load(file)


def rewrite(run, name, content):
    """Replace a file of a run, by a dict or a text, and remove the digests: as an earlier version left a run."""
    if os.path.exists(os.path.join(run, 'SHA256SUMS')):
        os.remove(os.path.join(run, 'SHA256SUMS'))
        config = read_json(run)
        rewrite(run, 'config.json', config)
    if isinstance(content, dict):
        content = json.dumps({name: value for name, value in content.items() if name != 'sha256'})
    with open(os.path.join(run, name), 'w') as file:
        file.write(content)


def read_bytes(*path):
    """The contents of a file."""
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def read_csv(run, without=()):
    """The rows of metrics.csv as texts, without some columns."""
    with open(os.path.join(run, 'metrics.csv'), newline='') as file:
        return [{name: cell for name, cell in row.items() if name not in without} for row in csv.DictReader(file)]


def end(run):
    """What a run leaves that does not depend on time: the bits of its last checkpoint, and metrics.csv."""
    last = os.path.join(run, checkpoints(run)[-1])
    return (
        {name: read_bytes(last, name) for name in os.listdir(last) if name not in DATED},
        read_csv(run, without=TIMES),
    )
