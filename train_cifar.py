"""Train a network of the paper on CIFAR-10, CIFAR-100 or scikit-learn's digits.

    python train_cifar.py --net dfn-mr --depth 56 --gpus 0,1      # the paper's setting, section 6.2
    python train_cifar.py --net resnet --depth 110 --gpus 0,1     # its counterpart in Table 4
    python train_cifar.py --net ensemble --depth 26 --gpus 0,1    # section 4: N_f3's components, weights shared
    python train_cifar.py --net component --path RLR --depth 26   # one of them alone
    python train_cifar.py --net dfn-mr --depth 14 --epochs 8      # on a CPU; 2 to 3 minutes an epoch on two cores
    python train_cifar.py --net dfn-mr --depth 14 --dataset digits --epochs 15   # needs no download

The run goes to LOG_DIR/DATASET/NET-DEPTH/seedSEED, with the options that are not the defaults in its
name. The same command again takes it up where it stopped. Without --gpus it runs on the CPU.
"""
import os
import shlex
import sys

from errors import Parser, UserError, positive_float, positive_int, run
import data
import symbols
from data.batches import Normalisation, TrainBatches, evaluation_batches
from symbols import IMAGE_SHAPE
from symbols.options import add_network_options, components_label
from symbols.summary import count_parameters, parameter_shapes, statistics_shapes
from training import devices, runlog
from training.initialiser import initial_parameters, initial_statistics
from training.loop import Diverged, Plan, Stopped, Trainer
from training.optimiser import NesterovSGD
from training.replicas import Replicas
from training.schedule import learning_rate

TEST_BATCH = 100  # per device; no result depends on it

# Options that have a place in the run directory's name where they are not the default.
# --gpus has none: config.json says on what a run was made.
NAMED = {'path': 'path', 'components': 'components', 'batch_size': 'batch', 'lr': 'lr', 'momentum': 'momentum',
         'weight_decay': 'decay', 'bn_momentum': 'bnmomentum', 'pad_value': 'pad', 'cpus': 'cpus', 'epochs': 'epochs'}
LABELS = {'components': components_label}
# Options that a resumed run may change.
FREE = {'gpus', 'cpus', 'data_dir', 'log_dir', 'no_verify', 'checkpoint_minutes'}


def parser():
    """The command line; all defaults are the paper's."""
    parser = Parser(description=__doc__)
    network = parser.add_argument_group('network')
    add_network_options(network, default_net='dfn-mr', default_depth=56)
    network.add_argument('--bn-momentum', type=float, default=0.9,
                         help="momentum of BatchNorm's running statistics (the authors' code of 11/2016: 0.99)")

    dataset = parser.add_argument_group('data')
    dataset.add_argument('--dataset', choices=list(data.SOURCES), default='cifar10', help='what to train on')
    dataset.add_argument('--data-dir', help='folder with its files, packed or unpacked; they are fetched into it '
                                            'where they are missing (default: datasets/DATASET)')
    dataset.add_argument('--no-verify', action='store_true', help='use files that are not the official ones')
    dataset.add_argument('--pad-value', choices=['zero', 'mean'], default='zero',
                         help="padding before the random crop: black (the paper) or the mean (the authors' code)")

    training = parser.add_argument_group('training')
    training.add_argument('--epochs', type=positive_int, default=400,
                          help='passes over the training set; the rate drops after 1/2, 3/4 and 7/8 of them')
    training.add_argument('--batch-size', type=positive_int, default=64, help='images a step, over all devices')
    training.add_argument('--lr', type=positive_float, default=0.1, help='initial learning rate')
    training.add_argument('--momentum', type=float, default=0.9, help='Nesterov momentum')
    training.add_argument('--weight-decay', type=float, default=1e-4, help='weight decay, on every parameter')
    training.add_argument('--seed', type=int, default=1, help='of the initial weights, the order and the augmentation')

    devices.add_device_options(parser).add_argument(
        '--kv-store', choices=['local', 'device'], default='local',
        help='where the gradients of several devices are summed: on the CPU or on the GPUs')
    output = parser.add_argument_group('output')
    output.add_argument('--log-dir', default='logs', help='where the run directories are')
    output.add_argument('--checkpoint-minutes', type=positive_float, default=10, metavar='MINUTES',
                        help='save within an epoch too, this often')
    return parser


def run_directory(args, defaults):
    """LOG_DIR/DATASET/NET-DEPTH[-wWIDEN]/[OPTIONS-]seedSEED."""
    network = '%s-%d' % (args.net, args.depth) + ('-w%d' % args.widen if args.widen > 1 else '')
    options = ['%s%s' % (short, LABELS.get(name, str)(getattr(args, name))) for name, short in NAMED.items()
               if getattr(args, name) != defaults[name]]
    return os.path.join(args.log_dir, args.dataset, network, '-'.join(options + ['seed%d' % args.seed]))


