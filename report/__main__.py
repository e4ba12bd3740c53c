"""Write the page: python -m report"""
import os

from errors import Parser, run
from files import write_atomically
import report
import results


def main():
    """One file."""
    parser = Parser(prog='python -m report', description=report.__doc__)
    parser.add_argument('--log-dir', default='logs', help='where the run directories are')
    parser.add_argument('--out', metavar='FILE', default='figures/report.html', help='the page')
    args = parser.parse_args()
    results.check(args.log_dir)
    os.makedirs(os.path.dirname(args.out) or '.', exist_ok=True)
    write_atomically(args.out, report.page(args.log_dir))
    print(args.out)


if __name__ == '__main__':
    run(main)
