"""Test error and loss of a trained network; every image counts exactly once.

    python eval.py logs/cifar10/dfn-mr-56/seed1              # a run: its newest checkpoint
    python eval.py logs/cifar10/dfn-mr-56/seed1/checkpoint-0399        # the one named
    python eval.py logs/cifar10/dfn-mr-56 --gpus 0           # all its seeds, and mean ± std
    python eval.py logs/cifar10/dfn-mr-14/epochs8-seed1 --per-class
    python eval.py logs/cifar10/ensemble-26/seed1 --drop-one --without RRR     # Tables 2 and 3, Figure 5
    python eval.py --ensemble --save logs/cifar10/component-26/path???-seed1   # Table 2, without weight sharing
    python eval.py logs/cifar10/dfn-mr-14/epochs8-seed1 --wrong wrong.png --predictions predictions.npz
    python eval.py --symbol net-symbol.json --params net-0400.params --dataset cifar10

The result does not depend on the batch size or the number of devices. Images are never augmented. An ensemble predicts
by the mean of its members' softmax outputs; its loss is the mean of their losses.
"""

from common.cli import Parser, positive_int, run

import argparse
from collections.abc import Sequence
import itertools
import math
import os
import statistics
import sys
from typing import TYPE_CHECKING, NamedTuple

from common.errors import UserError
from common.files import check_outputs
from common.mxnet import mx
import data
from data import Dataset, ImageRecords
from paper import ensembles
from symbols.analysis.graph import output_kinds
from symbols.ensemble import COMPONENTS
from training import checkpoint, devices, options, run_directory, symbol_file
from training.evaluation import Evaluation, evaluate, member_names
from training.predictions import Disagreement, Mistake, Mistakes, Predictions, disagreement
from training.replicas import JointPredictor
from training.run_directory import FAIL

if TYPE_CHECKING:  # numpy comes after `common`, which says what to do where packages are missing
    import numpy as np

SHOWN_MISTAKES = 25
NO_IMAGES = '–'  # in the place of the error of a class
WIDEST_TABLE = 20  # classes; with more, a line for each class instead of the whole confusion table


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        'runs', nargs='*', metavar='RUN_DIR', help='run directories, directories above them, or checkpoints'
    )
    parser.add_argument(
        '--best',
        action='store_true',
        help="the checkpoint with the smallest test error instead of the newest (the paper's tables "
        'show the last epoch)',
    )
    parser.add_argument('--per-class', action='store_true', help='print which class is taken for which')
    parser.add_argument('--batch-size', type=positive_int, default=100, help='images at a time, over all devices')
    files = parser.add_argument_group('files to write, for one run or one ensemble')
    files.add_argument(
        '--predictions',
        metavar='FILE.npz',
        help='labels, probabilities, and those of each member of an ensemble, in the order of the records in the '
        '.rec file',
    )
    files.add_argument('--wrong', metavar='FILE.png', help='a picture of the surest mistakes')
    files.add_argument('--confusion', metavar='FILE.png', help='a picture of the confusion table')
    ensemble = parser.add_argument_group('ensembles')
    ensemble.add_argument(
        '--ensemble',
        action='store_true',
        help='take all runs named as the members of one ensemble, each with its own weights',
    )
    ensemble.add_argument(
        '--save',
        action='store_true',
        help='with --ensemble, for the eight component networks: keep the error beside their runs, '
        'where compare.py finds it',
    )
    ensemble.add_argument(
        '--drop-one', action='store_true', help='show the error without each member in turn as well (Table 3)'
    )
    ensemble.add_argument(
        '--without',
        metavar='NAME,...',
        action='append',
        default=[],
        help='show the error without these members, such as RRR, not trained again (Figure 5)',
    )
    files = parser.add_argument_group("MXNet's files instead of a run")
    files.add_argument('--symbol', metavar='FILE', help='the network, …-symbol.json')
    files.add_argument('--params', metavar='FILE', help='its weights and statistics, ….params')
    files.add_argument('--dataset', choices=data.NAMES, help='what to evaluate it on')
    options.add_options(
        parser,
        ('data_dir', 'no_verify', 'gpus', 'cpus'),
        data_dir=dict(help="folder of the data set's files (default: the run's)"),
    )
    parser.add_argument(
        '--split', choices=['test', 'val'], help="val: SVHN's images held out (default: what the run is tested on)"
    )
    return parser


def find(paths: Sequence[str]) -> list[str]:
    """The run directories among `paths` and below them, and the checkpoints among them, in order."""
    there = [[os.path.normpath(path)] if checkpoint.is_one(path) else run_directory.find_runs([path]) for path in paths]
    found: dict[str, str] = {}
    for path in itertools.chain(*there):
        found.setdefault(os.path.realpath(path), path)  # one may be named in two ways
    return list(found.values())


