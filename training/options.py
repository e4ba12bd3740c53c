"""The options of a training run, one table for all scripts.

    args = options.read(options.parser(__doc__, ('dataset', 'pad_value'), {'epochs': 400}))

The command line, config.json, resuming, compare.py and reproduce.py read this table. A new option is one line here.
"""

from common.cli import Parser, fraction, positive_float, positive_int, seed

import argparse
from collections.abc import Callable, Collection, Sequence
import os
from typing import Any, NamedTuple

from common.errors import UserError
from distributed.collectives import KINDS
from symbols import gluoncv
from symbols.ensemble import components_label
from symbols.layers import DTYPES
from symbols.options import KEYWORDS
from training import devices
from training.schedule import SCHEDULES

GROUPS = ('network', 'data', 'training', 'devices', 'output')  # headings of --help
CELL, NOTE = 'cell', 'note'


class Option(NamedTuple):
    """A line of the table.

    name: in the parsed arguments and in config.json; --bn-momentum is bn_momentum.
    group: its heading in --help.
    keywords: of argparse's add_argument.
    label: what precedes a value off the default in the name of the run directory; None keeps the option out of it.
    show: writes the value there.
    resumable: whether a resumed run may have another value.
    before: its value in runs made before the option existed.
    in_tables: what another value than the paper's means there: CELL, the run belongs to another cell; NOTE, the run
        stands apart with a note; None, nothing.
    only_with: (option, value) without which the option has no effect, in scripts that have the other one.
    special: whether only the scripts that name it have it.
    """

    name: str
    group: str
    keywords: dict
    label: str | None = None
    show: Callable[[Any], str] = str
    resumable: bool = False
    before: Any = None
    in_tables: str | None = None
    only_with: tuple[str, Any] | None = None
    special: bool = False


