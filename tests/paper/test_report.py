"""The report: its page as HTML, and in a browser where there is one."""

import html
import json
import os
import re
import shutil
import subprocess

from matplotlib import pyplot as plt
import pytest

from paper import report
from paper.figures import numbered
from tests.conftest import write_run
from tests.paper.conftest import Cells, write_logs

DRAWN = (2, 6, 11, 12)  # a figure of each kind; test_figures.py draws them all


@pytest.fixture(scope='module', autouse=True)
def _few_drawings():
    """An empty figure in the place of those that are not in DRAWN, and of all where there is no run."""
    draw = numbered.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            numbered,
            'draw',
            lambda number, log_dir: (
                draw(number, log_dir) if number in DRAWN and os.listdir(log_dir) else (_empty(), [])
            ),
        )
        yield


def _empty():
    figure = plt.figure(figsize=(1, 1))
    figure.text(0, 0, 'caption')
    return figure


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """The page for the runs of write_logs."""
    return report.page(write_logs(tmp_path_factory.mktemp('logs')))


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.search(r'(src|href)="(?!data:|#|https://arxiv)', page)


def test_every_table_and_figure_is_in_it_and_can_be_reached(page):
    tables, figures = [f'table{number}' for number in range(1, 8)], [f'figure{number}' for number in range(1, 13)]
    for name in (*tables, *figures, 'runs'):
        assert page.count(f'id="{name}"') == page.count(f'href="#{name}"') == 1
    rows = Cells(page[page.index('id="table6"') :]).rows
    assert ['Top-5 validation error', '7.10', '', '8.50', '', '6.81', ''] in rows[:6]


def test_without_runs_it_is_a_page_too(tmp_path):
    assert '0 runs' in report.page(str(tmp_path))


def test_what_a_run_says_is_shown_as_text(tmp_path):
    hostile = '<i>resnet</i>'
    place = write_run(tmp_path, ['--net', 'resnet', '--depth', 26], [6.5])
    config = json.loads(open(os.path.join(place, 'config.json')).read())
    config['command'] = f'python {hostile}'
    os.rename(place, f'{place}-<i>')
    with open(os.path.join(f'{place}-<i>', 'config.json'), 'w') as file:
        json.dump(config, file)
    page = report.page(str(tmp_path))
    assert html.escape(hostile) in page and 'seed1-&lt;i&gt;' in page and '<i>' not in page


# Run in the page after it: sorts, opens a run, and tells what a reader would then see.
READER = """
<script>
const table = document.querySelector('#table4 + .wide table');
const head = [...table.tHead.rows[0].cells].find(cell => cell.textContent === 'CIFAR-10 ResNetpaper');
const column = () => [...table.tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent);
head.click();
const up = column();
head.click();
const seen = {up, down: column(), sort: head.getAttribute('aria-sort'), images: [], runs: {}, width: innerWidth};
for (const image of document.images) if (!image.naturalWidth) seen.images.push(image.alt);
for (const link of document.querySelectorAll('td a'))
  seen.runs[link.textContent] = !!document.querySelector('details' + link.getAttribute('href'));
location.hash = document.querySelector('td a').getAttribute('href');
addEventListener('hashchange', () => {
  seen.open = document.querySelectorAll('details[open]').length;
  seen.wide = document.documentElement.scrollWidth <= innerWidth;
  parent.document.title = JSON.stringify(seen);
});
</script>
"""


def chromium(*words):
    """What a headless Chromium prints, on standard output and standard error; skips the test where there is none."""
    program = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if not program:
        pytest.skip('no Chromium: sudo apt install chromium')
    done = subprocess.run(
        [program, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', *words],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_reader_can_sort_follow_links_and_see_all_on_a_phone(page, tmp_path):
    # a phone's width, which no window of Chromium has
    phone = tmp_path / 'phone.html'
    phone.write_text(
        '<meta charset="utf-8"><iframe width="360" height="800" style="border: 0" '
        f'srcdoc="{html.escape(page + READER)}"></iframe>',
        encoding='utf-8',
    )
    dom, log = chromium('--window-size=800,900', '--virtual-time-budget=10000', '--dump-dom', phone.as_uri())
    assert 'CONSOLE' not in log, log
    seen = json.loads(html.unescape(re.search('<title>(.*?)</title>', dom).group(1)))
    errors = [float(text.split()[0]) for text in seen['up']]
    assert errors == sorted(errors) and seen['down'] == seen['up'][::-1] and seen['sort'] == 'descending'
    assert min(errors) == 5.24 and len(errors) == 8
    assert seen['images'] == [] and seen['open'] == 1 and seen['wide'] and seen['width'] == 360
    assert '6.50 ± 0.08 (3)' in seen['runs'] and all(seen['runs'].values())
