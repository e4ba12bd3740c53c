"""What the training scripts share: their options, and a run from its start to its end."""
import os
import shlex
import sys

from common.cli import positive_float, positive_int

from common.errors import UserError
from symbols.layers import DTYPES
from symbols.options import components_label
from symbols.analysis.summary import count_parameters, parameter_shapes, statistics_shapes
from training import devices, runlog
from training.initialiser import initial_parameters, initial_statistics
from training.loop import Diverged, Plan, Stopped, Trainer
from training.optimiser import NesterovSGD
from training.replicas import Replicas
from distributed.collectives import KINDS, Store

# Options that have a place in the run directory's name where they are not the default, after a script's own.
# --gpus has none: config.json says on what a run was made.
NAMED = {'batch_size': 'batch', 'lr': 'lr', 'momentum': 'momentum', 'weight_decay': 'decay',
         'bn_momentum': 'bnmomentum', 'dtype': '', 'loss_scale': 'scale', 'cpus': 'cpus', 'epochs': 'epochs'}
LABELS = {'components': components_label}
# Options that a resumed run may change.
FREE = {'gpus', 'cpus', 'kv_store', 'data_dir', 'log_dir', 'no_verify', 'checkpoint_minutes', 'tensorboard', 'mirror'}

# Options that came later, and what they were before.
LATER = {'dtype': 'float32', 'loss_scale': 4}


def add_bn_momentum(network):
    """--bn-momentum, which all networks have."""
    network.add_argument('--bn-momentum', type=float, default=0.9,
                         help="momentum of BatchNorm's running statistics (the authors' code of 11/2016: 0.99)")


def add_data_group(parser, folder, contents):
    """The group of options for the data; folder, contents: what is named for --data-dir. Returns it."""
    dataset = parser.add_argument_group('data')
    dataset.add_argument('--data-dir', help='folder with %s (default: %s)' % (contents, folder))
    dataset.add_argument('--no-verify', action='store_true', help='use files that are not the official ones')
    return dataset


def add_training_groups(parser, epochs, batch_size, rate_drops):
    """The groups of options for training, devices and output; rate_drops: when, for --help. Returns the first."""
    training = parser.add_argument_group('training')
    training.add_argument('--epochs', type=positive_int, default=epochs,
                          help='passes over the training set; %s' % rate_drops)
    training.add_argument('--batch-size', type=positive_int, default=batch_size,
                          help='images a step, over all devices of all workers')
    training.add_argument('--lr', type=positive_float, default=0.1, help='initial learning rate')
    training.add_argument('--momentum', type=float, default=0.9, help='Nesterov momentum')
    training.add_argument('--weight-decay', type=float, default=1e-4, help='weight decay, on every parameter')
    training.add_argument('--seed', type=int, default=1, help='of the initial weights, the order and the augmentation')
    training.add_argument('--dtype', choices=list(DTYPES), default='float32',
                          help='of activations and convolutions: float16 on GPUs, bfloat16 on a CPU that has AVX-512; '
                               'weights and their sums stay float32')
    training.add_argument('--loss-scale', type=positive_float, default=4, metavar='FACTOR',
                          help="on each image's loss in float16, so that small gradients are not lost")
    training.add_argument('--mirror', action='store_true',
                          help='less memory on the CPU for networks of units (resnet, dfn-…), with 32×32 images a '
                               'quarter less: some activations are computed twice, which takes up to a tenth more '
                               'time and changes no number')

    devices.add_device_options(parser).add_argument(
        '--kv-store', choices=KINDS,
        help='where the gradients are summed: of several devices on the CPU (local) or on the GPUs (device), of '
             'several workers on servers (dist_…; see python -m distributed.launch --help). Default: device with several '
             'GPUs, else local')
    output = parser.add_argument_group('output')
    output.add_argument('--log-dir', default='logs', help='where the run directories are')
    output.add_argument('--checkpoint-minutes', type=positive_float, default=10, metavar='MINUTES',
                        help='save within an epoch too, this often')
    output.add_argument('--tensorboard', action='store_true', help="TensorBoard's event files in the run directory")
    return training


def check_numbers(args):
    """Ranges that argparse does not check."""
    for name in ('momentum', 'bn_momentum', 'weight_decay'):
        if not 0 <= getattr(args, name) < 1:
            raise UserError('--%s %g: choose a number from 0, below 1' % (name.replace('_', '-'), getattr(args, name)))
    if not 0 <= args.seed < 2 ** 32:
        raise UserError('--seed %d: choose a number from 0, below 2^32' % args.seed)
    if args.dtype == 'float16' and args.gpus is None:
        raise UserError('--dtype float16 needs --gpus: MXNet has no convolutions of float16 on the CPU')
    if args.dtype == 'bfloat16' and (args.gpus is not None or not devices.has_bfloat16()):
        raise UserError('--dtype bfloat16 is for a CPU with AVX-512%s' % (
            ', which this one has not' if args.gpus is None else '; GPUs have float16'))
    if args.mirror and args.gpus is not None:
        raise UserError('--mirror is for the CPU: on GPUs BatchNorm would count each batch twice in its statistics')


def run_directory(args, defaults, named):
    """LOG_DIR/DATASET/NET-DEPTH[-wWIDEN]/[OPTIONS-]seedSEED."""
    widen = getattr(args, 'widen', 1)
    network = '%s-%d' % (args.net, args.depth) + ('-w%d' % widen if widen > 1 else '')
    options = ['%s%s' % (short, LABELS.get(name, str)(getattr(args, name))) for name, short in named.items()
               if getattr(args, name) != defaults[name]]
    return os.path.join(args.log_dir, args.dataset, network, '-'.join(options + ['seed%d' % args.seed]))