class Loaded(NamedTuple):
    """A run with the network of one of its checkpoints."""

    title: str
    config: dict
    model: checkpoint.Model

    @property
    def is_finished(self) -> bool:
        """Whether the run reached its last epoch."""
        return run_directory.status(self.config) == 'finished'


def load_run(path: str, best: bool) -> Loaded | None:
    """A run with the checkpoint named, or its newest or best one; None where it has none."""
    run_dir = os.path.dirname(path) if checkpoint.is_one(path) else path
    config, folder = run_directory.read_config(run_dir), checkpoint.resolve(path)
    if not folder:
        return None
    if best:
        folder = best_of(run_dir, checkpoint.find(run_dir))
    epoch, step = checkpoint.position(folder)
    steps = f' and {step} steps' if step else ''
    return Loaded(
        f'{path}, epoch {epoch} of {config["options"]["epochs"]}{steps}', config, checkpoint.load_model(folder)
    )


def best_of(run_dir: str, found: Sequence[str]) -> str:
    """The checkpoint with the smallest test error of the whole run."""
    rows = [row for row in run_directory.read_metrics(run_dir) if not math.isnan(row['test_error'])]
    if not rows:
        raise UserError(f'{run_dir} has no error of an epoch: leave out --best')
    best = int(min(rows, key=lambda row: row['test_error'])['epoch'])
    for folder in found:
        if checkpoint.position(folder) == (best, 0):
            return folder
    raise UserError(
        f'{run_dir} does not keep the checkpoint of its best epoch, {best} (committed runs keep only the last)'
    )


def check_model(title: str, model: checkpoint.Model, image_shape: tuple, classes: int) -> None:
    """Raise UserError unless the weights belong to the symbol, and its outputs are softmaxes over `classes` classes."""
    symbol, *arrays = model
    symbol_file.check_cost(symbol, image_shape)
    _, shapes, _ = symbol.infer_shape_partial(data=(1, *image_shape))
    if not output_kinds(symbol) <= {'SoftmaxOutput', 'softmax'} or set(shapes) != {(1, classes)}:
        raise UserError(
            f'{title}: the network has to end in a softmax over {classes} classes; it has '
            f'{" and ".join(symbol.list_outputs())} of shape {shapes}'
        )
    symbol_file.check_arrays(title, symbol, image_shape, *arrays)


class Errors(NamedTuple):
    """Test errors in percent, or their texts: of an ensemble, of each member, without each member, of subsets."""

    overall: float | str
    each: list
    without: list
    subsets: list

    @classmethod
    def of(cls, found: Evaluation) -> 'Errors':
        """The errors of an evaluation."""
        return cls(
            found.tally.error, *([tally.error for tally in part] for part in (found.each, found.without, found.subsets))
        )

    @classmethod
    def texts(cls, several: Sequence['Errors']) -> 'Errors':
        """The texts of one Errors, or mean ± population standard deviation of several."""

        def text(*values):
            deviation = f' ± {statistics.pstdev(values):.2f}' if len(values) > 1 else ''
            return f'{statistics.mean(values):.2f}{deviation}'

        overall, *parts = zip(*several)
        return cls(text(*overall), *([text(*values) for values in zip(*part)] for part in parts))


