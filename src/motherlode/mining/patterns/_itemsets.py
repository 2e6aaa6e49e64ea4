"""Lists of sets in arrays, and the mining of baskets in memory, on all processors."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motherlode.core.errors import MemoryLimitError

UNLIMITED = 1 << 30
PLACES = (1 << 31) - 1
"""Items that baskets in memory, or an Arrow list array, may have in all."""

BUDGET = 1 << 25
"""Words of 8 bytes that a thread's bitsets may take."""

PARALLEL_ITEMS = 1 << 15
"""Baskets with fewer items in all are mined before threads have started."""


class Sets(NamedTuple):
    """Sets of small integers.

    Parameters
    ----------
    items : ndarray of int32
        The members, one set behind the other, ascending within a set.
    offsets : ndarray of int64 of shape (n_sets + 1,)
        Where each set begins.
    counts : ndarray of int64 of shape (n_sets,)
        How many baskets there are of it, or its support.
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Sets:
        return cls(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int64))

    @classmethod
    def of(cls, items: NDArray[np.int32], sizes: NDArray[np.int64]) -> Sets:
        """Return one of each set; those without items are left out."""
        sizes = sizes[sizes > 0]
        return cls(items, offsets_of(sizes), np.ones(len(sizes), np.int64))

    @classmethod
    def singles(cls, supports: NDArray[np.int64]) -> Sets:
        """Return the sets of one item."""
        n = len(supports)
        return cls(np.arange(n, dtype=np.int32), np.arange(n + 1, dtype=np.int64), supports)

    @classmethod
    def joined(cls, parts: Iterable[Sets]) -> Sets:
        """Return the sets of all parts, in order."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.items for part in parts]),
            offsets_of(np.concatenate([np.diff(part.offsets) for part in parts])),
            np.concatenate([part.counts for part in parts]),
        )

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def hashes(self) -> NDArray[np.uint64]:
        from motherlode.mining.patterns import _itemset_kernels as kernels

        hashes = np.empty(len(self.counts), np.uint64)
        kernels.hash_sets(self.items, self.offsets, hashes)
        return hashes

    def merged(self) -> Sets:
        """Return each distinct set once, its counts added, in canonical order."""
        from motherlode.mining.patterns import _itemset_kernels as kernels

        hashes = self.hashes()
        order = np.argsort(hashes)
        totals = self.counts[order]
        first = np.empty(len(order), np.bool_)
        kernels.merge_equal(self.items, self.offsets, hashes, order, totals, first)
        return self.take(order[first])._replace(counts=totals[first])

    def take(self, order: NDArray[np.int64]) -> Sets:
        """Return some of the sets, in this order."""
        from motherlode.mining.patterns import _itemset_kernels as kernels

        items = np.empty(int(self.sizes[order].sum()), np.int32)
        offsets = np.empty(len(order) + 1, np.int64)
        kernels.gather(self.items, self.offsets, order, items, offsets)
        return Sets(items, offsets, self.counts[order])

    def renamed(self, names: NDArray[np.int32]) -> Sets:
        """Return the sets with their items renamed; consumes this list."""
        from motherlode.mining.patterns import _itemset_kernels as kernels

        kernels.rename(self.items, self.offsets, names)
        return self

    def order(self, *, by_support: bool = True) -> NDArray[np.int64]:
        """Return the order by support, highest first, then size, then lexicographically."""
        from motherlode.mining.patterns import _itemset_kernels as kernels

        if not len(self.counts):
            return np.empty(0, np.int64)
        supports = self.counts if by_support else np.zeros(len(self.counts), np.int64)
        keys = np.empty(len(supports), np.uint64)
        size_bits = int(self.sizes.max()).bit_length()
        item_bits = max(int(self.items.max()).bit_length(), 1)
        kernels.sort_keys(
            self.items, self.offsets, supports, int(supports.max()), size_bits, item_bits, keys
        )
        order = np.argsort(keys)
        kernels.break_ties(self.items, self.offsets, keys, order)
        return order


def offsets_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where sets of these sizes begin, and where the last ends."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


