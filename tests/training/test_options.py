"""The table of options: command lines, config.json, resuming, and the names of run directories."""

from common.cli import Parser

import argparse
import json
import os

import pytest

from common.errors import UserError
from paper import recipes
import symbols
from tests.conftest import ROOT, committed_runs
import train_cifar
import train_imagenet
import train_images
import train_svhn
from training import devices, options
from training.options import CELL, NOTE, OPTIONS

SCRIPTS = {
    train_cifar: {*symbols.OPTIONS, 'dataset', 'pad_value', 'no_verify'},
    train_svhn: {*symbols.OPTIONS, 'split', 'no_verify'},
    train_imagenet: {'augmentation', 'no_verify'},
    train_images: {*symbols.OPTIONS, *train_images.OPTIONS},
}


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda script: script.__name__)
def test_every_option_of_a_script_is_in_its_help_and_its_arguments(script):
    parser = script.parser()
    words, expected = parser.format_help().replace('[', ' ').replace(']', ' ').split(), vars(parser.parse_args([]))
    for name, option in OPTIONS.items():
        has = not option.special or name in SCRIPTS[script]
        assert (f'--{name.replace("_", "-")}' in words) == has, name
        assert name in expected or not has
    assert set(expected) <= set(OPTIONS)
    assert parser.format_help().count('\n\ndevices:\n') == 1


@pytest.mark.parametrize('name', OPTIONS)
def test_an_option_is_where_its_line_says_and_its_default_is_its_value(name):
    option = OPTIONS[name]
    parser = Parser()
    options.add_options(parser, [name])
    assert getattr(parser.parse_args([]), name) == options.default(name)
    assert option.group in options.GROUPS and option.in_tables in (None, CELL, NOTE)


def test_a_recipe_gives_the_defaults_and_what_is_no_option_of_the_script_is_a_constant():
    parser = options.parser('…', ['widen'], {'net': 'plain', 'depth': 8, 'dataset': 'noise', 'epochs': 3, 'lr': 0.5})
    args = parser.parse_args([])
    assert (args.net, args.depth, args.dataset, args.epochs, args.lr, args.widen) == ('plain', 8, 'noise', 3, 0.5, 1)
    assert not hasattr(args, 'split')
    with pytest.raises(SystemExit):
        parser.parse_args(['--dataset', 'other'])


@pytest.mark.parametrize(
    'words, message',
    [
        (['--cpus', '0'], '0 is not a whole number from 1'),
        (['--epochs', '0'], '0 is not a whole number from 1'),
        (['--lr', '-1'], '-1 is not a number above 0'),
        (['--lr', 'fast'], 'fast is not a number above 0'),
        (['--momentum', '1'], '1 is not a number from 0, below 1'),
        (['--seed', '-1'], '-1 is not a whole number from 0'),
        (['--weight-decay', 'nan'], 'nan is not a number from 0'),
        (['--gpus', '0', '--cpus', '2'], 'not allowed with'),
        (['--net', 'vgg'], "invalid choice: 'vgg'"),
        (['--path', 'RXR'], "invalid choice: 'RXR'"),
        (['--components', 'LLL,XYZ'], 'unknown component network XYZ: choose from LLL, RLL'),
    ],
)
def test_a_value_that_is_none_is_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        train_cifar.parser().parse_args(words)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and message in err and err.startswith('error: ') and err.count('\n') == 1


def test_a_config_is_completed_by_the_values_of_its_time():
    old = {'net': 'plain', 'lr': 0.2}
    assert options.complete(old) == {
        'net': 'plain',
        'lr': 0.2,
        'dtype': 'float32',
        'loss_scale': 4,
        'framework': 'mxnet',
        'freeze': False,
        'mirror': False,
        'tensorboard': False,
        'schedule': 'fractions',
    }
    assert options.complete({'dtype': 'bfloat16', 'mirror': True})['dtype'] == 'bfloat16'
    assert old == {'net': 'plain', 'lr': 0.2}


def test_what_has_to_stay_the_same_leaves_out_what_a_resumed_run_may_change():
    given = vars(train_cifar.parser().parse_args([]))
    assert set(given) - set(options.fixed(given)) == {
        'data_dir',
        'no_verify',
        'mirror',
        'gpus',
        'cpus',
        'kv_store',
        'log_dir',
        'checkpoint_minutes',
        'tensorboard',
    }
    assert options.fixed({**given, 'lr': 0.2})['lr'] == 0.2
    assert options.fixed({'a_later_option': 1})['a_later_option'] == 1


@pytest.mark.parametrize(
    'name, given, expected',
    [
        ('loss_scale', {'dtype': 'float16'}, True),
        ('loss_scale', {'dtype': 'bfloat16'}, False),
        ('loss_scale', {}, False),
        ('widen', {}, True),  # train_cifar.py has no --size
        ('widen', {'size': 32}, True),
        ('widen', {'size': 224}, False),
        ('lr', {}, True),
        ('dtype', {'dtype': 'float32'}, True),
    ],
)
def test_an_option_has_an_effect_with_those_it_belongs_to(name, given, expected):
    assert options.has_effect(name, given) == expected


@pytest.mark.parametrize(
    'name, text, expected',
    [
        ('path', 'RLR', 'RLR'),
        ('components', '7', list(symbols.ensemble.ENSEMBLE_7)),
        ('lr', '0.2', 0.2),
        ('cpus', '2', 2),
        ('schedule', 'appendix', 'appendix'),
    ],
)
def test_texts_of_a_command_line(name, text, expected):
    assert options.parse(name, text) == expected


