"""Train a network of the paper on images of your own.

    python train_images.py --data-dir pets --depth 14 --epochs 20     # pets/train/<class>/*, pets/val/<class>/*
    python train_images.py --data-dir pets --val-fraction 0.2         # pets/train/<class>/* alone: a fifth is held out
    python train_images.py --data-dir pets --size 224 --gpus 0        # ImageNet's networks
    python train_images.py --data-dir letters --no-flip               # a mirrored letter is not a letter

Each class is a folder and has its name. Images are JPEG, PNG, WebP or BMP of any size. DATA_DIR may also hold Tiny
ImageNet as it comes, or train.rec and val.rec as MXNet's im2rec.py writes them. The first start packs the images as
RecordIO and measures their mean and standard deviation. A start after images came, went or changed their length does so
again; after other changes delete the packed images*.rec.
--size 32 trains the networks for CIFAR on the middle squares, resized to 32×32; --size 224 those for ImageNet.
The run goes to LOG_DIR/DATASET/NET-DEPTH/seedSEED, where DATASET is the name of the folder; options off the default are
part of the name. The same command again resumes it.
"""

from common.cli import Parser, run

import argparse
import functools
import os

from common.errors import UserError
import data
from data.image_records import AUGMENTATIONS, check_split
from data.own_images import SIZES, Layout
import symbols
from symbols import imagenet
from symbols.gluoncv import is_one
from symbols.options import ALL_NETS
from training import options
from training.loop import Trainer
from training.run import open_run

OPTIONS = ('dataset', 'size', 'val_fraction', 'split_seed', 'no_flip', 'pad_value', 'augmentation')
# No paper has a recipe for these images. Nothing is official: every start looks whether they have changed.
RECIPE = dict(net='dfn-mr', epochs=100, batch_size=64, schedule='fractions', no_verify=True)
DEPTHS = {32: 56, 224: 44}


def parser() -> Parser:
    """The command line."""
    return options.parser(
        __doc__,
        (*symbols.OPTIONS, *OPTIONS),
        RECIPE,
        net=dict(choices=ALL_NETS),
        depth=dict(help='its depth, 6n + 2; at --size 224 see train_imagenet.py (default: 56, at --size 224 44)'),
        dataset=dict(help="what to call the images in LOG_DIR (default: their folder's name)"),
        size=dict(choices=SIZES),
        augmentation=dict(choices=list(AUGMENTATIONS), help='of the training images at --size 224, as for ImageNet'),
        data_dir=dict(help='folder of the images; their RecordIO files go there too'),
    )


def complete(args: argparse.Namespace) -> None:
    """Give values to the options that follow from others.

    Raises:
        UserError: options do not go together.
    """
    if not args.data_dir:
        raise UserError('name the folder of your images with --data-dir')
    args.dataset = args.dataset or os.path.basename(os.path.abspath(args.data_dir))
    if (
        args.dataset in (*data.NAMES, 'samples', '', '.', '..')
        or os.sep in args.dataset
        or not args.dataset.isprintable()
    ):
        raise UserError(f'{args.dataset!r} cannot name your images in the logs: choose another name with --dataset')
    if not is_one(args.net) and args.depth is None:
        args.depth = DEPTHS[args.size]
    args.val_fraction = args.val_fraction or None  # 0 holds out nothing
    if args.split_seed and not args.val_fraction:
        raise UserError('--split-seed is for --val-fraction: leave it out')


def network_of(args: argparse.Namespace) -> functools.partial:
    """The function (num_classes, dtype, loss_scale) → symbol."""
    if args.size == 224:
        return functools.partial(imagenet.get_symbol, args.net, args.depth, bn_momentum=args.bn_momentum)
    return symbols.network_of(vars(args))


def main() -> int:
    """Network, data, training."""
    run = open_run(parser(), complete)
    args, network = run.args, network_of(run.args)
    shape = imagenet.IMAGE_SHAPE if args.size == 224 else symbols.IMAGE_SHAPE
    run.check(functools.partial(network, num_classes=2), shape)
    if args.size == 224:
        check_split(args.batch_size, run.shard)

    layout = Layout(args.size, args.val_fraction, args.split_seed)
    dataset = data.load_images(args.dataset, args.data_dir, layout, mirror=not args.no_flip)
    style = args.augmentation if args.size == 224 else args.pad_value
    batches = dataset.train_batches(args.batch_size, args.seed, run.shard, style)
    return Trainer(run, functools.partial(network, num_classes=len(dataset.classes)), dataset, batches).fit()


if __name__ == '__main__':
    run(main)