@dataclass(frozen=True, slots=True)
class Miner:
    """Finds the frequent itemsets of baskets.

    Parameters
    ----------
    threshold : int
        Least support.
    kind : {'all', 'closed', 'maximal'}
        Which of them. ``all`` leaves out the sets of one item.
    max_size : int
        Greatest size.
    limit : int
        How many there may be.
    workers : int
        Number of threads.
    """

    threshold: int
    kind: str = "all"
    max_size: int = UNLIMITED
    limit: int = UNLIMITED
    workers: int = 1

    def mine(self, baskets: Sets, totals: NDArray[np.int64]) -> Sets:
        """Return the itemsets, in no particular order.

        Parameters
        ----------
        baskets : Sets
            Distinct baskets of item numbers, the rarest item being 0. Those with fewer than two
            items may be missing.
        totals : ndarray of int64 of shape (n_items,)
            Support of each item.

        Raises
        ------
        MemoryLimitError
            If there are more than ``limit``.
        """
        names = np.arange(len(totals), dtype=np.int32)
        return self._mine(baskets, totals, names, names[:0], 0)

    def _mine(
        self,
        baskets: Sets,
        totals: NDArray[np.int64],
        names: NDArray[np.int32],
        base: NDArray[np.int32],
        begin: int,
    ) -> Sets:
        from motherlode.mining.patterns import _conditional_kernels

        if len(baskets.items) + len(baskets.counts) >= PLACES:
            raise MemoryLimitError(
                f"the distinct baskets hold {len(baskets.items):,} frequent items in all",
                "use method='partition'",
            )
        db = _conditional_kernels.database(*baskets, len(totals))
        search = _Search(self, db, totals, names, base)
        if self.workers == 1 or len(db.items) < PARALLEL_ITEMS:
            blocks = [search.block(begin, 1)]
        else:
            step = 8 * self.workers
            with ThreadPoolExecutor(self.workers) as pool:
                blocks = list(pool.map(lambda b: search.block(b, step), range(begin, begin + step)))
        found = [sets for sets, _ in blocks]
        self.check(sum(len(sets.counts) for sets in found))
        for _, handed_back in blocks:
            for first in handed_back.tolist():
                found.append(self._mine_inside(search, first))
                self.check(sum(len(sets.counts) for sets in found))
        return Sets.joined(found)

    def _mine_inside(self, search: _Search, first: int) -> Sets:
        items, offsets, weights, totals, names, prefix, before = search.project(first)
        return self._mine(Sets(items, offsets, weights).merged(), totals, names, prefix, before)

    def check(self, n_sets: int) -> None:
        """Raise :class:`MemoryLimitError` if there are more sets than the limit."""
        if n_sets > self.limit:
            raise MemoryLimitError(
                f"more than {self.limit:,} {'frequent' if self.kind == 'all' else self.kind} "
                f"itemsets have a support of at least {self.threshold:,}",
                "raise min_support, bound max_size, ask for kind='closed' or 'maximal', or, if "
                "there is memory for them, raise max_itemsets",
            )


@dataclass(frozen=True, slots=True)
class _Search:
    """One database that is searched, with the names of its items and what goes before them."""

    miner: Miner
    db: Any
    totals: NDArray[np.int64]
    names: NDArray[np.int32]
    base: NDArray[np.int32]

    def block(self, begin: int, step: int) -> tuple[Sets, NDArray[np.int32]]:
        """Return the sets of every ``step``-th first item, and the items handed back."""
        from motherlode.mining.patterns import _conditional_kernels as cond

        miner = self.miner
        found, space = cond.no_sets(miner.limit), cond.new_space(len(self.totals))
        if miner.kind == "all":
            from motherlode.mining.patterns._mining_kernels import mine_all

            prefix = np.empty(len(self.base) + 1, np.int32)
            prefix[:-1] = self.base
            found, handed_back = mine_all(
                self.db, self.names, prefix, begin, step,
                miner.threshold, miner.max_size, BUDGET, found, space,
            )  # fmt: skip
        else:
            from motherlode.mining.patterns._closed_kernels import mine_closed

            found, handed_back = mine_closed(
                self.db, self.totals, self.names, self.base, begin, step,
                miner.threshold, miner.max_size, BUDGET, miner.kind == "maximal", found, space,
            )  # fmt: skip
        n_sets, n_items, _ = found.fill.tolist()
        offsets = np.zeros(n_sets + 1, np.int64)
        offsets[1:] = found.sets[0, :n_sets]
        return Sets(found.items[:n_items], offsets, found.sets[1, :n_sets]), handed_back

    def project(self, first: int) -> Any:
        """Return the database of an item that was handed back."""
        from motherlode.mining.patterns._closed_kernels import project
        from motherlode.mining.patterns._conditional_kernels import new_space

        return project(
            self.db, self.totals, self.names, self.base, first,
            self.miner.threshold, self.miner.kind != "all", new_space(len(self.totals)),
        )  # fmt: skip