def same_run(config):
    """What has to be equal for a run directory to be taken up: options, kinds and numbers of devices, data."""
    same = {name: value for name, value in {**LATER, **config['options']}.items() if name not in FREE}
    same['devices'] = ','.join(device.partition('(')[0] for device in config['environment']['devices'])
    same['workers'] = config['environment'].get('workers', 1)
    if 'dataset' in config:
        same['data'] = config['dataset']['splits']['train']['content_sha256'][:12]
    return same


def short(about):
    """Side files' dicts without their long lists, such as ImageNet's 1,000 classes: config.json can do without."""
    def is_long(value):
        return isinstance(value, list) and len(value) > 100
    return {split: {name: value for name, value in of_split.items() if not is_long(value)}
            for split, of_split in about.items()}


def start(network, contexts, image_shape, seed=1, store=None, **form):
    """Replicas of a network at its initial weights, in the form for training on these devices (symbols/layers.py).

    network: a function from nothing to the symbol as drawn, and from dtype, loss_scale, fused, mirror to another form.
    form: these but `fused`.
    """
    drawn, on_cpu = network(), contexts[0].device_type == 'cpu'
    return Replicas(network(fused=on_cpu, **form), contexts, image_shape,
                    initial_parameters(parameter_shapes(drawn, image_shape), seed),
                    initial_statistics(statistics_shapes(drawn, image_shape)), store, drawn)


class Run:
    """One run of a training script: its options, its devices, its directory.

    named: {option: short name} of the script's own options that have a place in the directory's name.
    """

    def __init__(self, parser, named):
        self.args = args = parser.parse_args()
        check_numbers(args)
        self.contexts = devices.contexts(args.gpus, args.cpus)
        self.directory = run_directory(args, vars(parser.parse_args([])), {**named, **NAMED})
        args.kv_store = args.kv_store or ('device' if args.gpus and len(self.contexts) > 1 else 'local')
        self.store = Store(args.kv_store, len(self.contexts))
        self.place = self.store.place
        self.config = {
            'command': shlex.join(['python'] + sys.argv),
            'options': vars(args),
            'environment': dict(runlog.environment(), workers=self.store.workers, **devices.describe(self.contexts)),
            'outcome': None,
        }

    def has_ended(self):
        """Whether the run in the directory is over, which needs no data to be known."""
        # Files that are not the official ones have to be looked at, though.
        look = self.store.rank == 0 and not self.args.no_verify
        self._outcome = self.store.tell(runlog.outcome(self.directory, self.config, same_run) if look else None)
        return self._outcome is not None

    def report(self):
        """Say how the run ended; returns the exit status that it ended with."""
        outcome = self._outcome
        if outcome['status'] == 'finished':
            self._print('%s is done: test error %.2f %% after %d epochs%s' % (
                self.directory, outcome['test_error'], outcome['epochs'], ' (a "fail")' if outcome['fail'] else ''))
            return 0
        self._print('%s has ended: the loss was not finite at epoch %d; delete it to begin again' % (
            self.directory, outcome['epoch']))
        return 1

    def _print(self, line):
        if self.store.rank == 0:
            print(line)

    def train(self, network, dataset, batches, rate):
        """Train to the end, testing after each epoch; returns the exit status.

        network: as of `start`. dataset: of data.load or
        load_imagenet; batches: those to train on; rate: from an epoch to its learning rate.
        """
        self.config.update(parameters=count_parameters(network(), dataset.image_shape),
                           dataset={'name': dataset.name, 'splits': short(dataset.about),
                                    'tested_on': dataset.test_split})
        self._check_data()
        trainer = self._trainer(network, dataset, batches, rate)
        self._outcome = self.store.tell(trainer.log.config['outcome'])
        if self._outcome:
            return self.report()
        info = trainer.log.logger.info
        info('%s %d on %s: {:,} parameters, {:,} images, %s%s, into %s'.format(
            self.config['parameters'], batches.images_per_epoch), self.args.net, self.args.depth, dataset.name,
            ' '.join(map(str, self.contexts)),
            ' of each of %d workers' % self.store.workers if self.store.workers > 1 else '', self.directory)
        trainer.resume()
        try:
            trainer.run()
        except Diverged as error:
            trainer.log.logger.error('%s', error)
            return 1
        except Stopped as stopped:
            info('stopped and saved; go on with: %s', self.config['command'])
            return 128 + stopped.signal
        return 0

    def _check_data(self):
        """UserError where this worker has other data than rank 0."""
        own = same_run(self.config)['data']
        if self.store.tell(own) != own:
            raise UserError('worker %d has other images to train on than worker 0' % self.store.rank)

    def _trainer(self, network, dataset, batches, rate):
        args = self.args
        loss_scale = args.loss_scale if args.dtype == 'float16' else 1
        replicas = start(network, self.contexts, dataset.image_shape, args.seed, self.store, dtype=args.dtype,
                         loss_scale=loss_scale, mirror=args.mirror)
        replicas.check_batches(batches.images_per_epoch, args.batch_size)
        optimiser = NesterovSGD(replicas, args.momentum, args.weight_decay, loss_scale)
        log = (runlog.RunLog(self.directory, self.config, same_run) if self.store.rank == 0 else
               runlog.NoLog(self.config))
        split, at_once = dataset.test_split, dataset.test_batch * self.place.count
        plan = Plan(batches, lambda: dataset.evaluation_batches(split, at_once), dataset.about[split]['records'],
                    args.epochs, rate, 60 * args.checkpoint_minutes, dataset.has_top5)
        return Trainer(network(), replicas, optimiser, plan, log)
