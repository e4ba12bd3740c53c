"""Train a network of the paper on SVHN, the street view house numbers (section 6.1).

    python train_svhn.py --net dfn-mr --depth 56 --gpus 0,1       # the paper's setting, section 6.2
    python train_svhn.py --net resnet --depth 110 --gpus 0,1      # its counterpart in Table 4
    python train_svhn.py --net dfn-mr --depth 32 --widen 4 --gpus 0,1    # Table 5's DFN-MR2
    python train_svhn.py --net dfn-mr --depth 14 --epochs 1       # on a CPU; half an hour on two cores

Trains on train and extra together, 598,388 images, without augmentation, and tests on the 26,032 of the test set;
6,000 images are held out as `val`. The first start fetches 1.6 GB and packs them in a few minutes.
The run goes to LOG_DIR/svhn/NET-DEPTH/seedSEED. The same command again resumes it.
"""

from common.cli import Parser, run

from common.errors import UserError
import data
from paper.recipes import SVHN
import symbols
from training import options
from training.loop import Trainer
from training.run import open_run


def parser() -> Parser:
    """The command line; every default is the paper's."""
    return options.parser(
        __doc__,
        (*symbols.OPTIONS, 'split', 'no_verify'),
        SVHN,
        split=dict(
            help="what to train on: all but the 6,000 images held out (the paper), or all 604,388 (the authors' code)"
        ),
        data_dir=dict(
            help='folder of train_32x32.mat, extra_32x32.mat and test_32x32.mat; missing files are fetched '
            'into it (default: datasets/svhn)'
        ),
    )


def main() -> int:
    """Network, data, training."""
    run = open_run(parser())
    args = run.args
    network = symbols.network_of(vars(args), num_classes=len(data.SOURCES['svhn'].classes))
    if run.outcome:
        return run.report(run.outcome)

    run.check(network, symbols.IMAGE_SHAPE)
    dataset = data.load(
        'svhn',
        args.data_dir,
        verify=not args.no_verify,
        train_on=('train', 'val') if args.split == 'full' else ('train',),
    )
    if args.split == 'paper' and not dataset.about['val']['records']:
        raise UserError(
            "these files have too few images for the paper's split, which holds out 400 and 200 of each "
            'class: train on all of them with --split full'
        )
    batches = dataset.train_batches(args.batch_size, args.seed, run.shard)
    return Trainer(run, network, dataset, batches).fit()


if __name__ == '__main__':
    run(main)
