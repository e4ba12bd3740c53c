"""compare.py, reproduce.py and the report, on logs of the tests' own making and on the committed ones."""
import csv
import html.parser
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import compare
from paper import commands, results
from paper.formats import as_csv, as_html, as_markdown, as_text
from paper.tables import table
from common.errors import UserError
import plot
import reproduce
import train_imagenet
from paper import experiments as runs
from tests.conftest import ROOT, write_run
from tests.test_train_cifar import read_csv

DFN_MR = runs.Makes('test_error', runs.Run('cifar10', 'dfn-mr', 14), seeds=5)


def write(log_dir, *words, **options):
    """A run of DFN-MR 14."""
    return write_run(log_dir, ['--net', 'dfn-mr', '--depth', 14, *words], **options)


@pytest.fixture
def logs(tmp_path):
    """DFN-MR 14: three runs as the paper's, and one of each kind that is not."""
    for seed, errors in ((1, [50.0, 6.0, 6.4]), (2, [50.0, 6.6, 6.6]), (3, [50.0, 6.1, 6.5])):
        write(tmp_path, '--seed', seed, errors=errors)
    write(tmp_path, '--seed', 4, errors=[50.0, 30.0], status=None)
    write(tmp_path, '--seed', 5, errors=[51.0, 31.0], status=None)
    write(tmp_path, '--seed', 6, errors=[7.0], devices=1)
    write(tmp_path, '--seed', 7, errors=[8.0], verified=False)
    write(tmp_path, '--epochs', 8, errors=[20.0] * 7 + [15.0], devices=1)
    write(tmp_path, '--pad-value', 'mean', errors=[5.0])
    write(tmp_path, '--seed', 8, errors=[], status=None)  # begun
    write(tmp_path, '--cpus', 2, errors=[9.0])  # seed 1 again
    write(tmp_path, '--seed', 9, errors=[5.0], status='finished')
    path = tmp_path / 'cifar10' / 'dfn-mr-14' / 'seed9' / 'metrics.csv'
    path.write_text('epoch,train_loss,test_error\n1,1,5\n')  # damaged
    for scale in (8, 64):
        write(tmp_path, '--dtype', 'float16', '--loss-scale', scale, errors=[4.0])
    place = tmp_path / 'cifar10' / 'dfn-mr-14'
    (place / '.DS_Store').write_text('')
    (place / 'seed77').mkdir()
    shutil.copytree(str(place / 'seed1'), str(place / 'seed1-backup'))
    (tmp_path / 'cifar10' / 'dfn-mr-56').mkdir()
    return str(tmp_path)


def test_runs_are_grouped_by_what_differs_from_the_paper(logs):
    found = {group.differences: (len(group.runs), group.last) for group in results.find(DFN_MR, logs)}
    assert found == {
        (): (3, [6.4, 6.6, 6.5]),
        ('stopped after 2 of 400 epochs',): (2, [30.0, 31.0]),
        ('1 device instead of 2',): (1, [7.0]),
        ('files that are not the official ones',): (1, [8.0]),
        ('8 of 400 epochs', '1 device instead of 2'): (1, [15.0]),
        ('--pad-value mean',): (1, [5.0]),
        ('seed 1 once more',): (1, [9.0]),
        ('stopped after 1 of 400 epochs',): (1, [5.0]),
        ('--dtype float16', '--loss-scale 8.0'): (1, [4.0]),
        ('--dtype float16', '--loss-scale 64.0'): (1, [4.0])}
    assert [group.differences for group in results.find(DFN_MR, logs)][0] == ()
    assert [group.last for group in results.find(DFN_MR, logs, epochs=8) if group.only_devices_differ] == [[15.0]]


