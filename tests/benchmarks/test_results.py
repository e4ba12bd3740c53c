"""How results are shown, written and summed up."""

from pathlib import Path

from benchmarks import results
from benchmarks.remote import ROOT
from benchmarks.results import Block
from benchmarks.rounds import Row

HEAD = 'processor,conditions,name,ours,peer,ratio,target,problem\n'


def test_results_are_written_as_csv_and_as_a_table(tmp_path):
    rows = [
        Row('fast / PyTorch', 1234.5, 1000.0, 1.2345, 1.0),
        Row('slow', 0.04567, None, 0.5, 0.97),
        Row('exponent', 0.987),
        Row('bfloat16', target=1.0, problem='it needs another CPU'),
    ]
    results.write(Block('a chip', 'today', rows), str(tmp_path / 'results'))
    assert (tmp_path / 'results.csv').read_text() == HEAD + (
        'a chip,today,fast / PyTorch,1234,1000,1.234,1,\na chip,today,slow,0.04567,,0.5,0.97,\n'
        'a chip,today,exponent,0.987,,,,\na chip,today,bfloat16,,,,1,it needs another CPU\n'
    )
    assert (tmp_path / 'results.md').read_text() == (
        '*a chip; today.*\n\n| ours / peer | ours | peer | ratio | target | |\n|---|---|---|---|---|---|\n'
        '| fast / PyTorch | 1,234 | 1,000 | 1.23 | 1.00 | met |\n'
        '| slow | 0.0457 | – | 0.50 | 0.97 | **missed** |\n'
        '| exponent | 0.987 | – | – | – |  |\n'
        '| bfloat16 | – | – | – | 1.00 | not measured: it needs another CPU |\n'
    )


def test_every_kind_of_processor_keeps_a_block_of_its_own(tmp_path):
    path = str(tmp_path / 'results')
    for chip, day, ours in (('b', 'monday', 1.0), ('a', 'tuesday', 2.0), ('b', 'friday', 3.0)):
        results.write(Block(chip, day, [Row('x', ours), Row('y', problem='none')]), path)
    assert (tmp_path / 'results.csv').read_text() == HEAD + (
        'a,tuesday,x,2,,,,\na,tuesday,y,,,,,none\nb,friday,x,3,,,,\nb,friday,y,,,,,none\n'
    )
    assert (tmp_path / 'results.md').read_text().count('| ours / peer |') == 2


def test_the_summary_takes_the_faster_rival_of_each_network():
    """By hand: 1.1 of (1.3, 1.1), 1.2 and 0.9; their median is 1.1."""
    rows = [
        Row('train dfn-mr 14 / PyTorch, eager', 13, 10, 1.3),
        Row('train dfn-mr 14 / PyTorch, compiled', 11, 10, 1.1),
        Row('train resnet 26 / PyTorch, eager', 12, 10, 1.2),
        Row('train plain 26 / PyTorch, eager', 9, 10, 0.9),
        Row('train dfn-mr 14, bfloat16 / PyTorch', problem='it needs another CPU'),
        Row('feed ImageNet / libjpeg-turbo alone, 2 threads', 8, 10, 0.8),
    ]
    blocks = [Block('A chip with AVX2, 2 cores', 'today', rows), Block('A chip with AVX-512, 2 cores', 'today', [])]
    lines = results.summary(blocks).splitlines()
    assert lines[0] == '| ours beside | AVX2, 2 cores | AVX-512, 2 cores |'
    assert lines[2] == '| training, the faster PyTorch | 1.10 (0.90 to 1.20) | – |'
    assert '| training in bfloat16, PyTorch | – | – |' in lines
    assert "| preparing ImageNet's images, libjpeg-turbo's bare decoding | 0.80 | – |" in lines


def test_the_pages_have_what_the_benchmarks_found():
    """Update the summary of docs/speed.md with `python -m benchmarks.results`."""
    blocks = results.read(results.RESULTS)
    assert Path(f'{results.RESULTS}.md').read_text(encoding='utf-8') == '\n'.join(map(results.table, blocks))
    assert f'\n{results.summary(blocks)}\n' in Path(ROOT, 'docs', 'speed.md').read_text(encoding='utf-8')
