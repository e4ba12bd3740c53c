"""`python -m symbols`: sizes, and component networks against Table 1."""

import re

import pytest

from symbols import __main__ as script


@pytest.fixture
def out(monkeypatch, capsys):
    """What the command prints."""

    def run(*words):
        monkeypatch.setattr('sys.argv', ['symbols', *map(str, words)])
        script.main()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    'net, depth, parameters, ensemble',
    [
        ('dfn-mr', 56, '1,710,426', '2^54'),
        ('resnet', 14, '175,258', '64'),
        ('dfn-f6', 20, '295,290', '64'),
        ('dfn-mr', 98, '3,071,450', '2^96'),
        ('dfn-il', 14, '346,650', '729'),
        ('plain', 14, '172,506', '1'),
    ],
)
def test_summary_prints_the_size(out, net, depth, parameters, ensemble):
    values = dict(re.findall(r'^(\S+(?: size)?) {2,}(.*)$', out('summary', '--net', net, '--depth', depth), re.M))
    assert list(values) == ['network', 'parameters', 'multiply-adds', 'depth', 'ensemble size']
    assert values['parameters'] == parameters and values['ensemble size'] == ensemble
    assert values['depth'] == str(depth) and values['network'] == f'{net} {depth}, 10 classes'


def test_summary_of_a_network_for_imagenet(out):
    text = out('summary', '--net', 'dfn-mr', '--depth', 44, '--dataset', 'imagenet')
    assert 'dfn-mr 44, 1000 classes' in text and '43,338,024' in text and '224×224' in text


def test_summary_for_a_data_set_of_other_classes(out):
    """Each of 90 more classes has 64 weights and a bias in FC."""
    text = out('summary', '--net', 'dfn-mr', '--depth', 56, '--dataset', 'cifar100')
    assert 'dfn-mr 56, 100 classes' in text and f'{1710426 + 90 * 65:,}' in text


def test_summary_of_a_wide_network_with_other_classes(out):
    text = out('summary', '--net', 'dfn-mr', '--depth', 32, '--widen', 4, '--classes', 100)
    assert 'dfn-mr 32, 4 times wider, 100 classes' in text and '14,874,532' in text


def test_paths_prints_table_1(out):
    text = out('paths', '--net', 'dfn-f3', '--depth', 38)
    assert 'LLL 5  RLL 16  LRL 16  LLR 16  RRL 27  RLR 27  LRR 27  RRR 38' in text
    assert [line.split() for line in text.splitlines()[-4:]] == [
        ['5', '1', '12.5%'],
        ['16', '3', '37.5%'],
        ['27', '3', '37.5%'],
        ['38', '1', '12.5%'],
    ]
    assert out('paths', '--net', 'ensemble', '--depth', 14, '--components', 'RRR,LLL').startswith(
        'Ensemble 14 (LLL+RRR)\nLLL 5  RRR 14\n'
    )


def test_paths_prints_the_three_counts_where_they_differ(out):
    text = out('paths', '--net', 'dfn-mr', '--depth', 98)
    assert re.search(r'^nominal \(as the paper counts\) +2\^96 +51\.00', text, re.M)
    text = out('paths', '--net', 'dfn-mr', '--depth', 44, '--dataset', 'imagenet')
    assert re.search(r'^nominal .* 2\^28 ', text, re.M) and 'one from each stream through the average' in text
    text = out('paths', '--net', 'dfn-mr', '--depth', 98, '--exact')
    assert f'{2**96:,}' in text and f'{8 * 3**46:,}' in text


def test_mistakes_are_one_line(mistake):
    words = ('symbols', 'summary', '--net', 'dfn-mr', '--depth', 44, '--dataset', 'imagenet')
    assert 'no network for ImageNet has --widen' in mistake(script.main, *words, '--widen', 2)
    assert 'the nearest are 14 and 20' in mistake(script.main, 'symbols', 'summary', '--net', 'plain', '--depth', 15)
    for command in ('paths', 'summary'):
        assert 'add --dataset imagenet' in mistake(script.main, 'symbols', command, '--net', 'dfn1', '--depth', 50)
    assert 'how deep?' in mistake(script.main, 'symbols', 'summary', '--net', 'plain')


def test_summary_of_a_network_of_gluoncvs(out):
    text = out('summary', '--net', 'gluoncv:cifar_wideresnet28_10', '--classes', 100)
    assert 'network        gluoncv:cifar_wideresnet28_10, 100 classes' in text and '36,536,922' in text
    text = out('summary', '--net', 'gluoncv:resnet50_v1b', '--dataset', 'imagenet')
    assert '25,557,032' in text and 'depth          50' in text
