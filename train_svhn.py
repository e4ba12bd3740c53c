"""Train a network of the paper on SVHN, the street view house numbers (section 6.1).

    python train_svhn.py --net dfn-mr --depth 56 --gpus 0,1       # the paper's setting, section 6.2
    python train_svhn.py --net resnet --depth 110 --gpus 0,1      # its counterpart in Table 4
    python train_svhn.py --net dfn-mr --depth 32 --widen 4 --gpus 0,1    # Table 5's DFN-MR2
    python train_svhn.py --net dfn-mr --depth 14 --epochs 1       # on a CPU; half an hour on two cores

Trains on train and extra together, 598,388 images, without augmentation, and tests on the 26,032 of the test set;
6,000 images are held out as `val`. The first start fetches 1.6 GB and packs them in a few minutes.
The run goes to LOG_DIR/svhn/NET-DEPTH/seedSEED; the same command again takes it up where it stopped.
"""
import functools

from common.cli import Parser, run

from common.errors import UserError
import data
from training import job
import symbols
from symbols.options import add_network_options
from training.schedule import learning_rate

NAMED = {'path': 'path', 'components': 'components', 'split': 'split'}


def parser():
    """The command line; all defaults are the paper's."""
    parser = Parser(description=__doc__)
    parser.set_defaults(dataset='svhn')
    network = parser.add_argument_group('network')
    add_network_options(network, default_net='dfn-mr', default_depth=56)
    job.add_bn_momentum(network)
    dataset = job.add_data_group(parser, 'datasets/svhn', 'train_32x32.mat, extra_32x32.mat and test_32x32.mat; they '
                                                          'are fetched into it where they are missing')
    dataset.add_argument('--split', choices=['paper', 'full'], default='paper',
                         help="what to train on: all but the 6,000 images held out (the paper), or all 604,388 (the "
                              "authors' code)")
    job.add_training_groups(parser, epochs=40, batch_size=64,
                            rate_drops='the rate is divided by 10 after 1/2, 3/4 and 7/8 of them')
    return parser


def main():
    """Network, data, training."""
    training = job.Run(parser(), NAMED)
    args = training.args
    network = functools.partial(symbols.get_symbol, args.net, args.depth, len(data.SOURCES['svhn'].classes),
                                args.widen, args.bn_momentum, args.path, args.components)
    network()  # or the line that says what is wrong with it
    if training.has_ended():
        return training.report()

    dataset = data.load('svhn', args.data_dir, verify=not args.no_verify,
                        train_on=('train', 'val') if args.split == 'full' else ('train',))
    if args.split == 'paper' and not dataset.about['val']['records']:
        raise UserError('these files have too few images for the split of the paper, which holds out 400 and 200 of '
                        'each class: train on all with --split full')
    batches = dataset.train_batches(args.batch_size, args.seed, training.place)
    return training.train(network, dataset, batches, lambda epoch: learning_rate(epoch, args.epochs, args.lr))


if __name__ == '__main__':
    run(main)
