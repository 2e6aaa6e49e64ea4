"""Describe on every type of column, against Polars and NumPy."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from motherlode.core.errors import UnknownNameError
from motherlode.mining.statistics.describe import Describe
from motherlode.runtime import run

NAN = float("nan")


def lines(data: Any, *args: Any, **parameters: Any) -> dict[str, dict[str, Any]]:
    answer = run(Describe(*args, **parameters), data).table
    return {line["column"]: line for line in answer.to_pylist()}


def test_every_type_of_column() -> None:
    day = datetime.datetime(2015, 9, 12, 1, 2, 3, 500_000)
    table = pa.table(
        {
            "n": pa.array([2**53 + 1, None, -7], pa.int64()),
            "x": [0.1, NAN, -math.inf],
            "half": pa.array([1.5, None, 0.1], pa.float16()),
            "single": pa.array([0.1, 0.2, None], pa.float32()),
            "flag": [True, None, False],
            "word": ["ä", "", None],
            "code": pa.array(["b", "a", "b"]).dictionary_encode(),
            "raw": [b"\xff", b"a'b", None],
            "at": pa.array([day, None, day], pa.timestamp("us")),
            "zone": pa.array([day, None, None], pa.timestamp("s", "UTC")),
            "day": pa.array([day.date(), None, datetime.date(1969, 1, 1)]),
            "clock": pa.array([1, 2, None], pa.time32("s")),
            "took": pa.array([1500, None, 3], pa.duration("ms")),
            "price": [Decimal("9.50"), None, Decimal("-0.25")],
            "items": [[1], None, []],
            "pair": [{"a": 1}, {"a": 2}, None],
            "nothing": pa.nulls(3),
        }
    )
    found = lines(table)
    assert list(found) == table.column_names
    expected = {
        "n": ("-7", str(2**53 + 1), 2),
        "x": ("-inf", "0.1", 3),
        "half": ("0.1", "1.5", 2),
        "single": ("0.1", "0.2", 2),
        "flag": ("false", "true", 2),
        "word": ("", "ä", 2),
        "code": ("a", "b", 2),
        "raw": ("a'b", "\\xff", 2),
        "at": ("2015-09-12 01:02:03.500000", "2015-09-12 01:02:03.500000", 1),
        "zone": ("2015-09-12 01:02:03Z", "2015-09-12 01:02:03Z", 1),
        "day": ("1969-01-01", "2015-09-12", 2),
        "clock": ("00:00:01", "00:00:02", 2),
        "took": ("3", "1500", 2),
        "price": ("-0.25", "9.50", 2),
        "items": (None, None, None),
        "pair": (None, None, None),
        "nothing": (None, None, 0),
    }
    for name, (low, high, distinct) in expected.items():
        line = found[name]
        assert (line["min"], line["max"], line["distinct"]) == (low, high, distinct), name
        assert line["count"] + line["nulls"] == 3
        assert line["nulls"] == table[name].null_count
    assert (found["word"]["shortest"], found["word"]["longest"]) == (0, 1)
    assert found["raw"]["longest"] == 3
    assert found["x"]["nan"] == found["x"]["inf"] == 1
    assert found["flag"]["mean"] == 0.5
    assert found["price"]["mean"] == 4.625
    assert found["word"]["mean"] is None


def test_numbers_are_those_of_polars() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=5_000), "b": rng.integers(0, 50, 5_000)})
    for name, line in lines(frame).items():
        column = frame[name]
        assert line["mean"] == pytest.approx(column.mean(), rel=1e-12)
        assert line["std"] == pytest.approx(column.std(), rel=1e-12)
        assert line["variance"] == pytest.approx(column.var(), rel=1e-12)
        assert line["skewness"] == pytest.approx(column.skew(), rel=1e-9)
        assert line["kurtosis"] == pytest.approx(column.kurtosis(), rel=1e-9)
        assert float(line["min"]) == column.min()
        assert float(line["max"]) == column.max()
    assert lines(frame)["b"]["distinct"] == 50


def test_columns_are_chosen() -> None:
    table = pa.table({"a": [1], "b": ["x"]})
    assert list(lines(table, ["b"])) == ["b"]
    assert lines(table, distinct=False)["a"]["distinct"] is None
    with pytest.raises(UnknownNameError, match="did you mean"):
        lines(table, ["A"])
    assert list(lines(np.array([[1.0, -0.0]]))) == ["x0", "x1"]
    assert lines(np.array([[1.0, -0.0]]))["x1"]["min"] == "0.0"


def test_no_rows_and_no_values() -> None:
    empty = pa.table({"a": pa.array([], pa.float64()), "t": pa.array([], pa.string())})
    for line in lines(empty).values():
        assert (line["count"], line["nulls"], line["min"], line["distinct"]) == (0, 0, None, 0)
    missing = lines(pa.table({"a": pa.array([NAN, None])}))["a"]
    assert (missing["count"], missing["nan"], missing["min"]) == (1, 1, None)


def test_wikipedia_edits(shared_data: Callable[[str], Path]) -> None:
    edits = pl.read_ndjson(shared_data("wikiticker/wikiticker-2015-09-12-sampled.json.gz"))
    found = lines(edits)
    assert {line["count"] + line["nulls"] for line in found.values()} == {39_244}
    assert found["added"]["mean"] == 9_385_573 / found["added"]["count"]
    assert found["channel"]["distinct"] == edits["channel"].n_unique()
    assert found["time"]["min"] == edits["time"].min()
    assert found["comment"]["longest"] == edits["comment"].str.len_chars().max()
