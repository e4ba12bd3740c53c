"""The paper's figures: what is drawn, and that captions name the runs."""

import os

import pytest

from paper import experiments
from paper.experiments import Experiment
from paper.figures import curves, network, numbered, save
import plot
from symbols import imagenet
from tests.conftest import write_run


def caption(figure):
    """The text of a figure's caption, on one line."""
    return figure.texts[-1].get_text().replace('\n', ' ')


@pytest.mark.parametrize('number', experiments.FIGURES)
def test_every_figure_is_drawn_with_a_caption(number, tmp_path):
    figure, missing = numbered.draw(number, str(tmp_path))
    assert caption(figure).startswith(f'Figure {number}. ')
    assert ('No run yet.' in caption(figure)) == (number in numbered.FROM_LOGS) == bool(missing)
    png, svg = save(figure, str(tmp_path / 'f'))
    assert os.path.getsize(png) > 5000 and os.path.getsize(svg) > 5000


def test_curves_of_figure_12_are_the_mean_of_the_runs_as_in_the_paper(tmp_path):
    for seed, errors in ((1, [40.0, 20.0]), (2, [50.0, 10.0])):
        write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 56, '--seed', seed], errors=errors)
    write_run(tmp_path, ['--net', 'dfn-mr', '--depth', 56, '--epochs', 8, '--seed', 1], errors=[99.0] * 8)
    figure, missing = numbered.draw(12, str(tmp_path))
    assert len(missing) == 3 * 8 * 2 - 1
    assert 'ResNet 110 on cifar10' in missing and 'DFN-MR 56 on cifar10' not in missing
    loss, error = figure.axes  # a row for the one pair that has a run
    assert error.get_title() == 'CIFAR-10, 110/56'
    (line,) = error.get_lines()
    assert line.get_ydata().tolist()[-3:] == [99.0, 45.0, 15.0] and error.get_xlim() == (0, 400)
    assert 'DFN-MR 56: 15.00 ± 5.00 (2) %' in [text.get_text() for text in loss.get_legend().get_texts()]
    assert 'dfn-mr-56/seed1,seed2.' in caption(figure).replace(' ', '')


def test_of_runs_under_way_the_longest_is_drawn(tmp_path):
    """In the order of texts, 19 comes before 2 and 200."""
    for seed, done in ((1, 19), (2, 200), (3, 2)):
        write_run(tmp_path, ['--net', 'resnet', '--depth', 26, '--seed', seed], [30.0] * done, status=None)
    found = curves.find(Experiment('cifar10', 'resnet', 26), str(tmp_path))
    assert [os.path.basename(run) for run in found.runs] == ['seed2']
    write_run(tmp_path, ['--net', 'resnet', '--depth', 26, '--seed', 4], [7.0], devices=1)
    assert curves.find(Experiment('cifar10', 'resnet', 26), str(tmp_path)).last == [7.0]


def test_figure_6_shows_the_three_units():
    graphs = {title[:3]: network.items(symbol) for title, symbol in numbered.fusion_units()}
    boxes = {title: sum(bool(item.label) for item in graph) for title, graph in graphs.items()}
    sums = {title: [len(item.sources) for item in graph if not item.label] for title, graph in graphs.items()}
    assert boxes == {'(a)': 1 + 4, '(b)': 2 + 4, '(c)': 1 + 4}  # inputs and layers
    assert sums == {'(a)': [3], '(b)': [2, 2, 2], '(c)': [2, 2]}


@pytest.mark.parametrize('net, depth, blocks, halved', [('resnet', 101, 33, 3), ('dfn-mr', 44, 28, 6)])
def test_figure_9_has_a_box_for_each_block(net, depth, blocks, halved):
    graph = network.items(imagenet.get_symbol(net, depth), blocks=True)
    boxes = [item for item in graph if item.label.startswith('B,')]
    assert len(boxes) == blocks and sum(item.stride == 2 for item in boxes) == halved


@pytest.mark.parametrize(
    'words, expected',
    [
        ([8, '--depth', 14], '--depth and --dataset are for Figures 2, 4 and 5'),
        ([7, '--epochs', 8], '--epochs is for'),
        ([2, '--depth', 15], 'depth 15 is not 6n + 2'),
        ([2, '--log-dir', 'nowhere'], 'there is no such folder'),
    ],
)
def test_mistakes_are_one_line(mistake, words, expected):
    assert expected in mistake(plot.main, 'plot.py', 'figure', *words)
