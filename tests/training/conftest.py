"""Fixtures of the tests of training."""

import pytest


@pytest.fixture
def path(tmp_path):
    """The path of a run directory that is not there yet."""
    return str(tmp_path / 'logs' / 'run')
