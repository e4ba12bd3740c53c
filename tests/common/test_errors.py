"""What an import says when it cannot go on."""

import os
from pathlib import Path
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest

from common.errors import COMMANDS, fail_at_import, few
from tests.conftest import ROOT


@pytest.mark.parametrize(
    'first, main',
    [
        ('eval.py', f'{ROOT}/eval.py'),
        ('-m', None),
        (f'{ROOT}/benchmarks/__main__.py', f'{ROOT}/benchmarks/__main__.py'),
    ],
)
def test_a_command_of_this_repository_ends_in_one_line(monkeypatch, capsys, first, main):
    monkeypatch.setattr(sys, 'argv', [first])
    monkeypatch.setitem(sys.modules, '__main__', SimpleNamespace(__file__=main))
    with pytest.raises(SystemExit) as ended:
        fail_at_import('no MXNet')
    assert ended.value.code == 2 and capsys.readouterr().err == 'error: no MXNet\n'


@pytest.mark.parametrize(
    'main',
    [
        SimpleNamespace(__file__='/elsewhere/program.py'),
        SimpleNamespace(__file__=f'{ROOT}/mine.py'),
        SimpleNamespace(__file__=f'{ROOT}/.venv/lib/python3/site-packages/pytest/__main__.py'),
        SimpleNamespace(),
    ],
)
def test_any_other_program_gets_an_import_error(monkeypatch, main):
    monkeypatch.setattr(sys, 'argv', [''])
    monkeypatch.setitem(sys.modules, '__main__', main)
    with pytest.raises(ImportError, match='no MXNet'):
        fail_at_import('no MXNet')


def test_every_script_and_package_is_known():
    names = {path.name for path in Path(ROOT).glob('*.py')} | {
        path.parent.name for path in Path(ROOT).glob('*/__init__.py')
    }
    assert COMMANDS <= names and names - COMMANDS <= untracked(names)


def untracked(names):
    """Those of the user, if this is a clone."""
    git = subprocess.run(['git', '-C', ROOT, 'ls-files', *names], capture_output=True, text=True).stdout.splitlines()
    return names - {name.split('/')[0] for name in git} if git else set()


@pytest.mark.parametrize('folder', [ROOT, None])
def test_a_program_that_imports_symbols_keeps_its_ctrl_c(tmp_path, folder):
    """A program in the repository's own folder, as the README has it, and one elsewhere."""
    with tempfile.NamedTemporaryFile('w', suffix='.py', dir=folder or tmp_path) as file:
        file.write(
            'import os, signal, symbols\n'
            'try:\n    os.kill(os.getpid(), signal.SIGINT)\n'
            'except KeyboardInterrupt:\n    print("saved")\n'
        )
        file.flush()
        environment = {**os.environ, 'PYTHONPATH': ROOT}
        done = subprocess.run([sys.executable, file.name], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, 'saved\n'), done.stderr


def test_a_message_names_five_at_most():
    assert few(list('abcde')) == 'a, b, c, d, e' and few(list('abcdefg')) == 'a, b, c, d, e and 2 more'
