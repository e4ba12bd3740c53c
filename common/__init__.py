"""What every package uses. Each command imports it first: from then on an error prints one line, and Ctrl-C none."""

import importlib.util
import logging
import os
import sys

from common import signals
from common.errors import fail_at_import, is_command
from common.output import open_streams

if is_command():
    signals.end_at_once()
    open_streams()
    os.environ['MPLBACKEND'] = 'Agg'  # in a notebook it names one that this environment lacks

logging.getLogger('matplotlib').setLevel(logging.ERROR)  # it warns at length about caches it cannot write

if importlib.util.find_spec('mxnet') is None:
    fail_at_import(f'this Python ({sys.executable}) has no MXNet: run `make .venv`, then `. .venv/bin/activate`')
if sys.flags.optimize > 1:
    fail_at_import('MXNet reads docstrings, which Python drops here: leave out -OO, and unset PYTHONOPTIMIZE')
