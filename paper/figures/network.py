"""A network as the paper draws it: boxes for convolutions and FC, circles for the sums of branches.

As in Figure 7, a layer with stride 2 is a trapezoid and a projection shortcut is a dashed line. The picture is made
from the symbol's own graph, so it shows what is trained.

A layer's name gives its column: branch1 and left sides stand on the left, branch2 and right sides on the right,
everything else in the middle. An ensemble has a column for each component network (Figure 1); a layer that several
components share stands in the middle of theirs.
"""

import ast
import re
import statistics
from typing import NamedTuple

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from common.mxnet import mx
from symbols.analysis.graph import is_layer, nodes

INPUTS = {'x': 0, 'a': -1, 'b': 1}  # columns of a unit's inputs (Figure 6)
COLUMNS = {'_branch1': -1, '_left': -1, '_branch2': 1, '_right': 1}
SUMS = ('elemwise_add', 'add_n')
FACTORS = {'0.5': '½', '0.25': '¼', '0.125': '⅛'}
FILLS = ['#DCE9F5', '#FBE3D1', '#DDEFE0', '#EFE3F3', '#F6F0CC']  # of the boxes, a color for each number of channels
ROW, HALF_WIDTH, HALF_HEIGHT = 0.34, 0.42, 0.3  # inches per row; of a box, in columns and rows


class Item(NamedTuple):
    """A box or a circle.

    label: empty for a circle.
    sources: (index of an item, whether the line to it is a projection).
    factor: what a sum is multiplied by, as text.
    """

    name: str
    label: str
    column: float
    row: float
    stride: int
    channels: int
    sources: list[tuple[int, bool]]
    factor: str = ''


def items(symbol: mx.sym.Symbol, blocks: bool = False) -> list[Item]:
    """The convolutions, FC and sums of a symbol, in topological order; lines lead through all other nodes.

    Args:
        blocks: draw a bottleneck of three layers as one box, as in Figures 9 and 10.
    """
    graph = nodes(symbol)
    heads: dict[int, list[tuple[int, bool]]] = {}  # {node: sources of an item that reads it}
    strides: dict[str, int] = {}  # of the blocks whose last layer is still to come
    result: list[Item] = []
    merged, column_of = _merged_sums(graph), _columns(graph)
    for index, node in enumerate(graph):
        name = node['name']
        sources = [head for source, *_ in node['inputs'] for head in heads.get(source, [])]
        heads[index] = sources
        if is_layer(node) and '_shortcut' in name:
            heads[index] = [(item, True) for item, _ in sources]
        elif name in INPUTS:
            result.append(Item(name, name, INPUTS[name], 0, 1, 0, []))
            heads[index] = [(len(result) - 1, False)]
        elif blocks and re.search('_layer[12]_conv$', name):
            strides[_block(name)] = max(_stride(node), strides.get(_block(name), 1))
        elif is_layer(node) or node['op'] in SUMS and index not in merged:
            row = max((result[item].row + 1 for item, _ in sources), default=0)
            item = _item(node, column_of(name), row, sources, result)
            result.append(_as_block(item, strides) if blocks and name.endswith('_layer3_conv') else item)
            heads[index] = [(len(result) - 1, False)]
        elif node['op'] == '_mul_scalar':
            item = sources[0][0]
            result[item] = result[item]._replace(factor=FACTORS.get(node['attrs']['scalar'], ''))
    return result


def _merged_sums(graph):
    """Sums that only another sum reads: (a + b) + c is one circle with three inputs."""
    return {
        source for node in graph if node['op'] in SUMS for source, *_ in node['inputs'] if graph[source]['op'] in SUMS
    }


def _columns(graph):
    """A function from a layer's name to its column."""
    leaves = sorted(node['name'][: -len('_fc')] for node in graph if node['name'].endswith('_fc'))
    if not leaves:
        return lambda name: next((column for part, column in COLUMNS.items() if part in name), 0)
    columns = {path: place - (len(leaves) - 1) / 2 for place, path in enumerate(leaves)}

    def column_of(name):
        prefix = re.match('[LR]+(?=_)', name)
        sides = prefix.group() if prefix else ''
        if len(sides) < len(leaves[0]):  # shared by the components whose path begins with these sides and its own
            sides += 'L' if '_left' in name else 'R' if '_right' in name else ''
        return statistics.mean(column for path, column in columns.items() if path.startswith(sides))

    return column_of


