"""plot.py: curves of runs, networks, bars and depths."""

import os
from pathlib import Path
import resource
import shutil
from types import SimpleNamespace
from xml.dom import minidom

import cv2
from matplotlib.figure import Figure
import numpy as np
import pytest

from common.errors import UserError
from paper import cards, figures
from paper.experiments import Experiment
from paper.figures import bars, captions, curves, depths
from paper.figures.network import items
import plot
import symbols
from symbols.analysis.paths import COUNTS
from tests.conftest import in_process, write_run
from tests.runs import read_json, rewrite

DIGITS = ['--dataset', 'digits', '--net', 'plain', '--depth', 8, '--epochs', 3]


def draw(*words):
    """(path of the PNG, text of the SVG, standard error) of plot.py."""
    _, out, err = in_process(plot.main, 'plot.py', *words, check=0)
    png, svg = out.split()
    with open(svg, encoding='utf-8') as file:
        return png, file.read(), err


@pytest.fixture
def seeds(tmp_path):
    """The folder of two seeds of a plain network on the digits."""
    for seed, losses, errors in ((1, [2.3, 1.2, 0.9], [80.0, 30.0, 20.0]), (2, [2.2, 1.3, 1.1], [70.0, 40.0, 10.0])):
        write_run(tmp_path / 'logs', [*DIGITS, '--seed', seed], errors, train_loss=losses)
    return tmp_path / 'logs' / 'digits' / 'plain-8'


# Curves


def test_curves_are_drawn_for_runs_and_directories_of_seeds(seeds, tmp_path):
    png, svg, _ = draw('curves', seeds, '--out', tmp_path / 'new' / 'curves')
    assert cv2.imread(png).std() > 10
    assert all(words in svg for words in ('training loss', 'test error (%)', 'Plain 8 on digits (epochs3), 2 runs'))


def test_errors_that_the_paper_calls_fail_are_not_averaged(tmp_path):
    for seed, error in ((1, 7.9), (2, 90.0)):
        write_run(tmp_path, ['--net', 'plain', '--depth', 26, '--seed', seed], errors=[error])
    figure = curves.draw(curves.group([str(tmp_path)]))
    (text,) = (text.get_text() for text in figure.legends[0].get_texts())
    assert text == 'Plain 26 on cifar10, 2 runs: 7.90 (1), fail (1), shade: range'


def test_the_curve_is_the_mean_that_its_legend_has(tmp_path):
    for seed, errors in ((1, [40.0, 10.0]), (2, [90.0, 80.0]), (3, [60.0, 12.0])):
        write_run(tmp_path, ['--net', 'plain', '--depth', 26, '--epochs', 2, '--seed', seed], errors)
    figure = curves.draw(curves.group([str(tmp_path)]))
    assert '11.00 ± 1.00 (2), fail (1)' in figure.legends[0].get_texts()[0].get_text()
    failed, mean = figure.axes[1].get_lines()
    assert failed.get_ydata().tolist() == [90, 80] and mean.get_ydata().tolist() == [50, 11]
    assert failed.get_linewidth() < mean.get_linewidth()


def begun(run):
    """Make a finished run one that is not."""
    rewrite(run, 'config.json', {**read_json(run), 'outcome': None})


def test_a_curve_is_the_mean_of_its_seeds_and_none_is_lost(seeds, tmp_path):
    copy = tmp_path / 'plain-8'
    shutil.copytree(seeds, copy)
    path = copy / 'epochs3-seed2' / 'metrics.csv'
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[:3]))
    begun(path.parent)
    groups = curves.group([str(seeds), str(copy)])  # the same titles twice
    assert [len(rows) for _, rows in groups] == [2, 2]
    expected = {'train_loss': [[2.3, 1.2, 0.9], [2.2, 1.3, 1.1]], 'test_error': [[80, 30, 20], [70, 40, 10]]}
    for axis, column in zip(curves.draw(groups).axes, expected):
        mean, one, two = axis.get_lines()
        assert mean.get_xdata().tolist() == one.get_xdata().tolist() == [1, 2, 3] and two.get_xdata().tolist() == [1, 2]
        np.testing.assert_allclose(mean.get_ydata(), np.mean(expected[column], axis=0))
        np.testing.assert_allclose(one.get_ydata(), expected[column][0])
        np.testing.assert_allclose(two.get_ydata(), expected[column][1][:2])


