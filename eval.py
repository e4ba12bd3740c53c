"""Test error and loss of a trained network, every image counted exactly once.

    python eval.py logs/cifar10/dfn-mr-56/seed1              # a run: its newest checkpoint
    python eval.py logs/cifar10/dfn-mr-56 --gpus 0           # all its seeds, and mean ± std
    python eval.py logs/cifar10/dfn-mr-14/epochs8-seed1 --per-class
    python eval.py --symbol net-symbol.json --params net-0400.params --dataset cifar10

The result does not depend on the batch size or the number of devices. Images are never augmented.
"""
import math
import statistics
import sys

from errors import Parser, UserError, positive_int, run
import data
from data.batches import Normalisation, evaluation_batches
from symbols import IMAGE_SHAPE
from symbols.summary import parameter_shapes, statistics_shapes
from training import checkpoint, devices, runlog
from training.evaluate import evaluate
from training.replicas import Predictor

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
    files = parser.add_argument_group('files of MXNet instead of a run')
    files.add_argument('--symbol', metavar='FILE', help='the network, …-symbol.json')
    files.add_argument('--params', metavar='FILE', help='its weights and statistics, ….params')
    files.add_argument('--dataset', choices=list(data.SOURCES), help='what to evaluate it on')
    dataset = parser.add_argument_group('data')
    dataset.add_argument('--data-dir', help="folder of the data set's files (default: the run's)")
    dataset.add_argument('--no-verify', action='store_true', help='use files that are not the official ones')
    devices.add_device_options(parser)
    return parser


def evaluate_model(model, dataset, contexts, batch_size):
    """(tally, confusion) of a model (symbol, parameters, statistics) on a data set's test images."""
    symbol, parameters, statistics_ = model
    check_model(symbol, parameters, statistics_, len(dataset.source.classes))
    predictor = Predictor(symbol, contexts, IMAGE_SHAPE, parameters, statistics_)
    normalise = Normalisation(dataset.source.mean, dataset.source.std)
    images, labels = dataset.splits['test']
    return evaluate(predictor, evaluation_batches(images, labels, batch_size, normalise), len(labels))


def check_model(symbol, parameters, statistics_, classes):
    """UserError unless the weights are those of the symbol and it has one softmax output of `classes` classes."""
    _, outputs, _ = symbol.infer_shape_partial(data=(1,) + IMAGE_SHAPE)
    if not symbol.list_outputs()[0].startswith('softmax') or outputs != [(1, classes)]:
        raise UserError('the network has to put out a softmax over %d classes; it has %s of shape %s' % (
            classes, ' and '.join(symbol.list_outputs()), outputs))
    for expected, there in ((parameter_shapes(symbol, IMAGE_SHAPE), parameters),
                            (statistics_shapes(symbol, IMAGE_SHAPE), statistics_)):
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


class Evaluation:
    """What the command line asks for, done for one model after another; a data set is loaded once."""

    def __init__(self, args):
        self.args, self.contexts, self._datasets = args, devices.contexts(args.gpus, args.cpus), {}

    def report(self, title, model, name, folder, content=None):
        """Print a model's line, and its confusion table if asked for; returns the test error in percent.

        name, folder: of the data set. content: SHA-256 of the test images that the run was tested on.
        """
        dataset = self._dataset(name, self.args.data_dir or folder)
        if content not in (None, dataset.about['test']['content_sha256']):
            print('note: these are not the test images of %s' % title, file=sys.stderr)
        tally, confusion = evaluate_model(model, dataset, self.contexts, self.args.batch_size)
        print('%s: test error %.2f %%, loss %.4f, {:,} images%s'.format(tally.seen) % (
            title, tally.error, tally.mean_loss, '' if math.isfinite(tally.loss) else ' (the network is broken)'),
            flush=True)
        if self.args.per_class:
            print('\n'.join(table(confusion, dataset.source.classes)))
        return tally.error

    def report_runs(self, run_dirs):
        """Report runs that differ in the seed alone, and their mean where all are finished; returns how many."""
        errors, finished = [], 0
        for run_dir in run_dirs:
            loaded = load_run(run_dir, self.args.best)
            if not loaded:
                print('%s: no checkpoint yet' % run_dir)
                continue
            title, config, model = loaded
            errors.append(self.report(title, model, config['options']['dataset'], config['options']['data_dir'],
                                      config['dataset']['splits']['test']['content_sha256']))
            finished += (config['outcome'] or {}).get('status') == 'finished'
        if len(run_dirs) == finished > 1:
            print('test error %.2f ± %.2f %% (%d runs; population standard deviation, as in the paper)' % (
                statistics.mean(errors), statistics.pstdev(errors), len(errors)))
        elif len(run_dirs) > 1:
            print('no mean: %d of these %d runs are finished' % (finished, len(run_dirs)))
        return len(errors)

    def _dataset(self, name, folder):
        if (name, folder) not in self._datasets:
            self._datasets[name, folder] = data.load(name, folder, ['test'], verify=not self.args.no_verify)
        return self._datasets[name, folder]


def main():
    """Evaluate each run named, or the two files."""
    args = parser().parse_args()
    files = [args.symbol, args.params, args.dataset]
    if bool(args.runs) == any(files) or (any(files) and not all(files)):
        raise UserError('name either run directories, or --symbol, --params and --dataset, all three')
    evaluation = Evaluation(args)
    if args.runs:
        groups = runlog.group_runs(args.runs).values()
        if not sum(evaluation.report_runs(run_dirs) for run_dirs in groups):
            raise UserError('there is nothing to evaluate yet')
    else:
        evaluation.report(args.params, checkpoint.load_files(args.symbol, args.params), args.dataset, None)


if __name__ == '__main__':
    run(main)
