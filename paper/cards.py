"""Model cards: what each run in a log directory is, on a page of its own, README.md in the run directory."""

import functools
import math
import os
import shlex

from common.files import file_digest, write_atomically
from paper import pages, results
from paper.commands import TARGETS, shown_by
from symbols import gluoncv
from training import checkpoint
from training.run_directory import find_runs, group_runs, read_config, read_metrics, status, test_split

NAME = 'README.md'
# The names of the data sets, and what their authors say of their use.
DATA = {
    'cifar10': ('CIFAR-10', 'none is stated; its authors ask to be cited (Krizhevsky, 2009)'),
    'cifar100': ('CIFAR-100', 'none is stated; its authors ask to be cited (Krizhevsky, 2009)'),
    'svhn': ('SVHN', 'non-commercial use (Netzer et al., 2011)'),
    'imagenet': ('ImageNet', 'non-commercial research and education (its terms of access)'),
    'digits': ("scikit-learn's digits", 'CC BY 4.0 (Alpaydin and Kaynak, 1998)'),
}


def write(log_dir: str) -> list[str]:
    """Write the card of every run in a log directory; returns the paths.

    Raises:
        UserError: there is no run, or one is damaged.
    """
    paths = []
    for run_dir in find_runs([log_dir]):
        paths.append(os.path.join(run_dir, NAME))
        write_atomically(paths[-1], card(run_dir))
    return paths


def card(run_dir: str) -> str:
    """The text of a run's card, in Markdown."""
    config, rows = read_config(run_dir), read_metrics(run_dir)
    options, splits = config['options'], config['dataset']['splits']
    name, license_ = DATA.get(options['dataset'], (options['dataset'], "that of the user's own images"))
    weights = _weights(run_dir)
    return (
        pages.render(
            'card.md',
            path=shlex.quote(run_dir),
            in_torch=not gluoncv.is_one(options['net']),
            title=results.title(options),
            dataset=name,
            license=license_,
            seed=options['seed'] if 'seed' in _recorded(config) else None,
            parameters=config['parameters'],
            train_images=_records(splits, ['train', 'val'] if options.get('split') == 'full' else ['train']),
            test_images=_records(splits, [test_split(config)]),
            verified=all(split['verified'] for split in splits.values()),
            epochs=options['epochs'],
            options=options,
            recipe=_recipe(config),
            beside=_beside(config, len(rows)),
            error=_error(run_dir, config, rows),
            command=config['command'],
            environment=config['environment'],
            later=_later_processors(config),
            imported=config.get('imported'),
            weights=weights and os.path.relpath(weights, run_dir),
            sha256=weights and file_digest(weights, 'sha256'),
        )
        + '\n'
    )


def _recorded(config):
    """The options that are known of a run. One that was imported has the others' defaults in their places."""
    if 'imported' not in config:
        return {**config['options'], 'devices': None}
    facts = config['imported']['facts']
    return {**facts.get('trained', {}), **facts}


def _recipe(config):
    """Batches, devices, learning rate, momentum and weight decay; of an imported run, what was recorded of them."""
    options, environment, recorded = config['options'], config['environment'], _recorded(config)
    names = ('batch_size', 'lr', 'schedule', 'momentum', 'weight_decay')
    if not all(name in recorded for name in (*names, 'devices')):
        known = [f'{name} {options[name]}' for name in names if name in recorded]
        return ', '.join([*known, 'the rest is not recorded'])
    batch_size, lr, schedule, momentum, weight_decay = (options[name] for name in names)
    workers = environment.get('workers', 1)
    devices = ' '.join(environment['devices']) + (f' on each of {workers} workers' if workers > 1 else '')
    return (
        f'batches of {batch_size} over {devices}, learning rate {lr} by the schedule `{schedule}`, '
        f'Nesterov momentum {momentum}, weight decay {weight_decay}'
    )


def _later_processors(config):
    """Those that the run was resumed on and did not begin on: its last bits depend on them."""
    processors = [entry['environment'].get('processor') for entry in config.get('resumed', [])]
    return [one for one in dict.fromkeys(processors) if one and one != config['environment'].get('processor')]


def _weights(run_dir):
    """The path of the newest checkpoint's weights; '' where none were kept."""
    found = checkpoint.find(run_dir)
    return checkpoint.params_path(found[-1]) if found else ''


def _beside(config, done):
    """How the run differs from the paper's."""
    for experiment in _experiments():
        if results.is_of(config['options'], experiment):
            return '; '.join(results.differences(config, done, experiment)) or 'as in the paper'
    return 'the paper has no such run'


@functools.cache
def _experiments():
    """What the paper's tables and figures show, each once."""
    return dict.fromkeys(one.experiment for target in TARGETS for one in shown_by(target))


def _records(splits, names):
    """The images of splits together; None for an imported run, whose images were not recorded."""
    counts = [splits.get(name, {}).get('records') for name in names]
    return None if None in counts else sum(counts)


def _error(run_dir, config, rows):
    """The error after the last epoch, and the mean of the runs that differ in the seed alone."""
    ended = status(config)
    if ended == 'not finite':
        return f'diverged in epoch {config["outcome"]["epoch"]}'
    if not ended:
        return f'not finished after {len(rows)} epochs' + (f'; {rows[-1]["test_error"]:.2f} % so far' if rows else '')
    if not rows or math.isnan(rows[-1]['test_error']):
        return 'not recorded'
    own = os.path.abspath(run_dir)
    (seeds,) = (group for group in group_runs(find_runs([os.path.dirname(own)])) if own in group)
    outcomes = [config['outcome'] for config in map(read_config, seeds) if status(config)]
    errors = [math.inf if outcome['status'] == 'not finite' else outcome['test_error'] for outcome in outcomes]
    errors = [error for error in errors if error is not None]
    of_all = f'; over all seeds {results.text(errors)}' if len(errors) > 1 else ', n = 1'
    return f'{rows[-1]["test_error"]:.2f} % after the last epoch{of_all}'
