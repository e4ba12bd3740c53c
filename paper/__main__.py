"""The paper's claims beside our logs, and a card for each run.

    python -m paper claims                          # each claim, what would show it, what was seen, and a verdict
    python -m paper claims --format markdown
    python -m paper cards                           # writes README.md into every run directory of logs/

paper/claims/__init__.py says how claims are checked, and what the verdicts mean.
"""

from common.cli import Parser, run

from argparse import Namespace
import textwrap

from paper import cards, results
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
        parts = [run.partition(' (n = ') for run in finding.runs]
        runs = '<br>'.join(f'`{command}`{how}{rest}' for command, how, rest in parts)
        cells = [claim.section, claim.claim, claim.shows, runs, finding.seen, f'**{finding.verdict}**']
        lines.append(f'| {" | ".join(cell or NOTHING for cell in cells)} |')
    return '\n'.join(lines)


FORMATS = {'text': as_text, 'markdown': as_markdown}


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog='python -m paper', description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='claims|cards', required=True)
    command = commands.add_parser('claims', help="the paper's claims, and what our logs show of each")
    command.add_argument('--format', choices=list(FORMATS), default='text', help='how they are printed')
    command.add_argument('--log-dir', default='logs', help='folder with the run directories')
    command.set_defaults(do=print_claims)
    command = commands.add_parser('cards', help='write README.md into every run directory: what the run is')
    command.add_argument('--log-dir', default='logs', help='folder with the run directories')
    command.set_defaults(do=write_cards)
    return parser


def print_claims(args: Namespace) -> None:
    """Print every claim with its verdict."""
    print(FORMATS[args.format](ledger(args.log_dir)))


def write_cards(args: Namespace) -> None:
    """Write the cards, and print their paths."""
    print('\n'.join(cards.write(args.log_dir)))


def main() -> None:
    """Parse the command line and do what it says."""
    args = parser().parse_args()
    results.check(args.log_dir)
    args.do(args)


if __name__ == '__main__':
    run(main)
