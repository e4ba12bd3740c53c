"""A network as the paper draws it: boxes for convolutions and FC, circles where branches are summed.

As in Figure 7 a layer with stride 2 is a trapezoid and a projection shortcut a dashed line. The picture
is made from the symbol's own graph, so it shows what is trained. Columns follow the layers' names:
branch1 and left sides left, branch2 and right sides right, everything else in the middle. An ensemble has
a column for each component network (Figure 1); what several share stands in the middle of theirs.
"""
import ast
import re
import statistics
from typing import NamedTuple

import paper.figures  # noqa: F401  chooses the backend before pyplot is imported
from symbols.analysis.summary import is_layer, nodes

from matplotlib import pyplot as plt  # isort: skip
from matplotlib.patches import Polygon  # isort: skip

INPUTS = {'x': 0, 'a': -1, 'b': 1}  # columns of what goes into a unit (Figure 6)
COLUMNS = {'_branch1': -1, '_left': -1, '_branch2': 1, '_right': 1}
SUMS = ('elemwise_add', 'add_n')
FACTORS = {'0.5': '½', '0.25': '¼', '0.125': '⅛'}
COLOURS = ['#DCE9F5', '#FBE3D1', '#DDEFE0', '#EFE3F3', '#F6F0CC']
ROW, HALF_WIDTH, HALF_HEIGHT = 0.34, 0.42, 0.3   # inches a row; the rest in columns and rows


class Item(NamedTuple):
    """A box or a circle. sources: [(index of an item, whether through a projection)]."""

    name: str
    label: str     # empty for a circle
    column: float
    row: float
    stride: int
    channels: int
    sources: list
    factor: str = ''  # that a sum is multiplied by


def items(symbol, blocks=False):
    """The graph's convolutions, FC and sums, in topological order; all other nodes are passed through.

    blocks: a bottleneck of three layers is one box, as in Figures 9 and 10.
    """
    graph = nodes(symbol)
    heads = {}       # node → [(item, projection)] that its value comes from
    strides = {}     # of the blocks whose last layer is still to come
    result = []
    merged, column_of = _summed_again(graph), _columns(graph)
    for index, node in enumerate(graph):
        sources = [head for source, *_ in node['inputs'] for head in heads.get(source, [])]
        projection = is_layer(node) and '_shortcut' in node['name']
        if projection:
            heads[index] = [(item, True) for item, _ in sources]
        elif node['name'] in INPUTS:
            result.append(Item(node['name'], node['name'], INPUTS[node['name']], 0, 1, 0, []))
            heads[index] = [(len(result) - 1, False)]
        elif blocks and re.search('_layer[12]_conv$', node['name']):
            strides[node['name'][:-len('1_conv')]] = max(_stride(node), strides.get(node['name'][:-len('1_conv')], 1))
            heads[index] = sources
        elif is_layer(node) or node['op'] in SUMS and index not in merged:
            row = max((result[item].row + 1 for item, _ in sources), default=0)
            item = _item(node, column_of(node['name']), row, sources, result)
            result.append(_block(item, strides) if blocks and node['name'].endswith('_layer3_conv') else item)
            heads[index] = [(len(result) - 1, False)]
        else:
            heads[index] = sources
            if node['op'] == '_mul_scalar':
                item = sources[0][0]
                result[item] = result[item]._replace(factor=FACTORS.get(node['attrs']['scalar'], ''))
    return result


def _summed_again(graph):
    """Sums that go straight into another sum: (a + b) + c is one circle with three inputs."""
    return {source for node in graph if node['op'] in SUMS
            for source, *_ in node['inputs'] if graph[source]['op'] in SUMS}


def _columns(graph):
    """A function from a layer's name to its column."""
    leaves = sorted(node['name'][:-len('_fc')] for node in graph if node['name'].endswith('_fc'))
    if not leaves:
        return lambda name: next((place for part, place in COLUMNS.items() if part in name), 0)
    place = {path: column - (len(leaves) - 1) / 2 for column, path in enumerate(leaves)}

    def column_of(name):
        sides = re.match('(?:([LR]+)_)?', name).group(1) or ''
        if len(sides) < len(leaves[0]):  # a layer that the components with these sides, and its own, share
            sides += 'L' if '_left' in name else 'R' if '_right' in name else ''
        return statistics.mean(column for path, column in place.items() if path.startswith(sides))
    return column_of


