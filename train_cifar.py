"""Train a network of the paper on CIFAR-10, CIFAR-100 or scikit-learn's digits.

    python train_cifar.py --net dfn-mr --depth 56 --gpus 0,1      # the paper's setting, section 6.2
    python train_cifar.py --net resnet --depth 110 --gpus 0,1     # its counterpart in Table 4
    python train_cifar.py --net dfn-mr --depth 50 --widen 4 --gpus 0,1,2,3       # Table 5's DFN-MR3
    python train_cifar.py --net ensemble --depth 26 --gpus 0,1    # section 4: N_f3's components, weights shared
    python train_cifar.py --net component --path RLR --depth 26   # one of them alone
    python train_cifar.py --net dfn-mr --depth 14 --epochs 8      # on a CPU; two minutes an epoch on two cores
    python train_cifar.py --net dfn-mr --depth 14 --dataset digits --epochs 15   # needs no download

The run goes to LOG_DIR/DATASET/NET-DEPTH/seedSEED, with the options that are not the defaults in its
name. The same command again takes it up where it stopped. Without --gpus it runs on the CPU.
"""
import functools

from common.cli import Parser, run
import data
from training import job
import symbols
from symbols.options import add_network_options
from training.schedule import learning_rate

DATASETS = ('cifar10', 'cifar100', 'digits')
NAMED = {'path': 'path', 'components': 'components', 'pad_value': 'pad'}


def parser():
    """The command line; all defaults are the paper's."""
    parser = Parser(description=__doc__)
    network = parser.add_argument_group('network')
    add_network_options(network, default_net='dfn-mr', default_depth=56)
    job.add_bn_momentum(network)
    dataset = job.add_data_group(parser, 'datasets/DATASET', 'its files, packed or unpacked; they are fetched into it '
                                                             'where they are missing')
    dataset.add_argument('--dataset', choices=DATASETS, default='cifar10', help='what to train on')
    dataset.add_argument('--pad-value', choices=['zero', 'mean'], default='zero',
                         help="padding before the random crop: black (the paper) or the mean (the authors' code)")
    job.add_training_groups(parser, epochs=400, batch_size=64,
                            rate_drops='the rate is divided by 10 after 1/2, 3/4 and 7/8 of them')
    return parser


def main():
    """Network, data, training."""
    training = job.Run(parser(), NAMED)
    args = training.args
    network = functools.partial(symbols.get_symbol, args.net, args.depth, len(data.SOURCES[args.dataset].classes),
                                args.widen, args.bn_momentum, args.path, args.components)
    network()  # or the line that says what is wrong with it
    if training.has_ended():
        return training.report()

    dataset = data.load(args.dataset, args.data_dir, verify=not args.no_verify)
    batches = dataset.train_batches(args.batch_size, args.seed, training.place, args.pad_value)
    return training.train(network, dataset, batches, lambda epoch: learning_rate(epoch, args.epochs, args.lr))


if __name__ == '__main__':
    run(main)
