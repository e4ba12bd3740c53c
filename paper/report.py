"""One HTML page with every table and figure of the paper beside our logs.

A browser is all it needs: no server, no network. The tables are those of compare.py, the figures those of plot.py, the
claims those of `python -m paper claims`. Each number of ours links to its runs, with their options, results and curves.
"""

import base64
import html
import io
import os
import re
import string

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from common.files import write_atomically
import paper
from paper import claims
from paper.experiments import FIGURES
from paper.figures import curves, numbered
from paper.formats import as_html
from paper.tables import NOTHING, table
from training.run_directory import group_runs, read_config, read_metrics, without_seed

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'report.html')
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
    has_runs = any('config.json' in files for _, _, files in os.walk(log_dir))
    groups = group_runs([log_dir]) if has_runs else {}
    count = sum(map(len, groups.values()))
    links = [
        f'<a href="#{kind.lower()}{number}">{kind} {number}</a>'
        for kind, numbers in (('Table', paper.TABLES), ('Figure', FIGURES))
        for number in numbers
    ]
    with open(TEMPLATE, encoding='utf-8') as file:
        template = string.Template(file.read())
    return template.substitute(
        runs='1 run' if count == 1 else f'{count} runs',
        nav=''.join([*links, '<a href="#claims">Claims</a>', '<a href="#runs">Runs</a>']),
        tables='\n'.join(_table(number, log_dir) for number in paper.TABLES),
        figures='\n'.join(_figure(number, log_dir) for number in FIGURES),
        claims=_claims(log_dir),
        details='\n'.join(_runs(run_dirs) for run_dirs in groups.values()),
    )


def _table(number, log_dir):
    content = as_html(table(number, log_dir), lambda run_dir: f'#{anchor(run_dir)}')
    return f'<h2 id="table{number}">Table {number}</h2>\n<div class="wide">{content}</div>'


def _claims(log_dir):
    """A table with a row for each claim; its commands link to their runs."""
    entries = claims.ledger(log_dir)
    head = ''.join(f'<th>{name}</th>' for name in claims.HEADS)
    lines = [
        '<table class="claims">',
        f'<caption>{html.escape(claims.summary(entries))}</caption>',
        f'<thead><tr>{head}</tr></thead>',
        '<tbody>',
    ]
    for claim, finding in entries:
        runs = '<br>'.join(
            f'<a href="#{anchor(run_dir)}">{html.escape(command)}</a>' if run_dir else command
            for command, run_dir in finding.runs.items()
        )
        section, text, shows, seen = map(html.escape, (claim.section, claim.claim, claim.shows, finding.seen))
        cells = ''.join(f'<td>{cell or NOTHING}</td>' for cell in (text, shows, runs, seen, finding.verdict))
        lines.append(f'<tr><th>{section}</th>{cells}</tr>')
    return '\n'.join([*lines, '</tbody>', '</table>'])


def _figure(number, log_dir):
    figure, _ = numbered.draw(number, log_dir)
    caption = ' '.join(figure.texts[-1].get_text().split())
    return f'<h2 id="figure{number}">Figure {number}</h2>\n<figure>{_image(figure, caption)}</figure>'


def _image(figure: Figure, description: str) -> str:
    """An <img> that contains the figure."""
    svg = io.BytesIO()
    figure.savefig(svg, format='svg', bbox_inches='tight', metadata={'Date': None})
    plt.close(figure)
    data = base64.b64encode(svg.getvalue()).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/svg+xml;base64,{data}">'


def _runs(run_dirs):
    """Runs that differ in the seed alone: results, curve and options."""
    configs = {run_dir: read_config(run_dir) for run_dir in run_dirs}
    lines = [f'<details id="{anchor(run_dirs[0])}">', f'<summary>{html.escape(", ".join(run_dirs))}</summary>']
    lines += [
        f'<p>{_name(run_dir)}: {html.escape(_outcome(run_dir, config))}</p>' for run_dir, config in configs.items()
    ]
    if any(map(read_metrics, run_dirs)):
        lines.append(_image(curves.draw(curves.group(run_dirs)), 'training loss and test error against epochs'))
    lines += [
        f'<details><summary>configuration of {_name(run_dir)}</summary>'
        f'<pre>{html.escape(_config_file(run_dir))}</pre></details>'
        for run_dir in run_dirs
    ]
    return '\n'.join([*lines, '</details>'])


def _config_file(run_dir):
    with open(os.path.join(run_dir, 'config.json'), encoding='utf-8') as file:
        return file.read().rstrip()


def _name(run_dir):
    return html.escape(os.path.basename(run_dir))


def _outcome(run_dir, config):
    outcome = config['outcome'] or {'status': 'not finished', 'epochs': len(read_metrics(run_dir))}
    return ', '.join(f'{name.replace("_", " ")} {_short(outcome[name])}' for name in OUTCOME if name in outcome)


def _short(value):
    return f'{value:.2f}' if isinstance(value, float) else value


def anchor(run_dir: str) -> str:
    """The id, on the page, of the runs that differ from this one in the seed alone.

    Args:
        run_dir: a run directory, or the file of an ensemble of runs; the latter leads to its first member.
    """
    if run_dir.endswith('.json'):
        run_dir = os.path.join(os.path.dirname(run_dir), read_config(run_dir)['members'][0])
    return 'run-' + re.sub('[^A-Za-z0-9]', '-', without_seed(os.path.normpath(run_dir)))