def test_a_curve_says_how_far_an_unfinished_run_is_and_what_is_left_out(seeds, capsys):
    for name in ('epochs3-seed1', 'epochs3-seed2'):
        begun(seeds / name)
    os.remove(seeds / 'epochs3-seed2' / 'metrics.csv')
    ((title, _),) = curves.group([str(seeds)])
    assert title == 'Plain 8 on digits (epochs3), 3 of 3 epochs'
    assert capsys.readouterr().err == f'note: {seeds}/epochs3-seed2 has no metrics of an epoch, and is left out\n'


def test_runs_without_an_epoch_have_no_curve(mistake, seeds, tmp_path):
    os.remove(seeds / 'epochs3-seed2' / 'metrics.csv')
    assert 'metrics.csv is damaged' in mistake(plot.main, 'plot.py', 'curves', seeds, '--out', tmp_path / 'c')
    begun(seeds / 'epochs3-seed2')
    _, svg, _ = draw('curves', seeds, '--out', tmp_path / 'c')
    assert 'Plain 8 on digits (epochs3): 20.00 %' in svg
    os.remove(seeds / 'epochs3-seed1' / 'metrics.csv')
    begun(seeds / 'epochs3-seed1')
    assert 'has finished an epoch yet' in mistake(plot.main, 'plot.py', 'curves', seeds, '--out', tmp_path / 'c')


# Networks


def test_networks_for_imagenet_are_drawn_with_a_box_for_each_bottleneck(mistake, tmp_path):
    words = ('network', '--net', 'resnet', 'dfn-mr', '--depth', 50, 44)
    _, svg, _ = draw(*words, '--dataset', 'imagenet', '--out', tmp_path / 'n')
    assert svg.count('<!-- B, 1024 -->') == 5 + 2 * 7 and svg.count('<!-- B, 1024, /2 -->') == 1 + 2
    assert 'there is no resnet 26' in mistake(
        plot.main, 'plot.py', 'network', '--net', 'resnet', '--depth', 26, '--dataset', 'imagenet'
    )
    assert 'add --dataset imagenet' in mistake(plot.main, 'plot.py', 'network', '--net', 'dfn1', '--depth', 50)


def test_networks_are_drawn_side_by_side(mistake, tmp_path):
    png, svg, _ = draw('network', '--net', 'resnet', 'dfn-mr', '--depth', 26, 14, '--out', tmp_path / 'n')
    assert os.path.getsize(png) > 10000 and 'ResNet 26' in svg and 'DFN-MR 14' in svg
    assert 'give one --depth' in mistake(
        plot.main, 'plot.py', 'network', '--net', 'resnet', 'dfn-mr', '--depth', 8, 14, 20
    )
    assert 'give a name without ending' in mistake(
        plot.main, 'plot.py', 'network', '--net', 'plain', '--depth', 8, '--out', 'x/'
    )


@pytest.mark.parametrize(
    'net, boxes, circles, trapezoids',
    [
        ('plain', 14, 0, 2),
        ('resnet', 14, 6, 2),
        ('dfn-il', 26, 6, 4),
        ('dfn-il-noid', 26, 6, 4),
        # one circle a unit merges the two streams; two more end it, and the last unit has one
        ('dfn-mr', 26, 6 + 2 * 5 + 1, 4),
        ('dfn-f3', 17, 3, 4),
        ('dfn-f6', 17, 6, 4),
    ],
)
def test_a_picture_has_a_box_for_each_layer(net, boxes, circles, trapezoids):
    """Depth 14, n = 2: layers counted by hand from the definition; projections are lines."""
    graph = items(symbols.get_symbol(net, 14))
    assert sum(bool(item.label) for item in graph) == boxes
    assert sum(not item.label for item in graph) == circles
    assert sum(item.stride == 2 for item in graph) == trapezoids
    dashed = sum(projection for item in graph for _, projection in item.sources)
    assert dashed == {'resnet': 2, 'dfn-il': 2, 'dfn-mr': 4}.get(net, 0)


