"""One HTML page with every table and figure of the paper beside our logs, for a browser alone: no server, no network.

Tables are those of compare.py, figures those of plot.py, inside the page; behind each number of ours are its runs'
options, results and curve.

    python report.py                             # figures/report.html
    python report.py --log-dir elsewhere --out page.html
"""
import base64
import html
import io
import json
import os
import re
import string

from matplotlib import pyplot as plt

from paper import results
from paper.formats import as_html
from paper.tables import table
from common.cli import Parser, run
from common.files import write_atomically
import paper
from paper.experiments import FIGURES
from paper.figures import curves, figure as figures
from training.runlog import group_runs, read_config, read_metrics, without_seed

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'report.html')
SHOWN = ('status', 'epochs', 'test_error', 'best_test_error', 'peak_memory_mib')  # of a run's outcome


def page(log_dir):
    """The page, as text, for all runs in log_dir. Raises UserError for a damaged run."""
    there = any('config.json' in files for _, _, files in os.walk(log_dir))
    groups = group_runs([log_dir]) if there else {}
    count = sum(map(len, groups.values()))
    with open(TEMPLATE, encoding='utf-8') as file:
        template = string.Template(file.read())
    return template.substitute(
        runs='%d run%s' % (count, '' if count == 1 else 's'),
        nav=''.join('<a href="#%s%d">%s %d</a>' % (kind.lower(), number, kind, number)
                    for kind, numbers in (('Table', paper.TABLES), ('Figure', FIGURES)) for number in numbers)
        + '<a href="#runs">Runs</a>',
        tables='\n'.join(_table(number, log_dir) for number in paper.TABLES),
        figures='\n'.join(_figure(number, log_dir) for number in FIGURES),
        details='\n'.join(_runs(places) for places in groups.values()))


def _table(number, log_dir):
    return '<h2 id="table%d">Table %d</h2>\n<div class="wide">%s</div>' % (
        number, number, as_html(table(number, log_dir), lambda run_dir: '#' + anchor(run_dir)))


def _figure(number, log_dir):
    figure, _ = figures.draw(number, log_dir)
    caption = ' '.join(figure.texts[-1].get_text().split())
    return '<h2 id="figure%d">Figure %d</h2>\n<figure>%s</figure>' % (
        number, number, _image(figure, caption))


def _image(figure, description):
    """An <img> with the figure in it."""
    svg = io.BytesIO()
    figure.savefig(svg, format='svg', bbox_inches='tight', metadata={'Date': None})
    plt.close(figure)
    return '<img alt="%s" src="data:image/svg+xml;base64,%s">' % (
        html.escape(description), base64.b64encode(svg.getvalue()).decode())


def _runs(places):
    """The runs that differ in their seeds alone: results, options and curve."""
    configs = {place: read_config(place) for place in places}
    lines = ['<details id="%s">' % anchor(places[0]), '<summary>%s</summary>' % html.escape(', '.join(places))]
    for place, config in configs.items():
        outcome = config['outcome'] or {'status': 'not finished', 'epochs': len(read_metrics(place))}
        lines.append('<p>%s: %s</p>' % (html.escape(os.path.basename(place)), html.escape(', '.join(
            '%s %s' % (name.replace('_', ' '), _short(outcome[name])) for name in SHOWN if name in outcome))))
    if any(map(read_metrics, places)):
        lines.append(_image(curves.draw(curves.group(places)), 'training loss and test error against epochs'))
    for place, config in configs.items():
        lines.append('<details><summary>configuration of %s</summary><pre>%s</pre></details>' % (
            html.escape(os.path.basename(place)), html.escape(json.dumps(config, indent=1))))
    return '\n'.join(lines + ['</details>'])


def anchor(run_dir):
    """The name, on the page, of the runs that differ from one in the seed alone."""
    path = os.path.join(os.path.dirname(run_dir), read_config(run_dir)['members'][0]) if run_dir.endswith('.json') \
        else run_dir
    return 'run-' + re.sub('[^A-Za-z0-9]', '-', without_seed(os.path.normpath(path)))


def _short(value):
    return '%.2f' % value if isinstance(value, float) else value


def main():
    """Write the page."""
    parser = Parser(description=__doc__)
    parser.add_argument('--log-dir', default='logs', help='where the run directories are')
    parser.add_argument('--out', metavar='FILE', default='figures/report.html', help='the page')
    args = parser.parse_args()
    results.check(args.log_dir)
    os.makedirs(os.path.dirname(args.out) or '.', exist_ok=True)
    write_atomically(args.out, page(args.log_dir))
    print(args.out)


if __name__ == '__main__':
    run(main)
