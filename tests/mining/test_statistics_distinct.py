"""Distinct: exact while few, within its error beyond, the same state for any partition."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
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
from motherlode.algebra.hashing import hash_rows
from motherlode.core.batch import Batch
from motherlode.core.errors import UsageError
from motherlode.mining.statistics.distinct import Distinct
from motherlode.runtime import run


def distinct_of(array: Any, **parameters: Any) -> dict[str, Any]:
    (row,) = run(Distinct(["v"], **parameters), pa.table({"v": array})).table.to_pylist()
    return row


def test_few_values_are_counted_exactly() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4096, 200_000)
    row = distinct_of(values)
    assert row == {"column": "v", "distinct": 4096, "error": 0.0, "nulls": 0, "rows": 200_000}
    assert distinct_of(pa.nulls(3, pa.string()))["distinct"] == 0
    assert distinct_of(["", "a", None, "a"])["nulls"] == 1


@pytest.mark.parametrize("precision", [8, 12, 14])
@pytest.mark.parametrize("kind", ["integers", "floats", "texts"])
def test_many_values_are_estimated_within_the_error(kind: str, precision: int) -> None:
    unit = 1.04 / np.sqrt(1 << precision)
    offs = []
    for count in (3_000, 20_000, 150_000, 400_000):
        values: Any = np.arange(count) * 7 + 10**12
        if kind == "floats":
            values = values / 3.0
        if kind == "texts":
            values = pa.array(values).cast(pa.string())
        row = distinct_of(values, precision=precision)
        exact = count <= 1 << (precision - 2)
        assert (row["error"] == 0.0) == exact
        if exact:
            assert row["distinct"] == count
        else:
            assert row["error"] == pytest.approx(unit * row["distinct"], rel=1e-2)
        offs.append((row["distinct"] - count) / (unit * count))
    assert np.abs(offs).max() < 4.0


def test_the_estimate_has_the_declared_standard_error() -> None:
    # 60 sketches of other values each: their errors' root mean square is one standard error.
    matrix = np.arange(30_000)[:, None] + 30_000.0 * np.arange(60) + 0.5
    answer = run(Distinct(precision=8), matrix).table
    off = (answer["distinct"].to_numpy() / 30_000 - 1) / (1.04 / 16)
    assert 0.7 < np.sqrt(np.mean(off**2)) < 1.3
    assert abs(np.mean(off)) < 0.5


@given(
    st.lists(st.integers(0, 300), max_size=400),
    st.lists(st.integers(0, 400), max_size=4),
    st.integers(0, 9),
)
def test_the_state_depends_on_the_set_of_values_alone(
    values: list[int], cuts: list[int], seed: int
) -> None:
    ready = Distinct(precision=6).prepare(Batch(pa.record_batch({"v": [1]})).schema)
    chance = random.Random(seed)
    shuffled = chance.sample(values, len(values))
    bounds = [0, *sorted(cuts), len(values)]
    states = [ready.update(ready.zero(), batch_of(shuffled[a:b])) for a, b in pairwise(bounds)]
    while len(states) > 1:
        left = states.pop(chance.randrange(len(states)))
        states.append(ready.merge(left, states.pop(chance.randrange(len(states)))))
    once = ready.update(ready.zero(), batch_of(sorted(values)))
    assert codec.encode(ready.export(states[0])) == codec.encode(ready.export(once))
    if len(set(values)) <= 16:
        assert ready.finish(once)["distinct"][0].as_py() == len(set(values))


def batch_of(values: list[int]) -> Batch:
    return Batch(pa.record_batch({"v": pa.array(values, pa.int64())}))


def test_combinations_are_counted_jointly() -> None:
    table = pa.table({"a": [1, 1, 2, None, 2], "b": ["x", "x", "x", "x", "y"]})
    answer = run(Distinct(jointly=True), table).table.to_pylist()
    assert answer == [{"column": "a, b", "distinct": 3, "error": 0.0, "nulls": 1, "rows": 5}]
    swapped = pa.table({"a": ["x", "y"], "b": ["y", "x"]})
    assert run(Distinct(jointly=True), swapped).table["distinct"].to_pylist() == [2]


def test_equal_values_of_any_type_hash_alike() -> None:
    fives: list[pa.Array] = [
        pa.array([5], pa.int8()),
        pa.array([5], pa.uint64()),
        pa.array([5.0], pa.float32()),
        pa.array([5.0]),
    ]
    assert len({int(hash_rows([array])[0]) for array in fives}) == 1
    texts = [
        pa.array(["skip", "motherlode"])[1:],
        pa.array(["motherlode"], pa.large_string()),
        pa.array(["motherlode"], pa.string_view()),
        pa.array(["motherlode"]).dictionary_encode(),
        pa.array([b"motherlode"]),
        pa.array([b"motherlode"], pa.binary(10)),
    ]
    assert len({int(hash_rows([array])[0]) for array in texts}) == 1
    zeros = pa.array([0.0, -0.0, float("nan"), np.frombuffer(b"\x01" + b"\xff" * 7)[0]])
    assert distinct_of(zeros)["distinct"] == 2


def test_the_hash_never_changes() -> None:
    """States that were stored must go on; these figures are for ever."""
    figures = {
        "integers": (pa.array([0, 1, -1]), [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]),
        "texts": (pa.array(["", "a", "motherlode"]), [0x48218226FF3CD4BF, 0x80BDFD4D3E359A26]),
    }
    for array, expected in figures.values():
        assert hash_rows([array])[:2].tolist() == expected
    assert hash_rows([pa.array(["motherlode"])])[0] == 0xA904E4A37663FD09
    assert hash_rows([pa.array([0.5])])[0] == hash_rows([pa.array([0.5], pa.float32())])[0]
    assert hash_rows([pa.array(["a"])], seed=1)[0] != hash_rows([pa.array(["a"])])[0]


def test_types_with_single_values_are_taken_and_nested_ones_refused() -> None:
    table = pa.table(
        {
            "day": pa.array([1, None], pa.date32()),
            "at": pa.array([1, 2], pa.timestamp("ns", "UTC")),
            "took": pa.array([1, 1], pa.duration("s")),
            "price": pa.array([Decimal("1.50"), Decimal("-1.50")]),
            "flag": [True, None],
            "nothing": pa.nulls(2),
            "half": pa.array([1.5, 2.5], pa.float16()),
            "items": [[1], [2]],
        }
    )
    answer = run(Distinct(), table).table
    assert dict(zip(*(answer[n].to_pylist() for n in ("column", "distinct")), strict=True)) == {
        "day": 1, "at": 2, "took": 1, "price": 2, "flag": 1, "nothing": 0, "half": 2,
    }  # fmt: skip
    with pytest.raises(UsageError, match="'items' holds list"):
        run(Distinct(["items"]), table)


def test_hashes_spread_evenly() -> None:
    codes = hash_rows([pa.array(np.arange(1 << 16))])
    for shift in (0, 13, 48):
        counts = np.bincount((codes >> np.uint64(shift)).astype(np.int64) & 255, minlength=256)
        assert ((counts - 256) ** 2 / 256).sum() < 400  # chi-squared, 255 degrees of freedom


def test_wikipedia_edits(shared_data: Callable[[str], Path]) -> None:
    edits = pl.read_ndjson(shared_data("wikiticker/wikiticker-2015-09-12-sampled.json.gz"))
    answer = run(Distinct(["page", "user"], precision=18), edits).table
    assert answer["distinct"].to_pylist() == [35_143, 10_531]
    assert answer["error"].to_pylist() == [0.0, 0.0]
    estimated = run(Distinct(["page", "user"]), edits).table["distinct"].to_numpy()
    assert np.abs(estimated / [35_143, 10_531] - 1).max() < 0.03
