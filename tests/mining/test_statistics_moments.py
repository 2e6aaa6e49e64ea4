"""Sum, Moments, Covariance and Correlation against exact fractions, NumPy and SciPy."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import codec
from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError, UsageError
from motherlode.mining.statistics.correlation import Correlation
from motherlode.mining.statistics.covariance import Covariance
from motherlode.mining.statistics.moments import Moments
from motherlode.mining.statistics.sum import Sum
from motherlode.runtime import run

NAN = float("nan")
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def rounded(fraction: Fraction) -> float:
    try:
        return fraction.numerator / fraction.denominator
    except OverflowError:
        return math.inf if fraction > 0 else -math.inf


def moments_of(values: Any, **parameters: Any) -> dict[str, Any]:
    (row,) = run(Moments(["v"], **parameters), pa.table({"v": values})).table.to_pylist()
    return row


@given(st.lists(FLOATS | st.none(), max_size=25))
def test_sums_are_the_true_ones(values: list[float | None]) -> None:
    table = pa.table({"v": pa.array(values, pa.float64())})
    total = rounded(sum((Fraction(v) for v in values if v is not None), Fraction(0)))
    assert run(Sum("v"), table).table["v"].to_pylist() == [total]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=25))
def test_sums_of_integers_are_integers(values: list[int | None]) -> None:
    table = pa.table({"v": pa.array(values, pa.int64())})
    (total,) = run(Sum("v"), table).table["v"].to_pylist()
    assert total == sum(v for v in values if v is not None)


@given(st.lists(st.decimals(places=3, allow_nan=False, min_value=-(10**30), max_value=10**30)))
def test_sums_of_decimals_are_decimals(values: list[Decimal]) -> None:
    table = pa.table({"v": pa.array(values, pa.decimal128(36, 3))})
    (total,) = run(Sum("v"), table).table["v"].to_pylist()
    assert total == sum(map(Fraction, values))


def test_sums_of_other_types() -> None:
    table = pa.table(
        {
            "u": pa.array([2**64 - 1, 2**64 - 1], pa.uint64()),
            "b": [True, None],
            "f": pa.array([0.1, 0.2], pa.float32()),
            "t": ["a", "b"],
            "p": pa.array([Decimal("-0.01"), None], pa.decimal128(9, 2)),
        }
    )
    answer = run(Sum(), table).table
    assert answer.column_names == ["u", "b", "f", "p"]
    (row,) = answer.to_pylist()
    assert row["u"] == 2**65 - 2
    assert row["b"] == 1
    assert row["f"] == rounded(Fraction(float(np.float32(0.1))) + Fraction(float(np.float32(0.2))))
    assert row["p"] == Decimal("-0.01")
    assert answer.schema.field("b").type == pa.int64()
    infinite = pa.table({"v": [math.inf, 1.0], "w": [math.inf, -math.inf], "n": [NAN, 1.0]})
    totals = run(Sum(), infinite).table.to_pylist()[0]
    assert totals["v"] == math.inf
    assert math.isnan(totals["w"])
    assert math.isnan(totals["n"])


@given(st.lists(FLOATS, min_size=2, max_size=15))
def test_mean_and_variance_are_the_true_ones(values: list[float]) -> None:
    row = moments_of(values, up_to=2)
    exact = [Fraction(v) for v in values]
    mean = sum(exact, Fraction(0)) / len(values)
    variance = sum(((v - mean) ** 2 for v in exact), Fraction(0)) / (len(values) - 1)
    assert row["mean"] == rounded(mean)
    assert row["variance"] == rounded(variance)
    if 0 < variance < 1e300:
        assert row["std"] == pytest.approx(math.sqrt(rounded(variance)), rel=1e-15)
    population = moments_of(values, up_to=2, ddof=0)
    assert population["variance"] == rounded(variance * (len(values) - 1) / len(values))


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_higher_moments_are_scipys_and_do_not_cancel(offset: float) -> None:
    values = np.random.default_rng(0).integers(0, 1000, 5_000) ** 2 / 1024
    row = moments_of(values + offset)
    assert row["skewness"] == pytest.approx(scipy.stats.skew(values), rel=1e-9)
    assert row["kurtosis"] == pytest.approx(scipy.stats.kurtosis(values), rel=1e-9)
    assert row["variance"] == pytest.approx(values.var(ddof=1), rel=1e-12)


def test_missing_and_infinite_values_are_told() -> None:
    row = moments_of(pa.array([1.0, None, NAN, math.inf, -math.inf, 3.0]))
    assert (row["count"], row["nulls"], row["nan"], row["inf"]) == (5, 1, 1, 2)
    assert math.isnan(row["mean"])
    row = moments_of(pa.array([1.0, None, 3.0]))
    assert (row["count"], row["nulls"], row["sum"], row["mean"]) == (2, 1, 4.0, 2.0)
    row = moments_of(pa.nulls(2, pa.float64()))
    assert (row["count"], row["sum"]) == (0, 0.0)
    assert math.isnan(row["mean"])
    assert moments_of(pa.array([1.0, math.inf]))["mean"] == math.inf


def test_only_what_is_wanted_is_given() -> None:
    names = ["column", "count", "nulls", "nan", "inf", "sum", "mean"]
    more = {1: [], 2: ["variance", "std"], 3: ["skewness"], 4: ["kurtosis"]}
    for up_to in range(1, 5):
        names += more[up_to]
        assert list(moments_of([1.0], up_to=up_to)) == names
    with pytest.raises(ParameterError, match="'up_to'"):
        moments_of([1.0], up_to=5)


def test_integers_are_not_rounded() -> None:
    row = moments_of(pa.array([2**53, 1, 1], pa.int64()), up_to=2)
    assert row["sum"] == 2.0**53 + 2
    assert row["mean"] == rounded(Fraction(2**53 + 2, 3))


def test_matrices_have_columns_too() -> None:
    matrix = np.random.default_rng(0).normal(size=(500, 3))
    answer = run(Moments(up_to=2), matrix).table
    assert answer["column"].to_pylist() == ["x0", "x1", "x2"]
    assert answer["variance"].to_numpy() == pytest.approx(matrix.var(axis=0, ddof=1))
    assert run(Sum(["x2"]), matrix).table["x2"].to_pylist() == [math.fsum(matrix[:, 2])]
    covariance = run(Covariance(), matrix).table
    assert covariance.column_names == ["column", "x0", "x1", "x2"]
    assert np.array_equal(
        run(Covariance(["x2", "x0"]), matrix).table["x0"].to_numpy(),
        covariance["x0"].to_numpy()[[2, 0]],
    )


@given(st.lists(st.tuples(FLOATS, FLOATS | st.just(NAN) | st.none()), max_size=20), st.integers(0))
def test_states_are_the_same_for_any_split_and_can_be_taken_back(
    rows: list[tuple[float, float | None]], seed: int
) -> None:
    table = pa.record_batch(
        {
            "a": pa.array([a for a, _ in rows], pa.float64()),
            "b": pa.array([b for _, b in rows], pa.float64()),
        }
    )
    chance = random.Random(seed)
    order = np.array(chance.sample(range(len(rows)), len(rows)), np.int64)
    cut = chance.randint(0, len(rows))
    whole = Batch(table)
    shuffled = whole.take(order)
    first, second = shuffled.slice(0, cut), shuffled.slice(cut, len(rows) - cut)
    for algorithm in (Sum(), Moments(), Covariance(), Correlation()):
        ready: Any = algorithm.prepare(whole.schema)
        wanted = codec.encode(ready.export(ready.update(ready.zero(), whole)))
        one, other = (ready.update(ready.zero(), part) for part in (first, second))
        alone = codec.encode(ready.export(one))
        both = ready.merge(one, other)
        assert codec.encode(ready.export(both)) == wanted
        assert codec.encode(ready.export(ready.subtract(both, other))) == alone


def cells(table: pa.Table) -> np.ndarray[Any, Any]:
    assert table["column"].to_pylist() == table.column_names[1:]
    return np.column_stack([table[name].to_numpy() for name in table.column_names[1:]])


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_covariance_and_correlation_are_numpys(offset: float) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.integers(0, 1 << 12, (2_000, 5)) / 64.0
    matrix[:, 1] -= matrix[:, 0]
    table = pa.table({f"c{i}": matrix[:, i] + offset for i in range(5)})
    assert cells(run(Covariance(), table).table) == pytest.approx(np.cov(matrix.T), rel=1e-9)
    population = cells(run(Covariance(ddof=0), table).table)
    assert population == pytest.approx(np.cov(matrix.T, ddof=0), rel=1e-9)
    correlation = cells(run(Correlation(), table).table)
    assert correlation == pytest.approx(np.corrcoef(matrix.T), rel=1e-9)
    assert np.diag(correlation).tolist() == [1.0] * 5


def test_only_complete_rows_vary_together() -> None:
    table = pa.table(
        {
            "a": pa.array([1, 2, 4, None, 5, 6]),
            "b": pa.array([1.0, 3.0, 2.0, 9.0, NAN, math.inf]),
            "constant": [7] * 6,
        }
    )
    answer = run(Covariance(["a", "b"]), table).table
    assert cells(answer) == pytest.approx(np.cov([1, 2, 4], [1, 3, 2]))
    assert answer.schema.metadata == {
        b"rows": b"3",
        b"rows_with_missing": b"2",
        b"rows_with_infinite": b"1",
    }
    correlation = cells(run(Correlation(), table).table)
    assert np.isnan(correlation[2]).all()
    assert correlation[0, 1] == pytest.approx(np.corrcoef([1, 2, 4], [1, 3, 2])[0, 1])
    assert np.isnan(cells(run(Covariance(["a"]), table.slice(0, 1)).table)).all()
    with pytest.raises(UsageError, match="holds string"):
        run(Covariance(["t"]), pa.table({"t": ["x"]}))


def test_a_column_may_be_called_column() -> None:
    answer = run(Covariance(), pa.table({"column": [1.0, 2.0]})).table
    assert answer.to_pylist() == [{"column_": "column", "column": 0.5}]
