"""reproduce.py: the commands that it prints, executes, resumes and estimates."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from common import mxnet
from common.mxnet import mx
from paper import commands
from paper.experiments import Experiment, Measurement
import reproduce
from tests.conftest import ROOT, write_run

DFN_MR = Measurement('test_error', Experiment('cifar10', 'dfn-mr', 14), seeds=5)
SMALL = Measurement('test_error', Experiment('digits', 'plain', 8))


@pytest.fixture
def printed(capsys, monkeypatch):
    """Run reproduce.py: what it prints, as lines, and on standard error."""

    def run(*words):
        monkeypatch.setattr(sys, 'argv', ['reproduce.py', *map(str, words)])
        assert reproduce.main() == 0
        out, err = capsys.readouterr()
        return out.splitlines(), err

    return run


def test_the_commands_of_table_4_are_the_400_runs(printed, tmp_path):
    lines, _ = printed('table4', '--log-dir', tmp_path)
    assert len(lines) == len(set(lines)) == 5 * 8 * 10
    assert f'python train_cifar.py --net dfn-mr --depth 56 --seed 5 --gpus 0,1 --log-dir {tmp_path}' in lines
    assert f'python train_svhn.py --net resnet --depth 110 --gpus 0,1 --log-dir {tmp_path}' in lines


def test_the_commands_of_a_figure_are_those_of_its_runs(printed):
    lines, _ = printed('figure8')
    assert lines == [
        f'python train_imagenet.py --net {net} --gpus 0,1,2,3,4,5,6,7'
        for net in ('resnet --depth 101', 'dfn-mr --depth 44')
    ]
    assert 'python plot.py figure 7 draws it' in printed('figure7')[1]


def test_a_task_has_the_processors_of_its_pack(printed, tmp_path):
    lines, _ = printed('table4', '--slurm', '--per-gpu', 3, '--cpus', 2, '--log-dir', tmp_path)
    assert '#SBATCH --cpus-per-task=6' in lines


@pytest.mark.parametrize('shell', ['sh', 'bash'])
def test_a_task_of_a_slurm_job_becomes_its_command(printed, tmp_path, shell):
    logs = str(tmp_path / "it's here")
    words = ('table4', '--epochs', 1, '--seeds', '3,4', '--only', 'cifar10/resnet-26', '--log-dir', logs)
    lines, _ = printed(*words, '--slurm')
    assert '#SBATCH --array=1-2' in lines and '#SBATCH --gpus=2' in lines
    script, python = tmp_path / 'job.sh', tmp_path / 'bin' / 'python'
    script.write_text('\n'.join(lines))
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho $$; for word; do echo "$word"; done\n')  # tells its process and its words
    python.chmod(0o755)
    task = subprocess.Popen(
        [shell, script],
        env={'PATH': f'{python.parent}:{os.environ["PATH"]}', 'SLURM_ARRAY_TASK_ID': '2'},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    process, *given = task.communicate()[0].splitlines()
    assert int(process) == task.pid  # SLURM's signal reaches the command itself
    commands_ = [shlex.split(line)[1:] for line in printed(*words)[0]]
    assert given == commands_[1] and given[-1] == logs


def of_dfn_mr(lines):
    """What distinguishes the commands for DFN-MR 14 on CIFAR-10."""
    return [
        re.search(r'--depth 14(.*) --gpus', line).group(1)
        for line in lines
        if '--net dfn-mr --depth 14 ' in line and '--dataset' not in line and 'cifar' in line
    ]


def test_what_is_done_is_left_out(printed, logs):
    lines, _ = printed('table4', '--log-dir', logs)
    assert of_dfn_mr(lines) == [' --seed 4', ' --seed 5']  # stopped; the others are finished
    lines, _ = printed('table4', '--log-dir', logs, '--epochs', 8, '--seeds', '1,9')
    assert of_dfn_mr(lines) == [' --epochs 8 --seed 9']


def test_the_committed_runs_are_done(printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines, err = printed('table4', '--epochs', 8, '--seeds', '1,2', '--cpus', 1, '--only', 'cifar10/dfn-mr-14')
    assert lines == [] and 'every run of table4 that --only names is done: python compare.py 4 --log-dir logs' in err


def test_only_chooses_by_the_directory(printed, logs):
    lines, _ = printed(
        'table4', '--log-dir', logs, '--seeds', '4,5', '--only', 'svhn/dfn-mr-98', 'cifar10/dfn-mr-14/', '--cpus', 1
    )
    assert lines == [
        f'python {network} --seed {seed} --log-dir {logs}'
        for network in ('train_cifar.py --net dfn-mr --depth 14', 'train_svhn.py --net dfn-mr --depth 98')
        for seed in (4, 5)
    ]


def test_runs_on_another_number_of_devices_are_noted(printed, logs):
    _, err = printed('table4', '--log-dir', logs, '--seeds', '1,6')
    assert err.count('another number of devices') == 1 and 'dfn-mr-14/seed6 was made' in err


def test_packs_stay_the_same_whatever_is_done(printed, logs):
    lines, _ = printed('table4', '--log-dir', logs, '--per-gpu', 3)
    assert len(lines) == -(-400 // 3) - 1  # less the one that is done
    assert lines[1] == f'python reproduce.py table4 --run --per-gpu 3 --log-dir {logs} --pack 2'


def test_a_table_of_ensembles_is_evaluated_when_its_members_are_there(printed, tmp_path):
    words = ['table2', '--log-dir', tmp_path, '--cpus', 2]
    lines, err = printed(*words)
    assert len(lines) == 7 * 8 + 7 and not any('eval.py' in line for line in lines) and 'the same command again' in err
    for depth in (26, 38, 50, 62, 74, 98, 110):
        write_run(tmp_path, ['--net', 'ensemble', '--depth', depth, '--cpus', 2], errors=[9])
        for path in ('LLL', 'RLL', 'LRL', 'LLR', 'RRL', 'RLR', 'LRR', 'RRR'):
            write_run(tmp_path, ['--net', 'component', '--path', path, '--depth', depth, '--cpus', 2], errors=[9])
    lines, err = printed(*words)
    assert len(lines) == 7 and err == ''
    assert lines[0].startswith(f'python eval.py --ensemble --save {tmp_path}/cifar10/component-26/pathLLL-cpus2-seed1 ')
    path = tmp_path / 'cifar10' / 'component-98' / 'pathRRR-cpus2-seed1' / 'config.json'
    path.write_text(path.read_text().replace('"status": "finished"', '"status": "not finite"'))
    lines, err = printed(*words)
    assert len(lines) == 6 and 'component-98/pathRRR-cpus2-seed1 diverged' in err


def test_the_lines_go_through_xargs_as_the_help_says(printed, tmp_path):
    """With a directory that a shell would take apart; each line is told to a `python` that prints its words."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'python').write_text(f'#!{sys.executable}\nimport os, sys\nos.write(1, b"%r\\n" % sys.argv[1:])\n')
    (folder / 'python').chmod(0o755)
    log_dir = str(tmp_path / "it's a place")
    lines, _ = printed('table6', '--log-dir', log_dir)
    pipe = re.search(r"\| (xargs -d '\\n'.*? sh -c RUN)", reproduce.__doc__).group(1)
    done = subprocess.run(
        ['bash', '-c', pipe],
        input='\n'.join(lines) + '\n',
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'},
    )
    assert sorted(done.stdout.splitlines()) == sorted(
        repr(['train_imagenet.py', '--net', net, '--depth', depth, '--gpus', '0,1,2,3,4,5,6,7', '--log-dir', log_dir])
        for net, depth in (('resnet', '101'), ('dfn-mr', '44'))
    )


