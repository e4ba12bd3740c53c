"""A trained network as a Gluon block, which takes images alone and can be trained further.

    net = gluon.load('dfn-mr-14')                 # what `export.py RUN --to gluon dfn-mr-14` wrote
    scores = net(normalized)                      # (batch, classes) before the softmax; of an ensemble a list of them

The files are those of Gluon's own `export`: PREFIX-symbol.json and PREFIX-0000.params, which SymbolBlock.imports reads;
PREFIX-facts.json has the classes, mean and standard deviation.
"""

import json
import os

from common.errors import UserError
from common.files import replacing, write_atomically
from common.mxnet import mx
from interop.trained import Trained
from training import arrays_file, symbol_file


def names(prefix: str) -> list[str]:
    """The files of a network."""
    return [f'{prefix}-symbol.json', f'{prefix}-0000.params', f'{prefix}-facts.json']


def scores(symbol: mx.sym.Symbol) -> mx.sym.Symbol:
    """The symbol before its softmaxes, without labels; of an ensemble a Group."""
    heads = [head.get_children()[0] for head in symbol]
    return mx.sym.Group(heads) if len(heads) > 1 else heads[0]


def write(trained: Trained, prefix: str) -> None:
    """Write the three files; the symbol comes last, so that no other files are read with it."""
    symbol, weights, facts = names(prefix)
    with replacing(weights) as temporary:
        arrays_file.save(temporary, trained.mxnet_arrays)
    write_atomically(facts, json.dumps(trained.facts, indent=1) + '\n')
    write_atomically(symbol, scores(trained.symbol).tojson())


def load(prefix: str, ctx: mx.Context | None = None) -> mx.gluon.SymbolBlock:
    """The network as a HybridBlock; its attribute `facts` has the classes, mean and standard deviation.

    Raises:
        UserError: a file is missing, or is not what was written.
    """
    for path in names(prefix):
        if not os.path.isfile(path):
            raise UserError(f'there is no file {path}')
    symbol, weights, facts = names(prefix)
    net = mx.gluon.SymbolBlock(symbol_file.load(symbol), mx.sym.var('data', dtype='float32'))
    arrays_file.load(weights)  # MXNet's reader, which load_parameters uses, believes any length
    try:
        net.load_parameters(weights, ctx=ctx, cast_dtype=True, dtype_source='saved')
        with open(facts, encoding='utf-8') as file:
            net.facts = json.load(file)
    except (ValueError, AssertionError) as error:
        raise UserError(f'{prefix}: {weights} and {facts} are not what was written with {symbol}') from error
    return net
