"""The scripts as their names are typed, and that no library needs them."""

import ast
import glob
import os
import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = [os.path.basename(path) for path in glob.glob(os.path.join(ROOT, '*.py'))]


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_script_explains_itself(script, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', [script, '--help'])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(os.path.join(ROOT, script), run_name='__main__')
    out = capsys.readouterr().out
    assert ended.value.code == 0 and out.startswith(f'usage: {script}') and f'python {script} ' in out


def test_no_library_imports_a_script():
    names = {script.removesuffix('.py') for script in SCRIPTS}
    assert {'train_cifar', 'eval', 'compare'} <= names
    for package in ('benchmarks', 'common', 'data', 'distributed', 'interop', 'paper', 'symbols', 'training'):
        for path in glob.glob(os.path.join(ROOT, package, '**', '*.py'), recursive=True):
            with open(path, encoding='utf-8') as file:
                tree = ast.parse(file.read())
            imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
            imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not imported & names, path


def test_make_removes_no_environment_but_its_own(tmp_path):
    """What other projects export does not count; what stands in the command does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith('MAKE')}  # of `make test`
    environment |= {'VENV': str(tmp_path), 'GPU': '1'}
    for words, used, others in (
        ([], '.venv', [str(tmp_path), '/requirements.txt']),
        ([f'VENV={tmp_path}/other'], f'{tmp_path}/other', ['rm -rf .venv']),
    ):
        done = subprocess.run(
            ['make', '--dry-run', '--always-make', '.venv', *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f'rm -rf {used} ' in done.stdout and not any(other in done.stdout for other in others), done.stdout


def test_pictures_do_not_depend_on_the_users_matplotlib(tmp_path):
    """A notebook exports its backend; LaTeX may be asked for where there is none."""
    (tmp_path / 'matplotlibrc').write_text('text.usetex: True\nlines.linewidth: 9\n')
    pictures = []
    for given in ({}, {'MPLBACKEND': 'module://not_here.backend', 'MATPLOTLIBRC': str(tmp_path)}):
        stem = tmp_path / str(len(given))
        words = ['plot.py', 'curves', 'logs/cifar10/dfn-mr-14/epochs8-seed1', '--out', stem]
        subprocess.run([sys.executable, *words], cwd=ROOT, env={**os.environ, **given}, check=True, capture_output=True)
        pictures.append(stem.with_suffix('.svg').read_bytes())
    assert pictures[0] == pictures[1]
