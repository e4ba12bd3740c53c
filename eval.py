"""Test error and loss of a trained network, every image counted exactly once.

    python eval.py logs/cifar10/dfn-mr-56/seed1              # a run: its newest checkpoint
    python eval.py logs/cifar10/dfn-mr-56 --gpus 0           # all its seeds, and mean ± std
    python eval.py logs/cifar10/dfn-mr-14/epochs8-seed1 --per-class
    python eval.py logs/cifar10/ensemble-26/seed1 --drop-one --without RRR     # Tables 2 and 3, Figure 5
    python eval.py --ensemble --save logs/cifar10/component-26/*-seed1         # Table 2, without weight sharing
    python eval.py --symbol net-symbol.json --params net-0400.params --dataset cifar10

The result does not depend on the batch size or the number of devices. Images are never augmented. An
ensemble predicts by the mean of its members' softmax outputs; its loss is the mean of their losses.
"""
import math
import statistics
import sys
from typing import NamedTuple

from common.cli import Parser, positive_int, run

from common.errors import UserError
import data
from symbols.ensemble import COMPONENTS
from symbols.analysis.summary import output_kinds, parameter_shapes, statistics_shapes
from paper import together
from training import checkpoint, devices, runlog
from training.evaluate import evaluate, member_names
from training.members import Members, all_but, check_together, images_tested_on, names_together

WIDEST_TABLE = 20  # classes; above, a line per class instead of the whole confusion table


def parser():
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument('runs', nargs='*', metavar='RUN_DIR', help='run directories, or directories above them')
    parser.add_argument('--best', action='store_true',
                        help="the checkpoint with the smallest test error instead of the newest (the paper's tables "
                             'have the last epoch)')
    parser.add_argument('--per-class', action='store_true', help='print which class is taken for which')
    parser.add_argument('--batch-size', type=positive_int, default=100, help='images at a time, over all devices')
    ensemble = parser.add_argument_group('ensembles')
    ensemble.add_argument('--ensemble', action='store_true',
                          help='take all runs named as the members of one ensemble, each with weights of its own')
    ensemble.add_argument('--save', action='store_true',
                          help='with --ensemble, of the eight component networks: keep the error beside their runs, '
                               'where compare.py finds it')
    ensemble.add_argument('--drop-one', action='store_true',
                          help='the error without each member in turn as well (Table 3)')
    ensemble.add_argument('--without', metavar='NAME,...', action='append', default=[],
                          help='the error without these members, such as RRR, not trained again (Figure 5)')
    files = parser.add_argument_group('files of MXNet instead of a run')
    files.add_argument('--symbol', metavar='FILE', help='the network, …-symbol.json')
    files.add_argument('--params', metavar='FILE', help='its weights and statistics, ….params')
    files.add_argument('--dataset', choices=data.NAMES, help='what to evaluate it on')
    dataset = parser.add_argument_group('data')
    dataset.add_argument('--data-dir', help="folder of the data set's files (default: the run's)")
    dataset.add_argument('--split', choices=['test', 'val'],
                         help="val: SVHN's images held out (default: what the run is tested on)")
    dataset.add_argument('--no-verify', action='store_true', help='use files that are not the official ones')
    devices.add_device_options(parser)
    return parser


def check_model(symbol, parameters, statistics_, image_shape, classes):
    """UserError unless the weights are those of the symbol and it puts out softmaxes over `classes` classes."""
    _, shapes, _ = symbol.infer_shape_partial(data=(1,) + image_shape)
    if not output_kinds(symbol) <= {'SoftmaxOutput', 'softmax'} or set(shapes) != {(1, classes)}:
        raise UserError('the network has to put out a softmax over %d classes; it has %s of shape %s' % (
            classes, ' and '.join(symbol.list_outputs()), shapes))
    for expected, there in ((parameter_shapes(symbol, image_shape), parameters),
                            (statistics_shapes(symbol, image_shape), statistics_)):
        for name, shape in expected.items():
            if name not in there or there[name].shape != shape:
                raise UserError('the weights are not those of the network: it needs %s of shape %s' % (name, shape))


def load_run(run_dir, best):
    """(title, config, model) of a run's newest or best checkpoint; None where it has none yet."""
    config, found = runlog.read_config(run_dir), checkpoint.find(run_dir)
    if not found:
        return None
    folder = best_of(run_dir, found) if best else found[-1]
    epoch, step = checkpoint.position(folder)
    title = '%s, epoch %d of %d' % (run_dir, epoch, config['options']['epochs'])
    return title + (' and %d steps' % step if step else ''), config, checkpoint.load_model(folder)