def test_a_mean_has_the_runs_of_the_paper_alone(logs):
    text = as_text(table(4, logs))
    mean, deviation = np.mean([6.4, 6.6, 6.5]), np.std([6.4, 6.6, 6.5])
    assert '%.2f ± %.2f (3)' % (mean, deviation) in text
    assert '%.2f ± %.2f (3)' % (np.mean([6.0, 6.6, 6.1]), np.std([6.0, 6.6, 6.1])) in text  # the best, apart
    for shown, note in (('15.00 (1)', '8 of 400 epochs, 1 device instead of 2'),
                        ('30.50 ± 0.50 (2)', 'stopped after 2 of 400 epochs'), ('5.00 (1)', '--pad-value mean')):
        letter = re.search(re.escape('[' + shown) + r' (\w)\]', text).group(1)
        assert re.search(r'^\[%s\] %s;' % (letter, re.escape(note)), text, re.M), text


def test_formats_have_the_same_numbers(logs):
    ours = table(4, logs)
    rows = list(csv.DictReader(io.StringIO(as_csv(ours))))
    own = [row for row in rows if (row['row'], row['column']) == ('26/14', 'CIFAR-10 DFN-MR')]
    assert len(own) == 10 and {row['printed'] for row in own} == {'6.48 ± 0.04'}
    assert float(own[0]['here']) == pytest.approx(6.5) and own[0]['n'] == '3' and own[0]['differences'] == ''
    assert len(rows) == 8 * 11 + 9
    markdown = as_markdown(ours).splitlines()
    assert len({line.count('|') for line in markdown if line.startswith('|')}) == 1
    assert '6.48 ± 0.04<br>**6.50 ± 0.08 (3); [' in '\n'.join(markdown)
    cells = Cells(as_html(ours))
    assert [len(row) for row in cells.rows] == [1 + 2 * 11] * 9 and '6.50 ± 0.08 (3)' in cells.rows[1][10]


class Cells(html.parser.HTMLParser):
    """The texts of the cells of the first table."""

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


@pytest.mark.parametrize('errors, disagrees', [
    ([6.40, 6.50, 6.60], False),  # the paper: 6.48 ± 0.04 of five
    ([7.40, 7.50, 7.60], True),
    ([7.50], False),              # one run says nothing
    ([60.0, 70.0], True)])
def test_what_is_farther_than_chance_is_marked(tmp_path, errors, disagrees):
    for seed, error in enumerate(errors, 1):
        write(tmp_path, '--seed', seed, errors=[error])
    cell = table(4, str(tmp_path)).rows['26/14']['CIFAR-10 DFN-MR']
    assert cell.disagrees is disagrees and cell.last.startswith('≠ ') is disagrees
    assert ('fail (2)' in cell.last) == (errors[0] == 60)


def test_a_run_that_diverged_is_counted_and_hides_no_other(tmp_path):
    for seed, status, error in ((1, 'finished', 6.4), (2, 'finished', 6.6), (3, 'not finite', 12.0)):
        write(tmp_path, '--seed', seed, errors=[error], status=status)
    ours = table(4, str(tmp_path))
    cell = ours.rows['26/14']['CIFAR-10 DFN-MR']
    assert cell.last == '≠ 6.50 ± 0.10 (2), fail (1)' and cell.disagrees
    assert 'data-value="6.5"' in as_html(ours) and 'inf' not in as_csv(ours)


def test_a_fail_of_the_paper_is_one_here(tmp_path):
    for seed, status, error in ((1, 'finished', 90.0), (2, 'not finite', 12.0)):
        write_run(tmp_path, ['--net', 'plain', '--depth', 98, '--seed', seed], errors=[error], status=status)
    cell = table(4, str(tmp_path)).rows['98/50']['CIFAR-10 Plain']
    assert cell.paper.fail and cell.last == 'fail (2)' and not cell.disagrees


def test_parameters_and_depths_are_computed_and_marked_where_they_are_not_as_printed(tmp_path):
    """reference counts: the released definitions; Table 4's rounded column differs from them in five rows."""
    ours = table(4, str(tmp_path))
    params = {row: cells['Params.'] for row, cells in ours.rows.items()}
    assert params['26/14'].computed == '0.35M to 0.37M' and params['194/98'].computed == '3.07M to 3.09M'
    assert [row for row, cell in params.items() if cell.disagrees] == ['26/14', '38/20', '50/26', '62/32', '74/38']
    wide = table(5, str(tmp_path)).rows
    assert wide['DFN-MR3 (ours), 50']['Params'].last == '≠ 24.15M'
    assert wide['DFN-MR2 (ours), 32']['Params'].last == '14.85M'
    assert [wide[row]['Depth'].last for row in wide if 'ours' in row] == ['56', '32', '50']
    assert not any(cell.disagrees for cells in table(1, str(tmp_path)).rows.values() for cell in cells.values())
    assert 'no run of it yet: python reproduce.py table1' in as_text(table(1, str(tmp_path)))