class Reporter:
    """Evaluates models and prints what the command line asks for; a data set is loaded once."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.contexts, self._datasets = args, devices.contexts(args.gpus, args.cpus), {}

    def report(
        self,
        title: str,
        models: Sequence[checkpoint.Model],
        names: Sequence[str],
        config: dict,
    ) -> Errors:
        """Print the error of the models together and, where there are several outputs, of each.

        Args:
            names: of the outputs.
            config: of the run; what it says of the data set counts.
        """
        if len(names) == 1 and (self.args.drop_one or self.args.without):
            raise UserError(f'{title} has one output: --drop-one and --without are for ensembles')
        subsets = ensembles.all_but(self.args.without, names)
        dataset = self._dataset(config)
        split = self.args.split or dataset.test_split
        self._compare_images(title, config, split, dataset.about[split]['content_sha256'])
        for model in models:
            check_model(title, model, dataset.image_shape, len(dataset.classes))
            for dtype in symbol_file.dtypes(model[0]):
                devices.check_dtype(dtype, self.args.gpus is not None, f'{title}, computed in {dtype},')
        predictions, mistakes = Predictions(), Mistakes(SHOWN_MISTAKES)
        watch = [predictions.add] if self.args.predictions or len(names) > 1 else []
        watch += [mistakes.add] if self.args.wrong else []
        try:
            found = evaluate(
                JointPredictor(models, self.contexts, dataset.image_shape),
                dataset.evaluation_batches(split, self.args.batch_size),
                dataset.about[split]['records'],
                subsets,
                watch,
            )
        except mx.MXNetError as error:  # no device computes every type of every operator
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f'{title}: MXNet cannot compute this network on these devices ({reason})') from error
        tally, errors = found.tally, Errors.of(found)
        top5 = f'top-5 error {tally.error5:.2f} %, ' if dataset.has_top5 else ''
        broken = '' if math.isfinite(tally.loss) else ' (the network is broken)'
        print(
            f'{title}: {split} error {tally.error:.2f} %, {top5}loss {tally.mean_loss:.4f}, {tally.seen:,} images'
            f'{broken}',
            flush=True,
        )
        self._print_parts(names, Errors.texts([errors]))
        if len(names) > 1:
            print(disagreement_line(disagreement(predictions.members, predictions.labels)))
        if self.args.per_class:
            print('\n'.join(confusion_table(found.confusion, dataset.classes)))
        if self.args.predictions:
            predictions.save(self.args.predictions, names, dataset.classes)
        if self.args.wrong:
            draw_mistakes(self.args.wrong, mistakes.found, dataset)
        if self.args.confusion:
            draw_confusion(self.args.confusion, found.confusion, dataset.classes)
        return errors

    def _compare_images(self, title, config, split, digest):
        """Say where these are not the images that the run was tested on, or where it was trained on them."""
        if split == 'val' and config['options'].get('split') == 'full':
            print(f'note: {title} was trained on these images', file=sys.stderr)
        own = ensembles.test_images(config)
        if self.args.split is None and own not in (None, digest):
            if self.args.save:
                raise UserError(f'these are not the test images of {title}: leave out --save')
            print(f'note: these are not the test images of {title}', file=sys.stderr)

    def report_seeds(self, run_dirs: Sequence[str]) -> int:
        """Report runs that differ in the seed alone, and their mean if all are finished; returns their number."""
        errors, finished = [], 0
        for run_dir in run_dirs:
            loaded = load_run(run_dir, self.args.best)
            if not loaded:
                print(f'{run_dir} {checkpoint.NO_WEIGHTS}')
                continue
            names = member_names(loaded.model[0])
            errors.append(self.report(loaded.title, [loaded.model], names, loaded.config))
            finished += loaded.is_finished
        if len(run_dirs) == finished > 1:
            texts, failed = Errors.texts(errors), sum(float(one.overall) > FAIL for one in errors)
            paper = f'; the paper leaves out errors over {FAIL} %, here {failed}' if failed else ', as in the paper'
            print(f'mean error {texts.overall} % ({len(errors)} runs; population standard deviation{paper})')
            self._print_parts(names, texts)
        elif len(run_dirs) > 1:
            print(f'no mean: {finished} of these {len(run_dirs)} runs are finished and have weights')
        return len(errors)

    def report_together(self, run_dirs: Sequence[str]) -> None:
        """Report runs as the members of one ensemble, component networks in the order of the paper's tables."""
        loaded = {}
        for run_dir in run_dirs:
            one = load_run(run_dir, self.args.best)
            if not one:
                raise UserError(f'{run_dir} {checkpoint.NO_WEIGHTS}')
            loaded[run_dir] = one
        ensembles.check(loaded)
        runs = dict(sorted(loaded.items(), key=lambda item: tables_order(item[1].config)))
        for member in runs.values():
            print(member.title + ('' if member.is_finished else ' (not finished)'))
        configs = {run_dir: member.config for run_dir, member in runs.items()}
        first = next(iter(configs.values()))
        path = self.args.save and ensembles.path_of(configs)
        if path:
            check_outputs(path)
        errors = self.report(
            f'ensemble of {len(runs)} runs',
            [member.model for member in runs.values()],
            ensembles.member_names(configs),
            first,
        )
        if path:
            ensembles.save(path, configs, float(errors.overall))
            print(path)

    def _print_parts(self, names, texts):
        if len(names) > 1:
            print_members(names, texts, self.args.drop_one)
        for without, text in zip(self.args.without, texts.subsets):
            print(f'without {without}: error {text} %')

    def _dataset(self, config):
        own, about = config['options'], config.get('dataset', {})
        key = repr([own['dataset'], own['data_dir'], own.get('size'), *map(about.get, ('classes', 'mean', 'std'))])
        if key not in self._datasets:
            self._datasets[key] = data.load_for_run(
                config, self.args.data_dir, self.args.split, verify=not self.args.no_verify
            )
        return self._datasets[key]


def print_members(names: Sequence[str], texts: Errors, drop_one: bool) -> None:
    """Print a line for each member: its own error and, with drop_one, the error of all others."""
    width = max(map(len, [*names, 'overall']))
    print(f'{"member":{width}}  {"error %":>15}' + (f'  {"without it %":>15}' if drop_one else ''))
    for name, own, others in zip(names, texts.each, texts.without):
        print(f'{name:{width}}  {own:>15}' + (f'  {others:>15}' if drop_one else ''))
    print(f'{"overall":{width}}  {texts.overall:>15}')


