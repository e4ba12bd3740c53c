"""Show a table of the paper beside our logs, or all tables and figures in one page.

    python compare.py 4                          # Table 4
    python compare.py 4 --format markdown        # or csv, html
    python compare.py 6 --log-dir elsewhere
    python compare.py report                     # figures/report.html: every table, figure and run; for a browser

Each cell shows the paper's number and, below it, the error of our last epoch: mean ± standard deviation (number of
runs). The line `best` has the smallest error of any epoch. Parameters and depths are computed from the networks.

Runs that were not made as in the paper (fewer epochs, another number of devices, an option) stand apart [in brackets];
the note with their letter says what differs.

≠ marks what disagrees with the paper:
  - a computed number that rounds to another one than the paper prints;
  - a "fail" (an error over 50 %) on one side alone;
  - the mean of several runs, if Welch's t-test finds it different from the paper's (two-sided, 5 %);
  - a single run outside the paper's spread, the 95 % prediction interval of its five runs.
Errors in brackets are not tested, nor are those for which the paper prints no deviation.
"""

from common.cli import Parser, run

import sys

from common.errors import UserError
import paper
from paper import results
from paper.formats import FORMATS
from paper.tables import table

REPORT = 'report'


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        'what',
        choices=[*map(str, paper.TABLES), REPORT],
        metavar='TABLE|report',
        help='number of a table, 1 to 7, or the report',
    )
    parser.add_argument('--format', choices=list(FORMATS), help='how a table is printed (default: text)')
    parser.add_argument('--out', metavar='FILE', help='where the report is written (default: figures/report.html)')
    parser.add_argument('--log-dir', default='logs', help='folder with the run directories')
    return parser


def main():
    """Print a table, or write the report."""
    args = parser().parse_args()
    if args.what == REPORT and args.format:
        raise UserError('--format is for tables: the report is an HTML page')
    if args.what != REPORT and args.out:
        raise UserError('--out is for the report: a table is printed')
    results.check(args.log_dir)
    if args.what == REPORT:
        from paper import report  # here, because matplotlib takes a second

        print(report.write(args.out or 'figures/report.html', args.log_dir))
    else:
        print(FORMATS[args.format or 'text'](table(int(args.what), args.log_dir)))
        note_own_images(args.log_dir)


def note_own_images(log_dir: str) -> None:
    """Say on standard error which runs no table has, because they are on the user's own images."""
    names = results.own_images(log_dir)
    if names:
        note = f'note: {log_dir} has runs on your own images, which no table of the paper shows: {", ".join(names)}'
        print(note, file=sys.stderr)


if __name__ == '__main__':
    run(main)
