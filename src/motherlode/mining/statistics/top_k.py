"""Top k: the most frequent values in bounded memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import pyarrow as pa

from motherlode.algebra.columns import stored
from motherlode.algebra.keys import Counter, Keys
from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.parameters import AnyOf, Constraint, Integer, Nothing, Text

CHUNK = 1 << 16
"""Rows counted exactly between two prunings, at least."""


class Frequent:
    """The state: counters, what was taken off them, and rows counted since."""

    __slots__ = ("counters", "error", "fresh", "rows", "waiting")

    def __init__(
        self, counters: Counter, fresh: Counter, error: int = 0, rows: int = 0, waiting: int = 0
    ) -> None:
        self.counters = counters
        self.fresh = fresh
        self.error = error
        self.rows = rows
        self.waiting = waiting


class TopK(Summary[Frequent, pa.Table]):
    """The most frequent values of a column, counted in bounded memory.

    Misra and Gries' frequent items in the mergeable form of Agarwal and others: values are
    counted exactly; when there are more than ``capacity``, the count of the first one too many
    (the ``capacity + 1``-th largest) is taken off all of them, and those left with nothing are
    forgotten. Each unit taken off goes with ``capacity`` others, so that a count falls short by
    at most ``rows / (capacity + 1)``, however states were split and merged.

    Parameters
    ----------
    column : str or None
        The column; None takes the first that holds single values.
    k : int
        How many values to give.
    capacity : int or None
        How many values are kept; None for 1,000, or ten times ``k`` if that is more. Up to so
        many distinct values the answer is exact.

    Returns
    -------
    pyarrow.Table
        ``value``, ``count`` (int64, never too high) and ``upper`` (int64, never too low), by
        falling count, equal counts by rising value, nulls last. A value that is not among the
        ``k`` occurs at most as often as the last ``upper``. Where ``count`` equals ``upper`` it
        is exact.

    Notes
    -----
    Equality is as for ``ValueCounts``; nulls are counted as a value. Time: about 0.1 µs a row.
    State: ``capacity`` counters after every 65,536 rows. Grade: bounded, error of a count at
    most ``rows / (capacity + 1)``; the answer is deterministic.

    References
    ----------
    J. Misra and D. Gries, "Finding repeated elements", Science of Computer Programming 2, 1982.
    P. K. Agarwal and others, "Mergeable summaries", PODS 2012.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> visits = pa.table({"page": ["home", "cart", "home", "help", "home", "cart"]})
    >>> for row in run(TopK("page", k=2), visits).table.to_pylist():
    ...     print(row)
    {'value': 'home', 'count': 3, 'upper': 3}
    {'value': 'cart', 'count': 2, 'upper': 2}
    """

    traits: ClassVar[Traits] = Traits(
        "bounded",
        "the most frequent values in bounded memory",
        state_size="capacity",
        reference="Agarwal et al., Mergeable summaries, PODS 2012",
        eps="count error <= rows / (capacity + 1)",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "column": AnyOf(Text(), Nothing()),
        "k": Integer(1),
        "capacity": AnyOf(Integer(1), Nothing()),
    }
    chart: ClassVar[Chart | None] = Chart("bar", "value", "count")

    keys_: Keys
    stored_: tuple[str, ...]
    capacity_: int

    def __init__(self, column: str | None = None, k: int = 10, capacity: int | None = None) -> None:
        self.column = column
        self.k = k
        self.capacity = capacity

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        keys = Keys.of(schema, self.column, "TopK")
        ready.keys_ = Keys(keys.names[:1], keys.types[:1])
        ready.stored_ = stored(schema, ready.keys_.names)
        ready.capacity_ = max(1000, 10 * self.k) if self.capacity is None else self.capacity
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> Frequent:
        return Frequent(Counter(self.keys_), Counter(self.keys_))

    def update(self, state: Frequent, batch: Batch) -> Frequent:
        chunk = max(CHUNK, 2 * self.capacity_)
        start = 0
        while start < len(batch):
            # Pruned after so many rows, wherever batches begin: no batching changes the state.
            part = batch.slice(start, min(chunk - state.waiting, len(batch) - start))
            state.fresh.add(part)
            state.waiting += len(part)
            state.rows += len(part)
            start += len(part)
            if state.waiting == chunk:
                state = self.compact(state)
        return state

    def merge(self, left: Frequent, right: Frequent) -> Frequent:
        left.counters.merge(right.counters)
        left.error += right.error
        left.fresh.merge(right.fresh)
        left.rows += right.rows
        left.waiting += right.waiting
        self._prune(left)
        return self.compact(left) if left.waiting >= max(CHUNK, 2 * self.capacity_) else left

    def compact(self, state: Frequent) -> Frequent:
        state.counters.merge(state.fresh)
        state.fresh = Counter(self.keys_)
        state.waiting = 0
        self._prune(state)
        return state

    def finish(self, state: Frequent) -> pa.Table:
        counted = state.counters.copy()
        counted.merge(state.fresh)
        frame = counted.frame().sort(["n", "k0"], descending=[True, False], nulls_last=True)
        frame = frame.head(self.k)
        counts = frame["n"].to_numpy()
        (values,) = self.keys_.arrays(frame)
        return pa.table({"value": values, "count": counts, "upper": counts + state.error})

    def error(self, answer: pa.Table, rows: Batch) -> float:
        """Return how far an answer is off, as a multiple of the declared bound."""
        ready = self.prepare(rows.schema)
        counted = Counter(ready.keys_)
        counted.add(rows)
        frame = counted.frame()
        (values,) = ready.keys_.arrays(frame)
        true = dict(zip(map(repr, values.to_pylist()), frame["n"].to_list(), strict=True))
        worst, last = 0, 0
        for row in answer.to_pylist():
            count = true.pop(repr(row["value"]), 0)
            if not row["count"] <= count <= row["upper"]:
                return math.inf
            worst, last = max(worst, count - row["count"]), row["upper"]
        if answer.num_rows == self.k and any(count > last for count in true.values()):
            return math.inf
        return worst * (ready.capacity_ + 1) / max(len(rows), 1)

    def export(self, state: Frequent) -> Any:
        return {
            "counters": state.counters.table(),
            "fresh": state.fresh.table(),
            "error": state.error,
            "rows": state.rows,
            "waiting": state.waiting,
        }

    def load(self, exported: Any) -> Frequent:
        counters = Counter.of(self.keys_, exported["counters"])
        fresh = Counter.of(self.keys_, exported["fresh"])
        rest = (int(exported[name]) for name in ("error", "rows", "waiting"))
        return Frequent(counters, fresh, *rest)

    def _prune(self, state: Frequent) -> None:
        """Take the first count too many off every counter, where there are too many."""
        frame = state.counters.frame()
        if frame.height <= self.capacity_:
            return
        counts = frame["n"].to_numpy()
        excess = int(np.partition(counts, -self.capacity_ - 1)[-self.capacity_ - 1])
        left = frame.with_columns(n=pl.col("n") - excess).filter(pl.col("n") > 0)
        state.counters = Counter(self.keys_, left)
        state.error += excess
