"""Runs evaluated together as one ensemble: which can be, the names of its members, and the file with the result.

The error of the eight component networks of an N_f3, trained one by one, stands in Table 2 (column Overall, without
weight sharing), but no run has it by itself. `eval.py --ensemble --save` writes it to together-seed1.json beside the
runs pathLLL-seed1 … pathRRR-seed1: the options that they share, `members`, and `test_error` in percent.
"""

from collections.abc import Mapping, Sequence
import json
import os
import re

from common import sums
from common.errors import UserError
from common.files import write_atomically
import data
from symbols.ensemble import COMPONENTS
from training.run_directory import count_devices, status, test_split

PREFIX = 'together'


def check(runs: Mapping[str, tuple]) -> None:
    """Raise UserError unless runs can be one ensemble: the same data, normalization and depth, and one output each.

    Args:
        runs: {run directory: (title, config, model)}.
    """
    (first, (_, expected, _)), *_ = runs.items()
    if len(runs) == 1:
        raise UserError(f'{first} alone is no ensemble: name two runs or more')
    for run_dir, (_, config, (symbol, _, _)) in runs.items():
        for option in ('dataset', 'depth'):
            own, others = config['options'][option], expected['options'][option]
            if own != others:
                raise UserError(f'{run_dir} has {option} {own}, {first} has {others}: they cannot be one ensemble')
        if len({test_images(config), test_images(expected)} - {None}) > 1:
            raise UserError(f'{run_dir} and {first} were tested on different images: they cannot be one ensemble')
        own, others = data.classes_of(config), data.classes_of(expected)
        if own and others and list(own) != list(others):
            raise UserError(f'{run_dir} and {first} have their classes in another order: they cannot be one ensemble')
        if data.mean_and_std_of(config) != data.mean_and_std_of(expected):
            raise UserError(f'{run_dir} and {first} normalize their images differently: they cannot be one ensemble')
        if len(symbol.list_outputs()) > 1:
            raise UserError(f'{run_dir} is an ensemble itself: name runs with one output')


def test_images(config: dict) -> str | None:
    """The SHA-256 of the images that a run was tested on; None where it does not say."""
    try:
        return config['dataset']['splits'][test_split(config)]['content_sha256'] if 'dataset' in config else None
    except (KeyError, TypeError, AttributeError):
        raise UserError('config.json does not say on which images the run was tested: is it damaged?') from None


def member_names(configs: dict[str, dict]) -> list[str]:
    """The names of runs {run directory: config} in one ensemble: the paths of component networks, else directories."""
    paths = [config['options'].get('path') for config in configs.values()]
    return paths if None not in paths and len(set(paths)) == len(paths) else list(configs)


def all_but(texts: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """For each text of names, separated by commas, the indices of the members that it does not name.

    Raises:
        UserError: a name is unknown, or no member is left.
    """
    rest = []
    for text in texts:
        dropped = text.split(',')
        for name in dropped:
            if name not in names:
                raise UserError(f'--without {text}: there is no member {name}; there are {", ".join(names)}')
        rest.append([index for index, name in enumerate(names) if name not in dropped])
        if not rest[-1]:
            raise UserError(f'--without {text} leaves no member')
    return rest


def path_of(configs: dict[str, dict]) -> str:
    """The file for runs {run directory: config}.

    The name of a directory tells the options and the seed, but not on how many devices the run was made.

    Raises:
        UserError: they are not the eight components of one network, trained alike and finished.
    """
    devices = {count_devices(config) for config in configs.values()}
    paths = [config['options'].get('path') for config in configs.values()]
    files = {path_beside(os.path.abspath(run_dir)) for run_dir in configs}
    if sorted(map(str, paths)) != sorted(COMPONENTS) or len(files) > 1 or len(devices) > 1:
        raise UserError(
            '--save is for the eight component networks of one depth, trained with the same options, '
            'seed and number of devices: name their run directories'
        )
    for run_dir, config in configs.items():
        if status(config) != 'finished':
            raise UserError(f'{run_dir} is not finished: --save is for finished runs')
    return path_beside(os.path.normpath(next(iter(configs))))


def path_beside(run_dir: str) -> str:
    """The file for the run of a component network and its seven fellows."""
    folder, name = os.path.split(run_dir)
    return os.path.join(folder, re.sub('^path[LR]{3}-', f'{PREFIX}-', name) + '.json')


def save(path: str, configs: dict[str, dict], error: float) -> None:
    """Write the file; `error` is the ensemble's, in percent."""
    first = next(iter(configs.values()))
    options = {name: value for name, value in first['options'].items() if name != 'path'}
    write_atomically(
        path,
        json.dumps(
            sums.seal(
                {
                    'members': [os.path.basename(os.path.normpath(run_dir)) for run_dir in configs],
                    'test_error': error,
                    'options': options,
                    'environment': first['environment'],
                    'dataset': first['dataset'],
                    'outcome': {'status': 'finished', 'epochs': options['epochs'], 'test_error': error},
                }
            ),
            indent=1,
        )
        + '\n',
    )


def find(folder: str) -> list[str]:
    """The paths of the files in a folder, if it exists."""
    there = os.listdir(folder) if os.path.isdir(folder) else []
    return [
        os.path.normpath(os.path.join(folder, name))
        for name in sorted(there)
        if re.fullmatch(rf'{PREFIX}-.*\.json', name)
    ]
