"""Check that runs are as they were written.

    python -m training.verify logs             # every file of every run below logs/, by its SHA256SUMS
    python -m training.verify logs --write     # write that file for runs of earlier versions

A run that has not ended has no SHA256SUMS of its own, so its checkpoints are checked by theirs. Of runs of earlier
versions, which have neither, what config.json and metrics.csv say of one another is checked.
"""

from common.cli import Parser, run

import os

from common import sums
from common.errors import UserError
from training import checkpoint, run_directory


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog='python -m training.verify', description=__doc__)
    parser.add_argument(
        'paths', nargs='*', default=['logs'], metavar='DIR', help='run directories, or folders above them'
    )
    parser.add_argument('--write', action='store_true', help='write SHA256SUMS where it is missing')
    return parser


def check(run_dir: str) -> bool:
    """Whether a run, or each checkpoint of one that has not ended, has digests, which are right.

    Raises:
        UserError: a file is not as it was written.
    """
    run_directory.read_metrics(run_dir)
    digests = sums.read(run_dir)
    if digests:
        sums.check(run_dir, digests)
        unlisted = [name for name in run_directory.files(run_dir) if name not in digests]
        if unlisted:
            raise UserError(f'{run_dir} is damaged: {unlisted[0]} is not in {sums.NAME}')
        return True
    folders = checkpoint.find(run_dir)
    for folder in folders:
        checkpoint.load_model(folder)
    under_way = run_directory.read_config(run_dir)['outcome'] is None
    return under_way and all(sums.check(folder, sums.read(folder) or ()) for folder in folders)


def main() -> None:
    """Check every run, and say which files differ."""
    args, wrong, without = parser().parse_args(), [], []
    runs = run_directory.find_runs(args.paths)
    for run_dir in runs:
        try:
            if not check(run_dir):
                without.append(run_dir)
        except UserError as error:
            wrong.append(run_dir)
            print(error)
    for run_dir in without if args.write else ():
        sums.write(run_dir, run_directory.files(run_dir))
        print(f'{os.path.join(run_dir, sums.NAME)} written')
    if wrong:
        raise UserError(f'{len(wrong)} of {len(runs)} runs are damaged')
    known = len(runs) if args.write else len(runs) - len(without)
    print(f'{known} run{"" if known == 1 else "s"} as written')
    if known < len(runs):
        print(f'{len(without)} without {sums.NAME}, which cannot be checked: {", ".join(without)}')


if __name__ == '__main__':
    run(main)
