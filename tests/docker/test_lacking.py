"""The part of a list of pins that an environment lacks, checked by pip's own reading of it."""

import os
import re
import subprocess
import sys

from docker.lacking import lacking
from tests.conftest import ROOT

PINS = """# made by
--only-binary :all:
numpy==2.2.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via
    #   matplotlib
tensorboardX==2.6 ; python_version < "3.14" \\
    --hash=sha256:cc
pillow==12 ; python_full_version < '3.11' \\
    --hash=sha256:dd
typing-extensions==4.1 \\
    --hash=sha256:ee
"""


def test_entries_of_packages_that_are_there_are_left_out_whole():
    left = lacking(PINS, {'numpy', 'tensorboardx', 'typing-extensions'})
    assert left.splitlines() == [
        '# made by',
        '--only-binary :all:',
        "pillow==12 ; python_full_version < '3.11' \\",
        '    --hash=sha256:dd',
    ]
    assert lacking(PINS, set()) == PINS


def test_the_real_list_lacks_nothing_here_and_all_of_it_elsewhere(tmp_path):
    path = os.path.join(ROOT, 'requirements', 'base.txt')
    with open(path) as file:
        pins = file.read()
    script = os.path.join(ROOT, 'docker', 'lacking.py')
    here = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=True).stdout
    names = re.findall(r'^[\w.-]+(?===)', here, re.M)
    assert not {'numpy', 'matplotlib', 'gluoncv', 'tqdm'} & set(names)
    assert set(names) <= {'colorama', 'exceptiongroup', 'tomli', 'typing-extensions'}  # for other systems and Pythons
    bare = subprocess.run([sys.executable, '-S', script, path], capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r'^\S+==', bare, re.M)) == len(re.findall(r'^\S+==', pins, re.M))