def test_imagenets_tables_read_top_1_and_top_5_of_both_sets(tmp_path):
    write_run(tmp_path, ['--net', 'dfn1', '--schedule', 'appendix', '--depth', 50], errors=[60, 25.5], devices=4,
              script=train_imagenet, train_error=[70, 18.5], test_top5_error=[30, 8.5], train_top5_error=[40, 5.5])
    # of another cell
    write_run(tmp_path, ['--net', 'dfn1', '--depth', 50], errors=[1, 1], devices=8, script=train_imagenet)
    rows = table(7, str(tmp_path)).rows
    assert [cells['DFN1'].last for cells in rows.values()] == ['25.50 (1)', '8.50 (1)', '18.50 (1)', '5.50 (1)']


def test_the_committed_runs_are_in_the_tables(command):
    _, out, _ = command('compare.py', 4, '--format', 'csv', check=0)
    rows = [row for row in csv.DictReader(io.StringIO(out)) if row['runs']]
    assert {row['column'] for row in rows} >= {'CIFAR-10 DFN-MR'}
    for row in rows:
        last = [read_csv(os.path.join(ROOT, run))[-1] for run in row['runs'].split('; ')]
        assert float(row['here']) == pytest.approx(np.mean([float(own['test_error']) for own in last]), abs=1e-4)
        assert row['differences'] == '8 of 400 epochs; 1 device instead of 2' and int(row['n']) == len(last)
    # eight components, trained apart, evaluated together: the number that eval.py printed
    table2 = runs.Makes(runs.TOGETHER, runs.Run('cifar10', 'component', 14))
    found, = results.find(table2, os.path.join(ROOT, 'logs'))
    assert found.last == [17.71] and found.differences == ('8 of 400 epochs', '1 device instead of 2')


def test_the_readme_shows_what_compare_prints(command):
    _, out, _ = command('compare.py', 4, check=0, env={**os.environ, 'COLUMNS': '130'})
    with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
        readme = file.read()
    shown = readme[readme.index('The second prints'):]
    shown = [line[4:] for line in shown[:shown.index('![')].splitlines() if line.startswith('    ')]
    assert len(shown) >= 6 and '15.41 ± 0.29 (2)' in '\n'.join(shown)
    assert not set(shown) - set(out.splitlines())


# reproduce.py

def printed(capsys, monkeypatch, *words):
    """What reproduce.py prints, as lines, and on standard error."""
    monkeypatch.setattr(sys, 'argv', ['reproduce.py'] + [str(word) for word in words])
    assert reproduce.main() == 0
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_the_commands_of_table_4_are_the_400_runs(capsys, monkeypatch, tmp_path):
    lines, _ = printed(capsys, monkeypatch, 'table4', '--log-dir', tmp_path)
    assert len(lines) == len(set(lines)) == 5 * 8 * 10
    assert 'python train_cifar.py --net dfn-mr --depth 56 --seed 5 --gpus 0,1 --log-dir %s' % tmp_path in lines
    assert 'python train_svhn.py --net resnet --depth 110 --gpus 0,1 --log-dir %s' % tmp_path in lines
    lines, _ = printed(capsys, monkeypatch, 'figure8')
    assert lines == ['python train_imagenet.py --net %s --gpus 0,1,2,3,4,5,6,7' % net
                     for net in ('resnet --depth 101', 'dfn-mr --depth 44')]
    assert 'python plot.py figure 7 draws it' in printed(capsys, monkeypatch, 'figure7')[1]