# fmt: off
# A table, which the formatter would spread over 200 lines; in the order of the labels in the name of a run directory.
OPTIONS = {option.name: option for option in (
    Option('net', 'network', KEYWORDS['net'], in_tables=CELL),
    Option('depth', 'network', KEYWORDS['depth'], in_tables=CELL),
    Option('widen', 'network', KEYWORDS['widen'], in_tables=CELL, only_with=('size', 32), special=True),
    Option('dataset', 'data', dict(help='what to train on'), in_tables=CELL, special=True),
    Option('size', 'data', dict(
        type=int, default=32,
        help='of the images: 32 for the networks of CIFAR and SVHN, 224 for those of ImageNet'),
        label='size', in_tables=CELL, special=True),
    Option('val_fraction', 'data', dict(
        type=fraction, metavar='SHARE',
        help='share of the training images of each class to test on, where the folder has no validation images'),
        label='val', in_tables=NOTE, special=True),
    Option('split_seed', 'data', dict(type=seed, default=0, help='seed of the draw of --val-fraction'),
           label='splitseed', in_tables=NOTE, special=True),
    Option('no_flip', 'data', dict(
        action='store_true', help='do not mirror the training images: for letters, digits, signs and the like'),
        label='noflip', show=lambda _: '', in_tables=NOTE, special=True),
    Option('path', 'network', KEYWORDS['path'], label='path', in_tables=CELL, only_with=('size', 32), special=True),
    Option('components', 'network', KEYWORDS['components'], label='components', show=components_label, in_tables=CELL,
           only_with=('size', 32), special=True),
    Option('schedule', 'training', dict(
        choices=list(SCHEDULES),
        help='when the learning rate drops. fractions: by 10 after 1/2, 3/4 and 7/8 of the epochs (section 6.2); main: '
             'by 10 every 30 epochs (section 6.5); appendix: by 2 every 10 epochs (Appendix A.1)'),
        label='schedule', before='fractions', in_tables=CELL),
    Option('pad_value', 'data', dict(
        choices=['zero', 'mean'], default='zero',
        help="padding before the random crop: black (the paper) or the mean (the authors' code)"),
        label='pad', in_tables=NOTE, only_with=('size', 32), special=True),
    Option('split', 'data', dict(
        choices=['paper', 'full'], default='paper',
        help="what to train on: all but the images held out (the paper), or all (the authors' code)"),
        label='split', in_tables=NOTE, special=True),
    Option('augmentation', 'data', dict(
        default='paper', help="of the training images: as in ResNet's paper (the paper), or as in the authors' code"),
        label='', in_tables=NOTE, only_with=('size', 224), special=True),
    Option('data_dir', 'data', {}, resumable=True),
    Option('no_verify', 'data', dict(action='store_true', help='use files that are not the official ones'),
           resumable=True, special=True),
    Option('init_from', 'training', dict(
        type=os.path.normpath, metavar='RUN',
        help='begin with the weights of a run, or of one of its checkpoints; FC is drawn anew if the classes differ'),
        label='init', show=lambda path: _source_label(path), in_tables=NOTE),
    Option('freeze', 'training', dict(
        action='store_true', help='with --init-from: train FC alone; BatchNorm then works as in evaluation'),
        label='freeze', show=lambda _: '', before=False, in_tables=NOTE),
    Option('batch_size', 'training', dict(
        type=positive_int, default=64, help='images a step, over all devices of all workers'),
        label='batch', in_tables=NOTE),
    Option('lr', 'training', dict(type=positive_float, default=0.1, help='initial learning rate'),
           label='lr', in_tables=NOTE),
    Option('momentum', 'training', dict(type=fraction, default=0.9, help='Nesterov momentum'),
           label='momentum', in_tables=NOTE),
    Option('weight_decay', 'training', dict(type=fraction, default=1e-4, help='weight decay, on every parameter'),
           label='decay', in_tables=NOTE),
    Option('bn_momentum', 'network', dict(
        type=fraction, default=0.9,
        help="momentum of BatchNorm's running statistics (0.99 in the authors' code of 11/2016 and in their ensemble)"),
        label='bnmomentum', in_tables=NOTE),
    Option('dtype', 'training', dict(
        choices=list(DTYPES), default='float32',
        help='type of activations and convolutions: float16 on GPUs, bfloat16 on a CPU with AVX-512; weights and '
             'their sums stay float32'),
        label='', before='float32', in_tables=NOTE),
    Option('loss_scale', 'training', dict(
        type=positive_float, default=4, metavar='FACTOR',
        help="factor on each image's loss in float16, so that small gradients are not lost"),
        label='scale', before=4, in_tables=NOTE, only_with=('dtype', 'float16')),
    # No script has it; export.py --to run sets it.
    Option('framework', 'training', dict(default='mxnet', help='what trained the network'),
           label='', before='mxnet', in_tables=NOTE, special=True),
    Option('mirror', 'training', dict(
        action='store_true',
        help='less memory on the CPU for networks with branches, a quarter less with 32×32 images: some activations '
             'are computed twice, which takes up to a tenth more time and changes no number'),
        before=False, resumable=True),
    Option('gpus', 'devices', dict(metavar='0,1,…', help='GPUs to use; without it the CPU is used'), resumable=True),
    Option('cpus', 'devices', dict(
        type=positive_int, default=1, metavar='N', help='split each batch over N CPU contexts, as over N GPUs'),
        label='cpus', resumable=True),
    Option('kv_store', 'devices', dict(
        choices=KINDS,
        help='where the gradients are summed: of several devices on the CPU (local) or on the GPUs (device), of '
             'several workers on servers (dist_…; see python -m distributed.launch --help). Default: device with '
             'several GPUs, else local'),
        resumable=True),
    Option('epochs', 'training', dict(type=positive_int, help='passes over the training set'), label='epochs'),
    Option('seed', 'training', dict(
        type=seed, default=1, help='seed of the initial weights, the order of the images and the augmentation')),
    Option('log_dir', 'output', dict(default='logs', help='where the run directories are'), resumable=True),
    Option('checkpoint_minutes', 'output', dict(
        type=positive_float, default=10, metavar='MINUTES', help='save within an epoch too, this often'),
        resumable=True),
    Option('tensorboard', 'output', dict(
        action='store_true', help="write TensorBoard's event files into the run directory"),
        before=False, resumable=True),
)}
# fmt: on
EXCLUSIVE = ('gpus', 'cpus')


def add_options(parser: argparse.ArgumentParser, names: Collection[str], **changes: dict) -> None:
    """Add the options of these names to a parser, under their headings.

    Args:
        changes: {name: keywords of add_argument that replace the table's}.
    """
    for title in GROUPS:
        options = [option for option in OPTIONS.values() if option.group == title and option.name in names]
        if not options:
            continue
        group = parser.add_argument_group(title)
        one_of = group.add_mutually_exclusive_group() if title == 'devices' else group
        for option in options:
            (one_of if option.name in EXCLUSIVE else group).add_argument(
                _flag(option.name), **{**option.keywords, **changes.get(option.name, {})}
            )


