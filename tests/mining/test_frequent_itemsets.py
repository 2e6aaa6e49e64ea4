"""FrequentItemsets against brute force, mlxtend, the definitions and the reference figures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from motherlode.algebra import codec
from motherlode.algebra.summary import Context
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import (
    DataError,
    MemoryLimitError,
    MotherlodeError,
    ParameterError,
    StateError,
    UnknownNameError,
    UsageError,
)
from motherlode.data import dataset
from motherlode.mining.patterns import _itemset_passes, _itemsets
from motherlode.mining.patterns.frequent_itemsets import FrequentItemsets, min_count
from motherlode.runtime import run
from motherlode.testing.laws import check

Found = list[tuple[tuple[Any, ...], int]]
METHODS = ("collect", "partition")
KINDS = ("all", "closed", "maximal")


def found(table: pa.Table) -> Found:
    pairs = zip(table["items"].to_pylist(), table["support"].to_pylist(), strict=True)
    return [(tuple(items), support) for items, support in pairs]


def frequent(baskets: Iterable[Sequence[Any] | None], least: int) -> dict[tuple[Any, ...], int]:
    """Return every frequent set, by trying all sets of items."""
    sets = [{item for item in basket or () if item is not None} for basket in baskets]
    items = sorted(set().union(*sets))
    every = (c for n in range(1, len(items) + 1) for c in itertools.combinations(items, n))
    counts = {c: sum(basket >= set(c) for basket in sets) for c in every}
    return {c: count for c, count in counts.items() if count >= max(least, 1)}


def of_kind(sets: dict[tuple[Any, ...], int], kind: str) -> dict[tuple[Any, ...], int]:
    """Return the closed or maximal ones, by definition."""

    def stays(given: tuple[Any, ...], support: int) -> bool:
        larger = [count for other, count in sets.items() if set(other) > set(given)]
        return kind == "all" or (not larger if kind == "maximal" else support not in larger)

    return {given: support for given, support in sets.items() if stays(given, support)}


def in_order(sets: dict[tuple[Any, ...], int]) -> Found:
    return sorted(sets.items(), key=lambda pair: (-pair[1], len(pair[0]), pair[0]))


def baskets_of(items: st.SearchStrategy[Any], most: int = 12) -> st.SearchStrategy[Any]:
    basket = st.none() | st.lists(st.none() | items, max_size=7)
    return st.lists(basket, min_size=1, max_size=most)


def lists(baskets: Sequence[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"items": pa.array(baskets, pa.list_(kind or pa.int64()))})


def random_baskets(rows: int, items: int, seed: int = 0) -> list[list[int]]:
    """Return baskets in which some items are common, most are rare, and some come together."""
    chance = np.random.default_rng(seed)
    share = 0.6 / np.arange(1, items + 1) ** 0.7
    block = chance.random((rows, items)) < share
    block[:, items // 2] |= block[:, 2] & block[:, 5]
    block[:, items // 3] |= block[:, 1] & (chance.random(rows) < 0.8)
    return [np.flatnonzero(row).tolist() for row in block]


@given(
    baskets=baskets_of(st.integers(-2, 4)),
    least=st.integers(1, 4),
    kind=st.sampled_from(KINDS),
    method=st.sampled_from(METHODS),
    sizes=st.tuples(st.integers(1, 4), st.none() | st.integers(0, 3)),
    rows=st.integers(1, 5),
)
def test_it_finds_what_trying_all_sets_finds(baskets, least, kind, method, sizes, rows):
    low, more = sizes
    high = None if more is None else low + more
    algorithm = FrequentItemsets(least, high, low, kind, method=method)
    table = run(algorithm, dataset(lists(baskets), split_rows=rows)).table
    sets = of_kind(frequent(baskets, least), kind)
    wanted = {c: n for c, n in sets.items() if low <= len(c) <= (high or 99)}
    assert found(table) == in_order(wanted)
    assert table["size"].to_pylist() == [len(items) for items, _ in found(table)]
    assert table["frequency"].to_pylist() == [n / len(baskets) for _, n in found(table)]


@given(
    baskets=baskets_of(st.sampled_from(["tea", "", "milk", "ß", "a b"])),
    kind=st.sampled_from(KINDS),
)
def test_items_may_be_strings(baskets, kind):
    table = run(FrequentItemsets(0.3, kind=kind), lists(baskets, pa.string())).table
    least = min_count(0.3, len(baskets))
    assert found(table) == in_order(of_kind(frequent(baskets, least), kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 40, 400])
def test_databases_that_are_handed_back_are_searched_in_turn(kind, budget, monkeypatch):
    baskets = random_baskets(300, 24)
    wanted = run(FrequentItemsets(0.02, kind=kind), lists(baskets))
    monkeypatch.setattr(_itemsets, "BUDGET", budget)
    handed_back, project = [], _itemsets._Search.project
    monkeypatch.setattr(
        _itemsets._Search, "project", lambda *call: handed_back.append(call) or project(*call)
    )
    again = run(FrequentItemsets(0.02, kind=kind), lists(baskets))
    assert again.digest == wanted.digest
    assert wanted.table.num_rows > 50
    assert len(handed_back) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_threads_find_the_same(kind, monkeypatch):
    baskets = lists(random_baskets(400, 20))
    alone = run(FrequentItemsets(0.02, kind=kind), baskets)
    monkeypatch.setattr(_itemsets, "PARALLEL_ITEMS", 0)
    monkeypatch.setattr("motherlode.core.settings.workers", lambda count=None: 3)
    assert run(FrequentItemsets(0.02, kind=kind), baskets).digest == alone.digest


class TestAgainstMlxtend:
    """On more rows than brute force manages."""

    @pytest.fixture
    def baskets(self) -> list[list[int]]:
        return random_baskets(1500, 30, seed=1)

    @pytest.mark.parametrize("kind", ["all", "maximal"])
    @pytest.mark.parametrize("method", METHODS)
    def test_it_finds_the_same(self, baskets, kind, method):
        import pandas as pd
        from mlxtend.frequent_patterns import fpgrowth, fpmax

        block = np.zeros((len(baskets), 30), dtype=bool)
        for row, basket in enumerate(baskets):
            block[row, basket] = True
        peer = (fpgrowth if kind == "all" else fpmax)(pd.DataFrame(block), min_support=0.02)
        wanted = {
            frozenset(items): round(share * len(baskets))
            for items, share in zip(peer["itemsets"], peer["support"], strict=True)
        }
        algorithm = FrequentItemsets(0.02, kind=kind, method=method)
        table = run(algorithm, dataset(lists(baskets), split_rows=400)).table
        assert {frozenset(items): n for items, n in found(table)} == wanted
        assert len(wanted) > 100

    def test_closed_sets_are_those_of_the_definition(self, baskets):
        sets = dict(found(run(FrequentItemsets(0.03), lists(baskets)).table))
        larger: dict[frozenset[int], set[int]] = {}
        for items, support in sets.items():
            for item in items:
                larger.setdefault(frozenset(items) - {item}, set()).add(support)
        wanted = {c: n for c, n in sets.items() if n not in larger.get(frozenset(c), ())}
        assert len(wanted) < len(sets)
        for method in METHODS:
            closed = run(FrequentItemsets(0.03, kind="closed", method=method), lists(baskets))
            assert dict(found(closed.table)) == wanted


class TestHowItIsRun:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_splits_batches_and_order_do_not_matter(self, method, kind):
        baskets = random_baskets(300, 12)
        algorithm = FrequentItemsets(0.04, kind=kind, method=method)
        digests = {
            run(algorithm, dataset(lists(rows), split_rows=size), workers=2).digest
            for rows in (baskets, baskets[::-1])
            for size in (300, 7, 101)
        }
        assert len(digests) == 1

    def test_both_methods_end_with_the_same_model(self):
        baskets = lists(random_baskets(500, 15))
        one, other = (run(FrequentItemsets(0.02, method=m), baskets) for m in METHODS)
        assert (one.passes, other.passes) == (2, 3)
        assert one.digest == other.digest
        assert one.table.equals(other.table, check_metadata=True)

    @pytest.mark.parametrize(("memory", "passes"), [(1 << 30, 2), (1 << 10, 3)])
    def test_memory_decides_on_the_method(self, memory, passes):
        batch = Batch(lists(random_baskets(200, 10)).to_batches()[0])
        ready = FrequentItemsets(0.1).prepare(batch.schema)
        model, done = ready.start(Context(batch.schema, None, memory)), 0
        while not ready.done(model):
            step = ready.pass_(model).prepare(batch.schema)
            model = ready.advance(model, step.finish(step.update(step.zero(), batch)))
            done += 1
        assert done == passes
        assert codec.digest(model) == run(FrequentItemsets(0.1), batch.columns).digest

    @pytest.mark.parametrize(("chunk", "hard", "lowest"), [(1, 1, 1), (60, 600, 3), (60, 90, 50)])
    @pytest.mark.parametrize("rows", [9, 120, 400])
    def test_chunks_of_any_size_miss_nothing(self, chunk, hard, lowest, rows, monkeypatch):
        monkeypatch.setattr(_itemset_passes, "CHUNK_ITEMS", chunk)
        monkeypatch.setattr(_itemset_passes, "HARD_ITEMS", hard)
        monkeypatch.setattr(_itemset_passes, "LOCAL_SUPPORT", lowest)
        baskets = lists(random_baskets(400, 9))
        parted = run(FrequentItemsets(0.05, method="partition"), dataset(baskets, split_rows=rows))
        assert parted.digest == run(FrequentItemsets(0.05), baskets).digest

    def test_chunks_do_not_follow_from_batches(self, monkeypatch):
        monkeypatch.setattr(_itemset_passes, "CHUNK_ITEMS", 100)
        monkeypatch.setattr(_itemset_passes, "LOCAL_SUPPORT", 2)
        batch = Batch(lists(random_baskets(300, 9)).to_batches()[0])
        ready = FrequentItemsets(0.05, method="partition").prepare(batch.schema)
        first = ready.pass_(ready.start(Context(batch.schema)))
        model = ready.advance(
            ready.start(Context(batch.schema)), first.finish(first.update(first.zero(), batch))
        )
        step = ready.pass_(model).prepare(batch.schema)
        digests = set()
        for size in (300, 1, 17, 100):
            state = step.zero()
            for start in range(0, 300, size):
                state = step.update(state, batch.slice(start, min(size, 300 - start)))
            assert len(state.found.counts) > 0
            digests.add(codec.digest(step.export(state)))
        assert len(digests) == 1

    @pytest.mark.parametrize("kind", ["all", "closed"])
    def test_every_pass_keeps_the_laws(self, kind):
        check(FrequentItemsets(2, kind=kind, method="partition"))

    def test_a_model_that_is_not_complete_has_no_table(self):
        ready = FrequentItemsets().prepare(Schema(lists([]).schema))
        with pytest.raises(StateError, match="not complete"):
            ready.finish(ready.start(Context(Schema(lists([]).schema))))

    def test_items_that_were_counted_can_be_forgotten(self):
        batch = Batch(lists([[1, 2, 2, 10**15], [2], [10**15], []]).to_batches()[0])
        ready = FrequentItemsets().prepare(batch.schema)
        step = ready.pass_(ready.start(Context(batch.schema)))
        whole = step.update(step.zero(), batch)
        part = step.update(step.zero(), batch.slice(0, 1))
        left = step.finish(step.subtract(whole, part))
        assert (left["rows"], left["keys"].tolist(), left["counts"].tolist()) == (
            3, [2, 10**15], [1, 1],
        )  # fmt: skip
        with pytest.raises(MotherlodeError, match="not all among those counted"):
            step.subtract(step.zero(), part)


ROWS = ([1, 2, 1, 3], None, [2, None, 1], [], [1])
WANTED: Found = [((1,), 3), ((2,), 2), ((1, 2), 2)]


class TestBaskets:
    @pytest.mark.parametrize(
        "kind",
        [
            pa.list_(pa.int8()), pa.list_(pa.uint32()), pa.list_(pa.uint64()),
            pa.large_list(pa.int32()), pa.list_(pa.dictionary(pa.int8(), pa.int64())),
        ],
        ids=str,
    )  # fmt: skip
    def test_any_list_of_whole_numbers(self, kind):
        if pa.types.is_dictionary(kind.value_type):
            plain = pa.array(ROWS, pa.list_(pa.int64()))
            values = plain.values.dictionary_encode().cast(kind.value_type)
            validity = pa.array([row is None for row in ROWS])
            column = pa.ListArray.from_arrays(plain.offsets, values, mask=validity)
        else:
            column = pa.array(ROWS, kind)
        table = run(FrequentItemsets(2), pa.table({"b": column})).table
        assert found(table) == WANTED
        value = kind.value_type
        assert table["items"].type.value_type == getattr(value, "value_type", value)

    def test_lists_of_fixed_size(self):
        column = pa.array([[1, 2], None, [2, 1], [1, None]], pa.list_(pa.int32(), 2))
        assert found(run(FrequentItemsets(2), pa.table({"b": column})).table) == WANTED

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
    def test_any_list_of_strings(self, kind):
        rows = [None if row is None else [i and str(i) for i in row] for row in ROWS]
        table = run(FrequentItemsets(2), pa.table({"b": pa.array(rows, pa.list_(kind))})).table
        assert found(table) == [(tuple(map(str, c)), n) for c, n in WANTED]

    def test_numbers_far_apart(self):
        far = [[-(2**63), 5, 2**63 - 1], [2**63 - 1, -(2**63)], [5, 7], [5, 2**40]]
        for method in METHODS:
            data = dataset(lists(far), split_rows=1)
            table = run(FrequentItemsets(2, method=method), data).table
            assert found(table) == in_order(frequent(far, 2))

    def test_a_window_of_numbers_that_moves(self):
        chance = np.random.default_rng(3)
        rows = [sorted({int(x) for x in chance.integers(low, low + 4, 3)})
                for low in (900_000, 100, -5, 2_000_000, 900_002) for _ in range(20)]  # fmt: skip
        table = run(FrequentItemsets(5), dataset(lists(rows), split_rows=20)).table
        assert dict(found(table.filter(pa.compute.equal(table["size"], 1)))) == {
            c: n for c, n in _singles(rows).items() if n >= 5
        }
        assert found(run(FrequentItemsets(5), lists(rows)).table) == found(table)

    @pytest.mark.parametrize("kind", [np.float64, np.float32])
    def test_a_matrix_of_zeros_and_ones(self, kind):
        X = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [0, 0, 0]], kind)
        wanted = [(("x0",), 2), (("x1",), 2), (("x2",), 2), (("x0", "x1"), 2)]
        assert found(run(FrequentItemsets(2), X).table) == wanted
        sparse = csr_array(X)
        assert found(run(FrequentItemsets(2), sparse).table) == wanted
        sparse.data[:] = [1, 1, 1, 1, 0, 1]  # an explicit zero is none
        assert found(run(FrequentItemsets(2), sparse).table) == [wanted[i] for i in (0, 1, 3)]

    @pytest.mark.parametrize("wrong", [2.0, np.nan, -1.0])
    def test_a_matrix_of_anything_else_is_refused(self, wrong):
        X = np.array([[1.0, 0.0], [wrong, 1.0]])
        for block in (X, csr_array(X)):
            with pytest.raises(DataError, match="zeros and ones"):
                run(FrequentItemsets(), block)

    def test_boolean_columns_are_items(self):
        table = pa.table({"wet": [True, True, None, False], "n": [1, 2, 3, 4],
                          "cold": [True, True, True, False]})  # fmt: skip
        wanted = [(("cold",), 3), (("cold", "wet"), 2)]
        assert found(run(FrequentItemsets(2, kind="closed"), table).table) == wanted

    def test_long_baskets(self):
        chance = np.random.default_rng(4)
        rows = [[*chance.permutation(3000)[:1500].tolist(), 7, -1, 7] for _ in range(12)]
        sets = dict(found(run(FrequentItemsets(11), lists(rows)).table))
        singles = {c: n for c, n in _singles([sorted(set(row)) for row in rows]).items() if n > 10}
        assert {c: n for c, n in sets.items() if len(c) == 1} == singles
        assert sets[-1, 7] == 12

    def test_no_rows_and_no_items(self):
        for rows in ([], [[]], [None, None], [[None]]):
            for kind in KINDS:
                table = run(FrequentItemsets(1, kind=kind), lists(rows)).table
                assert table.num_rows == 0
                assert table.schema.names == ["items", "size", "support", "frequency"]
        nothing = pa.table({"b": pa.array([[], [None]], pa.list_(pa.null()))})
        assert run(FrequentItemsets(), nothing).table.num_rows == 0


def _singles(rows: list[list[int]]) -> dict[tuple[int, ...], int]:
    return {(i,): sum(i in row for row in rows) for i in set(itertools.chain(*rows))}


class TestParameters:
    @given(st.integers(0, 10**6), st.decimals(0, 1, places=6).filter(lambda d: d > 0))
    def test_a_share_is_taken_as_it_is_written(self, rows, share):
        exact = Fraction(share) * rows
        assert min_count(float(share), rows) == max(1, -(-exact.numerator // exact.denominator))

    def test_shares_that_floats_round_up(self):
        assert [min_count(p, 100) for p in (0.07, 0.14, 0.29, 0.57, np.float32(0.07))] == [
            7, 14, 29, 57, 7,
        ]  # fmt: skip
        assert (min_count(0.001, 88_162), min_count(1.0, 5), min_count(1, 5)) == (89, 5, 1)

    def test_too_many_itemsets_stop_the_job(self):
        rows = [list(range(30))] * 3
        for method in METHODS:
            with pytest.raises(
                MemoryLimitError, match=r"more than 1,000 .* at least 3.*raise min_"
            ):
                run(FrequentItemsets(3, method=method, max_itemsets=1000), lists(rows))
        assert run(FrequentItemsets(3, kind="maximal"), lists(rows)).table.num_rows == 1
        assert run(FrequentItemsets(3, kind="closed"), lists(rows)).table.num_rows == 1

    def test_sizes_must_agree(self):
        with pytest.raises(ParameterError, match="max_size=2 is below min_size=3"):
            run(FrequentItemsets(max_size=2, min_size=3), lists([[1]]))

    def test_columns_are_told_apart(self):
        table = pa.table({"a": [[1, 2]], "b": [["x"]], "c": [[0.5]], "d": ["x,y"]})
        with pytest.raises(UsageError, match="several columns of lists: a, b; name one"):
            run(FrequentItemsets(), table)
        assert found(run(FrequentItemsets(column="b"), table).table) == [(("x",), 1)]
        with pytest.raises(UnknownNameError, match="did you mean"):
            run(FrequentItemsets(column="A"), table)
        for column in "cd":
            with pytest.raises(UsageError, match="not lists of whole numbers or strings"):
                run(FrequentItemsets(column=column), table)
        with pytest.raises(UsageError, match="no column holds lists"):
            run(FrequentItemsets(), table.select(["c", "d"]))

    def test_numbers_beyond_int64_are_refused(self):
        with pytest.raises(DataError, match="make the items strings"):
            run(FrequentItemsets(), lists([[2**64 - 1]], pa.uint64()))

    def test_the_table_says_of_how_many_baskets_it_is(self):
        table = run(FrequentItemsets(0.5, kind="closed"), lists([[1], [1], []])).table
        assert table.schema.metadata == {b"rows": b"3", b"min_count": b"2", b"kind": b"closed"}


class TestReference:
    """The figures published with the data sets."""

    @pytest.mark.parametrize(
        ("share", "sets", "closed", "maximal"),
        [(0.9, 622, 498, 34), (0.8, 8_227, 5_083, 226), (0.7, 48_731, 23_892, 891),
         (0.6, 254_944, None, None)],
    )  # fmt: skip
    def test_chess(self, shared_data: Callable[[str], Path], share, sets, closed, maximal):
        data = dataset(shared_data("fimi/chess.dat"), format="fimi")
        for kind, wanted in zip(KINDS, (sets, closed, maximal), strict=True):
            if wanted is not None:
                assert run(FrequentItemsets(share, kind=kind), data).table.num_rows == wanted

    def test_chess_out_of_core(self, shared_data: Callable[[str], Path]):
        data = dataset(shared_data("fimi/chess.dat"), format="fimi", split_bytes=100_000)
        for kind, wanted in zip(KINDS, (8_227, 5_083, 226), strict=True):
            result = run(FrequentItemsets(0.8, kind=kind, method="partition"), data)
            assert (result.table.num_rows, result.passes) == (wanted, 3)

    def test_retail(self, shared_data: Callable[[str], Path]):
        data = dataset(shared_data("fimi/retail.dat"), format="fimi")
        for share, wanted in ((0.01, 159), (0.005, 580), (0.002, 2_691), (0.001, 7_589)):
            assert run(FrequentItemsets(share), data).table.num_rows == wanted
        for kind, wanted in (("closed", 7_572), ("maximal", 3_452)):
            assert run(FrequentItemsets(0.001, kind=kind), data).table.num_rows == wanted

    def test_retail_out_of_core(self, shared_data: Callable[[str], Path]):
        whole = run(FrequentItemsets(0.001), dataset(shared_data("fimi/retail.dat"), format="fimi"))
        data = dataset(shared_data("fimi/retail.dat"), format="fimi", split_bytes=1_000_000)
        parted = run(FrequentItemsets(0.001, method="partition"), data)
        assert len(data.splits) > 3
        assert parted.digest == whole.digest

    def test_groceries(self, shared_data: Callable[[str], Path]):
        data = dataset(shared_data("groceries/groceries.csv"), format="basket")
        for share, wanted in ((0.05, 31), (0.01, 333), (0.005, 1_001), (0.001, 13_492)):
            assert run(FrequentItemsets(share), data).table.num_rows == wanted
        singles = found(run(FrequentItemsets(1, max_size=1), data).table)
        assert len(singles) == 169
        assert singles[:3] == [
            (("whole milk",), 2513), (("other vegetables",), 1903), (("rolls/buns",), 1809),
        ]  # fmt: skip
