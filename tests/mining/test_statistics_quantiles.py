"""Quantiles: exact while few, and within eps for adversarial data and any tree of merges."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import codec
from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError, UsageError
from motherlode.mining.statistics.quantiles import Ladder, Quantiles
from motherlode.runtime import run

NAN = float("nan")
SHARES = tuple(np.linspace(0, 1, 41).round(3).tolist())


def batch_of(values: Any) -> Batch:
    return Batch(pa.record_batch({"v": pa.array(values, pa.float64())}))


def values_of(table: pa.Table) -> list[float | None]:
    return table["value"].to_pylist()


@given(
    st.lists(st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=40),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_few_values_give_the_exact_quantiles(values: list[float], shares: list[float]) -> None:
    answer = run(Quantiles("v", q=shares), pa.table({"v": values})).table
    expected = np.quantile(values, shares, method="inverted_cdf")
    ordered = sorted(values)
    for got, wanted, share in zip(values_of(answer), expected, shares, strict=True):
        # NumPy multiplies in floats, so a rank may come out one higher beside a whole number.
        assert got == wanted or abs(share * len(values) - round(share * len(values))) < 1e-9
        assert got in ordered
    assert answer["error"].to_pylist() == [0.0] * len(shares)


def test_shares_are_decimal_fractions() -> None:
    hundred = pa.table({"v": np.arange(1.0, 101.0)})
    answer = run(Quantiles("v", q=[0.0, 0.07, 0.29, 0.57, 1.0]), hundred).table
    assert values_of(answer) == [1.0, 7.0, 29.0, 57.0, 100.0]


def test_missing_values_have_no_rank() -> None:
    table = pa.table({"v": pa.array([3.0, NAN, None, math.inf, -0.0, 1.0])})
    answer = run(Quantiles("v", q=[0, 0.5, 0.75, 1]), table).table
    assert values_of(answer) == [0.0, 1.0, 3.0, math.inf]
    assert math.copysign(1, answer["value"][0].as_py()) == 1.0
    nothing = run(Quantiles("v", q=0.5), pa.table({"v": pa.nulls(2, pa.float64())})).table
    assert nothing.to_pylist() == [{"column": "v", "q": 0.5, "value": None, "error": 0.0}]


def test_each_numeric_column_has_its_rows() -> None:
    table = pa.table({"a": [1, 2, 3], "t": ["x", "y", "z"], "b": [True, False, True]})
    answer = run(Quantiles(q=0.5), table).table
    assert answer.select(["column", "value"]).to_pylist() == [
        {"column": "a", "value": 2.0},
        {"column": "b", "value": 1.0},
    ]
    with pytest.raises(UsageError, match="'t' holds string"):
        run(Quantiles("t"), table)
    with pytest.raises(ParameterError, match="'q'"):
        run(Quantiles(q=[0.5, 1.5]), table)
    matrix = run(Quantiles(q=1.0), np.array([[1.0, 5.0], [2.0, 4.0]])).table
    assert values_of(matrix) == [2.0, 5.0]


def adversarial(name: str, rows: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    ramp = np.arange(rows, dtype=np.float64)
    return {
        "rising": ramp,
        "falling": ramp[::-1].copy(),
        "from both ends": np.where(ramp % 2 == 0, ramp, rows - ramp),
        "inwards": np.concatenate([ramp[::2], ramp[1::2][::-1]]),
        "sawtooth": ramp % 97,
        "two values": (ramp % 3 == 0) * 1.0,
        "all equal": np.ones(rows),
        "nearly equal": np.where(ramp % 1000 == 0, ramp, 7.0),
        "wide": np.ldexp(1.0, rng.integers(-1000, 1000, rows)) * rng.choice([-1, 1], rows),
        "blocks": np.repeat(rng.permutation(rows // 500 + 1), 500)[:rows].astype(float),
        "random": rng.normal(size=rows),
    }[name]


NAMES = [
    "rising", "falling", "from both ends", "inwards", "sawtooth", "two values", "all equal",
    "nearly equal", "wide", "blocks", "random",
]  # fmt: skip


def shapes(ready: Quantiles, pieces: list[Batch], chance: random.Random) -> dict[str, Any]:
    """Return the states of the pieces merged in trees of several shapes."""

    def states() -> list[Any]:
        return [ready.update(ready.zero(), piece) for piece in pieces]

    left = states()[0]
    for state in states()[1:]:
        left = ready.merge(left, state)
    right = states()[-1]
    for state in reversed(states()[:-1]):
        right = ready.merge(state, right)
    balanced, shuffled = states(), states()
    while len(balanced) > 1:
        balanced = [
            ready.merge(a, b) for a, b in zip(balanced[::2], balanced[1::2], strict=False)
        ] + (balanced[-1:] if len(balanced) % 2 else [])
    while len(shuffled) > 1:
        one = shuffled.pop(chance.randrange(len(shuffled)))
        shuffled.append(ready.merge(one, shuffled.pop(chance.randrange(len(shuffled)))))
    return {"left": left, "right": right, "balanced": balanced[0], "shuffled": shuffled[0]}


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_holds_for_every_order_and_tree(name: str) -> None:
    eps = 0.05 if name in ("random", "rising", "two values") else 0.2
    rows = batch_of(adversarial(name, 7_011))
    ready = Quantiles("v", q=SHARES, eps=eps).prepare(rows.schema)
    chance = random.Random(2)
    for cuts in ([], [1], sorted(chance.randrange(7_011) for _ in range(20))):
        bounds = [0, *cuts, len(rows)]
        pieces = [rows.slice(a, b - a) for a, b in pairwise(bounds)]
        for shape, state in shapes(ready, pieces, chance).items():
            # The measure is infinite, too, where the certified error is not kept.
            assert ready.error(ready.finish(state), rows) <= 1.0, shape
            ladder = state["v"]
            assert ladder.error <= eps * ladder.rows
            weights = sum(level.size << i for i, level in enumerate(ladder.levels))
            assert weights == ladder.rows == len(rows)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_errors_that_add_up_are_centred(sign: float) -> None:
    # Each small ladder is thinned once, alike: at the same place all ranks are too high by one.
    # The wide ladder that they are merged into is not thinned, and half of that is its error.
    pieces = [sign * np.arange(210.0) + shift / 1000 for shift in range(100)]
    whole = Ladder(10**6)
    for values in pieces:
        ladder = Ladder(210)
        ladder.add(values)
        assert ladder.doubt == (1, 0)
        whole.merge(ladder)
    assert whole.doubt == (100, 0)
    assert whole.error == 50
    ordered = np.sort(np.concatenate(pieces))
    ranks = [1, *range(2, 21_000, 37), 20_999, 21_000]
    found = whole.quantiles([Fraction(rank, 21_000) for rank in ranks])
    off = np.searchsorted(ordered, np.array(found)) + 1 - ranks
    assert np.abs(off).max() == 50
    assert (off[0], off[-1]) == (0, 0)


def test_merging_many_tiny_states_loses_no_more() -> None:
    values = adversarial("random", 6_000)
    rows = batch_of(values)
    ready = Quantiles("v", q=SHARES, eps=0.1).prepare(rows.schema)
    state = ready.zero()
    for start in range(0, len(rows), 3):
        state = ready.merge(ready.update(ready.zero(), rows.slice(start, 3)), state)
    assert ready.error(ready.finish(state), rows) <= 1.0


def test_levels_above_the_even_ones_grow() -> None:
    # A ladder of high levels, as of very many rows: merge one with itself over and over.
    rows = batch_of(adversarial("random", 3_000))
    ready = Quantiles("v", q=SHARES, eps=0.2).prepare(rows.schema)
    state = ready.update(ready.zero(), rows)
    for _ in range(24):
        state = ready.merge(state, ready.load(ready.export(state)))
    ladder = state["v"]
    assert ladder.rows == 3_000 << 24
    assert len(ladder.levels) > 22
    assert ladder.error <= 0.2 * ladder.rows
    repeated = Quantiles("v", q=SHARES, eps=0.2)
    assert repeated.error(ready.finish(state), rows) <= 1.0


def test_a_state_does_not_depend_on_batches_or_on_the_side_of_a_merge() -> None:
    rows = batch_of(adversarial("random", 5_000))
    ready = Quantiles("v", eps=0.1).prepare(rows.schema)
    documents = set()
    for size in (1, 7, 105, 210, 5_000):
        state = ready.zero()
        for start in range(0, len(rows), size):
            state = ready.update(state, rows.slice(start, min(size, len(rows) - start)))
        documents.add(codec.encode(ready.export(state)))
    assert len(documents) == 1
    halves = [ready.update(ready.zero(), rows.slice(a, n)) for a, n in ((0, 1700), (1700, 3300))]
    again = [ready.load(ready.export(half)) for half in halves]
    one = ready.export(ready.merge(halves[0], again[1]))
    assert codec.encode(one) == codec.encode(ready.export(ready.merge(halves[1], again[0])))


def test_the_state_stays_small() -> None:
    values = adversarial("random", 300_000)
    ladder = Ladder(210)
    ladder.add(values)
    kept = sum(level.size for level in ladder.levels)
    assert kept < 210 * 12
    assert len(ladder.levels) == 12


def test_error_measures_what_is_wrong() -> None:
    rows = batch_of([1.0, 2.0, 3.0, 4.0])
    right = {"column": ["v"], "q": [0.5], "value": [2.0], "error": [0.0]}
    measure = Quantiles("v", eps=0.25).error
    assert measure(pa.table(right), rows) == 0.0
    assert measure(pa.table({**right, "value": [4.0], "error": [0.5]}), rows) == 2.0
    assert measure(pa.table({**right, "value": [4.0]}), rows) == math.inf
    assert measure(pa.table({**right, "value": [2.5], "error": [0.5]}), rows) == math.inf
