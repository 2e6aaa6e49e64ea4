"""Batches kept between passes: read once where they fit, and never counted otherwise."""

from __future__ import annotations

import pytest

from motherlode.core.errors import EngineError
from motherlode.data import Dataset
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Tally
from motherlode.runtime import run
from motherlode.runtime.cache import Cache
from motherlode.testing.cases import case, deal
from motherlode.testing.faults import FaultyEngine, Lose
from motherlode.testing.pieces import PieceSource
from tests.runtime.scripted import InlineEngine
from tests.testing.specimens import Histogram, Median

ROWS = case("numbers", "many").rows


def read(cache, source, number, needs=("n",)):
    """Read a split through the cache; return its rows and its account."""
    quarantine, tally = Quarantine(), Tally()
    data = Dataset(source)
    batches = list(cache.batches(data, data.splits[number], needs, quarantine, tally))
    return sum(map(len, batches)), (tally, quarantine.records)


def test_a_second_pass_reads_nothing_and_has_the_same_account():
    source = PieceSource(deal(ROWS, 3), size=50, bad={1: 2})
    cache = Cache(10**9)
    first = [read(cache, source, n) for n in range(3)]
    second = [read(cache, source, n) for n in range(3)]
    assert first == second
    assert first[1][1][0].quarantined == 2
    assert source.reads == {0: 1, 1: 1, 2: 1}


def test_an_iteration_reads_what_fits_once():
    source = PieceSource(deal(ROWS, 3))
    result = run(Median(), source, workers=2)
    assert result.passes == 64
    assert source.reads == {0: 1, 1: 1, 2: 1}


def test_a_single_pass_keeps_nothing():
    source = PieceSource(deal(ROWS, 3))
    with_cache = run(Histogram(), source, on=InlineEngine())
    assert with_cache.rows.used == len(ROWS)
    assert set(source.reads.values()) == {1}


def test_what_does_not_fit_is_read_again():
    source = PieceSource(deal(ROWS, 3), size=50)
    one = 2 * deal(ROWS, 3)[0].columns.select(["n"]).nbytes
    cache = Cache(one + one // 2)
    for _ in range(2):
        assert [read(cache, source, n)[0] for n in range(3)] == [300, 300, 300]
    assert source.reads == {0: 1, 1: 2, 2: 2}
    assert cache.held <= cache.limit


def test_nothing_is_reserved_for_what_was_not_kept():
    source = PieceSource(deal(ROWS, 3), size=50)
    cache = Cache(100)
    read(cache, source, 0)
    assert cache.held == 0


def test_a_split_that_fails_midway_gives_its_memory_back():
    source = PieceSource(deal(ROWS, 3), size=50)
    cache = Cache(10**9)
    data = Dataset(source)
    for _ in range(3):
        batches = cache.batches(data, data.splits[0], ("n",), Quarantine(), Tally())
        next(batches)
        batches.close()
    assert cache.held == 0
    assert read(cache, source, 0)[0] == 300


def test_other_columns_are_other_batches():
    source = PieceSource(deal(ROWS, 1))
    cache = Cache(10**9)
    read(cache, source, 0, ("n",))
    quarantine, tally = Quarantine(), Tally()
    data = Dataset(source)
    (batch,) = cache.batches(data, data.splits[0], ("x",), quarantine, tally)
    assert batch.schema.names == ["x"]


def test_a_lost_split_is_folded_from_memory():
    source = PieceSource(deal(ROWS, 3))
    result = run(Median(), source, on=FaultyEngine(InlineEngine(), [Lose(1)]))
    assert result.digest == run(Median(), source).digest
    assert source.reads[1] == 2


def test_a_failing_iteration_does_not_keep_half_a_split():
    class Fails(Median):
        tries = 0

        def pass_(self, model):
            step = super().pass_(model)
            update = step.update

            def failing(state, batch):
                Fails.tries += 1
                if Fails.tries == 2:
                    raise OSError("once")
                return update(state, batch)

            step.update = failing
            return step

    source = PieceSource(deal(ROWS, 2), size=100)
    assert run(Fails(), source, workers=1).digest == run(Median(), source).digest
    Fails.tries = -(10**9)
    with pytest.raises(EngineError):
        run(Fails(), source, retries=0, on=FaultyEngine(InlineEngine(), [Lose(0)]))
