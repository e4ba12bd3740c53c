"""The forms of a network that train and evaluate faster on the CPU.

    trained = symbols.fused.fuse(symbols.get_symbol('dfn-mr', 56))
    evaluated, parameters = symbols.fused.fold(symbols.get_symbol('dfn-mr', 56), parameters)

On the CPU, MXNet 1.9.1 does what a symbol says, operator by operator. `fuse` rewrites a symbol so that it computes the
same function of the same parameters, the scores to the last bit, in fewer passes over memory:

- BatchNorm and the ReLU behind it become one operator.
- The merge of two streams is not halved: ½·(a + b) becomes a + b. The streams of merge-and-run networks are then 2, 4,
  8, … times as large as drawn. Gamma and beta of the branches that are added to them grow by the same factor, and the
  next convolution or FC undoes it, by a smaller weight or input. All factors are powers of two, so no digit is lost.
  Halving would cost four passes over memory each way, two of them to move the values out of the layout of oneDNN's
  convolutions and back.
- With `mirror`, the input of the last convolution of each branch is computed again in the backward pass instead of
  kept: a quarter less memory.

`fold` leaves out the halvings too, and multiplies the parameters themselves. It leaves BatchNorm and ReLU alone: in
evaluation MXNet makes one operator of them and the convolution. MXNet also lets a convolution add the other term of a
sum, even where that term is computed from the convolution's own value, as in GluonCV's cifar_resnet20_v2. The scores
are then wrong. `fold` keeps such convolutions and sums apart.

Only training and evaluation on the CPU use these forms. Checkpoints hold the network as drawn.
"""

from collections.abc import Mapping
import json
from typing import TypeVar

from common.errors import UserError
from common.mxnet import mx
from symbols.analysis.graph import to_dict

Array = TypeVar('Array')
LARGEST = 2**16  # times as large as drawn: streams do not grow beyond
SUMS = ('elemwise_add', '_plus')
ADDING = ('Convolution', 'BatchNorm')  # what MXNet may let compute a sum that reads its value
KEEPING = (*SUMS, '_mul_scalar', 'amp_cast', 'Activation', 'BatchNorm')  # the layout of their gradients
LINEAR = ('Pooling', 'mean', 'amp_cast', '_mul_scalar')  # f(s·x) = s·f(x), also for maxima; ReLU is another

# MXNet computes an operator with this mark again in the backward pass, where something there reads its output. The
# convolution needs the mark too: without it, it would keep its input. It is not computed again itself, because only
# BatchNorm reads its output, which has no mark. MXNET_BACKWARD_DO_MIRROR marks everything but convolutions, and so
# needs more memory than it saves.
MIRRORED = {'__force_mirroring__': 'True'}


def fuse(symbol: mx.sym.Symbol, mirror: bool = False) -> mx.sym.Symbol:
    """The fused form of a network as drawn.

    Args:
        symbol: from `get_symbol`, for 32×32 images or ImageNet.
        mirror: whether to save memory by computing the inputs of the branches' last convolutions twice.

    Raises:
        UserError: with `mirror`, where the network has no branches.
    """
    network = to_dict(symbol)
    graph, readers = network['nodes'], _readers(network)
    relus = _relus_of_batch_norms(graph, readers)
    mirrored = _last_of_branches(graph, readers, relus) if mirror else set()
    if mirror and not mirrored:
        raise UserError('this network has no branches, so there is nothing to --mirror')
    fused, _ = _rewrite(network, readers, relus, mirrored, foldable=())
    return fused


def fold(symbol: mx.sym.Symbol, parameters: Mapping[str, Array]) -> tuple[mx.sym.Symbol, dict[str, Array]]:
    """The form of a network for evaluation, and its parameters; those that change are copies.

    Args:
        symbol: any network, such as one from a checkpoint.
        parameters: by name; of numpy or of MXNet.
    """
    network = to_dict(symbol)
    folded, factors = _rewrite(network, _readers(network), {}, set(), foldable=parameters)
    return folded, {name: value * factors[name] if name in factors else value for name, value in parameters.items()}


def _rewrite(network, readers, relus, mirrored, foldable):
    """The symbol without halvings, and {parameter: what it has to be multiplied by}.

    Args:
        network: MXNet's JSON of the symbol as drawn.
        readers: from _readers.
        relus: {BatchNorm: the ReLU that becomes one operator with it}.
        mirrored: the nodes to mark.
        foldable: parameters that the caller multiplies. The symbol multiplies the others.
    """
    graph = network['nodes']
    scales, halvings = _scales(graph, readers)
    left_out = {*halvings, *relus.values()}
    fused, place = [], {}  # the new nodes, and the index in them of what stands for each node of the graph
    multiplied = {}

    def add(op, name, inputs, attributes):
        fused.append({'op': op, 'name': name, 'attrs': attributes, 'inputs': inputs})
        return len(fused) - 1

    def scaled(index, factor, apart=False):
        """The value of a node times a factor, in a node of its own if `apart`. A cast stays behind the product."""
        node = graph[index]
        if factor == 1 and not apart:
            return place[index]
        if node['name'] in foldable and len(readers[index]) == 1:
            multiplied[node['name']] = factor
            return place[index]
        if node['op'] == 'amp_cast':
            return add('amp_cast', f'scaled{len(fused)}', [[scaled(node['inputs'][0][0], factor), 0, 0]], node['attrs'])
        return add('_mul_scalar', f'scaled{len(fused)}', [[place[index], 0, 0]], {'scalar': f'{factor:.17g}'})

    for index, node in enumerate(graph):
        if index in left_out:
            place[index] = place[node['inputs'][0][0]]
            continue
        inputs = [
            [scaled(source, factor, node['op'] in SUMS and _may_add(source, graph, readers, halvings)), *rest]
            for (source, *rest), factor in zip(node['inputs'], _factors(index, node, scales))
        ]
        place[index] = add(
            '_contrib_BatchNormWithReLU' if index in relus else node['op'],
            node['name'],
            inputs,
            node.get('attrs', {}) | (MIRRORED if index in mirrored else {}),
        )
    heads = [[scaled(head, 1 / scales[head]), *rest] for head, *rest in network['heads']]
    rewritten = {
        'nodes': fused,
        'arg_nodes': [index for index, node in enumerate(fused) if node['op'] == 'null'],
        'heads': heads,
        'attrs': network['attrs'],
    }
    return mx.sym.load_json(json.dumps(rewritten)), multiplied