def disagreement_line(found: Disagreement) -> str:
    """What is printed below the members of an ensemble."""
    parts = [(found.error, 'where they disagree'), (found.error_agreed, 'where they agree')]
    errors = ', '.join(f'{error:.2f} % {where}' for error, where in parts if not math.isnan(error))
    return (
        f'members disagree on {found.images:.2f} % of the images, two of them on {found.pairs:.2f} % on average; '
        f'error {errors}'
    )


def draw_mistakes(path: str, mistakes: Sequence[Mistake], dataset: Dataset | ImageRecords) -> None:
    """Write a picture of mistakes: each image with its class, what it was taken for, and how surely."""
    from paper.figures import images  # here, because it takes a while

    if not mistakes:
        print(f'there is no mistake to draw in {path}')
        return
    pixels, classes = dataset.normalization.pixels, dataset.classes
    captions = [
        f'{classes[one.label]} (record {one.record})\n{classes[one.predicted]} {100 * one.probability:.1f} %'
        for one in mistakes
    ]
    images.write(images.grid([pixels(one.data) for one in mistakes], captions), path)


def draw_confusion(path: str, confusion: 'np.ndarray', classes: Sequence[str]) -> None:
    """Write a picture of a confusion table."""
    from paper.figures import images  # here, because it takes a while

    images.write(images.confusion(confusion, classes), path)


def confusion_table(confusion: 'np.ndarray', names: Sequence[str]) -> list[str]:
    """The confusion table as lines: a row for each class, a column for what its images were taken for."""
    errors = [
        f'{100 * (1 - row[label] / row.sum()):.2f}' if row.sum() else NO_IMAGES for label, row in enumerate(confusion)
    ]
    width = max(map(len, names))
    if len(names) > WIDEST_TABLE:
        taken = [
            ', '.join(
                f'{names[other]} {row[other]}'
                for other in (-row).argsort(kind='stable')[:4]
                if other != label and row[other]
            )
            for label, row in enumerate(confusion)
        ]
        return [f'{"class":{width}}  error %  most often taken for'] + [
            f'{name:{width}}  {error:>7}  {others}' for name, error, others in zip(names, errors, taken)
        ]
    cell = max(width, 4)
    lines = [
        'rows: the class, columns: what it was taken for',
        ' ' * (width + 2) + ' '.join(name.rjust(cell) for name in names) + '  error %',
    ]
    for name, row, error in zip(names, confusion, errors):
        lines.append(f'{name:>{width}}  ' + ' '.join(f'{count:{cell}}' for count in row) + f'  {error:>7}')
    return lines


def tables_order(config: dict) -> int:
    """Sorts runs of component networks as the paper's tables do, and others after them."""
    path = config['options'].get('path')
    return COMPONENTS.index(path) if path in COMPONENTS else len(COMPONENTS)


def main() -> None:
    """Evaluate each run named, or all together, or the two files."""
    args = parser().parse_args()
    files = [args.symbol, args.params, args.dataset]
    if bool(args.runs) == any(files) or (any(files) and not all(files)):
        raise UserError('name either run directories, or --symbol, --params and --dataset, all three')
    if args.best and not args.runs:
        raise UserError('--best is for run directories')
    outputs = [path for path in (args.predictions, args.wrong, args.confusion) if path]
    places = find(args.runs)
    named = [path for path in places if checkpoint.is_one(path)]
    if args.best and named:
        raise UserError(f'{named[0]} is a checkpoint: leave out --best, or name its run')
    if outputs and len(places) > 1 and not args.ensemble:
        raise UserError(f'{outputs[0]} is for one run, or for one ensemble: name one, or add --ensemble')
    check_outputs(*outputs)
    reporter = Reporter(args)
    if args.ensemble:
        if not args.runs:
            raise UserError('--ensemble is for run directories')
        if args.save and (args.best or args.split or named):
            raise UserError(
                '--save is for the last epoch and the test images: name runs, and leave out --best and --split'
            )
        reporter.report_together(places)
    elif args.save:
        raise UserError('--save is for --ensemble')
    elif args.runs:
        if not sum(reporter.report_seeds(run_dirs) for run_dirs in run_directory.group_runs(places)):
            raise UserError('there is nothing to evaluate: no run has weights')
    else:
        model = checkpoint.load_files(args.symbol, args.params)
        config = {'options': {'dataset': args.dataset, 'data_dir': None}}
        reporter.report(args.params, [model], member_names(model[0]), config)


if __name__ == '__main__':
    run(main)
