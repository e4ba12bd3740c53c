"""A symbol as a graph: its nodes as MXNet's JSON has them."""
import json

from common.mxnet import mx


def nodes(symbol: mx.sym.Symbol) -> list[dict]:
    """The nodes, sources first: dicts with `op`, `name`, `attrs` and `inputs` [[node, output, …], …]."""
    return json.loads(symbol.tojson())['nodes']


def outputs(symbol: mx.sym.Symbol) -> list[int]:
    """Indices, in `nodes`, of the nodes that the symbol puts out."""
    return [output for output, *_ in json.loads(symbol.tojson())['heads']]


def output_kinds(symbol: mx.sym.Symbol) -> set[str]:
    """The operators that the outputs come from."""
    graph = nodes(symbol)
    return {graph[output]['op'] for output in outputs(symbol)}


def is_layer(node: dict) -> bool:
    """Whether a node counts as a layer: a convolution or FC."""
    return node['op'] in ('Convolution', 'FullyConnected')


def weight_of(layer: dict, graph: list[dict]) -> str:
    """The name of a layer's weight, which several layers may share."""
    return graph[layer['inputs'][1][0]]['name']