def _readers(network):
    """The nodes that read each node's value; -1 stands for whoever reads the network's outputs."""
    readers = [[] for _ in network['nodes']]
    for index, node in enumerate(network['nodes']):
        for source, *_ in node['inputs']:
            readers[source].append(index)
    for head, *_ in network['heads']:
        readers[head].append(-1)
    return readers


def _relus_of_batch_norms(graph, readers):
    """{BatchNorm: the ReLU that reads its value, where nothing else does, and oneDNN can do both at once}.

    The gradient comes in the layout of what reads the ReLU. With AVX-512, oneDNN has no backward pass of the two at
    once for the layouts of grouped convolutions and of pooling to a single pixel.
    """
    found = {}
    for index, node in enumerate(graph):
        if node['op'] == 'BatchNorm' and len(readers[index]) == 1 and _is_relu(graph[readers[index][0]]):
            relu = readers[index][0]
            if not _has_own_layout(graph[node['inputs'][0][0]]) and not _leads_to_own_layout(relu, graph, readers):
                found[index] = relu
    return found


def _leads_to_own_layout(index, graph, readers):
    """Whether a node's gradient comes in such a layout, from a reader or through readers that keep layouts."""
    ahead, seen = list(readers[index]), set()
    while ahead:
        reader = ahead.pop()
        if reader < 0 or reader in seen:
            continue
        seen.add(reader)
        if _has_own_layout(graph[reader]):
            return True
        if graph[reader]['op'] in KEEPING:
            ahead += readers[reader]
    return False


def _has_own_layout(node):
    attributes = node.get('attrs', {})
    if node['op'] == 'Pooling':
        return attributes.get('pool_type', 'max') != 'max' or attributes.get('global_pool') in ('True', '1')
    return node['op'] == 'Convolution' and attributes.get('num_group', '1') != '1'


def _scales(graph, readers):
    """How many times as large as drawn each node's value is in the fused form, and the halvings to leave out.

    What BatchNorm puts into a sum can have any scale, by its gamma and beta; it takes the one of the other terms.
    """
    scales, halvings = [1.0] * len(graph), set()
    for index, node in enumerate(graph):
        sources = [source for source, *_ in node['inputs']]
        if node['op'] in SUMS:
            free = [source for source in sources if _is_free(source, graph, readers)]
            scales[index] = max((scales[source] for source in sources if source not in free), default=1)
            halved = len(readers[index]) == 1 and _halves(graph[readers[index][0]])
            if halved and len(free) == len(sources):  # gamma and beta halve
                scales[index] = 0.5
            for source in free:
                scales[source] = scales[index]
        elif _halves(node) and scales[sources[0]] < LARGEST:
            scales[index] = 2 * scales[sources[0]]
            halvings.add(index)
        elif _is_linear(node):
            scales[index] = scales[sources[0]]
    return scales, halvings


def _is_free(index, graph, readers):
    node = graph[index]
    learns_gamma = node.get('attrs', {}).get('fix_gamma') in ('False', '0')  # fixed by default, and then not read
    return node['op'] == 'BatchNorm' and learns_gamma and len(readers[index]) == 1


def _is_relu(node):
    return node['op'] == 'Activation' and node['attrs']['act_type'] == 'relu'


def _is_linear(node):
    return node['op'] in LINEAR or _is_relu(node)


def _halves(node):
    return node['op'] == '_mul_scalar' and float(node['attrs']['scalar']) == 0.5


def _factors(index, node, scales):
    """What to multiply each input of a node by, so that its value has its scale."""
    sources = [source for source, *_ in node['inputs']]
    if node['op'] == 'Convolution':
        return [1, 1 / scales[sources[0]], *[1 / scales[source] for source in sources[2:]]]
    if node['op'] == 'BatchNorm':
        return [1 / scales[sources[0]], scales[index], scales[index], 1, 1]
    if node['op'] in SUMS or _is_linear(node):
        return [scales[index] / scales[source] for source in sources]
    return [1 / scales[source] for source in sources]


def _may_add(index, graph, readers, halvings):
    """Whether MXNet may let a term of a sum, without its halvings, add another that is computed from it."""
    term = index
    while term in halvings:
        term = graph[term]['inputs'][0][0]
    return graph[term]['op'] in ADDING and (term != index or len(readers[term]) > 1)


def _last_of_branches(graph, readers, relus):
    """Convolutions whose BatchNorm has no ReLU, and the BatchNorms with ReLU before them that nothing else reads."""
    found, after_batch_norm = set(), set(relus.values())
    for index, node in enumerate(graph):
        if node['op'] == 'Convolution' and readers[index][0] not in relus:
            before = node['inputs'][0][0]
            if before in after_batch_norm and len(readers[before]) == 1:
                found |= {index, graph[before]['inputs'][0][0]}
    return found
