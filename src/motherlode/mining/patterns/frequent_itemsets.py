"""Frequent itemsets: what occurs together in many baskets."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from motherlode.algebra.summary import Chart, Context, Iterative, Summary, Traits
from motherlode.core import settings
from motherlode.core.batch import Schema
from motherlode.core.errors import ParameterError, StateError
from motherlode.core.parameters import AnyOf, Choice, Constraint, Integer, Nothing, Real, Text
from motherlode.mining.patterns._baskets import BasketColumns
from motherlode.mining.patterns._itemsets import PLACES, UNLIMITED, Miner, Sets

Model = dict[str, Any]


class FrequentItemsets(Iterative[Model, pa.Table]):
    """Sets of items that are together in at least a given share of all baskets, exactly.

    The first pass counts items. The second reduces each basket to its frequent items, merges
    equal baskets, and mines them in memory: for each item in turn, from the rarest, the baskets
    that hold it become a small database of bitsets, searched depth-first (Eclat; for closed and
    maximal sets LCM). Where the reduced baskets would not fit into memory, chunks of them are mined
    instead for all sets that are frequent within a chunk, as every frequent set is in some chunk
    (Partition), and a third pass counts these. Both give the same result to the last bit.

    Parameters
    ----------
    min_support : float or int
        Least support: a share of all baskets (``0.01``, in which case ``n`` baskets ask for
        ``ceil(0.01 n)``, reckoned in decimals), or a number of them (``25``). ``1.0`` is all
        baskets, ``1`` is one.
    max_size, min_size : int
        Greatest (None: any) and least number of items of the sets given.
    kind : {'all', 'closed', 'maximal'}
        All frequent sets; only those to which no item can be added without losing support; or
        only those to which none can be added without becoming infrequent. Sizes do not matter
        to this: a closed set of five items is left out for its size, and does not make way for
        a smaller one.
    column : str or None
        The column of lists; None takes the only one. Without one, boolean columns, or a
        matrix of zeros and ones, say which items a row holds, and items are called as these
        columns are.
    method : {'auto', 'collect', 'partition'}
        Whether the reduced baskets are kept in memory; ``auto`` does if they take at most a
        quarter of the memory limit.
    max_itemsets : int
        More itemsets, or candidates, than this stop the job with an error, as their
        number can grow exponentially when the support falls.

    Returns
    -------
    pyarrow.Table
        ``items`` (a list, ascending), ``size``, ``support`` (int64: how many baskets hold the
        set), ``frequency`` (float64: their share); by support, highest first, then size, then
        items. The schema's metadata say ``rows`` and ``min_count``.

    Notes
    -----
    An item counts once a basket however often it is in it; nulls are no items; empty and null
    baskets count as baskets.

    Time: counting whole numbers about 3 ns an item, reducing baskets 13 ns; mining at most one
    intersection of bitsets a pair of frequent sets, about 0.1 µs an itemset for 3,000 rows, and
    0.2 µs to sort it. State: distinct items; then the distinct baskets of frequent items, 4 bytes
    an item; or one chunk of them and the candidates. Grade: exact; only the candidates of
    ``partition``, but not their counts, follow from how the data are split.

    References
    ----------
    Zaki, "Scalable algorithms for association mining", IEEE TKDE 12(3), 2000. Uno, Kiyomi and
    Arimura, "LCM ver. 2", FIMI 2004. Savasere, Omiecinski and Navathe, "An efficient algorithm
    for mining association rules in large databases", VLDB 1995.

    Examples
    --------
    >>> from motherlode.runtime import run
    >>> baskets = [["bread", "milk"], ["bread", "butter", "milk"], ["butter"], ["bread"]]
    >>> for row in run(FrequentItemsets(min_support=0.5), baskets).table.to_pylist():
    ...     print(row["items"], row["support"])
    ['bread'] 3
    ['butter'] 2
    ['milk'] 2
    ['bread', 'milk'] 2
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "sets of items that are together in many baskets: all, closed or maximal",
        passes="2 or 3",
        streamable="refit",
        state_size="distinct items; distinct baskets of frequent items, or candidates",
        reference="Zaki, TKDE 2000; Uno and others, FIMI 2004; Savasere and others, VLDB 1995",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "min_support": AnyOf(Integer(1), Real(0.0, 1.0, closed="right")),
        "max_size": AnyOf(Integer(1), Nothing()),
        "min_size": Integer(1),
        "kind": Choice(("all", "closed", "maximal")),
        "column": AnyOf(Text(), Nothing()),
        "method": Choice(("auto", "collect", "partition")),
        "max_itemsets": Integer(1, 1 << 30),
    }
    chart: ClassVar[Chart] = Chart("bar", "items", "support", top=30)
    takes: ClassVar[str] = "baskets named_baskets"
    example: ClassVar[Mapping[str, Any]] = {"min_support": 0.1}

    column_: BasketColumns

    def __init__(
        self,
        min_support: float = 0.01,
        max_size: int | None = None,
        min_size: int = 1,
        kind: str = "all",
        column: str | None = None,
        method: str = "auto",
        max_itemsets: int = 10_000_000,
    ) -> None:
        self.min_support = min_support
        self.max_size = max_size
        self.min_size = min_size
        self.kind = kind
        self.column = column
        self.method = method
        self.max_itemsets = max_itemsets

    def validate(self) -> None:
        super().validate()
        if self.max_size is not None and self.max_size < self.min_size:
            raise ParameterError(
                f"FrequentItemsets: max_size={self.max_size} is below min_size={self.min_size}"
            )

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(super().prepare(schema))
        ready.column_ = BasketColumns.of(type(self).__name__, schema, self.column)
        return ready

    def start(self, context: Context) -> Model:
        return {"stage": "items", "memory": context.memory}

    def pass_(self, model: Model) -> Summary[Any, Any]:
        from motherlode.mining.patterns import _item_counts
        from motherlode.mining.patterns import _itemset_passes as passes

        stage = model["stage"]
        if stage == "items":
            return _item_counts.ItemCounts(self.column_)
        if stage == "collect":
            return passes.BasketCounts(self.column_, model)
        if stage == "partition":
            return passes.LocalItemsets(self.column_, model, self._depth(), self.max_itemsets)
        return passes.CandidateCounts(self.column_, model)

    def advance(self, model: Model, result: Any) -> Model:
        stage = model["stage"]
        if stage == "items":
            return self._counted(result, model["memory"])
        if stage == "collect":
            return self._mined(model, result)
        if stage == "partition":
            found = {"items": result.items, "offsets": result.offsets}
            return {**model, **found, "stage": "candidates"}
        kept = np.flatnonzero(result >= model["threshold"])
        pairs = Sets(model["items"], model["offsets"], result).take(kept)
        sets = Sets.joined([Sets.singles(model["counts"]), pairs])
        return self._concluded(model, _of_kind(sets, self.kind))

    def done(self, model: Model) -> bool:
        return bool(model["stage"] == "done")

    def finish(self, model: Model) -> pa.Table:
        sets = concluded_sets(model)
        rows = model["rows"]
        table = pa.table(
            {
                "items": as_lists(sets, model["labels"], self.column_.item_type),
                "size": sets.sizes,
                "support": sets.counts,
                "frequency": sets.counts / max(rows, 1),
            }
        )
        described = {"rows": rows, "min_count": model["threshold"], "kind": self.kind}
        return table.replace_schema_metadata({k: str(v) for k, v in described.items()})

    def _counted(self, counted: dict[str, Any], memory: int) -> Model:
        """Return the model after the first pass: the frequent items, from the rarest."""
        rows = counted["rows"]
        threshold = min_count(self.min_support, rows)
        kept = np.flatnonzero(counted["counts"] >= threshold)
        kept = kept[np.argsort(counted["counts"][kept], kind="stable")]
        model = {
            "rows": rows,
            "threshold": threshold,
            "keys": counted["keys"].take(kept),
            "counts": counted["counts"][kept],
        }
        if len(kept) < 2 or (self.kind == "all" and self.max_size == 1):
            return self._mined(model, Sets.empty())
        items = int(model["counts"].sum())
        fits = 16 * items <= memory and items < PLACES
        method = self.method if self.method != "auto" else "collect" if fits else "partition"
        return {**model, "stage": method}

    def _mined(self, model: Model, baskets: Sets) -> Model:
        size = UNLIMITED if self.max_size is None else self.max_size
        miner = Miner(model["threshold"], self.kind, size, self.max_itemsets, settings.workers())
        if self.kind != "all":
            return self._concluded(model, miner.mine(baskets, model["counts"]))
        singles = Sets.singles(model["counts"])
        return self._concluded(model, Sets.joined([singles, miner.mine(baskets, model["counts"])]))

    def _depth(self) -> int:
        """Return the size up to which candidates are needed to tell which sets are wanted."""
        if self.max_size is None:
            return UNLIMITED
        return self.max_size + (self.kind != "all")

    def _concluded(self, model: Model, sets: Sets) -> Model:
        """Return the last model: the wanted sets in order, in places among the sorted labels."""
        sizes = sets.sizes
        if self.min_size > 1 or self.max_size is not None:
            high = UNLIMITED if self.max_size is None else self.max_size
            sets = sets.take(np.flatnonzero((sizes >= self.min_size) & (sizes <= high)))
        labels = self.column_.labels(model["keys"])
        order = pc.array_sort_indices(labels)
        places = np.empty(len(labels), np.int32)
        places[np.asarray(order)] = np.arange(len(labels))
        sets = sets.renamed(places)
        sets = sets.take(sets.order())
        return {
            "stage": "done",
            "rows": model["rows"],
            "threshold": model["threshold"],
            "labels": labels.take(order),
            "items": sets.items,
            "offsets": sets.offsets,
            "supports": sets.counts,
        }