def test_what_is_done_is_left_out(capsys, monkeypatch, logs):
    def of_dfn_mr(*words):
        lines, _ = printed(capsys, monkeypatch, 'table4', '--log-dir', logs, *words)
        return [re.search(r'--depth 14(.*) --gpus', line).group(1) for line in lines
                if '--net dfn-mr --depth 14 ' in line and '--dataset' not in line and 'cifar' in line]
    assert of_dfn_mr() == [' --seed 4', ' --seed 5']  # stopped; the others are finished
    lines, _ = printed(capsys, monkeypatch, 'table4', '--log-dir', logs, '--seeds', '4,5', '--only', 'svhn/dfn-mr-98',
                       'cifar10/dfn-mr-14/', '--cpus', 1)
    assert lines == ['python train_cifar.py --net dfn-mr --depth 14 --seed %d --log-dir %s' % (seed, logs)
                     for seed in (4, 5)] + ['python train_svhn.py --net dfn-mr --depth 98 --seed %d --log-dir %s' % (
                         seed, logs) for seed in (4, 5)]
    _, err = printed(capsys, monkeypatch, 'table4', '--log-dir', logs, '--seeds', '1,6')
    assert err.count('another number of devices') == 1 and 'dfn-mr-14/seed6 was made' in err
    assert of_dfn_mr('--epochs', 8, '--seeds', '1,9') == [' --epochs 8 --seed 9']
    lines, _ = printed(capsys, monkeypatch, 'table4', '--log-dir', logs, '--per-gpu', 3)
    assert len(lines) == -(-400 // 3) - 1  # the same packs whatever is done, less one that is done
    assert lines[1] == 'python reproduce.py table4 --run --per-gpu 3 --log-dir %s --pack 2' % logs


def test_a_table_of_ensembles_is_evaluated_when_its_members_are_there(capsys, monkeypatch, tmp_path):
    words = ['table2', '--log-dir', tmp_path, '--cpus', 2]
    lines, err = printed(capsys, monkeypatch, *words)
    assert len(lines) == 7 * 8 + 7 and not any('eval.py' in line for line in lines) and 'the same command again' in err
    for depth in (26, 38, 50, 62, 74, 98, 110):
        write_run(tmp_path, ['--net', 'ensemble', '--depth', depth, '--cpus', 2], errors=[9])
        for path in ('LLL', 'RLL', 'LRL', 'LLR', 'RRL', 'RLR', 'LRR', 'RRR'):
            write_run(tmp_path, ['--net', 'component', '--path', path, '--depth', depth, '--cpus', 2], errors=[9])
    lines, err = printed(capsys, monkeypatch, *words)
    assert len(lines) == 7 and err == ''
    assert lines[0].startswith(
        'python eval.py --ensemble --save %s/cifar10/component-26/pathLLL-cpus2-seed1 ' % tmp_path)
    path = tmp_path / 'cifar10' / 'component-98' / 'pathRRR-cpus2-seed1' / 'config.json'
    path.write_text(path.read_text().replace('"status": "finished"', '"status": "not finite"'))
    lines, err = printed(capsys, monkeypatch, *words)
    assert len(lines) == 6 and 'component-98/pathRRR-cpus2-seed1 diverged' in err


def test_run_executes_resumes_and_reports(monkeypatch, tmp_path, capfd):
    small = runs.Makes('test_error', runs.Run('digits', 'plain', 8))
    monkeypatch.setattr(commands, 'makes_of', lambda target: [small])
    words = ['table4', '--epochs', 1, '--seeds', '1,2', '--cpus', 1, '--per-gpu', 2, '--log-dir', tmp_path]
    monkeypatch.setattr(sys, 'argv', ['reproduce.py', '--run'] + [str(word) for word in words])
    monkeypatch.chdir(ROOT)
    assert reproduce.main() == 0
    for seed in (1, 2):
        assert len(read_csv(str(tmp_path / 'digits' / 'plain-8' / ('epochs1-seed%d' % seed)))) == 1
    capfd.readouterr()
    assert reproduce.main() == 0  # nothing is left to do
    assert 'train_cifar.py' not in capfd.readouterr().out
    shutil.rmtree(str(tmp_path / 'digits' / 'plain-8' / 'epochs1-seed2'))
    (tmp_path / 'digits' / 'plain-8' / 'epochs1-seed2').write_text('in the way')
    assert reproduce.main() == 1 and '1 of the runs did not come to their end' in capfd.readouterr().err
    monkeypatch.setattr(sys, 'argv', sys.argv + ['--pack', '2'])
    with pytest.raises(UserError, match='--pack 2: there are 1'):
        reproduce.main()


def test_the_lines_go_through_xargs_as_the_help_says(tmp_path):
    """With a directory that a shell would take apart; each line is told to a program that prints its words."""
    pipe = re.search(r"\| (xargs -d '\\n'.*? sh -c RUN)", reproduce.__doc__).group(1)
    log_dir = str(tmp_path / "it's a place")
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', '%s reproduce.py table6 --log-dir "%s" | %s' % (
        sys.executable, log_dir, pipe)], cwd=ROOT, stdout=subprocess.PIPE, universal_newlines=True, check=True,
        env={**os.environ, 'PATH': '%s:%s' % (fake_python(tmp_path), os.environ['PATH'])})
    assert sorted(done.stdout.splitlines()) == sorted(
        repr(['train_imagenet.py', '--net', net, '--depth', depth, '--gpus', '0,1,2,3,4,5,6,7', '--log-dir', log_dir])
        for net, depth in (('resnet', '101'), ('dfn-mr', '44')))


