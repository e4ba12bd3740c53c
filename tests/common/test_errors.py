"""What an import says when it cannot go on."""

import sys
from types import SimpleNamespace

import pytest

from common.errors import fail_at_import
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


@pytest.mark.parametrize('main', [SimpleNamespace(__file__='/elsewhere/program.py'), SimpleNamespace()])
def test_any_other_program_gets_an_import_error(monkeypatch, main):
    monkeypatch.setattr(sys, 'argv', [''])
    monkeypatch.setitem(sys.modules, '__main__', main)
    with pytest.raises(ImportError, match='no MXNet'):
        fail_at_import('no MXNet')
