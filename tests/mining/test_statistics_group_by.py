"""GroupBy of counts, sums, moments and anything else, against Polars, Python and DuckDB."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motherlode.algebra import codec, keyed
from motherlode.algebra.combine import Product
from motherlode.algebra.grouped import Separate
from motherlode.algebra.keyed import GroupBy
from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError, StateError, UnknownNameError, UsageError
from motherlode.mining.statistics.count import Count
from motherlode.mining.statistics.describe import Describe
from motherlode.mining.statistics.distinct import Distinct
from motherlode.mining.statistics.histogram import Histogram
from motherlode.mining.statistics.moments import Moments
from motherlode.mining.statistics.quantiles import Quantiles
from motherlode.mining.statistics.sum import Sum
from motherlode.mining.statistics.value_counts import ValueCounts
from motherlode.runtime import run
from motherlode.testing import laws
from motherlode.testing.cases import case

NAN = float("nan")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", None]),
        st.sampled_from([0.0, -0.0, NAN, 1.5, None]),
        st.integers(-(2**58), 2**58) | st.none(),
        st.floats(-1e9, 1e9) | st.sampled_from([NAN, math.inf]) | st.none(),
    ),
    max_size=30,
)
SUMMARIES: dict[str, Any] = {
    "count": Count(),
    "sum": Sum(["n", "x"]),
    "moments": Moments(["x", "n"]),
}


def table_of(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    kinds = {"k": pa.string(), "f": pa.float64(), "n": pa.int64(), "x": pa.float64()}
    columns = list(zip(*rows, strict=True)) or [()] * 4
    return pa.record_batch({n: pa.array(c, t) for (n, t), c in zip(kinds.items(), columns,
                                                                  strict=True)})  # fmt: skip


def group_of(row: tuple[Any, ...]) -> tuple[Any, Any]:
    number = row[1]
    return row[0], "nan" if number is not None and math.isnan(number) else number


@pytest.mark.parametrize("name", SUMMARIES)
@pytest.mark.parametrize("aside", [1, 7, 1 << 16])
def test_each_group_has_the_answer_of_its_rows(
    name: str, aside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "ASIDE", aside)
    inner = SUMMARIES[name]

    @settings(max_examples=12)
    @given(ROWS, st.integers(1, 10))
    def check(rows: list[tuple[Any, ...]], size: int) -> None:
        whole = table_of(rows)
        ready = GroupBy(["k", "f"], inner).prepare(Batch(whole).schema)
        states = [
            ready.update(ready.zero(), Batch(whole.slice(at, size)))
            for at in range(0, len(rows), size)
        ]
        state = ready.zero()
        for each in states:
            state = ready.merge(state, each)
        answer = ready.finish(state)
        expected = []
        groups: dict[Any, list[tuple[Any, ...]]] = {}
        for row in rows:
            groups.setdefault(group_of(row), []).append(row)
        for key in sorted(groups, key=order):
            part = run(inner, pa.Table.from_batches([table_of(groups[key])])).table
            for line in part.to_pylist():
                k, f = key
                expected.append({"k": k, "f": NAN if f == "nan" else f, **line})
        assert repr(answer.to_pylist()).replace("-0.0", "0.0") == repr(expected).replace(
            "-0.0", "0.0"
        )

    check()


def order(key: tuple[Any, Any]) -> tuple[Any, ...]:
    text, number = key
    rank = 2 if number is None else 1 if number == "nan" else 0
    return text is None, text or "", rank, number if rank == 0 else 0.0


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_vectorised_form_gives_what_separate_states_give(name: str) -> None:
    rng = np.random.default_rng(0)
    rows = 3_000
    table = pa.record_batch(
        {
            "k": rng.integers(0, 40, rows),
            "n": pa.array(rng.integers(-(2**62), 2**62, rows), mask=rng.random(rows) < 0.1),
            "x": pa.array(np.exp(rng.normal(0, 20, rows)), mask=rng.random(rows) < 0.1),
        }
    )
    fast = GroupBy("k", SUMMARIES[name]).prepare(Batch(table).schema)
    slow = GroupBy("k", SUMMARIES[name]).prepare(Batch(table).schema)
    slow.parts_ = {"": Separate(slow.summary)}
    assert not isinstance(fast.parts_[""], Separate)
    answers = []
    for ready in (fast, slow):
        state = ready.zero()
        for start in range(0, rows, 700):
            state = ready.update(state, Batch(table.slice(start, 700)))
        answers.append(repr(ready.finish(state).to_pylist()))
    assert answers[0] == answers[1]


def test_several_summaries_stand_side_by_side() -> None:
    table = pa.table({"k": ["b", "a", "b", None], "v": [1.0, 2.0, 3.0, 4.0], "w": [1, 2, 3, 4]})
    parts = {"n": Count(), "total": Sum("v"), "both": Sum(["v", "w"])}
    for summary in (parts, Product(parts)):
        result = run(GroupBy("k", summary), table)
        assert result.table.to_pylist() == [
            {"k": "a", "n": 1, "total": 2.0, "both_v": 2.0, "both_w": 2},
            {"k": "b", "n": 2, "total": 4.0, "both_v": 4.0, "both_w": 4},
            {"k": None, "n": 1, "total": 4.0, "both_v": 4.0, "both_w": 4},
        ]
        assert result.value["n"].column_names == ["k", "count"]
    long = run(GroupBy("k", {"n": Count(), "m": Moments(up_to=1)}), table)
    assert long.value["m"].num_rows == 6
    with pytest.raises(UsageError, match="'m' does not have one row a group"):
        _ = long.table


def test_columns_with_the_name_of_a_key_are_renamed() -> None:
    table = pa.table({"count": [7, 7]})
    answer = run(GroupBy("count", Count()), table).table
    assert answer.to_pylist() == [{"count": 7, "result_count": 2}]


def test_any_summary_can_be_grouped() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {"k": rng.integers(0, 5, 2_000), "v": rng.normal(size=2_000), "t": ["x", "y"] * 1_000}
    )
    for inner in (
        Quantiles("v", q=[0.1, 0.5]),
        Distinct(["v", "t"]),
        Describe(["v", "t"]),
        ValueCounts("t"),
        Histogram("v", bins=[-9, 0, 9]),
    ):
        answer = run(GroupBy("k", inner), frame).table
        for number in range(5):
            part = pl.from_arrow(answer).filter(pl.col("k") == number).drop("k")
            alone = run(inner, frame.filter(pl.col("k") == number)).table
            assert part.to_dicts() == pl.from_arrow(alone).to_dicts()


def test_no_rows_give_no_groups() -> None:
    table = pa.table({"k": pa.array([], pa.string()), "v": pa.array([], pa.float64())})
    assert run(GroupBy("k", Count()), table).table.to_pylist() == []
    assert run(GroupBy("k", Quantiles("v")), table).table.column_names[:2] == ["k", "column"]


@given(ROWS, ROWS)
def test_forgotten_rows_leave_no_trace(
    first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]
) -> None:
    parts = {"count": Count(), "sum": Sum(["n", "x"]), "values": ValueCounts("x")}
    ready = GroupBy(["k", "f"], parts).prepare(Batch(table_of([])).schema)

    def state(rows: list[tuple[Any, ...]]) -> Any:
        return ready.update(ready.zero(), Batch(table_of(rows)))

    left = ready.subtract(state(first + second), state(second))
    assert codec.encode(ready.export(left)) == codec.encode(ready.export(state(first)))


def test_rows_that_were_not_grouped_cannot_be_forgotten() -> None:
    ready = GroupBy("k", Count()).prepare(Batch(table_of([])).schema)
    seen = ready.update(ready.zero(), Batch(table_of([("a", 0.0, 1, 1.0)])))
    other = ready.update(ready.zero(), Batch(table_of([("b", 0.0, 1, 1.0)])))
    with pytest.raises(StateError, match="not all grouped"):
        ready.subtract(seen, other)


@pytest.mark.parametrize(
    "grouping",
    [
        GroupBy("flag", Count()),
        GroupBy(["n", "word"], {"s": Sum(["x", "n", "price"]), "m": Moments(["y"], up_to=2)}),
        GroupBy("flag", ValueCounts("n")),
    ],
    ids=["counts", "arrays", "objects"],
)
def test_the_laws_hold(grouping: GroupBy) -> None:
    laws.check(grouping, [case("table", "infinite")])


def test_traits_are_the_weakest_of_the_parts() -> None:
    assert GroupBy("k", Count()).traits.invertible
    assert GroupBy("k", {"a": Count(), "b": Quantiles()}).traits.grade == "bounded"
    assert not GroupBy("k", Distinct()).traits.invertible


def test_bad_requests_fail_before_reading() -> None:
    table = pa.table({"key": ["a"], "v": [1.0]})
    with pytest.raises(UnknownNameError, match="did you mean 'key'"):
        run(GroupBy("kye", Count()), table)
    with pytest.raises(UnknownNameError, match="'w'"):
        run(GroupBy("key", Sum("w")), table)
    with pytest.raises(ParameterError, match="'keys'"):
        run(GroupBy(3, Count()), table)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a summary of one pass"):
        run(GroupBy("key", Histogram("v")), table)
    with pytest.raises(UsageError, match="not a summary of one pass"):
        run(GroupBy("key", Count), table)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no summary"):
        run(GroupBy("key", {}), table)


def test_many_groups() -> None:
    rng = np.random.default_rng(2)
    keys, values = rng.integers(0, 60_000, 300_000), rng.normal(1e6, 1, 300_000)
    frame = pl.DataFrame({"k": keys, "v": values})
    grouping = GroupBy("k", {"n": Count(), "m": Moments("v", up_to=2)})
    answer = pl.from_arrow(run(grouping, frame, workers=2).table)
    expected = frame.group_by("k").agg(n=pl.len(), mean=pl.mean("v"), var=pl.var("v")).sort("k")
    assert answer["k"].equals(expected["k"])
    assert answer["n"].to_list() == expected["n"].to_list()
    assert np.allclose(answer["m_mean"], expected["mean"], rtol=1e-14)
    several = expected["n"].to_numpy() > 1
    exact, rounded = answer["m_variance"].to_numpy(), expected["var"].to_numpy()
    assert np.allclose(exact[several], rounded[several], rtol=1e-6)


def test_kddcup_by_label(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("kddcup99/kddcup.data_10_percent.gz")
    frame = pl.read_csv(path, has_header=False, columns=[1, 4, 41])
    frame.columns = ["protocol", "src_bytes", "label"]
    grouping = GroupBy(
        "label", {"n": Count(), "bytes": Sum("src_bytes"), "m": Moments("src_bytes", up_to=1)}
    )
    answer = run(grouping, frame).table
    expected = duckdb.sql(
        "select label, count(*), sum(src_bytes) from frame group by label order by label"
    ).fetchall()
    assert len(expected) == 23
    assert answer.num_rows == 23
    for line, (label, rows, total) in zip(answer.to_pylist(), expected, strict=True):
        assert (line["label"], line["n"], line["bytes"]) == (label, rows, total)
        exact = Fraction(int(total), rows)
        assert line["m_mean"] == exact.numerator / exact.denominator
    both = run(GroupBy(["protocol", "label"], Count()), frame).table
    wanted = frame.group_by("protocol", "label").len().sort("protocol", "label")
    assert both["count"].to_pylist() == wanted["len"].to_list()
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    assert run(grouping, shuffled).digest == run(grouping, frame).digest


def test_many_groups_stay_compact() -> None:
    rows = 200_000
    table = pa.record_batch({"k": np.arange(rows), "v": np.full(rows, 0.1)})
    ready = GroupBy("k", Sum("v")).prepare(Batch(table).schema)
    state = ready.compact(ready.update(ready.zero(), Batch(table)))
    assert len(codec.encode(ready.export(state))) < 70 * rows
    assert ready.merge(ready.zero(), state).rows.sum() == rows
