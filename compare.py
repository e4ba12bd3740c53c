"""A table of the paper, its numbers and those of our logs side by side.

    python compare.py 4                          # Table 4
    python compare.py 4 --format markdown        # or csv, html
    python compare.py 6 --log-dir elsewhere

Under the paper's number stand the last epoch's error of the runs found, mean ± standard deviation (number of
runs), and the smallest of any epoch. Runs that are not as in the paper (fewer epochs, another number of devices, an
option) stand apart, [in brackets] with a letter that a note below explains, each kind by itself. Parameters
and depths are computed from the networks. ≠ marks what disagrees with the paper: a computed number that is not the
printed one when it is rounded, an error where one of the two is a "fail" (over 50 %), and a mean that is farther from
the paper's than twice the standard error of their difference.
"""
from paper import results
from paper.formats import FORMATS
from paper.tables import table
from common.cli import Parser, run
import paper


def main():
    """Print a table."""
    parser = Parser(description=__doc__)
    parser.add_argument('number', type=int, choices=paper.TABLES, help='of the table')
    parser.add_argument('--format', choices=list(FORMATS), default='text', help='how it is printed')
    parser.add_argument('--log-dir', default='logs', help='where the run directories are')
    args = parser.parse_args()
    results.check(args.log_dir)
    print(FORMATS[args.format](table(args.number, args.log_dir)))


if __name__ == '__main__':
    run(main)
