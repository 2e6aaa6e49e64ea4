"""Association rules: what a basket that holds some items holds as well."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.algebra.summary import Chart, Context, Iterative, Summary, Traits
from motherlode.core.batch import Schema
from motherlode.core.errors import ParameterError, UsageError
from motherlode.core.parameters import AnyOf, Choice, Constraint, Integer, Nothing, Real, Text
from motherlode.mining.patterns._itemsets import Sets
from motherlode.mining.patterns.frequent_itemsets import (
    FrequentItemsets,
    Model,
    as_lists,
    concluded_sets,
)

MEASURES = ("confidence", "lift", "support", "leverage", "conviction")


class AssociationRules(Iterative[Model, pa.Table]):
    """Rules ``antecedent -> consequent`` that hold often, and for many baskets, exactly.

    The frequent itemsets are mined as by :class:`FrequentItemsets`. Each of them, with its
    support, is then divided in all ways into what is given and what follows; the supports of
    both parts are looked up among the itemsets by a hash from which items can be taken away.
    Consequents are made longer only where the shorter ones follow confidently enough, for a
    longer consequent never follows more often (Agrawal and Srikant, VLDB 1994).

    Parameters
    ----------
    min_support : float or int
        Least support of a rule's items together: a share of all baskets, or a number of them.
    min_confidence : float
        Least share of the baskets with the antecedent that hold the consequent as well.
    max_consequent : int or None
        Greatest number of items that follow; None for any.
    min_lift : float or None
        Least lift.
    min_items, max_size : int
        Least and greatest (None: any) number of items of a rule in all.
    sort_by : {'confidence', 'lift', 'support', 'leverage', 'conviction'}
        What rules are ordered by, highest first.
    column, method, max_itemsets
        As for :class:`FrequentItemsets`.

    Returns
    -------
    pyarrow.Table
        ``antecedent`` and ``consequent`` (lists, never empty), ``support`` (int64: how many
        baskets hold all of it), ``frequency`` (their share), and

        - ``confidence``: support / support of the antecedent;
        - ``lift``: confidence / frequency of the consequent; 1 where both are independent;
        - ``leverage``: frequency, less what it would be if both were independent;
        - ``conviction``: how many times more often the rule would fail if both were independent;
          infinite where it never fails.

        Ordered by ``sort_by``, then confidence and support, highest first, then by size and
        items of the antecedent and of the consequent.

    Notes
    -----
    Time: the itemsets, then about 0.1 µs a rule that is tried. State and grade are those of
    the itemsets; the measures are computed from whole numbers, so that they are exact too.

    References
    ----------
    Agrawal and Srikant, "Fast algorithms for mining association rules", VLDB 1994. Brin, Motwani,
    Ullman and Tsur, "Dynamic itemset counting and implication rules", SIGMOD 1997.

    Examples
    --------
    >>> from motherlode.runtime import run
    >>> baskets = [["bread", "milk"], ["bread", "butter", "milk"], ["butter"], ["bread"]]
    >>> rules = run(AssociationRules(min_support=0.5, min_confidence=0.9), baskets)
    >>> for rule in rules.table.to_pylist():
    ...     print(rule["antecedent"], "->", rule["consequent"], rule["confidence"])
    ['milk'] -> ['bread'] 1.0
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "what a basket that holds some items holds as well",
        passes="2 or 3",
        streamable="refit",
        state_size="that of the frequent itemsets",
        reference="Agrawal and Srikant, VLDB 1994",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "min_support": FrequentItemsets.constraints["min_support"],
        "min_confidence": Real(0.0, 1.0),
        "max_consequent": AnyOf(Integer(1), Nothing()),
        "min_lift": AnyOf(Real(0.0), Nothing()),
        "min_items": Integer(2),
        "max_size": AnyOf(Integer(2), Nothing()),
        "sort_by": Choice(MEASURES),
        "column": AnyOf(Text(), Nothing()),
        "method": FrequentItemsets.constraints["method"],
        "max_itemsets": FrequentItemsets.constraints["max_itemsets"],
    }
    chart: ClassVar[Chart] = Chart("scatter", "frequency", "confidence", top=1000, color="lift")
    takes: ClassVar[str] = FrequentItemsets.takes
    example: ClassVar[Mapping[str, Any]] = {"min_support": 0.05, "min_confidence": 0.2}

    itemsets_: FrequentItemsets

    def __init__(
        self,
        min_support: float = 0.01,
        min_confidence: float = 0.5,
        max_consequent: int | None = 1,
        min_lift: float | None = None,
        min_items: int = 2,
        max_size: int | None = None,
        sort_by: str = "confidence",
        column: str | None = None,
        method: str = "auto",
        max_itemsets: int = 10_000_000,
    ) -> None:
        self.min_support = min_support
        self.min_confidence = min_confidence
        self.max_consequent = max_consequent
        self.min_lift = min_lift
        self.min_items = min_items
        self.max_size = max_size
        self.sort_by = sort_by
        self.column = column
        self.method = method
        self.max_itemsets = max_itemsets

    def validate(self) -> None:
        super().validate()
        if self.max_size is not None and self.max_size < self.min_items:
            raise ParameterError(
                f"AssociationRules: max_size={self.max_size} is below min_items={self.min_items}"
            )

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(super().prepare(schema))
        ready.itemsets_ = FrequentItemsets(
            self.min_support,
            max_size=self.max_size,
            column=self.column,
            method=self.method,
            max_itemsets=self.max_itemsets,
        ).prepare(schema)
        return ready

    def start(self, context: Context) -> Model:
        return self.itemsets_.start(context)

    def pass_(self, model: Model) -> Summary[Any, Any]:
        return self.itemsets_.pass_(model)

    def advance(self, model: Model, result: Any) -> Model:
        return self.itemsets_.advance(model, result)

    def done(self, model: Model) -> bool:
        return self.itemsets_.done(model)

    def finish(self, model: Model) -> pa.Table:
        sets = concluded_sets(model)
        return self._rules(sets, model["labels"], self.itemsets_.column_.item_type, model["rows"])

    @classmethod
    def from_itemsets(
        cls,
        itemsets: pa.Table,
        rows: int | None = None,
        *,
        min_confidence: float = 0.5,
        max_consequent: int | None = 1,
        min_lift: float | None = None,
        min_items: int = 2,
        sort_by: str = "confidence",
    ) -> pa.Table:
        """Return the rules of itemsets that were mined before.

        Parameters
        ----------
        itemsets : pyarrow.Table
            With the columns ``items`` and ``support``, as :class:`FrequentItemsets` gives with
            ``kind="all"``: with each set also its parts.
        rows : int, optional
            Number of baskets; by default what the table's metadata say.
        min_confidence, max_consequent, min_lift, min_items, sort_by
            As for the class.

        Returns
        -------
        pyarrow.Table
            As the class gives.

        Raises
        ------
        UsageError
            If a part of a set is missing, or the number of rows is not known.

        Examples
        --------
        >>> import pyarrow as pa
        >>> sets = pa.table({"items": [["a"], ["b"], ["a", "b"]], "support": [8, 5, 4]})
        >>> AssociationRules.from_itemsets(sets, rows=10)["lift"].to_pylist()
        [1.0, 1.0]
        """
        rules = cls(
            min_confidence=min_confidence,
            max_consequent=max_consequent,
            min_lift=min_lift,
            min_items=min_items,
            sort_by=sort_by,
        )
        rules.validate()
        if rows is None:
            rows = int((itemsets.schema.metadata or {}).get(b"rows", 0))
        if rows < 1:
            raise UsageError("the number of baskets is not known", "pass it as rows=")
        for name in ("items", "support"):
            if name not in itemsets.schema.names:
                raise UsageError(
                    f"the table of itemsets has no column {name!r}",
                    "pass the table that FrequentItemsets gave",
                )
        sets, labels = _coded(itemsets)
        return rules._rules(sets, labels, labels.type, rows)

    def _rules(self, sets: Sets, labels: pa.Array, item_type: pa.DataType, rows: int) -> pa.Table:
        """Return the rules of all frequent itemsets."""
        sets = sets.take(sets.order(by_support=False))
        whole, antecedent, consequent = self._derived(sets)
        support = sets.counts[whole]
        measures = _measures(support, sets.counts[antecedent], sets.counts[consequent], rows)
        key = support if self.sort_by == "support" else measures[self.sort_by]
        # Sets are numbered by size and items, which breaks the remaining ties.
        order = np.lexsort((consequent, antecedent, -support, -measures["confidence"], -key))
        if self.min_lift is not None:
            order = order[measures["lift"][order] >= self.min_lift]
        lists = as_lists(sets, labels, item_type)
        return pa.table(
            {
                "antecedent": lists.take(pa.array(antecedent[order])),
                "consequent": lists.take(pa.array(consequent[order])),
                "support": support[order],
                **{name: values[order] for name, values in measures.items()},
            }
        ).replace_schema_metadata({"rows": str(rows)})

    def _derived(self, sets: Sets) -> NDArray[np.int32]:
        """Return the numbers of each rule's set, antecedent and consequent."""
        from motherlode.mining.patterns import _itemset_kernels as kernels

        if len(sets.counts) and int(sets.sizes.max()) > 63:
            raise UsageError("a set of more than 63 items has too many rules", "bound max_size")
        hashes = sets.hashes()
        most = self.max_consequent or 63
        rules, missing = kernels.derive_rules(
            *sets, hashes, kernels.index_sets(hashes), self.min_items, self.min_confidence, most
        )
        if missing >= 0:
            raise UsageError(
                f"a part of an itemset of {int(sets.sizes[missing])} items is not among the "
                "itemsets",
                "rules need all frequent itemsets: kind='all' and min_size=1",
            )
        return np.ascontiguousarray(rules.T)


