"""Runs of the tests' own making, and what several files here need."""

import csv
import functools
import html.parser
import os
import shutil

import matplotlib.pyplot as plt
import pytest

from paper import results
from tests.conftest import write_run


@pytest.fixture(scope='session', autouse=True)
def _count_each_network_once():
    """Parameters and depth of a network are counted once for all tests."""
    counted = results.computed
    results.computed = functools.cache(counted)
    yield
    results.computed = counted


@pytest.fixture(autouse=True)
def _close_figures():
    """pyplot keeps what a test draws."""
    yield
    plt.close('all')


def write_dfn_mr(log_dir, *words, **options):
    """A run of DFN-MR 14 on CIFAR-10."""
    return write_run(log_dir, ['--net', 'dfn-mr', '--depth', 14, *words], **options)


def write_logs(log_dir):
    """DFN-MR 14: three runs as the paper's, and one of each kind that is not."""
    for seed, errors in ((1, [50.0, 6.0, 6.4]), (2, [50.0, 6.6, 6.6]), (3, [50.0, 6.1, 6.5])):
        write_dfn_mr(log_dir, '--seed', seed, errors=errors)
    write_dfn_mr(log_dir, '--seed', 4, errors=[50.0, 30.0], status=None)
    write_dfn_mr(log_dir, '--seed', 5, errors=[51.0, 31.0], status=None)
    write_dfn_mr(log_dir, '--seed', 6, errors=[7.0], devices=1)
    write_dfn_mr(log_dir, '--seed', 7, errors=[8.0], verified=False)
    write_dfn_mr(log_dir, '--epochs', 8, errors=[20.0] * 7 + [15.0], devices=1)
    write_dfn_mr(log_dir, '--pad-value', 'mean', errors=[5.0])
    write_dfn_mr(log_dir, '--seed', 8, errors=[], status=None)  # begun
    write_dfn_mr(log_dir, '--cpus', 2, errors=[9.0])  # seed 1 again
    write_dfn_mr(log_dir, '--seed', 9, errors=[5.0], status=None)
    for scale in (8, 64):
        write_dfn_mr(log_dir, '--dtype', 'float16', '--loss-scale', scale, errors=[4.0])
    place = log_dir / 'cifar10' / 'dfn-mr-14'
    (place / '.DS_Store').write_text('')
    (place / 'seed77').mkdir()
    shutil.copytree(place / 'seed1', place / 'seed1-backup')
    (log_dir / 'cifar10' / 'dfn-mr-56').mkdir()
    return str(log_dir)


@pytest.fixture
def logs(tmp_path):
    """A log directory with the runs of write_logs."""
    return write_logs(tmp_path)


def last_row(run_dir):
    """The last row of a run's metrics.csv, as text."""
    with open(os.path.join(run_dir, 'metrics.csv'), newline='') as file:
        return list(csv.DictReader(file))[-1]


class Cells(html.parser.HTMLParser):
    """The texts of the cells of the tables in a page, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows, self._open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == 'tr':
            self.rows.append([])
        self._open = self._open or tag in ('td', 'th')
        if tag in ('td', 'th'):
            self.rows[-1].append('')

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ('td', 'th')

    def handle_data(self, text):
        if self._open:
            self.rows[-1][-1] += text
