"""A symbol as a graph: its nodes as MXNet's JSON has them."""

import json

from common.mxnet import mx


def to_dict(symbol: mx.sym.Symbol) -> dict:
    """MXNet's JSON of a symbol, with the casts to 16 bits, which MXNet leaves out by default."""
    return json.loads(symbol.tojson(remove_amp_cast=False))


def with_attribute(symbol: mx.sym.Symbol, op: str, name: str, value: str) -> mx.sym.Symbol:
    """The network with an attribute of all its operators of one kind set anew."""
    graph = to_dict(symbol)
    for node in graph['nodes']:
        if node['op'] == op:
            node['attrs'][name] = value
    return mx.sym.load_json(json.dumps(graph))


def nodes(symbol: mx.sym.Symbol) -> list[dict]:
    """The nodes, sources first: dicts with `op`, `name`, `attrs` and `inputs` [[node, output, …], …]."""
    return to_dict(symbol)['nodes']


def outputs(symbol: mx.sym.Symbol) -> list[int]:
    """Indices, in `nodes`, of the nodes that the symbol puts out."""
    return [output for output, *_ in to_dict(symbol)['heads']]


def output_kinds(symbol: mx.sym.Symbol) -> set[str]:
    """The operators that the outputs come from."""
    graph = nodes(symbol)
    return {graph[output]['op'] for output in outputs(symbol)}


def is_layer(node: dict) -> bool:
    """Whether a node counts as a layer: a convolution or FC."""
    return node['op'] in ('Convolution', 'FullyConnected')


def weight_of(layer: dict, graph: list[dict]) -> str:
    """The name of a layer's weight, which several layers may share."""
    weight = graph[layer['inputs'][1][0]]
    return graph[weight['inputs'][0][0]]['name'] if weight['op'] == 'amp_cast' else weight['name']