def configuration(args, contexts):
    """What config.json begins with; the data set and the number of parameters are added when they are known."""
    return {
        'command': shlex.join(['python'] + sys.argv),
        'options': vars(args),
        'environment': dict(runlog.environment(), **devices.describe(contexts)),
        'outcome': None,
    }


def same_run(config):
    """What has to be equal for a run directory to be taken up: options, kinds of device, data."""
    same = {name: value for name, value in config['options'].items() if name not in FREE}
    same['devices'] = ','.join(device.partition('(')[0] for device in config['environment']['devices'])
    if 'dataset' in config:
        same['data'] = config['dataset']['splits']['train']['content_sha256'][:12]
    return same


def report_outcome(directory, outcome):
    """Say how a run ended; returns the exit status that it ended with."""
    if outcome['status'] == 'finished':
        print('%s is done: test error %.2f %% after %d epochs%s' % (
            directory, outcome['test_error'], outcome['epochs'], ' (a "fail")' if outcome['fail'] else ''))
        return 0
    print('%s has ended: the loss was not finite at epoch %d; delete it to begin again' % (
        directory, outcome['epoch']))
    return 1


def check_numbers(args):
    """Ranges that argparse does not check."""
    for name in ('momentum', 'bn_momentum', 'weight_decay'):
        if not 0 <= getattr(args, name) < 1:
            raise UserError('--%s %g: choose a number from 0, below 1' % (name.replace('_', '-'), getattr(args, name)))
    if not 0 <= args.seed < 2 ** 32:
        raise UserError('--seed %d: choose a number from 0, below 2^32' % args.seed)


def main():
    """Data, network, devices, run directory, training."""
    options = parser()
    args = options.parse_args()
    defaults = vars(options.parse_args([]))
    check_numbers(args)
    contexts = devices.contexts(args.gpus, args.cpus)
    source = data.SOURCES[args.dataset]
    symbol = symbols.get_symbol(args.net, args.depth, len(source.classes), args.widen, args.bn_momentum,
                                args.path, args.components)
    directory, config = run_directory(args, defaults), configuration(args, contexts)
    # A finished run needs no data. Files that are not the official ones have to be looked at, though.
    done = None if args.no_verify else runlog.outcome(directory, config, same_run)
    if done:
        return report_outcome(directory, done)

    dataset = data.load(args.dataset, args.data_dir, verify=not args.no_verify)
    normalise = Normalisation(source.mean, source.std)
    train = TrainBatches(*dataset.splits['train'], batch_size=args.batch_size, normalise=normalise, seed=args.seed,
                         pad=source.pad, mirror=source.mirror, pad_value=args.pad_value)

    replicas = Replicas(symbol, contexts, IMAGE_SHAPE,
                        initial_parameters(parameter_shapes(symbol, IMAGE_SHAPE), args.seed),
                        initial_statistics(statistics_shapes(symbol, IMAGE_SHAPE)), args.kv_store)
    replicas.check_batches(train.images_per_epoch, args.batch_size)
    optimiser = NesterovSGD(replicas, args.momentum, args.weight_decay)
    test_images, test_labels = dataset.splits['test']
    plan = Plan(train, lambda: evaluation_batches(test_images, test_labels, TEST_BATCH * len(contexts), normalise),
                len(test_labels), args.epochs, lambda epoch: learning_rate(epoch, args.epochs, args.lr),
                60 * args.checkpoint_minutes)

    config.update(parameters=count_parameters(symbol), dataset={'name': dataset.name, 'splits': dataset.about})
    log = runlog.RunLog(directory, config, same_run)
    if log.config['outcome']:
        return report_outcome(directory, log.config['outcome'])
    log.logger.info('%s %d on %s: {:,} parameters, {:,} images, %s, into %s'.format(
        log.config['parameters'], train.images_per_epoch), args.net, args.depth, args.dataset,
        ' '.join(map(str, contexts)), directory)
    trainer = Trainer(symbol, replicas, optimiser, plan, log)
    trainer.resume()
    try:
        trainer.run()
    except Diverged as error:
        log.logger.error('%s', error)
        return 1
    except Stopped as stopped:
        log.logger.info('stopped and saved; go on with: %s', shlex.join(['python'] + sys.argv))
        return 128 + stopped.signal
    return 0


if __name__ == '__main__':
    run(main)
