"""GluonCV, whose import fails where PyTorch 2 is installed. Every import of GluonCV goes through this module:

    from common.gluoncv import gluoncv

It takes seconds, so import it where it is needed. PyTorch is hidden meanwhile.
"""

import sys

import common.mxnet  # noqa: F401  sets up MXNet, and what GluonCV reads in numpy

TORCH = sys.modules.get('torch')
sys.modules['torch'] = None  # type: ignore[assignment]  # None stops an import

try:
    import gluoncv  # noqa: F401
finally:
    del sys.modules['torch']
    if TORCH:
        sys.modules['torch'] = TORCH
