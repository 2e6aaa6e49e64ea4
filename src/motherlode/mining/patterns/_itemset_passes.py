"""The later passes of itemset mining: baskets, or local itemsets and then their counts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.mining.patterns._baskets import BasketColumns, Keys, ranked
from motherlode.mining.patterns._itemsets import Miner, Sets, offsets_of

CHUNK_ITEMS = 1 << 22
"""Baskets with so many frequent items in all are mined as one chunk, ..."""

HARD_ITEMS = 1 << 26
"""... or with so many, where fewer would make the local threshold too low."""

LOCAL_SUPPORT = 10
"""The lowest local threshold at which a chunk is mined if it need not be: nearly every set of
items that occurs at all is locally frequent at a threshold of one or two."""


def projected(columns: BasketColumns, keys: Keys, batch: Batch) -> tuple[Any, NDArray[np.int64]]:
    """Return the batch's baskets reduced to the frequent items, as ranks, and their sizes.

    Baskets with fewer than two frequent items are empty.
    """
    from motherlode.mining.patterns import _itemset_kernels as kernels

    baskets = columns.read(batch)
    codes, ranks = ranked(baskets, keys)
    items, sizes = np.empty(len(codes), np.int32), np.empty(len(baskets), np.int64)
    length = kernels.project(codes, baskets.offsets, ranks, items, sizes)
    return items[:length], sizes


@dataclass(slots=True)
class Pile:
    """Baskets put aside; equal ones are merged when there are twice as many items as before.

    Parameters
    ----------
    parts : list of Sets
        The baskets; the parts are shared between states and never written to.
    items : int
        Items in them.
    merged : int
        Items when equal ones were last merged.
    """

    parts: list[Sets] = field(default_factory=list)
    items: int = 0
    merged: int = 0

    def add(self, part: Sets) -> None:
        """Put baskets aside."""
        if len(part.counts):
            self.parts.append(part)
            self.items += len(part.items)
        if self.items > 2 * self.merged + CHUNK_ITEMS:
            self.tidy()

    def together(self) -> Sets:
        """Return all baskets, equal ones merged, in canonical order."""
        if len(self.parts) == 1 and self.merged == self.items:
            return self.parts[0]
        return Sets.joined(self.parts).merged()

    def tidy(self) -> None:
        """Merge equal baskets."""
        if self.parts:
            self.parts = [self.together()]
            self.items = self.merged = len(self.parts[0].items)


class BasketCounts(Summary[Pile, Sets]):
    """Second pass, in memory: the multiset of baskets, reduced to the frequent items."""

    traits: ClassVar[Traits] = Traits(
        "exact", "the distinct baskets of frequent items", state_size="frequent items in baskets"
    )

    def __init__(self, columns: BasketColumns, model: dict[str, Any]) -> None:
        self.columns = columns
        self.model = model

    def needs(self) -> tuple[str, ...]:
        return self.columns.needs()

    def zero(self) -> Pile:
        return Pile()

    def update(self, state: Pile, batch: Batch) -> Pile:
        state.add(Sets.of(*projected(self.columns, self.model["keys"], batch)))
        return state

    def merge(self, left: Pile, right: Pile) -> Pile:
        for part in right.parts:
            left.add(part)
        return left

    def compact(self, state: Pile) -> Pile:
        state.tidy()
        return state

    def finish(self, state: Pile) -> Sets:
        return state.together()

    def export(self, state: Pile) -> dict[str, Any]:
        return dict(state.together()._asdict())

    def load(self, exported: dict[str, Any]) -> Pile:
        state = Pile()
        state.add(Sets(**exported))
        return state


@dataclass(slots=True)
class Locals:
    """What was found in the chunks mined so far, and the baskets since.

    Parameters
    ----------
    pile : Pile
        The baskets since.
    rows, items : int
        How many there are, empty ones included, and how many items they have.
    spent : int
        The greatest support that a set can have in the mined chunks together without being
        found in any of them.
    found : Sets
        The locally frequent sets of two or more items; their counts mean nothing.
    """

    pile: Pile = field(default_factory=Pile)
    rows: int = 0
    items: int = 0
    spent: int = 0
    found: Sets = field(default_factory=Sets.empty)


class LocalItemsets(Summary[Locals, Sets]):
    """Second pass, out of core: a superset of the frequent itemsets (Savasere and others, 1995).

    Baskets are mined a chunk at a time. A chunk with the share ``f`` of all rows is mined at the
    local threshold ``t = ceil(0.9 f s)``, where ``s`` is the global one. A set found in no mined
    chunk has a support of at most the sum of their ``t - 1`` in them, so to be frequent it needs
    ``s`` less that sum in the remaining baskets, which is more than ``0.1 s``: at this threshold
    they are mined in the end. So a small remainder is never mined at a threshold of one.
    """

    traits: ClassVar[Traits] = Traits(
        "bounded",
        "the locally frequent itemsets of each chunk of baskets",
        state_size="locally frequent itemsets + one chunk of baskets",
        reference="Savasere, Omiecinski and Navathe, VLDB 1995",
        eps="no frequent itemset is missing",
    )

    def __init__(
        self, columns: BasketColumns, model: dict[str, Any], max_size: int, limit: int
    ) -> None:
        self.columns = columns
        self.model = model
        self.max_size = max_size
        self.limit = limit

    def needs(self) -> tuple[str, ...]:
        return self.columns.needs()

    def zero(self) -> Locals:
        return Locals()

    def update(self, state: Locals, batch: Batch) -> Locals:
        items, sizes = projected(self.columns, self.model["keys"], batch)
        bounds = offsets_of(sizes)
        row = 0
        while row < len(sizes):
            stop = self._chunk_end(state, bounds, row)
            part = Sets.of(items[bounds[row] : bounds[stop]], sizes[row:stop])
            state.pile.add(part)
            state.rows += stop - row
            state.items += len(part.items)
            if stop < len(sizes) or self._is_chunk(state):
                state = self._mined(state)
            row = stop
        return state

    def _enough_rows(self) -> int:
        """Return the rows from which on the local threshold is not too low."""
        s, n = self.model["threshold"], self.model["rows"]
        return int(((LOCAL_SUPPORT - 1) * 10 * n) // (9 * s) + 1)

    def _is_chunk(self, state: Locals) -> bool:
        full = state.items >= CHUNK_ITEMS and state.rows >= self._enough_rows()
        return full or state.items >= HARD_ITEMS

    def _chunk_end(self, state: Locals, bounds: NDArray[np.int64], row: int) -> int:
        """Return the row after which the chunk is full; it follows from the rows alone."""
        used = int(bounds[row]) - state.items
        full = int(np.searchsorted(bounds, used + CHUNK_ITEMS))
        hard = int(np.searchsorted(bounds, used + HARD_ITEMS))
        stop = min(max(full, row + self._enough_rows() - state.rows), hard)
        return min(max(stop, row + 1), len(bounds) - 1)

    def _mined(self, state: Locals, threshold: int | None = None) -> Locals:
        """Return the state with its baskets mined."""
        s, n = self.model["threshold"], self.model["rows"]
        t = threshold or -((-9 * s * state.rows) // (10 * n))
        miner = Miner(t, max_size=self.max_size, limit=self.limit)
        ranks = np.arange(len(self.model["keys"]), dtype=np.int32)
        found = miner.mine(state.pile.together(), np.zeros(len(ranks), np.int64)).renamed(ranks)
        return Locals(spent=state.spent + t - 1, found=self._union(state.found, found))

    def _union(self, left: Sets, right: Sets) -> Sets:
        union = Sets.joined([left, right]).merged()
        Miner(self.model["threshold"], limit=self.limit).check(len(union.counts))
        return union._replace(counts=np.zeros(len(union.counts), np.int64))

    def merge(self, left: Locals, right: Locals) -> Locals:
        left.found = self._union(left.found, right.found)
        left.spent += right.spent
        for part in right.pile.parts:
            left.pile.add(part)
        left.rows += right.rows
        left.items += right.items
        return self._mined(left) if left.items >= HARD_ITEMS else left

    def compact(self, state: Locals) -> Locals:
        if state.rows >= self._enough_rows():
            return self._mined(state)
        state.pile.tidy()
        return state

    def finish(self, state: Locals) -> Sets:
        found = state.found
        needed = self.model["threshold"] - state.spent
        if state.rows >= needed:
            found = self._mined(state, needed).found
        return found.take(found.order(by_support=False))

    def export(self, state: Locals) -> dict[str, Any]:
        pile = state.pile.together()
        return {
            "baskets": dict(pile._asdict()),
            "rows": state.rows,
            "items": state.items,
            "spent": state.spent,
            "found": dict(state.found._asdict()),
        }

    def load(self, exported: dict[str, Any]) -> Locals:
        state = Locals(rows=exported["rows"], items=exported["items"], spent=exported["spent"])
        state.pile.add(Sets(**exported["baskets"]))
        state.found = Sets(**exported["found"])
        return state


class CandidateCounts(Summary[NDArray[np.int64], NDArray[np.int64]]):
    """Third pass, out of core: the support of each candidate, along their prefix tree."""

    traits: ClassVar[Traits] = Traits(
        "exact", "the support of each candidate itemset", invertible=True, state_size="candidates"
    )

    tree_: NDArray[np.int64]
    last_: NDArray[np.int32]
    deepest_: int

    def __init__(self, columns: BasketColumns, model: dict[str, Any]) -> None:
        self.columns = columns
        self.model = model

    def prepare(self, schema: Schema) -> Self:
        from motherlode.mining.patterns import _candidate_kernels as kernels

        ready = copy.copy(super().prepare(schema))
        items, offsets = self.model["items"], self.model["offsets"]
        ready.tree_ = kernels.children(items, offsets, len(self.model["keys"]))
        ready.last_ = items[offsets[1:] - 1]
        ready.deepest_ = int(np.diff(offsets).max(initial=0))
        return ready

    def needs(self) -> tuple[str, ...]:
        return self.columns.needs()

    def zero(self) -> NDArray[np.int64]:
        return np.zeros(len(self.model["offsets"]) - 1, np.int64)

    def update(self, state: NDArray[np.int64], batch: Batch) -> NDArray[np.int64]:
        from motherlode.mining.patterns import _candidate_kernels, _conditional_kernels

        keys = self.model["keys"]
        baskets = Sets.of(*projected(self.columns, keys, batch))
        if len(baskets.counts) and len(state):
            db = _conditional_kernels.database(*baskets, len(keys))
            space = _conditional_kernels.new_space(len(keys))
            _candidate_kernels.count_candidates(
                db, self.last_, self.tree_, self.deepest_, state, space
            )
        return state

    def merge(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        left += right
        return left

    def subtract(self, whole: NDArray[np.int64], part: NDArray[np.int64]) -> NDArray[np.int64]:
        whole -= part
        return whole

    def finish(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        return state.copy()

    def export(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        return state.copy()

    def load(self, exported: NDArray[np.int64]) -> NDArray[np.int64]:
        return exported.copy()
