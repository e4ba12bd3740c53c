"""Classify images by a trained network: the most probable classes and their probabilities.

    python predict.py logs/cifar10/dfn-mr-14/epochs8-seed1 cat.jpg holiday/       # files, and folders at any depth
    python predict.py logs/cifar10/dfn-mr-14/epochs8-seed1 holiday --top 1 --csv holiday.csv --grid holiday.png
    python predict.py logs/cifar10/ensemble-14/epochs8-seed1 cat.jpg --members    # and what each member says
    find / -name '*.png' | python predict.py logs/cifar10/dfn-mr-14/epochs8-seed1/checkpoint-0008 -

RUN is the directory of any run, or of one of its checkpoints. Each image is prepared as the run's test images were. For
a network for 32×32 images, its shorter side is resized to 32 pixels, and the middle square is taken; for ImageNet, to
256 pixels, and the middle 224×224 are taken. An image that cannot be read is named on standard error and skipped; the
exit status is then 1. In your own code: `from interop.image_classifier import load`.
"""

from common.cli import Parser, positive_int, run

import argparse
from collections.abc import Callable, Iterator, Sequence
import contextlib
import csv
import os
import sys

from common.errors import UserError
from common.files import check_outputs, replacing
from data.image_folders import find_names
from interop.image_classifier import ImageClassifier, Predicted, load
from training import options

LARGEST_GRID = 100  # images


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument('run', metavar='RUN', help='a run directory, or a checkpoint in one')
    parser.add_argument('images', nargs='+', metavar='FILE|FOLDER|-', help='images; -: their names, a line each')
    parser.add_argument('--top', type=positive_int, default=5, metavar='K', help='how many classes to show')
    parser.add_argument('--members', action='store_true', help='of an ensemble, show what each member says as well')
    parser.add_argument(
        '--csv', metavar='FILE', help='write a table: a line for each image, or for each of its members'
    )
    parser.add_argument('--grid', metavar='FILE.png', help=f'a picture of the first {LARGEST_GRID} images')
    parser.add_argument('--batch-size', type=positive_int, default=32, help='images at a time, over all devices')
    options.add_options(parser, ('gpus', 'cpus'))
    return parser


def check(args: argparse.Namespace) -> None:
    """Raise UserError for what would fail after the work."""
    for path in args.images:
        if os.path.isdir(path) and next(find_names(path), None) is None:
            raise UserError(f'{path} has no images')
    check_outputs(*filter(None, (args.csv, args.grid)))
    if args.images.count('-') > 1:
        raise UserError('- can be given once')


def names_of(paths: Sequence[str]) -> Iterator[str]:
    """The names of the images: of files as they are, of folders in order."""
    for path in paths:
        if path == '-':
            yield from filter(None, (line.rstrip('\n') for line in sys.stdin))
        elif os.path.isdir(path):
            yield from (os.path.join(path, name) for name in sorted(find_names(path), key=os.fsencode))
        else:
            yield path


def rows_of(classifier: ImageClassifier, image: Predicted, args: argparse.Namespace) -> list[tuple]:
    """(member, [(class, probability), …]) of an image: of the network, and with --members of each member."""
    assert image.members is not None
    named = [('', image.members.mean(axis=0))]
    if args.members:
        named += zip(classifier.members, image.members)
    return [(name, classifier.top(probabilities[None], args.top)[0]) for name, probabilities in named]


def show(image: Predicted, rows: list[tuple]) -> None:
    """Print a line for the image, and one for each member."""
    for name, top in rows:
        classes = ', '.join(f'{class_} {100 * probability:.1f} %' for class_, probability in top)
        print(f'  {name}: {classes}' if name else f'{image.name}: {classes}', flush=True)


@contextlib.contextmanager
def table(path: str | None, count: int, with_members: bool) -> Iterator[Callable[[Predicted, list[tuple]], None]]:
    """A function that adds an image to the table at `path`, where there is one."""
    if not path:
        yield lambda image, rows: None
        return
    with replacing(path) as temporary:
        # Names that are not UTF-8 keep their bytes.
        with open(temporary, 'w', newline='', encoding='utf-8', errors='surrogateescape') as file:
            writer = csv.writer(file, lineterminator='\n')
            head = [f'{kind}_{place}' for place in range(1, count + 1) for kind in ('class', 'probability')]
            writer.writerow(['file', *(['member'] if with_members else []), *head])

            def add(image, rows):
                for name, top in rows:
                    cells = [cell for class_, probability in top for cell in (class_, f'{probability:.9g}')]
                    writer.writerow([image.name, *([name] if with_members else []), *cells])

            yield add


def draw(path: str, shown: list[tuple]) -> None:
    """Write a picture of (pixels, class, probability)."""
    from paper.figures import images  # here, because matplotlib takes a second

    captions = [f'{name[:24]}\n{100 * probability:.0f} %' for _, name, probability in shown]
    images.write(images.grid([pixels for pixels, _, _ in shown], captions), path)


def main() -> int:
    """Predict every image, and say which could not be read."""
    args = parser().parse_args()
    check(args)
    classifier = load(args.run, args.gpus, args.cpus)
    if args.members and len(classifier.members) == 1:
        raise UserError(f'{args.run} is one network: --members is for ensembles')
    args.top = min(args.top, len(classifier.classes))
    shown, seen, bad = [], 0, 0
    with table(args.csv, args.top, args.members) as add:
        for image in classifier.predict_files(names_of(args.images), args.batch_size):
            if image.problem:
                print(f'skipped: {image.problem}', file=sys.stderr)
                bad += 1
                continue
            rows = rows_of(classifier, image, args)
            show(image, rows)
            add(image, rows)
            seen += 1
            if args.grid and len(shown) < LARGEST_GRID:
                shown.append((image.pixels, *rows[0][1][0]))
        if not seen and (args.csv or not bad):  # an earlier table stays
            raise UserError('no image could be read' if bad else 'no image was named')
    if shown:
        draw(args.grid, shown)
    return 1 if bad else 0


if __name__ == '__main__':
    run(main)
