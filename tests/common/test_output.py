"""What reaches the terminal, in whatever encoding, and from a process whose streams are closed."""

import io
import subprocess
import sys

import pytest

from common import cli
from common.errors import UserError
from common.output import SUBSTITUTES, Filtered, printable
from tests.conftest import ROOT, in_process

# An escape sequence, a bell, a carriage return, an end of a line, C1's CSI, a reversal, a byte that is not UTF-8.
HOSTILE = 'a\x1b[31mb\x07c\rd\ne\x9b2Jf\u202eg\udcffh'
ESCAPED = r'a\x1b[31mb\x07c\rd\ne\x9b2Jf\u202eg\udcffh'


def test_printable():
    assert printable(HOSTILE) == ESCAPED
    assert printable('1.0 ± 0.2 – Zürich 東京') == '1.0 ± 0.2 – Zürich 東京'
    assert printable('a\tb\x1b', keep='\t') == 'a\tb\\x1b'


def hostile_main():
    print('out', HOSTILE)
    sys.stderr.write(f'err {HOSTILE}\n')
    raise UserError(f'there is no {HOSTILE}')


def test_a_command_escapes_what_it_prints_and_its_error_is_one_line():
    printed = ESCAPED.replace(r'\n', '\n')
    assert in_process(hostile_main, 'command') == (
        2,
        f'out {printed}\n',
        f'err {printed}\nerror: there is no {ESCAPED}\n',
    )


def test_a_wrong_argument_is_one_line_with_escapes():
    parser = cli.Parser(prog='eval.py')
    parser.add_argument('--format', choices=['text'])
    status, _, err = in_process(parser.parse_args, 'eval.py', f'--format={HOSTILE}')
    assert status == 2 and err.count('\n') == 1 and err.isascii() and err[:-1].isprintable()


def test_a_progress_bar_may_go_back_to_the_start_of_its_line():
    stream = io.StringIO()
    Filtered(stream, bars=True).write('\r 50 % of a\rb\x1b[A')
    assert stream.getvalue() == '\r 50 % of a\\rb\\x1b[A'


def in_shell(code, redirections='', **environment):
    """Run Python code in a shell: (status, standard output, standard error)."""
    done = subprocess.run(
        ['env', *(f'{name}={value}' for name, value in environment.items())]
        + ['bash', '-c', f'"$0" -c "$1" {redirections}', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
    )
    return done.returncode, done.stdout, done.stderr


PRINT = r"""
import os, sys
from common import cli
def main():
    print('1.0 \xb1 0.2 \u2260 \u0436', flush=True)
    print('\u0436', file=sys.stderr)
    assert sorted(os.listdir('/proc/self/fd'))[:3] == ['0', '1', '2']
    assert open('/dev/null').fileno() > 2
cli.run(main)
"""


@pytest.mark.parametrize(
    'environment, out, err',
    [
        ({'PYTHONIOENCODING': 'utf-8'}, '1.0 ± 0.2 ≠ ж'.encode(), 'ж'.encode()),
        ({'PYTHONIOENCODING': 'ascii'}, rb'1.0 +/- 0.2 != \u0436', rb'\u0436'),
        ({'PYTHONIOENCODING': 'ascii:replace'}, b'1.0 ? 0.2 ? ?', rb'\u0436'),
        ({'PYTHONIOENCODING': 'iso-8859-1'}, b'1.0 \xb1 0.2 != \\u0436', rb'\u0436'),
        (
            {'LC_ALL': 'POSIX', 'PYTHONCOERCECLOCALE': '0', 'PYTHONUTF8': '0'},
            rb'1.0 +/- 0.2 != \u0436',
            rb'\u0436',
        ),
    ],
)
def test_an_encoding_that_lacks_characters_gets_substitutes(environment, out, err):
    assert in_shell(PRINT, **environment) == (0, out + b'\n', err + b'\n')


@pytest.mark.parametrize(
    'redirections, out, err',
    [
        ('>&-', b'', 'ж\n'.encode()),
        ('2>&-', '1.0 ± 0.2 ≠ ж\n'.encode(), b''),
        ('<&- >&- 2>&-', b'', b''),
    ],
)
def test_a_closed_stream_is_silent_and_no_file_takes_its_place(redirections, out, err):
    assert in_shell(PRINT, redirections, PYTHONIOENCODING='utf-8') == (0, out, err)


def test_all_that_is_printed_beyond_ascii_has_a_substitute():
    assert all(text.isascii() and text.isprintable() for text in SUBSTITUTES.values())
