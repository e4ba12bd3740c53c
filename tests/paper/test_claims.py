"""The ledger of claims: verdicts on made-up runs, computed claims, the committed logs, and where it is shown."""

import csv
import math
import os
from pathlib import Path
import re

import numpy as np
import pytest
from scipy import stats

import paper
from paper import __main__ as command
from paper import claims, report
from paper.claims import examine
from paper.claims.chance import chance, tolerance, variance_in_paper
from paper.claims.computed import STRUCTURE
from paper.claims.names import expand, pairs_of, subject
from paper.claims.verdicts import CONFIRMED, CONSISTENT, CONTRADICTED, NOT_SEEN, NOT_TESTED
from symbols.ensemble import COMPONENTS
from tests.conftest import ROOT, in_process, write_run
from tests.paper.conftest import last_row
import train_cifar
import train_imagenet
from training import options

ORDER = 'errors cifar10/dfn-mr-14 < cifar10/resnet-26'  # the paper's 6.48 ± 0.04 and 6.62 ± 0.24


def write(log_dir, name, *errors, words=(), **options):
    """A run for each error, with the seeds 1, 2, …, of a network such as dfn-mr-14."""
    net, _, depth = name.rpartition('-')
    for seed, error in enumerate(errors, 1):
        write_run(log_dir, ['--net', net, '--depth', depth, '--seed', seed, *words], [error], **options)


def verdict(check, log_dir):
    return examine(check, str(log_dir)).verdict


