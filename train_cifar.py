"""Train a network of the paper on CIFAR-10, CIFAR-100 or scikit-learn's digits.

    python train_cifar.py --net dfn-mr --depth 56 --gpus 0,1      # the paper's setting, section 6.2
    python train_cifar.py --net resnet --depth 110 --gpus 0,1     # its counterpart in Table 4
    python train_cifar.py --net dfn-mr --depth 50 --widen 4 --gpus 0,1,2,3       # Table 5's DFN-MR3
    python train_cifar.py --net gluoncv:cifar_wideresnet28_10 --gpus 0,1         # a network of GluonCV's
    python train_cifar.py --net ensemble --depth 26 --gpus 0,1    # section 4: N_f3's components, weights shared
    python train_cifar.py --net component --path RLR --depth 26   # one of them alone
    python train_cifar.py --net dfn-mr --depth 14 --epochs 8      # on a CPU; two minutes an epoch on two cores
    python train_cifar.py --net dfn-mr --depth 14 --dataset digits --epochs 15   # needs no download

The run goes to LOG_DIR/DATASET/NET-DEPTH/seedSEED; options off the default are part of the name. The same command
again resumes it. Without --gpus it runs on the CPU.
"""

from common.cli import Parser, run

import data
from paper.recipes import CIFAR
import symbols
from training import options
from training.loop import Trainer
from training.run import open_run

DATASETS = [name for name in data.SOURCES if name != 'svhn']  # which has a script of its own


def parser() -> Parser:
    """The command line; every default is the paper's."""
    return options.parser(
        __doc__,
        (*symbols.OPTIONS, 'dataset', 'pad_value', 'no_verify'),
        CIFAR,
        dataset=dict(choices=DATASETS),
        data_dir=dict(
            help='folder of the data set, packed or unpacked; missing files are fetched into it (default: '
            'datasets/DATASET)'
        ),
    )


def main() -> int:
    """Network, data, training."""
    run = open_run(parser())
    args = run.args
    network = symbols.network_of(vars(args), num_classes=len(data.SOURCES[args.dataset].classes))
    if run.outcome:
        return run.report(run.outcome)

    run.check(network, symbols.IMAGE_SHAPE)
    dataset = data.load(args.dataset, args.data_dir, verify=not args.no_verify)
    batches = dataset.train_batches(args.batch_size, args.seed, run.shard, args.pad_value)
    return Trainer(run, network, dataset, batches).fit()


if __name__ == '__main__':
    run(main)
