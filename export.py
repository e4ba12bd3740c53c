"""Carry a trained network out of MXNet, or one trained in PyTorch in.

    python export.py logs/cifar10/dfn-mr-14/epochs8-seed1 --to onnx dfn-mr-14.onnx --with-preprocessing
    python export.py logs/cifar10/dfn-mr-14/epochs8-seed1 --to torch dfn-mr-14.safetensors
    python export.py logs/cifar10/dfn-mr-14/epochs8-seed1 --to gluon dfn-mr-14    # three files
    python export.py logs/cifar10/dfn-mr-14/epochs8-seed1 --to onnx a.onnx --to torch a.safetensors --check
    python export.py mine.safetensors --to run logs/cifar10/dfn-mr-56/pytorch-seed1       # which eval.py judges

The newest checkpoint of the run is written. --check compares their predictions on the run's test images with MXNet's.
`make extras` installs what the formats need. docs/export.md shows how to load each.
"""

from common.cli import Parser, run

import argparse
from collections.abc import Callable
import importlib
import os
import sys
from typing import NamedTuple

from common.errors import UserError
from common.files import check_outputs
import data
from interop import trained
from training import options, run_directory


class Format(NamedTuple):
    """A format: the module of interop that writes it, the packages it needs, and those that --check needs."""

    module: str
    needs: tuple[str, ...] = ()
    check: str = ''
    check_needs: tuple[str, ...] = ()


FORMATS = {
    'onnx': Format('to_onnx', ('onnx',), 'onnx', ('onnxruntime',)),
    'torch': Format('safetensors_files', ('safetensors',), 'torch', ('torch',)),
    'gluon': Format('gluon', check='block'),
    'run': Format('safetensors_files', ('safetensors',)),
}


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        'source', metavar='RUN', help='a run directory, or a checkpoint in one; for --to run a .safetensors file'
    )
    parser.add_argument(
        '--to',
        nargs=2,
        action='append',
        required=True,
        metavar=('FORMAT', 'FILE'),
        help=f'{", ".join(FORMATS)}, and where to write it; can be given several times',
    )
    parser.add_argument(
        '--with-preprocessing',
        action='store_true',
        help='ONNX takes images as they are, uint8 RGB from 0 to 255, and normalizes them itself',
    )
    parser.add_argument('--force', action='store_true', help='replace files that are there; a run is never replaced')
    parser.add_argument(
        '--check', action='store_true', help="compare predictions and probabilities on the run's test images"
    )
    options.add_options(parser, ('data_dir', 'no_verify'), data_dir=dict(help="the test images' folder, for --check"))
    return parser


def check_targets(args: argparse.Namespace) -> None:
    """Raise UserError where a format is unknown or its packages are missing, or its file cannot be written."""
    kinds, outputs = [kind for kind, _ in args.to], []
    for kind, target in args.to:
        if kind not in FORMATS:
            raise UserError(f'--to {kind}: choose one of {", ".join(FORMATS)}')
        if kind == 'run' and (len(kinds) > 1 or args.check):
            raise UserError('--to run stands alone: eval.py judges the run')
        for package in FORMATS[kind].needs + (FORMATS[kind].check_needs if args.check else ()):
            if importlib.util.find_spec(package) is None:
                raise UserError(f'--to {kind} needs the package {package}: `make extras` installs it')
        files = [target] if kind != 'gluon' else module(kind).names(target)
        outputs += files if kind != 'run' else []
        there = [path for path in files if os.path.lexists(path)]
        kept = [path for path in there if kind == 'run' or not args.force or not os.path.isfile(path)]
        if kept:
            raise UserError(f'{kept[0]} is there already: choose another name' + (', or --force' * (kind != 'run')))
    check_outputs(*outputs)
    if args.with_preprocessing and 'onnx' not in kinds:
        raise UserError('--with-preprocessing is for --to onnx')


def module(kind: str):
    """The module that writes a format; its packages are there."""
    return importlib.import_module(f'interop.{FORMATS[kind].module}')


def main() -> int:
    """Write the files, and check them; returns 1 where predictions differ, or probabilities by more than rounding."""
    args = parser().parse_args()
    check_targets(args)
    if args.to[0][0] == 'run':
        module('run').to_run(args.source, args.to[0][1])
        print(args.to[0][1])
        if not run_directory.NAME.fullmatch(os.path.basename(os.path.normpath(args.to[0][1]))):
            print('note: compare.py shows runs whose name ends in seed1, seed2, …, and not this one', file=sys.stderr)
        return 0
    network = trained.read(args.source)
    for kind, target in args.to:
        given = {'with_preprocessing': args.with_preprocessing} if kind == 'onnx' else {}
        module(kind).write(network, target, **given)
        print(target, flush=True)
    return check(args, network) if args.check else 0


def check(args: argparse.Namespace, network: trained.Trained) -> int:
    """Print a line for each file: equal predictions, and the largest difference; returns the exit status."""
    from interop import check

    assert network.config, 'it is from a run'
    dataset = data.load_for_run(network.config, args.data_dir, verify=not args.no_verify)
    others: dict[tuple[str, str], Callable] = {
        (kind, target): getattr(check, FORMATS[kind].check)(target, network.facts) for kind, target in args.to
    }
    split = dataset.test_split
    batches = dataset.evaluation_batches(split, dataset.test_batch)
    found = check.compare(network, others, batches, dataset.about[split]['records'])
    for (_, target), comparison in found.items():
        print(f'{target}: {comparison}')
    return int(not all(comparison.passes for comparison in found.values()))


if __name__ == '__main__':
    run(main)
