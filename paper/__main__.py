"""The paper's claims beside our logs.

    python -m paper claims                          # each claim, what would show it, what was seen, and a verdict
    python -m paper claims --format markdown

paper/claims/__init__.py says how claims are checked, and what the verdicts mean.
"""

import textwrap

from common.cli import Parser, run
from paper import results
from paper.claims import HEADS, Claim, ledger, summary
from paper.claims.verdicts import Finding
from paper.tables import NOTHING


def as_text(entries: list[tuple[Claim, Finding]]) -> str:
    """A paragraph for each claim."""
    lines = []
    for claim, finding in entries:
        lines += textwrap.wrap(f'{claim.section}: {claim.claim}', 118, subsequent_indent='  ')
        parts = [('verdict', finding.verdict.upper()), ('shown by', claim.shows), ('seen', finding.seen)]
        for name, text in parts + [('run', command) for command in finding.runs]:
            lines += textwrap.wrap(
                text, 118, initial_indent=f'  {name:9} ', subsequent_indent=' ' * 12, break_on_hyphens=False
            )
        lines.append('')
    return '\n'.join([*lines, summary(entries)])


def as_markdown(entries: list[tuple[Claim, Finding]]) -> str:
    """A table with a row for each claim."""
    lines = [summary(entries), '', f'| {" | ".join(HEADS)} |', '|---' * len(HEADS) + '|']
    for claim, finding in entries:
        runs = '<br>'.join(f'`{command}`' for command in finding.runs)
        cells = [claim.section, claim.claim, claim.shows, runs, finding.seen, f'**{finding.verdict}**']
        lines.append(f'| {" | ".join(cell or NOTHING for cell in cells)} |')
    return '\n'.join(lines)


FORMATS = {'text': as_text, 'markdown': as_markdown}


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog='python -m paper', description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='claims', required=True)
    command = commands.add_parser('claims', help="the paper's claims, and what our logs show of each")
    command.add_argument('--format', choices=list(FORMATS), default='text', help='how they are printed')
    command.add_argument('--log-dir', default='logs', help='folder with the run directories')
    return parser


def main() -> None:
    """Print the claims."""
    args = parser().parse_args()
    results.check(args.log_dir)
    print(FORMATS[args.format](ledger(args.log_dir)))


if __name__ == '__main__':
    run(main)