def test_figure_1_has_a_column_for_each_component(tmp_path):
    """Depth 14: layers counted by hand from the definition."""
    tandem, ensemble = (items(symbols.get_symbol(net, 14)) for net in ('tandem', 'ensemble'))
    assert sum(bool(item.label) for item in tandem) == 1 + 3 * (4 + 4 * 4) + 8
    assert [(len(item.sources), item.factor) for item in tandem if not item.label] == [(8, '¼')] * 3 + [(8, '⅛')]
    assert sum(bool(item.label) for item in ensemble) == 1 + (1 + 2 + 4) * (1 + 4) + 8
    for graph in (tandem, ensemble):
        places = [(item.column, item.row) for item in graph]
        assert len(set(places)) == len(places)  # nothing lies on anything else
        assert sorted(item.column for item in graph if item.label.endswith(': FC')) == [
            column - 3.5 for column in range(8)
        ]
    draw('network', '--net', 'dfn-f3', 'tandem', 'ensemble', '--depth', 14, '--out', tmp_path / 'n')


# Bars


def test_figure_12_says_how_far_a_run_is_and_whose_schedule_it_has(tmp_path):
    write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 14], [30.0, 20.0], status=None)
    write_run(tmp_path, ['--net', 'resnet', '--depth', 26, '--epochs', 2], [40.0, 30.0])
    for epochs, label, told in (
        (None, 'DFN-MR 14: 20.00 (1) %, stopped after 2 of 400 epochs', False),
        (2, 'ResNet 26: 30.00 (1) %', True),
    ):
        figure, _, caption = curves.draw_papers(12, str(tmp_path), epochs)
        assert label in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert ('Schedules of 2 epochs (the paper: 400).' in caption) == told


def test_a_bar_is_the_mean_of_the_finished_runs_of_its_own_configuration(tmp_path):
    def write(depth, *words, **options):
        write_run(tmp_path, ['--net', 'ensemble', '--depth', depth, *words], **options)

    for seed, error in ((1, 7.0), (2, 9.0)):
        write(26, '--seed', seed, errors=[99, error], test_error_without_RRR=[99, error + 1])
    write(26, '--seed', 3, errors=[50], status=None, test_error_without_RRR=[50])
    write(26, '--components', '7', errors=[6.5])
    write(26, '--epochs', 8, errors=[20], devices=1, test_error_without_RRR=[21])
    write(26, '--lr', 0.2, errors=[30], test_error_without_RRR=[31])
    write(38, errors=[60], test_error_without_RRR=[12])
    figure, missing, caption = bars.draw(5, str(tmp_path), depths=[26, 38])
    axis = figure.axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == ['8.00', 'fail', '6.50', 'no run', '9.00', '12.00']
    assert missing == ['Ensemble-7 38']
    heights = sorted(bar.get_height() for bar in axis.patches if bar.get_height())
    assert heights == [6.5, 8.0, 9.0, 12.0]
    assert 'the last of 400 epochs on cifar10;' in caption and 'ensemble-26/seed1,seed2' in caption
    assert 'lr0.2' not in caption and 'seed3' not in caption
    figure, _, caption = bars.draw(5, str(tmp_path), 8, [26])
    assert [text.get_text() for text in figure.axes[0].texts] == ['20.00', 'no run', '21.00']
    assert 'the last of 8 epochs on cifar10 (the paper: 400)' in caption and '(1 device instead of 2)' in caption
    write(50, errors=[7], status='not finite', test_error_without_RRR=[7])
    texts = [text.get_text() for text in bars.draw(5, str(tmp_path), depths=[50])[0].axes[0].texts]
    assert texts == ['fail', 'no run', 'fail']
    write(62, errors=[7])
    with pytest.raises(UserError, match='metrics.csv has no column test_error_without_RRR'):
        bars.draw(5, str(tmp_path), depths=[62])