# Stands for train_cifar.py: it waits for the other run of its pack, and finishes unless something is in the way.
TRAIN = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index('--log-dir') + 1])
seed = sys.argv[sys.argv.index('--seed') + 1] if '--seed' in sys.argv else '1'
(folder / 'started').mkdir(exist_ok=True)
(folder / 'threads').write_text(os.environ.get('OMP_NUM_THREADS', 'their own choice'))
(folder / 'started' / seed).touch()
limit = time.time() + 20
while len(list((folder / 'started').iterdir())) < 2:
    assert time.time() < limit, 'the runs of a pack are not at once'
    time.sleep(0.01)
run = folder / 'digits' / 'plain-8' / f'epochs1-seed{seed}'
run.mkdir(parents=True)
(run / 'config.json').write_text(json.dumps({
    'options': {'epochs': 1}, 'environment': {'devices': ['cpu(0)'], 'workers': 1}, 'outcome': {'status': 'finished'}}))
"""


@pytest.fixture
def fake_training(monkeypatch, tmp_path):
    """Let reproduce.py execute TRAIN for the small run, and give the words of its command line."""
    (tmp_path / 'train_cifar.py').write_text(TRAIN)
    monkeypatch.setattr(reproduce, 'ROOT', str(tmp_path))
    monkeypatch.setattr(commands, 'measurements_of', lambda target: [SMALL])
    return [
        'reproduce.py',
        'table4',
        '--run',
        '--epochs',
        '1',
        '--seeds',
        '1,2',
        '--cpus',
        '1',
        '--per-gpu',
        '2',
        '--log-dir',
        str(tmp_path / 'logs'),
    ]


def test_run_executes_a_pack_at_once_and_nothing_twice(monkeypatch, tmp_path, capfd, fake_training):
    (tmp_path / 'logs').mkdir()
    monkeypatch.setattr(sys, 'argv', fake_training)
    monkeypatch.setattr(mxnet, 'THREADS_GIVEN', False)  # the choice of this process is not for them
    assert reproduce.main() == 0
    assert (tmp_path / 'logs' / 'threads').read_text() == 'their own choice'
    for seed in (1, 2):
        assert (tmp_path / 'logs' / 'digits' / 'plain-8' / f'epochs1-seed{seed}' / 'config.json').exists()
    assert capfd.readouterr().out.count('train_cifar.py --dataset digits --net plain --depth 8 --epochs 1') == 2
    cpus = fake_training.index('--cpus')
    for words in (fake_training, fake_training[:cpus] + fake_training[cpus + 2 :]):
        monkeypatch.setattr(sys, 'argv', words)
        assert reproduce.main() == 0  # nothing is left to do, and no GPU is needed for it
        out, err = capfd.readouterr()
        assert not out and 'every run of table4 is done' in err


def test_run_counts_what_did_not_reach_its_end(monkeypatch, tmp_path, capfd, fake_training):
    place = tmp_path / 'logs' / 'digits' / 'plain-8'
    place.mkdir(parents=True)
    (place / 'epochs1-seed2').write_text('in the way')
    monkeypatch.setattr(sys, 'argv', fake_training)
    assert reproduce.main() == 1 and '1 of the runs did not' in capfd.readouterr().err
    monkeypatch.setattr(sys, 'argv', [*fake_training, '--pack', '2'])
    with pytest.raises(reproduce.UserError, match='--pack 2: there are 1'):
        reproduce.main()


# A run that takes a while to save: it says that it is there, and after a signal writes which one it was.
SLOW = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def save(number, frame):
    time.sleep(0.3)
    (folder / 'saved').write_text(str(number))
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
(folder / 'ready').touch()
time.sleep(60)
"""


