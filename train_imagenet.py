"""Train a network of the paper on ImageNet (ILSVRC2012), section 6.5 and Appendix A.1.

    python train_imagenet.py --net dfn-mr --depth 44 --gpus 0,1,2,3,4,5,6,7       # the paper's setting, section 6.5
    python train_imagenet.py --net resnet --depth 101 --gpus 0,1,2,3,4,5,6,7      # its counterpart in Table 6
    python train_imagenet.py --net dfn1 --depth 50 --gpus 0,1,2,3 --schedule appendix     # Table 7
    python -m distributed.launch -n 4 -H hosts python train_imagenet.py --net dfn-mr --depth 44 --gpus 0,1 \\
        --kv-store dist_sync                                                      # four machines with two GPUs each

DATA_DIR holds the data set as it comes: ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and
ILSVRC2012_devkit_t12.tar.gz, or the folders train/WNID/*.JPEG and val/WNID/*.JPEG. The first start packs it as
RecordIO, with shorter sides of 480 and 256 pixels, on all cores; if interrupted, it goes on where it was.
The run goes to LOG_DIR/imagenet/NET-DEPTH/seedSEED; options off the default are part of the name. The same command
again resumes it. Test errors are those of the center crops of the validation images.
"""

from common.cli import Parser, run

import functools

import data
from data.image_records import AUGMENTATIONS, check_split
from paper.recipes import IMAGENET
from symbols import imagenet
from symbols.gluoncv import Nets
from training import options
from training.loop import Trainer
from training.run import open_run


def parser() -> Parser:
    """The command line; every default is the paper's."""
    return options.parser(
        __doc__,
        ('augmentation', 'no_verify'),
        IMAGENET,
        net=dict(choices=Nets(imagenet.NAMES)),
        depth=dict(help='its depth: resnet 50 or 101, dfn-mr 44, dfn1 and dfn2 50'),
        augmentation=dict(choices=list(AUGMENTATIONS)),
        data_dir=dict(
            help='folder of the official tar files, or of the folders train and val (default: datasets/imagenet)'
        ),
    )


def main() -> int:
    """Network, data, training."""
    run = open_run(parser())
    args = run.args
    network = functools.partial(imagenet.get_symbol, args.net, args.depth, bn_momentum=args.bn_momentum)
    if run.outcome:
        return run.report(run.outcome)

    run.check(network, imagenet.IMAGE_SHAPE)
    check_split(args.batch_size, run.shard)
    dataset = data.load_imagenet(args.data_dir, verify=not args.no_verify)
    batches = dataset.train_batches(args.batch_size, args.seed, run.shard, args.augmentation)
    return Trainer(run, functools.partial(network, num_classes=len(dataset.classes)), dataset, batches).fit()


if __name__ == '__main__':
    run(main)
