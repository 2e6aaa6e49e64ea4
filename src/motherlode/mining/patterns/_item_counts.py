"""The first pass of itemset mining: in how many baskets each item is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch
from motherlode.core.errors import MotherlodeError
from motherlode.mining.patterns._baskets import WINDOW, BasketColumns, Baskets, Keys


@dataclass(slots=True)
class Tally:
    """Counts of items: a table for whole numbers near each other, lists of others.

    Parameters
    ----------
    rows : int
        Baskets seen.
    low : int
        The item counted by the first place of the table.
    table : ndarray of int64
        Counts.
    seen : ndarray of int64
        The last basket of each item of the table, so that repetitions are told; or empty.
    others : list of (Keys, ndarray of int64)
        Counted batches; added up when they hold twice as many items as the sum before.
    summed : int
        Number of items when they were last added up.
    """

    rows: int = 0
    low: int = 0
    table: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    others: list[tuple[Keys, NDArray[np.int64]]] = field(default_factory=list)
    summed: int = 0

    def cover(self, low: int, high: int) -> bool:
        """Make the table reach from ``low`` to ``high``; False if it would be too large."""
        if len(self.table):
            low, high = min(low, self.low), max(high, self.low + len(self.table) - 1)
        elif low >= 0 and high < WINDOW:
            low = 0
        if high - low >= WINDOW:
            return False
        if low < self.low or high >= self.low + len(self.table):
            wider = np.zeros(min(WINDOW, max(high - low + 1, 2 * len(self.table))), np.int64)
            shift = self.low - low if len(self.table) else 0
            wider[shift : shift + len(self.table)] = self.table
            self.low, self.table = low, wider
        return True

    def put_aside(self, keys: Keys, counts: NDArray[np.int64]) -> None:
        """Keep counted items, and add up when there are many."""
        if len(keys):
            self.others.append((keys, counts))
        if sum(len(k) for k, _ in self.others) > 2 * self.summed + WINDOW:
            self.others = [added(self.others)]
            self.summed = len(self.others[0][0])

    def totals(self, empty: Keys) -> tuple[Keys, NDArray[np.int64]]:
        """Return the items, ascending, and their counts."""
        parts = list(self.others)
        if len(self.table):
            places = np.flatnonzero(self.table)
            parts.append((places + self.low, self.table[places]))
        return added(parts) if parts else (empty, np.zeros(0, np.int64))


def added(parts: list[tuple[Keys, NDArray[np.int64]]]) -> tuple[Keys, NDArray[np.int64]]:
    """Return the distinct items of all parts, ascending, with their counts, but for zeros."""
    counts = np.concatenate([counts for _, counts in parts])
    if isinstance(parts[0][0], pa.Array):
        coded = pa.concat_arrays([keys for keys, _ in parts]).dictionary_encode()
        order = np.asarray(pc.array_sort_indices(coded.dictionary))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        keys: Keys = coded.dictionary.take(pa.array(order))
        which = place[np.asarray(coded.indices)]
    else:
        keys, which = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    totals = np.zeros(len(keys), np.int64)
    np.add.at(totals, which, counts)
    if totals.all():
        return keys, totals
    kept = np.flatnonzero(totals)
    return keys.take(pa.array(kept)) if isinstance(keys, pa.Array) else keys[kept], totals[kept]


class ItemCounts(Summary[Tally, dict[str, Any]]):
    """First pass: in how many baskets each item is, and how many baskets there are."""

    traits: ClassVar[Traits] = Traits(
        "exact", "in how many baskets each item is", invertible=True, state_size="distinct items"
    )

    def __init__(self, columns: BasketColumns) -> None:
        self.columns = columns

    def needs(self) -> tuple[str, ...]:
        return self.columns.needs()

    def zero(self) -> Tally:
        return Tally()

    def update(self, state: Tally, batch: Batch) -> Tally:
        baskets = self.columns.read(batch)
        if len(baskets.values) and not self._in_table(state, baskets):
            self._aside(state, baskets)
        state.rows += len(baskets)
        return state

    def _in_table(self, state: Tally, baskets: Baskets) -> bool:
        from motherlode.mining.patterns import _itemset_kernels as kernels

        if isinstance(baskets.values, pa.Array):
            return False
        if not state.cover(int(baskets.values.min()), int(baskets.values.max())):
            return False
        if len(state.seen) != len(state.table):
            state.seen = np.full(len(state.table), -1, np.int64)
        codes = baskets.codes(state.low, len(state.table))
        kernels.count_codes(codes, baskets.offsets, state.table, state.seen, state.rows)
        return True

    def _aside(self, state: Tally, baskets: Baskets) -> None:
        from motherlode.mining.patterns import _itemset_kernels as kernels

        values = baskets.values
        coded = (values if isinstance(values, pa.Array) else pa.array(values)).dictionary_encode()
        counts = np.zeros(len(coded.dictionary), np.int64)
        codes = np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int32)
        kernels.count_codes(codes, baskets.offsets, counts, np.full_like(counts, -1), 0)
        keys = coded.dictionary
        if not isinstance(values, pa.Array):
            keys = np.asarray(keys.to_numpy(zero_copy_only=False), np.int64)
        state.put_aside(keys, counts)

    def merge(self, left: Tally, right: Tally) -> Tally:
        return self._combined(left, right, 1)

    def subtract(self, whole: Tally, part: Tally) -> Tally:
        left = self._combined(whole, part, -1)
        _, counts = left.totals(self._none())
        if left.rows < 0 or (counts < 0).any():
            raise MotherlodeError(
                "the rows to forget are not all among those counted", "look at what is subtracted"
            )
        return left

    def _combined(self, left: Tally, right: Tally, sign: int) -> Tally:
        left.rows += sign * right.rows
        left.seen = left.seen[:0]
        if len(right.table):
            low, high = right.low, right.low + len(right.table) - 1
            if left.cover(low, high):
                left.table[low - left.low : high - left.low + 1] += sign * right.table
            else:
                places = np.flatnonzero(right.table)
                left.put_aside(places + low, sign * right.table[places])
        for keys, counts in right.others:
            left.put_aside(keys, sign * counts)
        return left

    def compact(self, state: Tally) -> Tally:
        state.seen = state.seen[:0]
        if len(state.others) > 1:
            state.others = [added(state.others)]
            state.summed = len(state.others[0][0])
        return state

    def finish(self, state: Tally) -> dict[str, Any]:
        keys, counts = state.totals(self._none())
        return {"rows": state.rows, "keys": keys, "counts": counts}

    def export(self, state: Tally) -> dict[str, Any]:
        return self.finish(state)

    def load(self, exported: dict[str, Any]) -> Tally:
        state = Tally(exported["rows"])
        state.put_aside(exported["keys"], exported["counts"].copy())
        return state

    def _none(self) -> Keys:
        return pa.array([], pa.large_string()) if self.columns.textual else np.zeros(0, np.int64)
