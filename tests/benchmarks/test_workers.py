"""The model of an exchange between workers, by hand."""

from pathlib import Path

import pytest

from benchmarks import workers
from benchmarks.remote import ROOT
from benchmarks.workers import Exchange


def test_the_slower_link_counts_and_the_servers_work():
    # 1 MB over 1 Gbit/s (125 MB/s) takes 8 ms each way; a server of 4 workers moves 4 MB, and needs 1 ns a byte.
    assert workers.seconds(10**6, 4, 4, 1, 0) == pytest.approx(0.016)
    assert workers.seconds(10**6, 4, 1, 1, 0) == pytest.approx(0.064)
    assert workers.seconds(10**6, 4, 1, 10, 1e-9) == pytest.approx(0.0064 + 0.004)


def test_servers_for_an_exchange_that_is_nearly_as_fast_as_it_can_be():
    """16 workers: s servers take 16/s times as long as one for each, on a network or in their work; 15 of 16 do."""
    assert workers.servers_needed(10**6, 16, 1, 0) == workers.servers_needed(10**6, 16, 1000, 1e-6) == 15
    assert workers.servers_needed(10**6, 1, 1, 0) == 1


def test_the_cost_of_a_byte_is_the_slope():
    found = [
        Exchange(count, servers, 100, 0.5 + 3e-3 * 100 * count / servers)
        for count, servers in ((1, 1), (2, 1), (4, 2), (4, 1))
    ]
    assert workers.cost_of_a_byte(found) == pytest.approx(3e-3)


def test_the_bytes_are_those_of_the_parameters():
    """1,710,426 and 43,338,024 parameters (Table 4, section 6.5) of 4 bytes, and what alignment adds."""
    for name, parameters in (('DFN-MR 56', 1710426), ('DFN-MR 44, ImageNet', 43338024)):
        assert 0 <= workers.gradient_bytes(name) / 4 - parameters < 64 * 1000


def test_the_page_has_the_table():
    """Update docs/distributed.md with `python -m benchmarks.workers`."""
    page = Path(ROOT, 'docs', 'distributed.md').read_text(encoding='utf-8')
    assert f'\n{workers.table(workers.cost_of_a_byte(workers.measured()))}\n' in page
