"""One HTML page with every table and figure of the paper beside our logs.

A browser is all it needs: no server, no network. The tables are those of compare.py, the figures those of plot.py, the
claims those of `python -m paper claims`. Each number of ours links to its runs, with their options, results and curves.
"""

import base64
import io
import os
import re
from typing import NamedTuple

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from common.files import write_atomically
import paper
from paper import claims, pages
from paper.experiments import FIGURES
from paper.figures import curves, numbered
from paper.formats import as_html
from paper.tables import NOTHING, table
from training.run_directory import CONFIG, group_runs, read_config, read_metrics, runs_below

OUTCOME = ('status', 'epochs', 'test_error', 'best_test_error', 'peak_memory_mib')  # what is shown of a run's


def write(path: str, log_dir: str) -> str:
    """Write the page for all runs in log_dir, and return its path.

    Raises:
        UserError: a run is damaged.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    write_atomically(path, page(log_dir))
    return path


def page(log_dir: str) -> str:
    """The page's HTML."""
    groups = group_runs(runs_below(log_dir))
    firsts = {run_dir: group[0] for group in groups for run_dir in group}

    def anchor(run_dir):
        """The id of a run's group; of the file of an ensemble of runs, that of its first member's."""
        if run_dir.endswith('.json'):
            run_dir = os.path.join(os.path.dirname(run_dir), read_config(run_dir)['members'][0])
        return id_of(firsts.get(os.path.normpath(run_dir), run_dir))

    entries = claims.ledger(log_dir)
    return pages.render(
        'report.html',
        count=sum(map(len, groups)),
        tables={
            number: as_html(table(number, log_dir), lambda run_dir: f'#{anchor(run_dir)}') for number in paper.TABLES
        },
        figures={number: _figure(number, log_dir) for number in FIGURES},
        claims=entries,
        claims_summary=claims.summary(entries),
        claims_heads=claims.HEADS,
        nothing=NOTHING,
        groups=map(_group, groups),
        anchor=anchor,
    )


class Drawing(NamedTuple):
    """A figure as the page shows it: base64 of its SVG, and its description for those who cannot see it."""

    svg: str
    description: str


def _drawing(figure: Figure, description: str) -> Drawing:
    svg = io.BytesIO()
    figure.savefig(svg, format='svg', bbox_inches='tight', metadata={'Date': None})
    plt.close(figure)
    return Drawing(base64.b64encode(svg.getvalue()).decode(), description)


def _figure(number, log_dir):
    figure, _ = numbered.draw(number, log_dir)
    return _drawing(figure, ' '.join(figure.texts[-1].get_text().split()))


def _group(run_dirs):
    """What is shown of runs that differ in the seed alone: results, curves and options."""
    drawn = any(map(read_metrics, run_dirs))
    return {
        'anchor': id_of(run_dirs[0]),
        'runs': list(map(_run, run_dirs)),
        'curves': drawn
        and _drawing(curves.draw(curves.group(run_dirs)), 'training loss and test error against epochs'),
    }


def _run(run_dir):
    config = read_config(run_dir)
    with open(os.path.join(run_dir, CONFIG), encoding='utf-8') as file:
        text = file.read().rstrip()
    outcome = config['outcome'] or {'status': 'not finished', 'epochs': len(read_metrics(run_dir))}
    return {
        'path': run_dir,
        'name': os.path.basename(run_dir),
        'outcome': ', '.join(
            f'{name.replace("_", " ")} {_short(outcome[name])}' for name in OUTCOME if outcome.get(name) is not None
        ),
        'config': text,
    }


def _short(value):
    return f'{value:.2f}' if isinstance(value, float) else value


def id_of(run_dir: str) -> str:
    """The id, on the page, of the group of runs that begins with this one."""
    return 'run-' + re.sub('[^A-Za-z0-9]', '-', os.path.normpath(run_dir))