def min_count(min_support: float, rows: int) -> int:
    """Return how many of so many baskets hold a set that is frequent, at least one.

    >>> min_count(0.001, 88_162), min_count(25, 88_162), min_count(0.1, 30)
    (89, 25, 3)
    """
    if isinstance(min_support, numbers.Integral):
        return int(min_support)
    # As the number was written: 0.1 is a tenth here, and not the float a little above it.
    return max(1, math.ceil(Fraction(str(min_support)) * rows))


def concluded_sets(model: Model) -> Sets:
    """Return the itemsets of the last model."""
    if model["stage"] != "done":
        raise StateError("the itemsets are not complete", "resume the job")
    return Sets(model["items"], model["offsets"], model["supports"])


def as_lists(sets: Sets, labels: pa.Array, item_type: pa.DataType) -> pa.Array:
    """Return sets as an Arrow array of lists of labels."""
    values = labels.cast(item_type).take(pa.array(sets.items))
    if len(values) < PLACES:
        return pa.ListArray.from_arrays(pa.array(sets.offsets.astype(np.int32)), values)
    return pa.LargeListArray.from_arrays(pa.array(sets.offsets), values)


def _of_kind(sets: Sets, kind: str) -> Sets:
    """Return the closed or maximal ones of all frequent sets."""
    from motherlode.mining.patterns import _itemset_kernels as kernels

    if kind == "all":
        return sets
    hashes = sets.hashes()
    kept = kernels.mark_extended(*sets, hashes, kernels.index_sets(hashes), kind == "maximal")
    return sets.take(np.flatnonzero(kept))
