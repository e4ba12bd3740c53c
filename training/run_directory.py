"""What a run directory holds, and how it is read: config.json, metrics.csv and train.log beside the checkpoints.

config.json holds everything that is needed to do the run again, and its outcome. Its last entry, `sha256`, is the
digest of the others (common/sums.py). metrics.csv has a row for each epoch. It is written anew from the rows in the
checkpoint; a run that was killed in between has the last row in the checkpoint alone. train.log holds what the terminal
showed, in the line format of MXNet's own training scripts, which count epochs from 0. When the run has ended,
SHA256SUMS has the digests of all these files and of the checkpoints' files.

Whoever reads a run checks it: against SHA256SUMS, or as long as the run has not ended against its newest checkpoint.
Runs of earlier versions have neither digest; of them is checked what config.json and metrics.csv say of one another.
"""

from collections.abc import Iterable
import contextlib
import csv
import json
import math
import os
import re

from common import sums
from common.errors import UserError
from common.files import walk
from common.sums import Damaged
from symbols.options import ALL_NETS
from training import checkpoint, options

# The columns of metrics.csv, and those that an ensemble has for each of its members.
EACH, WITHOUT = 'test_error_{}', 'test_error_without_{}'
CONFIG, METRICS, LOG = 'config.json', 'metrics.csv', 'train.log'
NAME = re.compile(r'(.+-)?seed\d+')  # of a run's folder; a copy such as seed1-backup is left out of the tables
ENDS = ('finished', 'not finite')
FAIL = 50  # percent; a final test error above it is a "fail", as in the paper
NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|[+-]?inf', re.ASCII | re.IGNORECASE)
COLUMNS = 'epoch lr train_loss train_error test_loss test_error images_per_second seconds'.split()


def is_there(directory: str) -> bool:
    """Whether a run has begun in a directory."""
    return os.path.exists(os.path.join(directory, CONFIG))


