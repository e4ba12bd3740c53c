"""The check before anything is downloaded, with the facts of the machine replaced."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from common import preflight
from tests.conftest import ROOT


def fail(*args):
    raise OSError


def test_everything_missing_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(preflight.ctypes, 'CDLL', fail)
    monkeypatch.setattr(preflight.os.path, 'realpath', lambda path: '/usr/bin/python3.13')
    monkeypatch.setattr(preflight.sys, 'version_info', (3, 13, 0))
    assert preflight.problem() == 'the system lacks something; run: sudo apt install python3-venv libgomp1'
    monkeypatch.setattr(preflight.sys, 'version_info', (3, 11, 0))  # a second Python beside the system's
    assert preflight.problem().endswith('apt install python3.11-venv libgomp1')


def test_pip_alone_may_be_missing(monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, 'find_spec', lambda name: name == 'venv' or None)
    assert preflight.missing_packages() == [preflight.debian_package('venv')]


@pytest.mark.parametrize('version', [(3, 9, 18), (3, 14, 0), (2, 7, 18), (4, 0, 0)])
def test_an_unsupported_python_is_refused(monkeypatch, version):
    monkeypatch.setattr(preflight.sys, 'version_info', version)
    assert '3.10 to 3.13' in preflight.problem()


@pytest.mark.parametrize('version', [(3, 10, 0), (3, 13, 9)])
def test_the_ends_of_the_range_are_supported(monkeypatch, version):
    monkeypatch.setattr(preflight.sys, 'version_info', version)
    assert preflight.problem() is None


def test_another_system_is_refused(monkeypatch):
    monkeypatch.setattr(preflight, 'platform', SimpleNamespace(system=lambda: 'Linux', machine=lambda: 'aarch64'))
    assert preflight.problem() == 'MXNet 1.9.1 has wheels for Linux on x86-64, not for Linux on aarch64'
    monkeypatch.setattr(preflight.sys, 'platform', 'darwin')
    assert 'not for' in preflight.problem()


def test_this_machine_passes_without_any_package():
    """As `make` runs it: -I and -S leave everything out but the standard library."""
    done = subprocess.run([sys.executable, '-I', '-S', 'common/preflight.py'], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_a_problem_is_one_line_and_status_2():
    code = 'import runpy, sys; sys.version_info = (3, 9, 0); runpy.run_path("common/preflight.py", run_name="__main__")'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith('error: Python ') and done.stderr.count('\n') == 1
