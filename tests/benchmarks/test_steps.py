"""A row that this machine cannot measure says so."""

from benchmarks import steps
from benchmarks.rounds import Row, Setting


def test_bfloat16_needs_avx512(monkeypatch):
    monkeypatch.setattr(steps, 'has_bfloat16', lambda: False)
    assert list(steps.reduced(Setting('no python'))) == [
        Row('train dfn-mr 14, bfloat16 / PyTorch', target=1.0, problem='it needs a CPU with AVX-512')
    ]