def _item(node, column, row, sources, above):
    attributes = node.get('attrs', {})
    if node['op'] in SUMS:
        # in the middle, but in DFN-MR the sum of a stream stays with its branch
        branches = {above[item].column for item, _ in sources if '_branch' in above[item].name}
        return Item(node['name'], '', branches.pop() if len(branches) == 1 else 0, row, 1, 0, sources)
    if node['op'] == 'FullyConnected':
        of_component = re.match('([LR]+)_fc', node['name'])
        label = '%s: FC' % of_component.group(1) if of_component else 'FC, %s' % attributes['num_hidden']
        return Item(node['name'], label, column, row, 1, 0, sources)
    kernel, (stride, _) = ast.literal_eval(attributes['kernel']), ast.literal_eval(attributes['stride'])
    channels = int(attributes['num_filter'])
    label = '%d×%d, %d%s' % (kernel + (channels, ', /2' if stride == 2 else ''))
    return Item(node['name'], label, column, row, stride, channels, sources)


def _stride(layer):
    return ast.literal_eval(layer['attrs']['stride'])[0]


def _block(item, strides):
    stride = strides[item.name[:-len('3_conv')]]
    return item._replace(label='B, %d%s' % (item.channels, ', /2' if stride == 2 else ''), stride=stride)


def draw(named, blocks=False):
    """A figure with the networks side by side; named: [(title, symbol)]; blocks: as of `items`."""
    graphs = [(title, items(symbol, blocks)) for title, symbol in named]
    widths = [2.2 + max(item.column for item in graph) - min(item.column for item in graph) for _, graph in graphs]
    rows = max(item.row for _, graph in graphs for item in graph) + 2
    figure, axes = plt.subplots(1, len(graphs), figsize=(1.15 * sum(widths), ROW * rows), squeeze=False,
                                gridspec_kw={'width_ratios': widths, 'wspace': 0.02})
    for axis, (title, graph), width in zip(axes[0], graphs, widths):
        _draw_graph(axis, graph)
        axis.set(xlim=(-width / 2, width / 2), ylim=(rows - 1, -1))
        axis.text(0, -0.8, title, ha='center', fontsize=10)
        axis.axis('off')
    return figure


def _draw_graph(axis, graph):
    for target in graph:
        for source, projection in target.sources:
            xs, ys = _route(graph, graph[source], target)
            axis.plot(xs, ys, color='#444444', linewidth=0.9, linestyle='--' if projection else '-', zorder=1)
    shades = {}
    for item in graph:
        if item.label:
            colour = COLOURS[shades.setdefault(item.channels, len(shades)) % len(COLOURS)]
            axis.add_patch(Polygon(_outline(item), facecolor=colour, edgecolor='#333333', linewidth=0.8, zorder=2))
            axis.text(item.column, item.row, item.label, ha='center', va='center', fontsize=6.5, zorder=3)
        else:
            axis.plot(item.column, item.row, marker='o', markersize=9, color='white', markeredgecolor='#333333',
                      markeredgewidth=0.8, zorder=2)
            axis.text(item.column, item.row, '+', ha='center', va='center_baseline', fontsize=8, zorder=3)
            axis.text(item.column + 0.14, item.row + 0.4, item.factor, va='center', fontsize=7)


def _outline(item):
    x, y, narrow = item.column, item.row, HALF_WIDTH * (0.72 if item.stride == 2 else 1)
    return [(x - HALF_WIDTH, y - HALF_HEIGHT), (x + HALF_WIDTH, y - HALF_HEIGHT),
            (x + narrow, y + HALF_HEIGHT), (x - narrow, y + HALF_HEIGHT)]


def _route(graph, source, target):
    """Corners of the line from a source to a target: straight, or around what stands between."""
    between = [item for item in graph if item.label and source.row < item.row < target.row]
    if source.column == target.column and any(item.column == source.column for item in between):
        side, below = source.column + 0.75, source.row + 0.5
        return [source.column, side, side, target.column], [below, below, target.row, target.row]
    if source.column != target.column and between:
        return [source.column, source.column, target.column], [source.row, target.row, target.row]
    return [source.column, target.column], [source.row, target.row]
