"""Count, ValueCounts and TopK against Python's Counter and the reference figures."""

from __future__ import annotations

import collections
import datetime
import decimal
import math
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import codec
from motherlode.algebra.summary import Summary
from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError, StateError, UnknownNameError, UsageError
from motherlode.mining.statistics import top_k
from motherlode.mining.statistics.count import Count
from motherlode.mining.statistics.top_k import TopK
from motherlode.mining.statistics.value_counts import ValueCounts
from motherlode.runtime import run

NAN = float("nan")


def batch_of(columns: dict[str, Any]) -> Batch:
    return Batch(pa.table(columns).combine_chunks().to_batches(max_chunksize=None)[0])


def merged(summary: Summary[Any, Any], pieces: list[Batch], chance: random.Random) -> Any:
    """Return the states of the pieces merged two by two, any two."""
    states = [summary.update(summary.zero(), piece) for piece in pieces]
    while len(states) > 1:
        left = states.pop(chance.randrange(len(states)))
        right = states.pop(chance.randrange(len(states)))
        states.append(summary.merge(left, right))
    return states[0]


def digest(summary: Summary[Any, Any], state: Any) -> str:
    return codec.digest(summary.export(state))


def key(value: Any) -> Any:
    """Return what stands for a value in a Counter: one NaN, one zero."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


def test_rows_are_counted() -> None:
    assert run(Count(), pa.table({"x": [1, None, 3]})).table.to_pylist() == [{"count": 3}]
    assert run(Count(), np.zeros((7, 2))).table.to_pylist() == [{"count": 7}]


VALUES = {
    "int64": (pa.int64(), st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)])),
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "float64": (pa.float64(), st.sampled_from([0.0, -0.0, NAN, 1.5, -math.inf, math.inf])),
    "float32": (pa.float32(), st.sampled_from([0.0, -0.0, NAN, 0.5])),
    "string": (pa.string(), st.sampled_from(["", "a", "ä", "ab", "\U0001f600", "a\0b"])),
    "binary": (pa.binary(), st.sampled_from([b"", b"\xff", b"a"])),
    "bool": (pa.bool_(), st.booleans()),
    "timestamp": (pa.timestamp("s"), st.sampled_from([datetime.datetime(2015, 9, 12), None])),
    "date": (pa.date32(), st.dates(datetime.date(1969, 1, 1), datetime.date(1971, 1, 1))),
    "decimal": (pa.decimal128(5, 2), st.decimals(-9, 9, places=2)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_counted_as_a_counter_does(name: str) -> None:
    kind, values = VALUES[name]

    @given(st.lists(values | st.none(), max_size=30), st.integers(1, 9))
    def check(given_values: list[Any], size: int) -> None:
        table = pa.table({"v": pa.array(given_values, kind)})
        ready = (
            ValueCounts("v").prepare(Batch(table.to_batches()[0]).schema) if len(table) else None
        )
        if ready is None:
            return
        states = [
            ready.update(ready.zero(), Batch(piece))
            for piece in table.to_batches(max_chunksize=size)
        ]
        state = ready.zero()
        for each in states:
            state = ready.merge(state, each)
        answer = ready.finish(state)
        assert answer.schema.field("v").type == kind
        expected = collections.Counter(map(key, given_values))
        got = {key(row["v"]): row["count"] for row in answer.to_pylist()}
        assert got == expected
        assert answer.num_rows == len(expected)
        counts = answer["count"].to_pylist()
        assert counts == sorted(counts, reverse=True)

    check()


def test_equal_counts_rise_by_value_and_nulls_come_last() -> None:
    table = pa.table({"v": ["b", None, "a", "c", "c", "ä", "B"]})
    answer = run(ValueCounts("v"), table).table
    assert answer["v"].to_pylist() == ["c", "B", "a", "b", "ä", None]
    numbers = pa.table({"v": pa.array([2.0, NAN, -1.0, None, math.inf, -0.0])})
    values = run(ValueCounts("v"), numbers).table["v"].to_pylist()
    assert values[:4] == [-1.0, 0.0, 2.0, math.inf]
    assert math.isnan(values[4])
    assert values[5] is None
    assert math.copysign(1.0, values[1]) == 1.0


def test_columns_are_counted_jointly() -> None:
    table = pa.table({"a": [1, 1, 2, None, None], "b": ["x", "x", "x", None, "y"], "c": range(5)})
    answer = run(ValueCounts(["b", "a"], normalize=True), table).table
    assert answer.to_pylist() == [
        {"b": "x", "a": 1, "count": 2, "fraction": 0.4},
        {"b": "x", "a": 2, "count": 1, "fraction": 0.2},
        {"b": "y", "a": None, "count": 1, "fraction": 0.2},
        {"b": None, "a": None, "count": 1, "fraction": 0.2},
    ]
    assert run(ValueCounts(["b", "a"]), table).state.num_rows == 4


def test_a_column_may_be_called_count() -> None:
    answer = run(ValueCounts("count"), pa.table({"count": [3, 3]})).table
    assert answer.to_pylist() == [{"count": 3, "count_": 2}]


def test_dictionaries_and_matrices_are_counted() -> None:
    coded = pa.table({"v": pa.array(["x", "y", "x", None]).dictionary_encode()})
    assert run(ValueCounts("v"), coded).table.to_pylist()[0] == {"v": "x", "count": 2}
    matrix = np.array([[1.0, 2.0], [1.0, 3.0]])
    assert run(ValueCounts("x0"), matrix).table.to_pylist() == [{"x0": 1.0, "count": 2}]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 40))
def test_forgetting_rows_is_never_having_seen_them(values: list[int], cut: int) -> None:
    whole, part, rest = (batch_of({"v": pa.array(v, pa.int64())}) if v else None for v in (
        values, values[:cut], values[cut:]
    ))  # fmt: skip
    ready = ValueCounts().prepare(batch_of({"v": [1]}).schema)

    def state(rows: Batch | None) -> Any:
        return ready.zero() if rows is None else ready.update(ready.zero(), rows)

    left = ready.subtract(state(whole), state(part))
    assert digest(ready, left) == digest(ready, state(rest))


def test_rows_that_were_not_counted_cannot_be_forgotten() -> None:
    seen, unseen = batch_of({"v": ["a", "b"]}), batch_of({"v": ["a", "a"]})
    ready = ValueCounts().prepare(seen.schema)
    with pytest.raises(StateError, match="not all counted"):
        ready.subtract(ready.update(ready.zero(), seen), ready.update(ready.zero(), unseen))


def test_many_distinct_values_are_counted_in_any_partition() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 150_000, 400_000)
    table = pa.table({"v": values})
    ready = ValueCounts("v").prepare(Batch(table.to_batches()[0]).schema)
    digests = set()
    for size in (9_999, 65_536, 400_000):
        pieces = [Batch(piece) for piece in table.to_batches(max_chunksize=size)]
        digests.add(digest(ready, merged(ready, pieces, random.Random(size))))
        state = ready.zero()
        for piece in pieces:
            state = ready.update(state, piece)
        digests.add(digest(ready, state))
    assert len(digests) == 1
    unique, counts = np.unique(values, return_counts=True)
    exported = ready.export(state)
    assert np.array_equal(exported["k0"].to_numpy(), unique)
    assert np.array_equal(exported["n"].to_numpy(), counts)


def test_bad_requests_fail_before_reading() -> None:
    table = pa.table({"price": [1], "items": [[1]]})
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        run(ValueCounts("pirce"), table)
    with pytest.raises(UsageError, match="'items' holds list"):
        run(ValueCounts("items"), table)
    with pytest.raises(UsageError, match="named twice"):
        run(ValueCounts(["price", "price"]), table)
    with pytest.raises(ParameterError, match="'top'"):
        run(ValueCounts(top=0), table)


def test_top_k_is_exact_up_to_its_capacity() -> None:
    rng = np.random.default_rng(0)
    values = rng.zipf(1.4, 100_000) % 900
    exact = run(ValueCounts("v", top=20), pa.table({"v": values})).table
    top = run(TopK("v", k=20, capacity=900), pa.table({"v": values})).table
    assert top["value"].to_pylist() == exact["v"].to_pylist()
    assert top["count"].to_pylist() == exact["count"].to_pylist() == top["upper"].to_pylist()


def adversarial(name: str, rows: int, rng: np.random.Generator) -> Any:
    """Return values that are hard on counters."""
    if name == "one heavy among unique ones":
        values = np.arange(rows)
        values[rng.random(rows) < 0.05] = -1
        return values
    if name == "heavy first, then unique ones":
        return np.r_[np.zeros(rows // 20, np.int64), np.arange(1, rows - rows // 20 + 1)]
    if name == "unique ones first":
        return np.r_[np.arange(1, rows - rows // 20 + 1), np.zeros(rows // 20, np.int64)]
    if name == "all equally often":
        return np.arange(rows) % 101
    return rng.zipf(1.2, rows) % 10**9


@pytest.mark.parametrize("capacity", [1, 7, 100])
@pytest.mark.parametrize(
    "name",
    [
        "one heavy among unique ones",
        "heavy first, then unique ones",
        "unique ones first",
        "all equally often",
        "zipf",
    ],
)
def test_top_k_keeps_its_bound_under_any_merging(
    name: str, capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_k, "CHUNK", 500)
    values = adversarial(name, 5_017, np.random.default_rng(5))
    whole = batch_of({"v": values})
    ready = TopK("v", k=capacity, capacity=capacity).prepare(whole.schema)
    for seed, pieces in ((0, 1), (1, 2), (2, 17), (3, 60)):
        chance = random.Random(seed)
        cuts = sorted(chance.randrange(len(whole)) for _ in range(pieces - 1))
        bounds = [0, *cuts, len(whole)]
        parts = [whole.slice(a, b - a) for a, b in pairwise(bounds)]
        state = merged(ready, parts, chance)
        for each in (state, ready.compact(ready.merge(ready.zero(), state))):
            assert ready.error(ready.finish(each), whole) <= 1.0
        assert state.counters.frame().height <= capacity


def test_top_k_does_not_depend_on_batches() -> None:
    rng = np.random.default_rng(6)
    whole = batch_of({"v": rng.integers(0, 5_000, 2 * top_k.CHUNK + 5)})
    ready = TopK("v", capacity=50).prepare(whole.schema)
    digests = set()
    for size in (len(whole), 10_000, top_k.CHUNK):
        state = ready.zero()
        for start in range(0, len(whole), size):
            state = ready.update(state, whole.slice(start, min(size, len(whole) - start)))
        digests.add(digest(ready, state))
    assert len(digests) == 1


def test_top_k_error_measures_what_is_wrong() -> None:
    rows = batch_of({"v": ["a", "a", "b"]})
    good = {"value": ["a", "b"], "count": [2, 1], "upper": [2, 1]}
    measure = TopK("v", k=2).error
    assert measure(pa.table(good), rows) == 0.0
    assert measure(pa.table({**good, "upper": [1, 1]}), rows) == math.inf
    assert TopK("v", k=1).error(pa.table({k: v[1:] for k, v in good.items()}), rows) == math.inf


def test_top_k_takes_any_single_value() -> None:
    days = [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 1)]
    answer = run(TopK("d"), pa.table({"d": days})).table
    assert answer.to_pylist() == [
        {"value": days[0], "count": 2, "upper": 2},
        {"value": None, "count": 1, "upper": 1},
    ]
    prices = pa.table({"p": pa.array([decimal.Decimal("1.50")] * 2)})
    assert run(TopK(), prices).table["value"].to_pylist() == [decimal.Decimal("1.50")]


@pytest.fixture(scope="module")
def edits(shared_data: Callable[[str], Path]) -> pa.Table:
    path = shared_data("wikiticker/wikiticker-2015-09-12-sampled.json.gz")
    return pl.read_ndjson(path).to_arrow()


def test_wikipedia_edits(edits: pa.Table) -> None:
    assert run(Count(), edits).table["count"].to_pylist() == [39_244]
    channels = run(ValueCounts("channel"), edits).table
    counts = dict(zip(*(channels[name].to_pylist() for name in channels.column_names), strict=True))
    assert counts["#en.wikipedia"] == 11_549
    assert counts["#vi.wikipedia"] == 9_747
    assert counts["#de.wikipedia"] == 2_523
    assert run(ValueCounts("page"), edits).table.num_rows == 35_143
    assert run(ValueCounts("user"), edits).table.num_rows == 10_531
    pages = run(ValueCounts("page", top=5), edits).table
    assert pages["page"][0].as_py() == "Wikipedia:Vandalismusmeldung"
    assert pages["count"].to_pylist() == [33, 28, 27, 21, 20]
    top = run(TopK("page", k=5, capacity=40_000), edits).table
    assert top["value"].to_pylist() == pages["page"].to_pylist()
    whole = Batch(edits.combine_chunks().to_batches()[0])
    small = run(TopK("page", k=5, capacity=3_000), edits).table
    assert TopK("page", k=5, capacity=3_000).error(small, whole) <= 1.0


def test_wikipedia_edits_per_hour(edits: pa.Table) -> None:
    hours = pl.from_arrow(edits).select(pl.col("time").str.slice(11, 2).alias("hour"))
    counts = run(ValueCounts("hour"), hours).table.sort_by("hour")
    assert counts["count"].to_pylist() == [
        268, 1144, 1102, 815, 824, 1260, 2120, 2237, 1622, 1704, 1792, 1624,
        1709, 2073, 1873, 1965, 1959, 2300, 2170, 2013, 1832, 1766, 1590, 1482,
    ]  # fmt: skip


def test_http_logs(shared_data: Callable[[str], Path]) -> None:
    logs = {
        month: pl.read_csv(
            shared_data(f"http-logs/nasa_1995{month}01.tsv"),
            separator="\t",
            quote_char=None,
            infer_schema_length=0,
            truncate_ragged_lines=True,
        )
        for month in ("07", "08")
    }
    codes = run(ValueCounts("response"), logs["07"]).table
    assert codes.to_pylist() == [
        {"response": "200", "count": 9012},
        {"response": "304", "count": 531},
        {"response": "302", "count": 408},
        {"response": "404", "count": 48},
    ]
    hosts = {m: run(ValueCounts("host"), log).table["host"].to_pylist() for m, log in logs.items()}
    assert len(hosts["07"]) == 936
    assert len(hosts["08"]) == 853
    assert len(set(hosts["07"]) & set(hosts["08"])) == 37