def read_config(run_dir: str) -> dict:
    """The config.json of a run directory, or a .json file of the same form, its options completed.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = run_dir if run_dir.endswith('.json') else os.path.join(run_dir, CONFIG)
    try:
        config = sums.read_json(path)
        is_sealed = sums.SEAL in config
        if not sums.is_intact(config):
            raise Damaged(f'{path} is damaged: it is not as it was written; put it back from a copy')
        config['options'] = options.complete(config['options'])
        config.pop(sums.SEAL, None)
        if not _is_sound(config):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f'{run_dir} is not a run directory: it has no {CONFIG}') from None
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f'{path} is damaged, or does not belong to a run of this repository') from None
    if path != run_dir:
        _check_config(run_dir, config, is_sealed)
    return config


def _is_sound(config):
    """Whether config.json has what is read of it, of the right types."""
    own, outcome, environment = config['options'], config['outcome'], config['environment']
    return (
        all(options.is_possible(name, value) for name, value in own.items())
        and own['epochs'] is not None
        and ('net' not in own or own['net'] in ALL_NETS)
        and all(isinstance(device, str) for device in environment['devices'])
        and options.is_possible('epochs', environment.get('workers', 1))
        and (outcome is None or outcome['status'] in ENDS)
        and all(isinstance(split, dict) for split in config.get('dataset', {}).get('splits', {}).values())
    )


def _check_config(run_dir, config, is_sealed):
    """Raise UserError if the config.json of a run directory is not that of the run."""
    if config['outcome']:
        if not sums.check(run_dir, [CONFIG]) and is_sealed:
            raise Damaged(
                f'{run_dir} is damaged: its run has ended, but {sums.NAME} is missing; put it back from a copy'
            )
    else:
        saved = _newest_progress(run_dir)
        if saved and options.fixed(saved['options']) != options.fixed(config['options']):
            raise Damaged(f'{run_dir} is damaged: its {CONFIG} is that of another run than its checkpoints')


def _newest_progress(run_dir):
    """The contents of progress.json in the newest checkpoint where it is intact; None without such a checkpoint."""
    for folder in reversed(checkpoint.find(run_dir)):
        try:
            return checkpoint.read_progress(folder)
        except Damaged:
            continue
    return None


def read_metrics(run_dir: str) -> list[dict[str, float]]:
    """The rows of metrics.csv, an empty cell as nan; no rows before the first epoch is finished.

    A run that was killed between a checkpoint and metrics.csv has the last row in the checkpoint alone; it counts.

    Raises:
        UserError: the run is damaged.
    """
    config, rows, path = read_config(run_dir), _parse_metrics(run_dir), os.path.join(run_dir, METRICS)
    digests = sums.read(run_dir)
    if digests is not None:
        if rows is not None or METRICS in digests:
            sums.check(run_dir, [METRICS])
    elif status(config):
        if not _ends_as(config['outcome'], rows or []):
            raise Damaged(f'{path} is damaged: it is not what {CONFIG} says of the end of the run')
    else:
        saved = _newest_progress(run_dir)
        kept = [{name: _rounded(cell) for name, cell in row.items()} for row in saved['rows']] if saved else []
        common = min(len(kept), len(rows or []))
        if kept[:common] != (rows or [])[:common] or common < len(kept) - 1:
            raise Damaged(f'{path} is damaged: it is not what the checkpoints say; the next start of the run mends it')
        return rows if rows and len(rows) > len(kept) else kept
    return rows or []


def _ends_as(outcome, rows):
    """Whether metrics.csv has as many epochs as the outcome of a finished run says, and its error."""
    if outcome['status'] != 'finished':
        return True
    last, error = rows[-1].get('test_error') if rows else None, outcome.get('test_error')
    same = last is None or error is None or _rounded(last) == _rounded(error)
    return same and len(rows) == outcome.get('epochs', len(rows))


def _parse_metrics(run_dir):
    """The rows of metrics.csv; None without the file."""
    path = os.path.join(run_dir, METRICS)
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            text = file.read()
        lines = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        rows = [{name: _parse_cell(cell) for name, cell in line.items()} for line in lines]
        whole = text.endswith(('\n', '\r'))
        if not whole or [row['epoch'] for row in rows] != list(range(1, len(rows) + 1)) or _has_gap(rows):
            raise ValueError
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise UserError(f'{path} is damaged: it is not a whole table of numbers, as the training writes it') from None
    return rows


def _parse_cell(cell):
    if cell == '':
        return math.nan
    if not NUMBER.fullmatch(cell.strip()):
        raise ValueError
    return float(cell)


def _has_gap(rows):
    """Whether a column lacks a number somewhere; the last row may, where the loss was not finite."""
    columns = ([math.isnan(row[name]) for row in rows[:-1]] for name in rows[0]) if rows else ()
    return any(any(empty) and not all(empty) for empty in columns)


def check_columns(run_dir: str, rows: list[dict], columns: Iterable[str]) -> None:
    """Raise UserError where the rows of a run's metrics.csv lack one of the columns."""
    for column in columns:
        if any(column not in row for row in rows):
            raise UserError(f'{os.path.join(run_dir, METRICS)} has no column {column}: is the run damaged?')


def status(config: dict) -> str | None:
    """How a run ended, `finished` or `not finite`; None where it has not."""
    return (config['outcome'] or {}).get('status')


def count_devices(config: dict) -> int:
    """The number of devices of all workers that a run used."""
    return len(config['environment']['devices']) * config['environment'].get('workers', 1)


def test_split(config: dict) -> str:
    """The split that a run is tested on. Early versions did not record it."""
    dataset = config['dataset']
    return dataset.get('tested_on', 'test' if 'test' in dataset['splits'] else 'val')


def is_run(folder: str, files: Iterable[str]) -> bool:
    """Whether a folder with these files is a run directory.

    Raises:
        UserError: it was one, and has lost its config.json.
    """
    if CONFIG in files:
        return True
    if checkpoint.find(folder) or len({METRICS, LOG, sums.NAME} & set(files)) > 1:
        raise Damaged(f'{folder} is damaged: a run without its {CONFIG}; put it back from a copy, or delete the folder')
    return False


def find_runs(paths: Iterable[str]) -> list[str]:
    """The run directories among `paths` and below them, in order.

    Raises:
        UserError: a path has none, or a run has lost its config.json.
    """
    runs: list[str] = []
    for path in paths:
        inside = runs_below(path)
        if not inside:
            raise UserError(f'there is no run in {path}')
        runs += [folder for folder in inside if folder not in runs]
    return runs