def _item(node, column, row, sources, above):
    name, attributes = node['name'], node.get('attrs', {})
    if node['op'] in SUMS:
        # in the middle, except in DFN-MR, where a stream's sum stays with its branch
        branches = {above[item].column for item, _ in sources if '_branch' in above[item].name}
        return Item(name, '', branches.pop() if len(branches) == 1 else 0, row, 1, 0, sources)
    if node['op'] == 'FullyConnected':
        path = re.match('([LR]+)_fc', name)
        label = f'{path.group(1)}: FC' if path else f'FC, {attributes["num_hidden"]}'
        return Item(name, label, column, row, 1, 0, sources)
    (height, width), stride, channels = ast.literal_eval(attributes['kernel']), _stride(node), attributes['num_filter']
    return Item(name, f'{height}×{width}, {channels}{_halved(stride)}', column, row, stride, int(channels), sources)


def _as_block(item, strides):
    """The box of a bottleneck, in the place of its last layer."""
    stride = strides[_block(item.name)]
    return item._replace(label=f'B, {item.channels}{_halved(stride)}', stride=stride)


def _block(name):
    """The block of the layer with this name."""
    return re.sub('[123]_conv$', '', name)


def _stride(layer):
    return ast.literal_eval(layer['attrs']['stride'])[0]


def _halved(stride):
    return ', /2' if stride == 2 else ''


def draw(named: list[tuple[str, mx.sym.Symbol]], blocks: bool = False) -> Figure:
    """A figure with networks, (title, symbol), side by side; blocks: as in `items`."""
    graphs = [(title, items(symbol, blocks)) for title, symbol in named]
    widths = [2.2 + max(item.column for item in graph) - min(item.column for item in graph) for _, graph in graphs]
    rows = max(item.row for _, graph in graphs for item in graph) + 2
    figure, axes = plt.subplots(
        1,
        len(graphs),
        figsize=(1.15 * sum(widths), ROW * rows),
        squeeze=False,
        gridspec_kw={'width_ratios': widths, 'wspace': 0.02},
    )
    for axis, (title, graph), width in zip(axes[0], graphs, widths, strict=True):
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
    fills: dict[int, str] = {}  # {channels: color}
    for item in graph:
        if item.label:
            fill = fills.setdefault(item.channels, FILLS[len(fills) % len(FILLS)])
            axis.add_patch(Polygon(_outline(item), facecolor=fill, edgecolor='#333333', linewidth=0.8, zorder=2))
            axis.text(item.column, item.row, item.label, ha='center', va='center', fontsize=6.5, zorder=3)
        else:
            axis.plot(
                item.column,
                item.row,
                marker='o',
                markersize=9,
                color='white',
                markeredgecolor='#333333',
                markeredgewidth=0.8,
                zorder=2,
            )
            axis.text(item.column, item.row, '+', ha='center', va='center_baseline', fontsize=8, zorder=3)
            axis.text(item.column + 0.14, item.row + 0.4, item.factor, va='center', fontsize=7)


def _outline(item):
    """The corners of a box: a rectangle, or with stride 2 a trapezoid."""
    x, y, narrow = item.column, item.row, HALF_WIDTH * (0.72 if item.stride == 2 else 1)
    return [
        (x - HALF_WIDTH, y - HALF_HEIGHT),
        (x + HALF_WIDTH, y - HALF_HEIGHT),
        (x + narrow, y + HALF_HEIGHT),
        (x - narrow, y + HALF_HEIGHT),
    ]


def _route(graph, source, target):
    """The corners of the line from a source to a target, (xs, ys): straight, or around the boxes between them."""
    between = [item for item in graph if item.label and source.row < item.row < target.row]
    if source.column == target.column and any(item.column == source.column for item in between):
        side, below = source.column + 0.75, source.row + 0.5
        return [source.column, side, side, target.column], [below, below, target.row, target.row]
    if source.column != target.column and between:
        return [source.column, source.column, target.column], [source.row, target.row, target.row]
    return [source.column, target.column], [source.row, target.row]
