"""Histogram against numpy.histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra.keyed import GroupBy
from motherlode.algebra.summary import Summary
from motherlode.core.errors import ParameterError, UnknownNameError, UsageError
from motherlode.mining.statistics.histogram import Histogram
from motherlode.runtime import run

NAN = float("nan")
NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 0.1, 0.3, 1.0, 5e-324, -2.5])


def histogram(values: Any, *args: Any, **parameters: Any) -> Any:
    return run(Histogram("v", *args, **parameters), pa.table({"v": pa.array(values)})).value


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.integers(1, 20))
def test_two_passes_give_what_numpy_gives(values: list[float], bins: int) -> None:
    bins_of = histogram(values, bins)
    if len(bins_of.edges) == bins + 1:
        counts, edges = np.histogram(np.array(values) + 0.0, bins=bins)
        assert bins_of.counts.tolist() == counts.tolist()
        assert bins_of.edges.tolist() == edges.tolist()
    else:  # NumPy refuses more bins than there are numbers between the ends
        assert bins_of.edges[0] == min(values)
        assert bins_of.edges[-1] == max(values)
        assert bins_of.rows == bins_of.counts.sum() == len(values)


@given(
    st.lists(NUMBERS, max_size=60),
    st.lists(st.sampled_from([-7.5, -1.0, 0.0, 0.1, 0.3, 0.5, 1.0, 100.0, 1e5]), min_size=2,
             unique=True),
)  # fmt: skip
def test_edges_give_what_numpy_gives(values: list[float], edges: list[float]) -> None:
    edges = sorted(edges)
    bins_of = histogram(pa.array(values, pa.float64()), edges)
    counts, _ = np.histogram(values, bins=edges)
    assert bins_of.counts.tolist() == counts.tolist()
    assert bins_of.below == sum(value < edges[0] for value in values)
    assert bins_of.above == sum(value > edges[-1] for value in values)


@given(st.lists(NUMBERS, max_size=60), st.integers(1, 30), st.floats(-5, 5), st.floats(0, 10))
def test_a_range_gives_what_numpy_gives(
    values: list[float], bins: int, low: float, width: float
) -> None:
    try:
        counts, edges = np.histogram(values, bins=bins, range=(low, low + width))
    except ValueError:
        return
    bins_of = histogram(pa.array(values, pa.float64()), bins, range=(low, low + width))
    if len(bins_of.edges) == bins + 1:
        assert bins_of.edges.tolist() == edges.tolist()
        assert bins_of.counts.tolist() == counts.tolist()


def test_values_on_the_edges_of_many_bins() -> None:
    for bins in (3, 7, 10, 30, 100):
        edges = np.linspace(0.1, 0.7, bins + 1)
        near = np.concatenate([edges, np.nextafter(edges, 1), np.nextafter(edges, 0)])
        expected, _ = np.histogram(near, bins=bins, range=(0.1, 0.7))
        assert histogram(near, bins, range=(0.1, 0.7)).counts.tolist() == expected.tolist()


def test_what_is_in_no_bin_is_counted_apart() -> None:
    values = pa.array([1.0, NAN, None, math.inf, -math.inf, 2.0, 5.0])
    bins_of = histogram(values, 4)
    assert bins_of.edges.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert bins_of.counts.tolist() == [1, 1, 0, 1]
    assert (bins_of.below, bins_of.above, bins_of.nan, bins_of.nulls) == (1, 1, 1, 1)
    assert bins_of.rows == 7
    everything = histogram(values, [-math.inf, 2.0, math.inf])
    assert everything.counts.tolist() == [2, 3]


def test_edge_cases_of_the_range() -> None:
    assert histogram(pa.nulls(3, pa.float64()), 2).edges.tolist() == [0.0, 0.5, 1.0]
    assert histogram([4.0, 4.0], 2).edges.tolist() == [3.5, 4.0, 4.5]
    huge = histogram([-1.7e308, 0.0, 1.7e308], 4)
    assert huge.counts.tolist() == [1, 0, 1, 1]
    tiny = histogram([0.0, 5e-324], 10)
    assert tiny.edges.tolist() == [0.0, 5e-324]
    assert tiny.counts.tolist() == [2]


def test_logarithmic_bins() -> None:
    bins_of = histogram([-1.0, 0.0, 1.0, 9.0, 10.0, 99.0, 1000.0], 3, scale="log")
    assert bins_of.edges == pytest.approx([1, 10, 100, 1000])
    assert bins_of.counts.tolist() == [2, 2, 1]
    assert bins_of.below == 2


def test_the_table_and_the_number_of_passes() -> None:
    table = pa.table({"t": ["a", "b"], "v": [1, 3]})
    twice = run(Histogram(bins=2), table)
    assert twice.passes == 2
    assert twice.table.to_pylist() == [
        {"low": 1.0, "high": 2.0, "count": 1},
        {"low": 2.0, "high": 3.0, "count": 1},
    ]
    once = run(Histogram("v", bins=2, range=(1, 3)), table)
    assert once.passes == 1
    assert once.table == twice.table
    assert isinstance(Histogram(bins=[0, 1]).plan(), Summary)


def test_a_histogram_in_a_group_by() -> None:
    table = pa.table({"k": ["a", "b", "a"], "v": [0.5, 1.5, 1.5]})
    answer = run(GroupBy("k", Histogram("v", bins=[0, 1, 2])), table).table
    assert answer["k"].to_pylist() == ["a", "a", "b", "b"]
    assert answer["count"].to_pylist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"bins": [1.0, 1.0]},
        {"bins": [2.0, 1.0]},
        {"bins": [0.0, NAN]},
        {"range": (2.0, 1.0)},
        {"range": (0.0, math.inf)},
        {"range": (0.0, 1.0), "scale": "log"},
        {"range": (0.0, 1.0, 2.0)},
        {"bins": 0},
        {"scale": "square"},
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="Histogram"):
        histogram([1.0], **parameters)


def test_bad_columns_are_refused() -> None:
    table = pa.table({"word": ["a"]})
    with pytest.raises(UsageError, match="'word' holds string"):
        run(Histogram("word"), table)
    with pytest.raises(UsageError, match="no column holds numbers"):
        run(Histogram(), table)
    with pytest.raises(UnknownNameError, match="did you mean 'word'"):
        run(Histogram("wrod"), table)