@pytest.fixture(scope='module')
def entries(committed):
    """The ledger of the committed logs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(committed)
        return claims.ledger('logs')


@pytest.mark.parametrize(
    'ours, resnets, expected',
    [
        ([6.50], [6.60], CONFIRMED),
        ([6.50, 6.46, 6.48], [6.60, 6.40, 6.90], CONFIRMED),
        ([6.50], [9.00], CONSISTENT),  # better by more than the paper's spreads allow
        ([6.70], [6.60], NOT_SEEN),  # the other way, but single runs of 6.62 ± 0.24 do that
        ([6.70, 6.60, 6.65], [6.60, 6.40, 6.90], NOT_SEEN),
        ([9.00], [6.60], CONTRADICTED),
        ([6.70, 6.71, 6.72], [6.60, 6.61, 6.62], CONTRADICTED),  # Welch: these spreads are small
        ([90.0], [6.60], CONTRADICTED),
    ],
)
def test_an_order_with_runs_as_in_the_paper(tmp_path, ours, resnets, expected):
    write(tmp_path, 'dfn-mr-14', *ours)
    write(tmp_path, 'resnet-26', *resnets)
    assert verdict(ORDER, tmp_path) == expected


@pytest.mark.parametrize('words, devices', [(['--epochs', 8], 2), ([], 1), (['--pad-value', 'mean'], 2)])
def test_other_runs_neither_confirm_nor_contradict(tmp_path, words, devices):
    write(tmp_path / 'a', 'dfn-mr-14', 15, 15.1, words=words, devices=devices)
    write(tmp_path / 'a', 'resnet-26', 17, 17.1, words=words, devices=devices)
    assert verdict(ORDER, tmp_path / 'a') == CONSISTENT
    assert verdict('errors cifar10/resnet-26 < cifar10/dfn-mr-14', tmp_path / 'a') == NOT_SEEN


def test_only_runs_made_alike_are_compared(tmp_path):
    write(tmp_path, 'dfn-mr-14', 6.5)
    assert verdict(ORDER, tmp_path) == NOT_TESTED
    write(tmp_path, 'resnet-26', 17, words=['--epochs', 8])
    assert verdict(ORDER, tmp_path) == NOT_TESTED
    write(tmp_path, 'dfn-mr-14', 15, words=['--epochs', 8])
    finding = examine(ORDER, str(tmp_path))
    assert finding.verdict == CONSISTENT and 'dfn-mr-14 15.00 (1) < ' in finding.seen
    assert 'python train_cifar.py --net dfn-mr --depth 14 --epochs 8 (n = 1; 8 of 400 epochs)' in finding.runs


def test_the_longest_schedule_counts_and_a_run_of_400_epochs_most(tmp_path):
    for epochs in (8, 40, 400):
        for name in ('dfn-mr-14', 'resnet-26'):
            write(tmp_path, name, 6.48 + (name == 'resnet-26') * 14 / epochs, words=['--epochs', epochs])
        seen = examine(ORDER, str(tmp_path))
        assert f'{6.48 + 14 / epochs:.2f} (1)' in seen.seen
    assert seen.verdict == CONFIRMED and '400 epochs, as in the paper' in ''.join(seen.runs)


@pytest.mark.parametrize('options', [dict(status=None), dict(verified=False)])
def test_unfinished_runs_and_other_files_are_not_compared(tmp_path, options):
    write(tmp_path, 'dfn-mr-14', 6.5, **options)
    write(tmp_path, 'resnet-26', 6.6, **options)
    assert verdict(ORDER, tmp_path) == NOT_TESTED


def test_a_claim_about_several_places(tmp_path):
    check = 'errors cifar10/dfn-mr-{14,20} < cifar10/resnet-{26,38}'
    write(tmp_path, 'dfn-mr-14', 6.5)
    write(tmp_path, 'resnet-26', 6.6)
    finding = examine(check, str(tmp_path))
    assert finding.verdict == CONSISTENT and '1 of 2 without runs' in finding.seen
    write(tmp_path, 'dfn-mr-20', 16, words=['--epochs', 8])
    write(tmp_path, 'resnet-38', 15, words=['--epochs', 8])
    assert verdict(check, tmp_path) == CONSISTENT  # the runs as in the paper decide
    write(tmp_path, 'dfn-mr-20', 5.8)
    write(tmp_path, 'resnet-38', 5.9)
    assert verdict(check, tmp_path) == CONFIRMED
    write(tmp_path, 'plain-26', 5.0)
    assert verdict(f'{check} < cifar10/plain-{{26,38}}', tmp_path) == CONTRADICTED  # by ResNet 26 and plain 26
    assert verdict('errors cifar10/dfn-mr-{14,20} < 6.2', tmp_path) == CONTRADICTED


def test_the_papers_own_numbers_are_held_against_its_claims(tmp_path):
    seen = examine('errors svhn/dfn-mr-{14,20} < svhn/resnet-{26,38}', str(tmp_path)).seen
    assert seen == "the paper's own numbers are otherwise at 1 of 2: svhn/dfn-mr-14 2.00, svhn/resnet-26 1.90"


@pytest.mark.parametrize('other, expected', [(7.2, CONFIRMED), (9.5, CONTRADICTED)])
def test_errors_are_close_if_the_draw_of_the_test_images_explains_it(tmp_path, other, expected):
    """7 % of 10,000 images: a deviation of 0.26, so that two networks differ by up to 0.71."""
    write(tmp_path, 'dfn-f3-14', 7.0)
    write(tmp_path, 'ensemble-14', other)
    assert verdict('errors cifar10/dfn-f3-14 ~ cifar10/ensemble-14', tmp_path) == expected
    assert tolerance('cifar10', 7, 7) == pytest.approx(1.96 * math.sqrt(2 * 0.07 * 0.93 / 10000) * 100, rel=1e-4)


def test_a_run_that_diverged_is_close_to_none(tmp_path):
    write(tmp_path, 'dfn-f3-14', 7.0, status='not finite')
    write(tmp_path, 'ensemble-14', 7.0)
    assert verdict('errors cifar10/dfn-f3-14 ~ cifar10/ensemble-14', tmp_path) == CONTRADICTED
    write(tmp_path, 'ensemble-20', 7.0, status='not finite')
    write(tmp_path, 'dfn-f3-20', 7.0, status='not finite')
    assert verdict('errors cifar10/dfn-f3-20 ~ cifar10/ensemble-20', tmp_path) == CONTRADICTED


@pytest.mark.parametrize(
    'name, words, errors, devices, expected',
    [
        ('dfn-mr-14', [], [6.55], 2, CONFIRMED),  # inside 6.48 ± 0.14
        ('dfn-mr-14', [], [6.65], 2, CONTRADICTED),
        ('dfn-mr-14', [], [6.4, 6.5, 6.6], 2, CONFIRMED),
        ('dfn-mr-14', [], [6.55], 1, CONSISTENT),
        ('dfn-mr-14', [], [6.65], 1, NOT_SEEN),
        ('dfn-mr-14', ['--epochs', 8], [6.48], 2, NOT_TESTED),
        ('plain-98', [], [90.0], 2, CONFIRMED),  # a fail in the paper
        ('plain-98', [], [20.0], 2, CONTRADICTED),
        ('dfn-mr-14', [], [60.0], 2, CONTRADICTED),
        ('component-26/path=LLL', ['--path', 'LLL'], [19.5], 2, CONSISTENT),  # 18.83 without a deviation: ± 1.1
        ('component-26/path=LLL', ['--path', 'LLL'], [20.5], 2, NOT_SEEN),
        # one more run than these two lies within 0.2 / √2 · 12.71 · √1.5 = 2.2 of their mean
        ('component-26/path=LLL', ['--path', 'LLL'], [20.8, 21.0], 2, CONFIRMED),
        ('component-26/path=LLL', ['--path', 'LLL'], [21.1, 21.3], 2, CONTRADICTED),
    ],
)
def test_printed_numbers(tmp_path, name, words, errors, devices, expected):
    write(tmp_path, name.split('/')[0], *errors, words=words, devices=devices)
    assert verdict(f'printed cifar10/{name}', tmp_path) == expected


@pytest.mark.parametrize('deepest, expected', [(5.0, CONSISTENT), (6.3, NOT_SEEN), (9.0, CONTRADICTED)])
def test_a_difference_that_grows(tmp_path, deepest, expected):
    check = 'grows cifar10/resnet-{26,38,50} - cifar10/dfn-mr-{14,20,26}'
    write(tmp_path, 'resnet-26', 6.6)
    write(tmp_path, 'dfn-mr-14', 6.5)
    assert verdict(check, tmp_path) == NOT_TESTED  # one depth
    write(tmp_path, 'resnet-50', 6.2)
    write(tmp_path, 'dfn-mr-26', deepest)
    finding = examine(check, str(tmp_path))
    assert finding.verdict == expected and f'{6.2 - deepest:.2f} (cifar10/resnet-50 - ' in finding.seen


def test_better_runs_at_one_depth_do_not_end_a_comparison_of_two(tmp_path):
    check = 'grows cifar10/resnet-{26,38} - cifar10/dfn-mr-{14,20}'
    for name, error in (('resnet-26', 16.0), ('dfn-mr-14', 15.0), ('resnet-38', 18.0), ('dfn-mr-20', 16.0)):
        write(tmp_path, name, error, words=['--epochs', 8])
    before = examine(check, str(tmp_path))
    assert before.verdict == CONSISTENT and before.seen.startswith('1.00 (cifar10/resnet-26 - cifar10/dfn-mr-14); 2.00')
    write(tmp_path, 'resnet-26', 6.6)
    write(tmp_path, 'dfn-mr-14', 6.5)
    assert examine(check, str(tmp_path)) == before


@pytest.mark.parametrize('largest, expected', [('LRR', CONFIRMED), ('RRR', NOT_SEEN)])
def test_the_component_that_is_missed_most(tmp_path, largest, expected):
    columns = {
        f'test_error_without_{path}': [7.3 if path == largest else 7.0 + 0.01 * place]
        for place, path in enumerate(COMPONENTS)
    }
    write(tmp_path, 'ensemble-38', 6.9, **columns)
    assert verdict('missed-most LLR,RLR,LRR cifar10/ensemble-38', tmp_path) == expected


def test_means_over_epochs(tmp_path):
    for seed in (1, 2):
        for name, loss in (('dfn-mr-14', 1.0), ('resnet-26', 2.0)):
            losses = [loss + 0.1 * seed + 10 * (epoch < 100) for epoch in range(400)]
            words = ['--net', name.rpartition('-')[0], '--depth', name.rpartition('-')[2], '--seed', seed]
            write_run(tmp_path, words, [6.5] * 400, train_loss=losses)
    check = 'errors cifar10/dfn-mr-14:train_loss@{} < cifar10/resnet-26:train_loss@{}'
    late = examine(check.format('101-400', '101-400'), str(tmp_path))
    assert late.verdict == CONFIRMED and '1.150 ± 0.05 (2) < ' in late.seen
    assert '3.650 ± 0.05 (2) < ' in examine(check.format('all', 'all'), str(tmp_path)).seen


def test_one_seed_that_fails_is_left_out_as_in_the_tables(tmp_path):
    """And nothing is confirmed or contradicted by the others."""
    write(tmp_path, 'resnet-26', 6.6, 6.5, 6.7)
    write(tmp_path, 'dfn-mr-14', 6.4, 6.5, 90.0)
    write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 14, '--seed', 4], [50.0], status='not finite')
    finding = examine(ORDER, str(tmp_path))
    assert finding.verdict == CONSISTENT
    assert 'cifar10/dfn-mr-14 6.45 ± 0.05 (2), fail (2) < cifar10/resnet-26 6.60 ± 0.08 (3)' in finding.seen
    growth = examine('grows cifar10/resnet-{26,38} - cifar10/dfn-mr-{14,20}', str(tmp_path))
    assert growth.seen.startswith('0.15 (cifar10/resnet-26 - cifar10/dfn-mr-14)')


def test_what_all_seeds_fail_has_no_growth(tmp_path):
    check = 'grows cifar10/plain-{26,110} - cifar10/resnet-{26,110}'
    for name, error in (('plain-26', 7.9), ('resnet-26', 6.6), ('plain-110', 90.0), ('resnet-110', 5.2)):
        write(tmp_path, name, error)
    finding = examine(check, str(tmp_path))
    assert finding.verdict == NOT_TESTED and 'inf' not in finding.seen


def test_a_schedule_that_ends_before_the_epochs_of_a_claim_does_not_count(tmp_path):
    for name, error in (('dfn-mr-14', 60.0), ('resnet-26', 70.0)):
        write(tmp_path, name, error, words=['--epochs', 8])
    check = 'errors cifar10/dfn-mr-14:test_error@{0} < cifar10/resnet-26:test_error@{0}'
    assert verdict(check.format('30-55'), tmp_path) == NOT_TESTED
    finding = examine(check.format('all'), str(tmp_path))  # seven epochs of 99 % and the last one
    assert finding.verdict == CONSISTENT and '94.12 (1) < cifar10/resnet-26:test_error@all 95.38 (1)' in finding.seen


def test_a_difference_that_grows_is_looked_for_in_the_longest_runs(tmp_path):
    check = 'grows cifar10/resnet-{26,38} - cifar10/dfn-mr-{14,20}'
    for epochs, devices, last in ((8, 2, 17.0), (300, 1, 5.0)):
        words = ['--epochs', epochs]
        for name, error in (('resnet-26', 16.0), ('dfn-mr-14', 15.0), ('resnet-38', 18.0), ('dfn-mr-20', last)):
            write(tmp_path, name, error, words=words + (['--gpus', 0] if devices == 1 else []), devices=devices)
    assert '13.00 (cifar10/resnet-38' in examine(check, str(tmp_path)).seen


def test_the_command_of_runs_has_the_options_that_differ(tmp_path):
    for name in ('dfn-mr-14', 'resnet-26'):
        write(tmp_path, name, 6.5, words=['--bn-momentum', '0.99', '--pad-value', 'mean'])
    command, _ = examine(ORDER, str(tmp_path)).runs
    words = command.partition(' (')[0].split()
    args = options.read(train_cifar.parser(), words[2:])
    assert (args.bn_momentum, args.pad_value, args.epochs) == (0.99, 'mean', 400)


def test_without_a_known_spread_single_runs_confirm_nothing(tmp_path):
    write(tmp_path, 'dfn-mr-14', 6.5, train_loss=[1.0])
    write(tmp_path, 'resnet-26', 6.5, train_loss=[2.0])
    assert verdict('errors cifar10/dfn-mr-14:train_loss < cifar10/resnet-26:train_loss', tmp_path) == CONSISTENT
    assert verdict('errors cifar10/resnet-26:train_loss < cifar10/dfn-mr-14:train_loss', tmp_path) == NOT_SEEN


def test_around_a_check(tmp_path):
    write(tmp_path, 'dfn-mr-14', 6.5)
    write(tmp_path, 'resnet-26', 9.9)
    other_way = 'errors cifar10/resnet-26 < cifar10/dfn-mr-14'
    assert verdict(f'near {other_way}', tmp_path) == NOT_SEEN
    assert verdict('near printed cifar10/dfn-mr-14', tmp_path) == CONSISTENT
    assert verdict(f'errors cifar10/dfn-mr-20 < 6 else near {other_way}', tmp_path) == NOT_SEEN
    assert verdict(f'{other_way} else none', tmp_path) == CONTRADICTED
    assert verdict('none', tmp_path) == verdict('inferred size imagenet/dfn2-50 = 512', tmp_path) == NOT_TESTED


def test_imagenets_appendix_is_found(tmp_path):
    for net, error in (('resnet', 24.7), ('dfn1', 25.0)):
        write_run(
            tmp_path, ['--net', net, '--depth', 50, '--schedule', 'appendix'], [error], devices=4, script=train_imagenet
        )
    assert verdict('errors imagenet/{resnet,dfn1}-50/schedule=appendix < 25.5', tmp_path) == CONFIRMED
    assert verdict('printed imagenet/{resnet,dfn1}-50/schedule=appendix', tmp_path) == CONSISTENT


@pytest.mark.parametrize(
    'check, expected',
    [
        ('size cifar10/dfn-f3-14 = 8', CONFIRMED),
        ('size cifar10/dfn-f3-{14,20} = {8,9}', CONTRADICTED),
        ('size cifar10/resnet-26 = 2^12', CONFIRMED),
        ('parameters cifar10/dfn-mr-14 <= 0.3M', CONTRADICTED),
        ('depth cifar10/dfn-mr-14 < cifar10/resnet-26', CONFIRMED),
        ('layers cifar10/dfn-mr-14 = 26', CONFIRMED),  # C, 12 branches of two, FC
        ('mean-depth cifar10/resnet-14 = 9', CONFIRMED),  # C, 6 units of 0 or 2 (two projections), FC
        ('components cifar10/dfn-f6-14 >= cifar10/dfn-f3-14', CONFIRMED),
        ('components cifar10/dfn-f3-14 >= cifar10/dfn-f6-14', CONTRADICTED),
        ('scores cifar10/tandem-8 = cifar10/dfn-f3-8', CONFIRMED),
        ('scores cifar10/dfn-f3-8 = cifar10/resnet-8', CONTRADICTED),
    ],
)
def test_claims_that_are_computed(check, expected):
    assert verdict(check, '') == expected


@pytest.mark.parametrize('seed', range(5))
def test_chance_is_welchs_test(seed):
    """Two samples differ by more than chance exactly if the test finds them different at 5 %."""
    random = np.random.RandomState(seed)
    a, b = random.normal(0, 1, 3), random.normal(0, 3, 5)
    limit = chance([(np.var(values, ddof=1) / len(values), len(values) - 1) for values in (a, b)])
    for factor, found in ((1.001, True), (0.999, False)):
        moved = b - b.mean() + a.mean() + factor * limit
        assert (stats.ttest_ind(a, moved, equal_var=False).pvalue < 0.05) == found


def test_a_single_run_has_the_papers_variance_or_that_of_its_test_images():
    assert variance_in_paper(subject('cifar10/dfn-mr-14'), 7) == (pytest.approx(0.04**2 * 5 / 4), 4)
    assert variance_in_paper(subject('svhn/dfn-f3-14'), 7) == (pytest.approx(7 * 93 / 26032), math.inf)
    assert math.isnan(variance_in_paper(subject('cifar10/dfn-mr-14:train_loss'), 7)[0])


def test_braces_stand_for_several_names():
    assert expand('{a,b}-{1,2}') == ['a-1', 'a-2', 'b-1', 'b-2']
    assert pairs_of('a{1,2} < b{3,4} < 5') == [
        ('a1', '<', 'b3'),
        ('b3', '<', '5'),
        ('a2', '<', 'b4'),
        ('b4', '<', '5'),
    ]
    with pytest.raises(ValueError, match='lists of different lengths'):
        pairs_of('a{1,2} < b{3,4,5}')
    with pytest.raises(ValueError, match='is no name'):
        subject('cifar10/dfn-mr')


def test_every_line_has_a_check_that_exists(entries):
    lines = claims.claims()
    assert len({line.id for line in lines}) == len(lines) == len(entries) > 60
    for line in lines:
        for check in line.check.split(' else '):
            words = check.split()
            assert words[0] in claims.CHECKS and all(line), line.id
            if words[0] in ('near', 'inferred'):
                assert words[1] in claims.CHECKS, line.id


def test_the_limits_of_others_are_those_of_the_papers_tables():
    """The plain numbers that errors are compared with."""
    printed = {cell.value for number in (5, 6) for cell in paper.cells(number)}
    numbers = {
        float(name)
        for line in claims.claims()
        if line.check.startswith('errors ')
        for word in line.check.split()
        for name in expand(word)
        if re.fullmatch(r'[\d.]+', name)
    }
    assert {3.74, 1.59, 7.10} <= numbers <= printed


def test_what_is_computed_from_the_networks(entries):
    verdicts = {line.id: finding.verdict for line, finding in entries}
    computed = {line.id for line in claims.claims() if line.check.split()[0] in (*STRUCTURE, 'scores', 'computed')}
    assert {'tandem', 'sizes', 'same-size', 'table1-depths', 'less-deep'} <= computed
    not_so = {'table4-parameters', 'table5-parameters', 'same-parameters', 'same-size-routes', 'three-paths-routes'}
    assert {name for name in computed if verdicts[name] != CONFIRMED} == not_so
    assert all(verdicts[name] == CONTRADICTED for name in not_so)
    assert {verdicts[line.id] for line in claims.claims() if line.check.startswith('inferred')} == {NOT_TESTED}
    assert {verdicts[line.id] for line in claims.claims() if line.check.startswith('necessary')} == {CONSISTENT}
    seen = {line.id: finding.seen for line, finding in entries}
    # by hand: 2 routes to each stream after the first unit, 3 times as many after each other one, 4 times in the last
    assert 'cifar10/dfn-mr-14 648 = cifar10/resnet-26 4,096' in seen['same-size-routes']
    assert '26/14 Params.: 0.35M to 0.37M for 0.4M' in seen['table4-parameters']
    assert '24.15M for 24.8M' in seen['table5-parameters']


def test_the_committed_runs_of_eight_epochs(entries, committed):
    findings = {line.id: finding for line, finding in entries}
    mean = {}
    for name in ('dfn-mr-14', 'resnet-26'):
        runs = [os.path.join(ROOT, 'logs', 'cifar10', name, f'epochs8-seed{seed}') for seed in (1, 2)]
        mean[name] = np.mean([float(last_row(run)['test_error']) for run in runs])
    assert mean['dfn-mr-14'] < mean['resnet-26']
    short = examine(ORDER, str(committed / 'logs'))
    if not any('as in the paper' in run for run in short.runs):
        assert short.verdict == CONSISTENT
        assert all(f'{name} {value:.2f} ± ' in short.seen for name, value in mean.items())
    assert findings['best-errors'].verdict == findings['imagenet'].verdict == NOT_TESTED
    assert findings['overall'].seen.startswith('not the networks of the claim: cifar10/component-14:together 17.71')
    assert 'path*-epochs8-seed1' in ''.join(findings['overall'].runs)


def test_a_chain_passes_over_names_without_runs(tmp_path):
    chain = 'errors cifar10/resnet-{} < cifar10/resnet-{} < cifar10/resnet-{}'
    for depth, error in ((110, 7.0), (26, 6.6)):
        write(tmp_path, f'resnet-{depth}', error)
    found = examine(chain.format(110, 50, 26), str(tmp_path))
    assert found.seen.startswith('cifar10/resnet-110 7.00 (1) ≥ cifar10/resnet-26 6.60 (1)')
    assert found.verdict == NOT_SEEN and '1 of 2 without runs' in found.seen
    assert verdict(chain.format(26, 50, 110), tmp_path) == CONSISTENT
    assert verdict(chain.format(38, 50, 26), tmp_path) == NOT_TESTED


def test_a_short_runs_chance_is_not_that_of_the_papers_schedule(tmp_path):
    """The paper's ± 0.04 and ± 0.24 are of 400 epochs; two draws of 10,000 images differ by up to 1.0 at 15 %."""
    for name, error in (('dfn-mr-14', 15.0), ('resnet-26', 15.9)):
        write(tmp_path, name, error, words=['--epochs', 8])
    found = examine(ORDER, str(tmp_path))
    assert found.verdict == CONSISTENT and found.seen.endswith('(within chance)')


