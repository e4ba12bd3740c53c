"""What every room uses. Each command imports it first, so that a missing environment is one line."""

import importlib.util
import sys

from common.errors import fail_at_import

if importlib.util.find_spec('mxnet') is None:
    fail_at_import(f'this Python ({sys.executable}) has no MXNet: run `make .venv`, then `. .venv/bin/activate`')
