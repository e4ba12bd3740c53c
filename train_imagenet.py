"""Train a network of the paper on ImageNet (ILSVRC2012), section 6.5 and Appendix A.1.

    python train_imagenet.py --net dfn-mr --depth 44 --gpus 0,1,2,3,4,5,6,7       # the paper's setting, section 6.5
    python train_imagenet.py --net resnet --depth 101 --gpus 0,1,2,3,4,5,6,7      # its counterpart in Table 6
    python train_imagenet.py --net dfn1 --depth 50 --gpus 0,1,2,3 --schedule appendix     # Table 7
    python -m distributed.launch -n 4 -H hosts python train_imagenet.py --net dfn-mr --depth 44 --gpus 0,1 \\
        --kv-store dist_sync                                                      # four machines with two GPUs each

DATA_DIR holds the data set as it comes: ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and
ILSVRC2012_devkit_t12.tar.gz, or the folders train/WNID/*.JPEG and val/WNID/*.JPEG. The first start packs it as
RecordIO, shorter side 480 and 256, on all cores; it can be interrupted and goes on where it was.
The run goes to LOG_DIR/imagenet/NET-DEPTH/seedSEED, with the options that are not the defaults in its name; the
same command again takes it up where it stopped. Errors are those of the validation images' centre crops.
"""
import functools

from common.cli import Parser, run
import data
from training import job
from data.image_records import AUGMENTATIONS
from symbols import imagenet
from training.schedule import stepwise

NAMED = {'schedule': 'schedule', 'augmentation': ''}
SCHEDULES = {'main': dict(divisor=10, every=30), 'appendix': dict(divisor=2, every=10)}


def parser():
    """The command line; all defaults are the paper's."""
    parser = Parser(description=__doc__)
    parser.set_defaults(dataset='imagenet')
    network = parser.add_argument_group('network')
    network.add_argument('--net', choices=sorted({net for net, _ in imagenet.NETWORKS}), default='dfn-mr',
                         help='the network')
    network.add_argument('--depth', type=int, default=44,
                         help='its depth: resnet 50 or 101, dfn-mr 44, dfn1 and dfn2 50')
    job.add_bn_momentum(network)
    dataset = job.add_data_group(parser, 'datasets/imagenet', 'the official tar files or the folders train and val')
    dataset.add_argument('--augmentation', choices=list(AUGMENTATIONS), default='paper',
                         help="of the training images: as ResNet's (the paper), or that of the authors' code")
    training = job.add_training_groups(parser, epochs=100, batch_size=256, rate_drops='the rate drops by --schedule')
    training.add_argument('--schedule', choices=list(SCHEDULES), default='main',
                          help='the rate is divided by 10 every 30 epochs (main, section 6.5) or by 2 every 10 '
                               '(appendix, A.1)')
    return parser


def main():
    """Network, data, training."""
    training = job.Run(parser(), NAMED)
    args = training.args
    imagenet.network(args.net, args.depth)  # or the line that says that there is none
    if training.has_ended():
        return training.report()

    dataset = data.load_imagenet(args.data_dir, verify=not args.no_verify)
    network = functools.partial(imagenet.get_symbol, args.net, args.depth, len(dataset.classes), args.bn_momentum)
    batches = dataset.train_batches(args.batch_size, args.seed, training.place, args.augmentation)
    return training.train(network, dataset, batches,
                          lambda epoch: stepwise(epoch, args.lr, **SCHEDULES[args.schedule]))


if __name__ == '__main__':
    run(main)
