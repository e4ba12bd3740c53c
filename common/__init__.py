"""What every package uses. Each command imports it first: from then on an error prints one line, and Ctrl-C none."""

import importlib.util
import logging
import sys

from common import signals
from common.errors import fail_at_import, is_command
from common.output import open_streams

if is_command():
    signals.end_at_once()
    open_streams()

logging.getLogger('matplotlib').setLevel(logging.ERROR)  # of caches that cannot be written it says much

if importlib.util.find_spec('mxnet') is None:
    fail_at_import(f'this Python ({sys.executable}) has no MXNet: run `make .venv`, then `. .venv/bin/activate`')