@pytest.mark.parametrize('number, ends', [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_lets_the_runs_save_and_end_first(tmp_path, number, ends):
    """SIGTERM is passed on. Ctrl-C reaches the runs from the terminal."""
    process = subprocess.Popen([sys.executable, '-c', SLOW, str(tmp_path)])

    def interrupt():
        limit = time.time() + 20
        while not (tmp_path / 'ready').exists() and time.time() < limit:
            time.sleep(0.01)
        if number == signal.SIGINT:
            process.send_signal(number)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as common/cli.py sets it
    try:
        with pytest.raises(ends):
            threading.Thread(target=interrupt).start()
            reproduce._wait([process])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert process.poll() == 0 and (tmp_path / 'saved').read_text() == str(int(number))


SMALL_RUN = """
import sys
import reproduce
from common import cli
from paper import commands
from paper.experiments import Experiment, Measurement
commands.measurements_of = lambda target: [Measurement('test_error', Experiment('digits', 'plain', 8))]
sys.argv = ['reproduce.py', 'table4', '--run', '--cpus', '1', '--epochs', '300', '--log-dir', sys.argv[1]]
cli.run(reproduce.main)
"""


def test_a_training_run_is_stopped_and_saved(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', SMALL_RUN, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL)
    folder = tmp_path / 'digits' / 'plain-8' / 'epochs300-seed1'
    limit = time.time() + 60
    while not list(folder.glob('checkpoint-*')) and process.poll() is None and time.time() < limit:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert 'stopped and saved' in (folder / 'train.log').read_text()
    assert json.loads((folder / 'config.json').read_text())['outcome'] is None  # to be resumed


def test_an_estimate_is_epochs_times_images_by_the_measured_speed(printed, monkeypatch):
    svhn = DFN_MR._replace(experiment=Experiment('svhn', 'dfn-mr', 14), seeds=1)
    monkeypatch.setattr(commands, 'measurements_of', lambda target: [DFN_MR, svhn])
    monkeypatch.setattr(reproduce, 'images_per_second', lambda experiment, contexts: 100.0)
    lines, _ = printed('table4', '--estimate', '--log-dir', '/nowhere')
    hours = [float(line.split()[0]) for line in lines[2:]]
    assert hours == pytest.approx([400 * 50000 / 100 / 3600] * 5 + [40 * 598388 / 100 / 3600] + [344.4], abs=0.1)


def test_the_speed_of_a_network_is_measured():
    assert 10 < reproduce.images_per_second(SMALL.experiment._replace(dataset='cifar10'), [mx.cpu()]) < 1e6


@pytest.mark.parametrize(
    'words, expected',
    [
        (['table9'], 'invalid choice'),
        (['figure8', '--run'], 'no CUDA'),  # once, not for every run
        (['figure8', '--gpus', 'x'], 'numbers of the GPUs'),
        (['figure8', '--log-dir', 'README.md'], 'there is no such folder'),
        (['table4', '--only', 'cifar10/dfn-mr-15'], 'has no such run'),
        (['figure8', '--pack', 1], '--pack is for --run'),
        (['table4', '--run', '--estimate'], 'one of --run and --estimate'),
        (['table4', '--seeds', '1,x'], 'is not a whole number'),
    ],
)
def test_mistakes_are_one_line(mistake, words, expected):
    assert expected in mistake(reproduce.main, 'reproduce.py', *words)