def directory_of(script, *words):
    parser = script.parser()
    return options.directory_of(vars(parser.parse_args(words)), vars(parser.parse_args([])))


@pytest.mark.parametrize(
    'script, words, folder',
    [
        (train_cifar, '', 'cifar10/dfn-mr-56/seed1'),
        (train_cifar, '--net resnet --depth 110 --dataset cifar100 --seed 3', 'cifar100/resnet-110/seed3'),
        (train_cifar, '--depth 50 --widen 4', 'cifar10/dfn-mr-50-w4/seed1'),
        (train_cifar, '--depth 8 --batch-size 8 --epochs 5 --lr 0.05', 'cifar10/dfn-mr-8/batch8-lr0.05-epochs5-seed1'),
        (
            train_cifar,
            '--pad-value mean --momentum 0.8 --weight-decay 0.01 --bn-momentum 0.7 --cpus 2',
            'cifar10/dfn-mr-56/padmean-momentum0.8-decay0.01-bnmomentum0.7-cpus2-seed1',
        ),
        (train_cifar, '--dtype float16 --loss-scale 8 --gpus 0', 'cifar10/dfn-mr-56/float16-scale8.0-seed1'),
        (
            train_cifar,
            '--mirror --gpus 1 --tensorboard --kv-store device --checkpoint-minutes 1 --data-dir x --no-verify',
            'cifar10/dfn-mr-56/seed1',
        ),
        (train_cifar, '--net ensemble --components 7', 'cifar10/ensemble-56/components7-seed1'),
        (train_cifar, '--net ensemble --components LLL,RLL,LRL,LLR,RRL,RLR,LRR,RRR', 'cifar10/ensemble-56/seed1'),
        (train_cifar, '--net ensemble --components RLR,LLL,RLR', 'cifar10/ensemble-56/componentsLLL+RLR-seed1'),
        (train_cifar, '--net component --path RLR --epochs 8', 'cifar10/component-56/pathRLR-epochs8-seed1'),
        (train_svhn, '--split full --epochs 1', 'svhn/dfn-mr-56/splitfull-epochs1-seed1'),
        (train_cifar, '--net gluoncv:cifar_resnet20_v1 --epochs 3', 'cifar10/gluoncv-cifar_resnet20_v1/epochs3-seed1'),
        (train_imagenet, '--net gluoncv:resnet50_v1b', 'imagenet/gluoncv-resnet50_v1b/seed1'),
        (train_imagenet, '--net dfn1 --depth 50 --schedule appendix', 'imagenet/dfn1-50/scheduleappendix-seed1'),
        (train_imagenet, '--augmentation code-2016 --batch-size 64', 'imagenet/dfn-mr-44/code-2016-batch64-seed1'),
    ],
)
def test_names_of_run_directories(script, words, folder):
    assert directory_of(script, *words.split()) == os.path.join('logs', folder)


@pytest.mark.parametrize('run_dir', committed_runs())
def test_a_committed_run_has_the_name_of_its_options(run_dir):
    """Also those that were made before some options existed, and those that ran on several CPU contexts."""
    with open(os.path.join(ROOT, run_dir, 'config.json')) as file:
        own = options.complete(json.load(file)['options'])
    defaults = {**{name: options.default(name) for name in OPTIONS}, **recipes.of_dataset(own['dataset'])}
    found = options.directory_of({**own, 'log_dir': 'logs'}, defaults)
    assert run_dir in (
        found,
        found.replace(os.path.join('logs', own['dataset']), os.path.join('logs', 'samples', own['dataset'])),
    )


def test_there_are_committed_runs():
    assert len(committed_runs()) > 15


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(dtype='float16'), '--dtype float16 needs --gpus'),
        (dict(dtype='bfloat16', gpus='0'), '--dtype bfloat16 is for a CPU with AVX-512; GPUs have float16'),
        (dict(dtype='bfloat16'), 'is for a CPU with AVX-512, which this one does not have'),
        (dict(freeze=True), '--freeze trains FC alone: name the weights of all other layers with --init-from'),
        (dict(freeze=True, init_from='x', mirror=True), '--mirror saves memory of a backward pass'),
        (dict(mirror=True, gpus='0'), '--mirror is for the CPU: on GPUs BatchNorm would count each batch twice'),
    ],
)
def test_options_that_do_not_go_together(monkeypatch, changes, message):
    monkeypatch.setattr(devices, 'has_bfloat16', lambda: False)
    fine = dict(dtype='float32', gpus=None, mirror=False, freeze=False, init_from=None)
    options.check(argparse.Namespace(**fine))
    with pytest.raises(UserError, match=message):
        options.check(argparse.Namespace(**{**fine, **changes}))


def test_only_gluoncvs_networks_have_no_depth(monkeypatch):
    def depth(*words):
        monkeypatch.setattr('sys.argv', ['train.py', *words])
        return options.read(train_cifar.parser()).depth

    assert depth() == 56 and depth('--depth', '20') == 20 and depth('--net', 'resnet') == 56
    assert depth('--net', 'gluoncv:cifar_resnet20_v1') is None
    assert depth('--net', 'gluoncv:cifar_resnet20_v1', '--depth', '56') == 56  # which the network refuses
