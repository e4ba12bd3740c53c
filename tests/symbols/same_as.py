"""Compare every network's symbol, as drawn, with those of another commit:

    python tests/symbols/same_as.py 7ccf3bb [PYTHON]     # PYTHON: of an environment that the other commit runs in

Symbols are compared node by node, but for the numbers that MXNet gives to unnamed operators. Run it after a change of
symbols/ that should not change what a network computes.
"""

import json
import re
import subprocess
import sys
import tempfile

DEPTHS = (8, 14, 20, 26, 32, 38, 50, 56, 62, 74, 98, 110, 194)
DUMP = """
import json, sys
sys.path.insert(0, '.')
import symbols
from symbols import imagenet
for net in symbols.NETWORKS:
    arguments = [{'path': path} for path in symbols.ensemble.COMPONENTS] if net == 'component' else \
                [{}, {'components': ['LLL', 'RRL']}] if net == 'ensemble' else [{}]
    for given in arguments:
        for depth in DEPTHS:
            for dtype in ('float32', 'float16'):
                symbol = symbols.get_symbol(net, depth, dtype=dtype, **given)
                print(json.dumps([net, depth, dtype, given, symbol.tojson(remove_amp_cast=False)]))
for net, depth in imagenet.NETWORKS:
    for dtype in ('float32', 'float16'):
        symbol = imagenet.get_symbol(net, depth, dtype=dtype)
        print(json.dumps(['imagenet', net, depth, dtype, symbol.tojson(remove_amp_cast=False)]))
""".replace('DEPTHS', str(DEPTHS))
UNNAMED = re.compile(r'(activation|_mulscalar|_plus|mean|amp_cast|pooling|add_n)\d+')


def symbols_of(folder: str, python: str) -> dict[str, dict]:
    """{network: its graph} of the code in a folder."""
    dump = subprocess.run([python, '-c', DUMP], cwd=folder, check=True, text=True, stdout=subprocess.PIPE)
    graphs = {}
    for *name, text in map(json.loads, dump.stdout.splitlines()):
        graph = json.loads(text)
        for node in graph['nodes']:
            node['name'] = UNNAMED.sub(r'\1', node['name'])
        graphs[json.dumps(name)] = graph
    return graphs


def main(commit: str, python: str = sys.executable) -> int:
    """Print what differs; returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(['git', 'archive', commit], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(['tar', '-x', '-C', folder], input=archive, check=True)
        before, now = symbols_of(folder, python), symbols_of('.', sys.executable)
    different = sorted(name for name in before if before[name] != now.get(name))
    print(*(f'different: {name}' for name in different), sep='\n', end='\n' * bool(different))
    print(f'{len(before) - len(different)} symbols are the same, {len(different)} differ')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
