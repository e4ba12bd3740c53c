"""Captions, and the runs that they name."""

from collections.abc import Iterable
import os
import textwrap

from matplotlib.figure import Figure

from common.output import printable
from paper.results import Found
from training.run_directory import without_seed


def add_caption(figure: Figure, text: str) -> None:
    """Write a caption below everything that is drawn."""
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    lines = '\n'.join(line for part in text.split('\n') for line in textwrap.wrap(part, int(18 * box.width)))
    figure.text(box.x0 / width, box.y0 / height - 0.08 / height, lines, va='top', fontsize=6.5, color='#444444')


def describe(found: Iterable[Found]) -> str:
    """The runs that a picture shows, as a sentence; those that differ in the seed alone are named together."""
    seeds: dict[tuple, list[str]] = {}  # {(run directory without its seed, differences from the paper): seeds}
    for group in found:
        for run_dir in group.runs:
            place, seed = without_seed(run_dir), run_dir.rpartition('seed')[2]
            seeds.setdefault((place, group.differences), []).append(f'seed{seed}')
    if not seeds:
        return 'No run yet.'
    runs = [
        f'{place}{"" if place.endswith(os.sep) else "-"}{",".join(of_place)}'
        + (f' ({", ".join(differences)})' if differences else '')
        for (place, differences), of_place in seeds.items()
    ]
    return printable(f'Runs: {"; ".join(runs)}.')