def _measures(
    support: NDArray[np.int64],
    antecedent: NDArray[np.int64],
    consequent: NDArray[np.int64],
    rows: int,
) -> dict[str, NDArray[np.float64]]:
    """Return the measures of rules from the supports of each rule and of its two parts."""
    whole, given, implied = (np.asarray(x, np.float64) for x in (support, antecedent, consequent))
    failures = given - whole
    conviction = np.full(len(whole), np.inf)
    np.divide(given * (rows - implied), rows * failures, out=conviction, where=failures > 0)
    return {
        "frequency": whole / rows,
        "confidence": whole / given,
        "lift": whole * rows / (given * implied),
        "leverage": whole / rows - (given / rows) * (implied / rows),
        "conviction": conviction,
    }


def _coded(itemsets: pa.Table) -> tuple[Sets, pa.Array]:
    """Return the sets of a table of itemsets in places among their sorted items, and these."""
    lists = itemsets.column("items").combine_chunks()
    coded = pc.list_flatten(lists).dictionary_encode()
    order = pc.array_sort_indices(coded.dictionary)
    places = np.empty(len(order), np.int32)
    places[np.asarray(order)] = np.arange(len(order))
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), out=offsets[1:])
    supports = itemsets.column("support").combine_chunks().cast(pa.int64())
    sets = Sets(np.array(coded.indices, np.int32), offsets, np.array(supports.to_numpy(), np.int64))
    return sets.renamed(places), coded.dictionary.take(order)