def best_of(run_dir, found):
    """The checkpoint with the smallest test error of the whole run."""
    rows = [row for row in runlog.read_metrics(run_dir) if not math.isnan(row['test_error'])]
    best = min(rows, key=lambda row: row['test_error'])['epoch'] if rows else 0
    for folder in found:
        if checkpoint.position(folder) == (best, 0):
            return folder
    raise UserError('%s does not keep the checkpoint of its best epoch, %d (committed runs keep the last alone)'
                    % (run_dir, best))


def table(confusion, names):
    """The confusion table as lines: a row is a class, a column what it was taken for."""
    errors = [100 * (1 - row[label] / max(1, row.sum())) for label, row in enumerate(confusion)]
    width = max(map(len, names))
    if len(names) > WIDEST_TABLE:
        taken = [', '.join('%s %d' % (names[other], row[other]) for other in (-row).argsort(kind='stable')[:4]
                           if other != label and row[other]) for label, row in enumerate(confusion)]
        return ['%-*s  error %%  most often taken for' % (width, 'class')] + [
            '%-*s  %7.2f  %s' % line for line in zip([width] * len(names), names, errors, taken)]
    cell = max(width, 4)
    lines = ['rows: the class, columns: what it was taken for',
             '%*s  ' % (width, '') + ' '.join(name.rjust(cell) for name in names) + '  error %']
    for name, row, error in zip(names, confusion, errors):
        lines.append('%*s  ' % (width, name) + ' '.join('%*d' % (cell, count) for count in row) + '  %7.2f' % error)
    return lines


def print_members(names, errors, drop_one):
    """A line a member: its own error and, with drop_one, that of all others; errors: an Errors of texts."""
    width = max(map(len, names + ['overall']))
    print('%-*s  %15s' % (width, 'member', 'error %') + ('  %15s' % 'without it %' if drop_one else ''))
    for name, own, others in zip(names, errors.each, errors.without):
        print('%-*s  %15s' % (width, name, own) + ('  %15s' % others if drop_one else ''))
    print('%-*s  %15s' % (width, 'overall', errors.overall))


class Errors(NamedTuple):
    """Test errors in percent, or what is printed of them: of an ensemble, its members, all without each, subsets."""

    overall: float
    each: list
    without: list
    subsets: list

    @classmethod
    def of(cls, found):
        """Those of an Evaluation."""
        return cls(found.tally.error, *([tally.error for tally in part]
                                        for part in (found.each, found.without, found.subsets)))

    @classmethod
    def texts(cls, several):
        """As text: of one Errors, or mean ± standard deviation of several."""
        if len(several) == 1:
            def text(values):
                return '%.2f' % values
        else:
            def text(*values):
                return '%.2f ± %.2f' % (statistics.mean(values), statistics.pstdev(values))
        overall, *parts = zip(*several)
        return cls(text(*overall), *([text(*values) for values in zip(*part)] for part in parts))