def test_docs_results_has_what_the_command_prints(entries):
    """Update the table with: python -m paper claims --format markdown."""
    page = Path(ROOT, 'docs', 'results.md').read_text(encoding='utf-8')
    assert f'\n{command.as_markdown(entries)}\n' in page + '\n'


def test_the_report_has_a_row_for_each_claim_and_links_to_runs(entries, committed, monkeypatch):
    monkeypatch.setattr(claims, 'ledger', lambda log_dir: entries)
    monkeypatch.setattr(paper, 'TABLES', ())
    monkeypatch.setattr(report, 'FIGURES', ())
    monkeypatch.setattr(report, '_drawing', lambda figure, description: report.Drawing('', description))
    monkeypatch.setattr(report.curves, 'draw', lambda groups: None)
    monkeypatch.chdir(committed)
    page = report.page('logs')
    section = page[page.index('<h2 id="claims">') : page.index('<h2 id="runs">')]
    links = set(re.findall('href="#(run-[^"]*)"', section))
    assert section.count('<tr>') == len(entries) + 1 and claims.summary(entries) in section
    assert links and links <= set(re.findall('<details id="([^"]*)"', page))


def test_the_command(monkeypatch, entries):
    monkeypatch.setattr(command, 'ledger', lambda log_dir: entries)
    monkeypatch.chdir(ROOT)
    _, text, _ = in_process(command.main, 'paper', 'claims', check=0)
    assert text.splitlines()[-1] == claims.summary(entries) and 'verdict   CONTRADICTED' in text
    _, markdown, _ = in_process(command.main, 'paper', 'claims', '--format', 'markdown', check=0)
    rows = list(csv.reader(markdown.splitlines()[4:], delimiter='|', quoting=csv.QUOTE_NONE))
    assert len(rows) == len(entries) and {len(row) for row in rows} == {len(claims.HEADS) + 2}


@pytest.mark.parametrize(
    'words, expected',
    [(['claims', '--log-dir', 'nowhere'], 'there is no such folder'), ([], 'claims'), (['x'], "invalid choice: 'x'")],
)
def test_mistakes_are_one_line(mistake, words, expected):
    assert expected in mistake(command.main, 'paper', *words)