@pytest.mark.parametrize('number, bars_', [(2, 30), (4, 27), (5, 21)])
def test_figures_without_logs_are_empty_and_say_so(tmp_path, number, bars_):
    png, svg, err = draw('figure', number, '--log-dir', tmp_path, '--out', tmp_path / 'f')
    assert os.path.getsize(png) > 5000 and 'No run yet.' in svg
    assert svg.count('>no run<') + svg.count('<!-- no run -->') == bars_
    assert 'no run of the paper' in err and err.count(',') == bars_ - 1


# Depths


def test_depths_are_drawn_in_figure_11s_form(mistake, tmp_path):
    _, svg, _ = draw(
        'depths', '--net', 'resnet', 'dfn1', 'dfn2', '--depth', 50, '--dataset', 'imagenet', '--out', tmp_path / 'f'
    )
    assert all(text in svg for text in ('ResNet-50: 28.0 ± 5.6', 'DFN1: 34.0 ± 4.0', 'DFN2: 28.0 ± 7.5'))
    _, svg, _ = draw(
        'depths',
        '--net',
        'dfn-mr',
        'component',
        '--depth',
        14,
        '--path',
        'RLR',
        '--count',
        'routes',
        '--out',
        tmp_path / 'g',
    )
    assert all(text in svg for text in ('DFN-MR 14: 8.0 ± 2.1', 'Component 14 (RLR): 11.0 ± 0.0', 'ways through the'))
    for words, expected in (
        (['--net', 'plain', '--depth', 14, '--path', 'RLR'], '--path is for --net component'),
        (['--net', 'dfn1', '--depth', 101, '--dataset', 'imagenet'], 'there is no dfn1 101'),
    ):
        assert expected in mistake(plot.main, 'plot.py', 'depths', *words)


def test_a_run_that_began_with_other_weights_is_no_curve_of_the_papers(tmp_path):
    """Whatever the name of the run that they are from."""
    write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 14, '--init-from', 'logs/stopped after/device'], [6.0])
    assert curves.find(Experiment('cifar10', 'dfn-mr', 14), str(tmp_path)) is None
    write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 14, '--seed', 2], [6.0], devices=1)
    assert curves.find(Experiment('cifar10', 'dfn-mr', 14), str(tmp_path)).last == [6.0]


def test_a_picture_that_cannot_be_written_leaves_the_one_before(tmp_path):
    figure = Figure()
    figure.subplots().plot(np.random.default_rng(0).random(3000))
    before = [Path(path).read_bytes() for path in figures.save(figure, str(tmp_path / 'a'))]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match='File too large.*a.png'):
            figures.save(figure, str(tmp_path / 'a.png'))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


def test_a_curve_of_depths_is_the_share_of_the_components():
    figure = depths.draw([('N_f3 14', [0] * 5 + [1, 0, 0, 3, 0, 0, 3, 0, 0, 1])], COUNTS['nominal'])
    (line,) = figure.axes[0].get_lines()
    assert line.get_xdata().tolist() == [5, 8, 11, 14] and line.get_ydata().tolist() == [12.5, 37.5, 37.5, 12.5]
    assert line.get_label() == 'N_f3 14: 9.5 ± 2.6'


@pytest.mark.parametrize('name', ['a$b_c^{$x-100%', 'bad\udcff', 'two\nlines\x1b[31m', '漢字'])
def test_any_name_of_a_folder_can_be_drawn_and_written(seeds, tmp_path, capfd, name):
    """A dollar starts a formula in matplotlib, the font lacks characters, and no file takes undecodable bytes."""
    run = shutil.copytree(curves.find_runs([str(seeds)])[0], tmp_path / 'logs' / name)
    in_process(plot.main, 'plot.py', 'curves', run, '--out', tmp_path / 'curves', check=0)
    minidom.parse(str(tmp_path / 'curves.svg'))
    captions.add_caption(figure := Figure(), captions.describe([SimpleNamespace(runs=[str(run)], differences=())]))
    figure.savefig(tmp_path / 'caption.png')
    cards.write(str(tmp_path / 'logs'))
    assert (run / 'README.md').is_file()
    assert capfd.readouterr().err == ''