class Reporter:
    """What the command line asks for, done for one model after another; a data set is loaded once."""

    def __init__(self, args):
        self.args, self.contexts, self._datasets = args, devices.contexts(args.gpus, args.cpus), {}

    def report(self, title, models, names, name, folder, content=None):
        """Print what the models do together and, if there is more than one output, each by itself; returns Errors.

        names: of their outputs. name, folder: of the data set. content: SHA-256 of the test images that the run was
        tested on.
        """
        if len(names) == 1 and (self.args.drop_one or self.args.without):
            raise UserError('%s has one output: --drop-one and --without are for ensembles' % title)
        subsets = all_but(self.args.without, names)
        dataset = self._dataset(name, self.args.data_dir or folder)
        split = self.args.split or dataset.test_split
        if self.args.split is None and content not in (None, dataset.about[split]['content_sha256']):
            print('note: these are not the test images of %s' % title, file=sys.stderr)
        for model in models:
            check_model(*model, dataset.image_shape, len(dataset.classes))
        found = evaluate(Members(models, self.contexts, dataset.image_shape),
                         dataset.evaluation_batches(split, self.args.batch_size), dataset.about[split]['records'],
                         subsets)
        tally, errors = found.tally, Errors.of(found)
        print('%s: %s error %.2f %%, %sloss %.4f, {:,} images%s'.format(tally.seen) % (
            title, split, tally.error, 'top-5 error %.2f %%, ' % tally.error5 if dataset.has_top5 else '',
            tally.mean_loss, '' if math.isfinite(tally.loss) else ' (the network is broken)'), flush=True)
        self._print_parts(names, Errors.texts([errors]))
        if self.args.per_class:
            print('\n'.join(table(found.confusion, dataset.classes)))
        return errors

    def report_seeds(self, run_dirs):
        """Report runs that differ in the seed alone, and their mean where all are finished; returns how many."""
        errors, finished = [], 0
        for run_dir in run_dirs:
            loaded = load_run(run_dir, self.args.best)
            if not loaded:
                print('%s: no checkpoint yet' % run_dir)
                continue
            title, config, model = loaded
            names = member_names(model[0])
            errors.append(self.report(title, [model], names, config['options']['dataset'],
                                      config['options']['data_dir'], images_tested_on(config)))
            finished += is_finished(config)
        if len(run_dirs) == finished > 1:
            texts = Errors.texts(errors)
            print('test error %s %% (%d runs; population standard deviation, as in the paper)' % (
                texts.overall, len(errors)))
            self._print_parts(names, texts)
        elif len(run_dirs) > 1:
            print('no mean: %d of these %d runs are finished' % (finished, len(run_dirs)))
        return len(errors)

    def report_together(self, run_dirs):
        """Report runs as the members of one ensemble, component networks in the order of the paper's tables."""
        loaded = {run_dir: load_run(run_dir, self.args.best) for run_dir in run_dirs}
        for run_dir, run_ in loaded.items():
            if not run_:
                raise UserError('%s has no checkpoint yet' % run_dir)
        check_together(loaded)
        runs = dict(sorted(loaded.items(), key=lambda run_: tables_order(run_[1][1])))
        for title, config, _ in runs.values():
            print(title + ('' if is_finished(config) else ' (not finished)'))
        configs = {run_dir: config for run_dir, (_, config, _) in runs.items()}
        first = next(iter(configs.values()))
        path = self.args.save and together.path_of(configs)
        errors = self.report('ensemble of %d runs' % len(runs), [model for _, _, model in runs.values()],
                             names_together(configs), first['options']['dataset'], first['options']['data_dir'],
                             images_tested_on(first))
        if path:
            together.save(path, configs, errors.overall)
            print(path)

    def _print_parts(self, names, texts):
        if len(names) > 1:
            print_members(names, texts, self.args.drop_one)
        for names_, text in zip(self.args.without, texts.subsets):
            print('without %s: test error %s %%' % (names_, text))

    def _dataset(self, name, folder):
        if (name, folder) not in self._datasets:
            self._datasets[name, folder] = data.load_for_evaluation(name, folder, self.args.split,
                                                                    verify=not self.args.no_verify)
        return self._datasets[name, folder]


def is_finished(config):
    """Whether a run came to its last epoch."""
    return runlog.status(config) == 'finished'


def tables_order(config):
    """Sorts runs of component networks as the paper's tables do, others after them."""
    path = config['options'].get('path')
    return COMPONENTS.index(path) if path in COMPONENTS else len(COMPONENTS)


def main():
    """Evaluate each run named, or all together, or the two files."""
    args = parser().parse_args()
    files = [args.symbol, args.params, args.dataset]
    if bool(args.runs) == any(files) or (any(files) and not all(files)):
        raise UserError('name either run directories, or --symbol, --params and --dataset, all three')
    reporter = Reporter(args)
    if args.ensemble:
        if not args.runs:
            raise UserError('--ensemble is for run directories')
        if args.save and (args.best or args.split):
            raise UserError('--save is for the last epoch and the test images: leave out --best and --split')
        reporter.report_together(runlog.find_runs(args.runs))
    elif args.save:
        raise UserError('--save is for --ensemble')
    elif args.runs:
        groups = runlog.group_runs(args.runs).values()
        if not sum(reporter.report_seeds(run_dirs) for run_dirs in groups):
            raise UserError('there is nothing to evaluate yet')
    else:
        model = checkpoint.load_files(args.symbol, args.params)
        reporter.report(args.params, [model], member_names(model[0]), args.dataset, None)


if __name__ == '__main__':
    run(main)