def fake_python(tmp_path):
    """A folder with a `python` that prints its arguments."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'python').write_text('#!%s\nimport os, sys\nos.write(1, b"%%r\\n" %% sys.argv[1:])\n' % sys.executable)
    (folder / 'python').chmod(0o755)
    return str(folder)




SMALL_RUN = """
import sys
import errors, reproduce
from comparison import commands
from paper.experiments import Makes, Run
commands.makes_of = lambda target: [Makes('test_error', Run('digits', 'plain', 8))]
sys.argv = ['reproduce.py', 'table4', '--run', '--cpus', '1', '--epochs', '300', '--log-dir', sys.argv[1]]
errors.run(reproduce.main)
"""


@pytest.mark.parametrize('number, status', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_the_runs_save_and_end_first(tmp_path, number, status):
    process = subprocess.Popen([sys.executable, '-c', SMALL_RUN, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL,
                               start_new_session=True)
    folder = tmp_path / 'digits' / 'plain-8' / 'epochs300-seed1'
    limit = time.time() + 60
    while not list(folder.glob('checkpoint-*')) and time.time() < limit:
        time.sleep(0.01)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    assert process.wait(60) == status
    assert 'stopped and saved; go on with' in (folder / 'train.log').read_text()


def test_an_estimate_is_epochs_times_images_by_the_measured_speed(capsys, monkeypatch):
    monkeypatch.setattr(commands, 'makes_of', lambda target: [DFN_MR, DFN_MR._replace(
        run=runs.Run('svhn', 'dfn-mr', 14), seeds=1)])
    monkeypatch.setattr(reproduce, 'images_per_second', lambda run, contexts: 100.0)
    lines, _ = printed(capsys, monkeypatch, 'table4', '--estimate', '--log-dir', '/nowhere')
    hours = [float(line.split()[0]) for line in lines[2:]]
    assert hours == pytest.approx([400 * 50000 / 100 / 3600] * 5 + [40 * 598388 / 100 / 3600] + [344.4], abs=0.1)
    monkeypatch.undo()
    speed = reproduce.images_per_second(runs.Run('cifar10', 'plain', 8), [results.train_cifar.job.devices.mx.cpu()])
    assert 10 < speed < 1e6


# the report

def chromium(*words):
    """What a headless Chromium prints; skips the test where there is none."""
    program = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if not program:
        pytest.skip('no Chromium: sudo apt install chromium')
    done = subprocess.run([program, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# Run in the page after it: sorts, opens a run, and tells what a reader would then see.
READER = '''
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
'''


def test_the_report_in_a_browser(command, tmp_path, logs):
    page = tmp_path / 'page' / 'report.html'
    _, out, _ = command('report.py', '--log-dir', logs, '--out', page, check=0)
    assert out.strip() == str(page)
    text = page.read_text(encoding='utf-8')
    assert not re.search(r'(src|href)="(?!data:|#|https://arxiv)', text)  # nothing from elsewhere is needed
    # a phone's width, which no window of Chromium has
    phone = tmp_path / 'phone.html'
    phone.write_text('<meta charset="utf-8"><iframe width="360" height="800" style="border: 0" srcdoc="%s"></iframe>'
                     % html.escape(text + READER), encoding='utf-8')
    dom, log = chromium('--window-size=800,900', '--virtual-time-budget=10000', '--dump-dom', phone.as_uri())
    assert 'CONSOLE' not in log, log
    seen = json.loads(html.unescape(re.search('<title>(.*?)</title>', dom).group(1)))
    errors = [float(text.split()[0]) for text in seen['up']]
    assert errors == sorted(errors) and seen['down'] == seen['up'][::-1] and seen['sort'] == 'descending'
    assert min(errors) == 5.24 and len(errors) == 8
    assert seen['images'] == [] and seen['open'] == 1 and seen['wide'] and seen['width'] == 360
    assert '6.50 ± 0.08 (3)' in seen['runs'] and all(seen['runs'].values())
    rows = Cells(text[text.index('id="table6"'):]).rows
    assert ['Top-5 validation error', '7.10', '', '8.50', '', '6.81', ''] in rows[:6]


def test_a_report_without_runs_is_one_too(command, tmp_path):
    command('report.py', '--log-dir', tmp_path, '--out', tmp_path / 'r.html', check=0)
    assert '0 runs' in (tmp_path / 'r.html').read_text(encoding='utf-8')


# mistakes

def test_mistakes_are_one_line(mistake, tmp_path, logs):
    assert 'invalid choice: 8' in mistake(compare.main, 'compare.py', 8)
    assert 'there is no such folder' in mistake(compare.main, 'compare.py', 4, '--log-dir', tmp_path / 'none')
    assert 'invalid choice' in mistake(reproduce.main, 'reproduce.py', 'table9')
    assert 'no CUDA' in mistake(reproduce.main, 'reproduce.py', 'figure8', '--run')  # once, not for every run
    assert 'numbers of the GPUs' in mistake(reproduce.main, 'reproduce.py', 'figure8', '--gpus', 'x')
    assert 'there is no such folder' in mistake(reproduce.main, 'reproduce.py', 'figure8', '--log-dir', 'README.md')
    assert 'has no such run' in mistake(reproduce.main, 'reproduce.py', 'table4', '--only', 'cifar10/dfn-mr-15')
    assert '--pack is for --run' in mistake(reproduce.main, 'reproduce.py', 'figure8', '--pack', 1)
    assert 'one of --run and --estimate' in mistake(reproduce.main, 'reproduce.py', 'table4', '--run', '--estimate')
    assert 'is not a whole number' in mistake(reproduce.main, 'reproduce.py', 'table4', '--seeds', '1,x')
    assert '--depth and --dataset are for' in mistake(plot.main, 'plot.py', 'figure', 8, '--depth', 14)
    assert '--epochs is for' in mistake(plot.main, 'plot.py', 'figure', 7, '--epochs', 8)
    place = os.path.join(logs, 'cifar10', 'dfn-mr-14', 'seed1')
    for name, damaged in (('metrics.csv', 'epoch,test_error\n1,x\n'), ('metrics.csv', 'epoch,test_error\n1,2,3\n'),
                          ('config.json', '{'), ('config.json', '{"options": [], "environment": {}, "outcome": null}'),
                          ('config.json', '{"options": {"epochs": 1}, "environment": {}, "outcome": null}')):
        with open(os.path.join(place, name), 'w') as file:
            file.write(damaged)
        assert 'is damaged' in mistake(compare.main, 'compare.py', 4, '--log-dir', logs)