def runs_below(path: str) -> list[str]:
    """The run directories in a folder, itself among them, in order; none where there is no folder.

    Raises:
        UserError: a run has lost its config.json.
    """
    return [os.path.normpath(folder) for folder, _, files in sorted(walk(path)) if is_run(folder, files)]


def without_seed(path: str) -> str:
    """A run directory's path, or name, without the seed at its end, which is what the seeds of one network share."""
    return re.sub(r'-?seed\d+$', '', path)


def group_runs(paths: Iterable[str]) -> list[list[str]]:
    """Runs that differ in the seed alone together; a checkpoint's folder is alone.

    The name of a run's folder does not tell on how many devices it was made, nor of an imported one how.
    """
    groups: dict[tuple, list[str]] = {}
    for path in paths:
        groups.setdefault((without_seed(path), _beside_name(path)), []).append(path)
    return list(groups.values())


def _beside_name(path):
    """What tells runs of one name apart, as a text."""
    if not is_there(path):
        return path
    config = read_config(path)
    own = {**options.fixed(config['options']), 'seed': None} if 'imported' in config else None
    return json.dumps([count_devices(config), own], sort_keys=True)


def find_outcome(directory: str, config: dict) -> dict | None:
    """How the run in a directory ended; None where it has not, or where there is none. Changes nothing there.

    Raises:
        UserError: the directory holds another run than `config` describes.
    """
    if not is_there(directory):
        return None
    old = read_config(directory)
    check_same(directory, old, config)
    return old['outcome']


def finished_with_other_epochs(directory: str, config: dict) -> tuple[str, int] | None:
    """(directory, epochs) of a finished run beside this one that differs in its number of epochs alone."""
    folder, own = os.path.dirname(directory), config['options']
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        place = os.path.join(folder, name)
        if _without_epochs(name) != _without_epochs(os.path.basename(directory)) or place == directory:
            continue
        with contextlib.suppress(UserError):  # whatever is wrong there, this run can do without
            other = read_config(place)
            epochs = other['options']['epochs']
            same = identity({**other, 'options': {**other['options'], 'epochs': own['epochs']}}) == identity(config)
            if status(other) == 'finished' and epochs != own['epochs'] and same:
                return place, epochs
    return None


def _without_epochs(name):
    return re.sub(r'(^|-)epochs\d+-', r'\1', name)


def identity(config: dict) -> dict:
    """What has to be equal for a run to be resumed: options, kinds and number of devices, workers, images."""
    same = options.fixed(config['options'])
    if same.get('init_from'):
        same['init_from'] = os.path.realpath(same['init_from'])  # however it was spelled
    same['devices'] = ','.join(device.partition('(')[0] for device in config['environment']['devices'])
    same['workers'] = config['environment'].get('workers', 1)
    if 'dataset' in config:
        splits = config['dataset']['splits']
        same['data'] = splits['train']['content_sha256'][:12]
        tested = splits.get(test_split(config), {})
        same['tested on'] = (tested.get('content_sha256') or '')[:12]  # unknown of an imported run
    if 'init_from' in config:
        same['init'] = config['init_from']['weights_sha256'][:12]
    return same


def check_same(directory: str, old: dict, new: dict) -> None:
    """Raise UserError unless the run in a directory, with the config `old`, is the one that `new` describes."""
    before, now = identity(old), identity(new)
    other = '; '.join(f'{key} {before.get(key)} instead of {now[key]}' for key in now if before.get(key) != now[key])
    if other:
        raise UserError(
            f'{directory} holds a run with another configuration ({other}): choose another --log-dir, or delete it'
        )


def number(value: float) -> str:
    """As metrics.csv has it: as short as seven digits allow; counts stay whole."""
    return str(value) if isinstance(value, int) else f'{value:.7g}'


def _rounded(value):
    """As metrics.csv has it."""
    return float(number(value))


def files(run_dir: str) -> list[str]:
    """The names of the files of a run, those of its checkpoints with their folder."""
    there = [name for name in (CONFIG, METRICS, LOG) if os.path.exists(os.path.join(run_dir, name))]
    for folder in checkpoint.find(run_dir):
        there += [f'{os.path.basename(folder)}/{name}' for name in sorted(os.listdir(folder))]
    return there