def parser(description: str, special: Collection[str], defaults: dict, **changes: dict) -> Parser:
    """The command line of a training script.

    Args:
        special: the special options that this script has.
        defaults: {option: value}, the recipe of the paper; what is no option of the script becomes a constant.
        changes: {name: keywords of add_argument that replace the table's}.
    """
    parser = Parser(description=description)
    names = [name for name, option in OPTIONS.items() if not option.special or name in special]
    for name, value in defaults.items():
        if name in names:
            changes[name] = {**changes.get(name, {}), 'default': value}
        else:
            parser.set_defaults(**{name: value})
    add_options(parser, names, **changes)
    return parser


def read(parser: Parser, words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line, or of its words. GluonCV's networks have no depth, unless one is given, which
    they refuse.
    """
    args = parser.parse_args(words, argparse.Namespace(depth=None))
    if args.depth is None and not gluoncv.is_one(args.net):
        args.depth = parser.get_default('depth')
    return args


def _source_label(path: str) -> str:
    """A run's data set, network and name, and the checkpoint if one is named."""
    *folders, last = path.split(os.sep)
    count = 3 if last.startswith('checkpoint-') else 2
    return '_' + '_'.join([*folders[-count:], last])


def check(args: argparse.Namespace) -> None:
    """Raise UserError for options that do not go together, or not with this machine."""
    devices.check_dtype(args.dtype, args.gpus is not None, f'--dtype {args.dtype}')
    for name, value in vars(args).items():
        if name in OPTIONS and value != default(name) and not has_effect(name, vars(args)):
            other, needed = OPTIONS[name].only_with or ('', '')
            raise UserError(f'{_flag(name)} is for {_flag(other)} {needed}: leave it out')
    if args.freeze and not args.init_from:
        raise UserError('--freeze trains FC alone: name the weights of all other layers with --init-from')
    if args.freeze and args.mirror:
        raise UserError('--mirror saves memory of a backward pass that --freeze does not have: leave it out')
    if args.mirror and args.gpus is not None:
        raise UserError('--mirror is for the CPU: on GPUs BatchNorm would count each batch twice in its statistics')


def _flag(name):
    return f'--{name.replace("_", "-")}'


def complete(options: dict) -> dict:
    """The options of a config.json, and those that did not exist when it was written, with the values of that time."""
    return {**{name: option.before for name, option in OPTIONS.items() if option.before is not None}, **options}


def fixed(options: dict) -> dict:
    """The options that have to stay the same when a run is resumed."""
    return {
        name: value for name, value in complete(options).items() if name not in OPTIONS or not OPTIONS[name].resumable
    }


def default(name: str) -> Any:
    """The value of an option that a command does not give, unless the script has another default."""
    keywords = OPTIONS[name].keywords
    return keywords.get('default', False if keywords.get('action') == 'store_true' else None)


def parse(name: str, text: str) -> Any:
    """The value of an option from the text of a command line."""
    return OPTIONS[name].keywords.get('type', str)(text)


def is_possible(name: str, value: Any) -> bool:
    """Whether a value that a config.json has for an option is one that the command line gives."""
    keywords = OPTIONS[name].keywords if name in OPTIONS else {}
    kind = keywords.get('type')
    if value is None or name not in OPTIONS:
        return True
    if keywords.get('action') == 'store_true':
        return isinstance(value, bool)
    if kind in (int, seed, positive_int, positive_float, fraction):
        try:
            return type(value) in (int, float) and kind(str(value)) == value
        except (ValueError, argparse.ArgumentTypeError):
            return False
    return isinstance(value, str) or kind not in (None, os.path.normpath)


def has_effect(name: str, options: dict) -> bool:
    """Whether an option matters, given the others."""
    only_with = OPTIONS[name].only_with
    return only_with is None or complete(options).get(only_with[0], only_with[1]) == only_with[1]


def directory_of(options: dict, defaults: dict) -> str:
    """LOG_DIR/DATASET/NET-DEPTH[-wWIDEN]/[OPTIONS-]seedSEED, or LOG_DIR/DATASET/gluoncv-NAME/…

    Args:
        options: all options of the run.
        defaults: those of its script, whose values have no place in the name.
    """
    widen = options.get('widen', 1)
    network = f'{options["net"]}-{options["depth"]}' + (f'-w{widen}' if widen > 1 else '')
    if gluoncv.is_one(options['net']):
        network = options['net'].replace(':', '-')
    labels = [
        f'{option.label}{option.show(options[name])}'
        for name, option in OPTIONS.items()
        if option.label is not None and name in options and options[name] != defaults.get(name, default(name))
    ]
    return os.path.join(options['log_dir'], options['dataset'], network, '-'.join([*labels, f'seed{options["seed"]}']))
