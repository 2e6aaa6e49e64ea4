"""AssociationRules against counting by hand, mlxtend and the reference figures."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.errors import ParameterError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.mining.patterns.association_rules import AssociationRules
from motherlode.mining.patterns.frequent_itemsets import FrequentItemsets
from motherlode.runtime import run

Rule = tuple[tuple[Any, ...], tuple[Any, ...]]
MEASURES = ("support", "frequency", "confidence", "lift", "leverage", "conviction")
BASKETS = st.lists(st.lists(st.sampled_from("abcde"), max_size=5), min_size=1, max_size=14)


def lists(baskets: Sequence[Sequence[Any]], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"items": pa.array(baskets, pa.list_(kind or pa.string()))})


def rules_of(table: pa.Table) -> dict[Rule, tuple[float, ...]]:
    return {
        (tuple(row["antecedent"]), tuple(row["consequent"])): tuple(row[m] for m in MEASURES)
        for row in table.to_pylist()
    }


def by_hand(
    baskets: Sequence[Sequence[Any]], least: int, confidence: float, longest: int, low: int
) -> dict[Rule, tuple[float, ...]]:
    """Return the rules and their measures, from probabilities, by trying all."""
    n = len(baskets)
    items = sorted(set(itertools.chain(*baskets)))

    def count(given: Sequence[Any]) -> int:
        return sum(set(given) <= set(basket) for basket in baskets)

    rules = {}
    for size in range(low, len(items) + 1):
        for whole in itertools.combinations(items, size):
            both = count(whole)
            if both < least:
                continue
            for k in range(1, min(longest, size - 1) + 1):
                for after in itertools.combinations(whole, k):
                    before = tuple(item for item in whole if item not in after)
                    p, q, r = count(before) / n, count(after) / n, both / n
                    if both / count(before) >= confidence:
                        conviction = math.inf if p == r else p * (1 - q) / (p - r)
                        rules[before, after] = (both, r, r / p, r / (p * q), r - p * q, conviction)
    return rules


@given(
    baskets=BASKETS,
    least=st.integers(1, 3),
    confidence=st.sampled_from([0.0, 0.3, 0.5, 2 / 3, 0.9, 1.0]),
    longest=st.none() | st.integers(1, 3),
    low=st.integers(2, 4),
    method=st.sampled_from(["collect", "partition"]),
)
def test_rules_and_measures_are_those_counted_by_hand(
    baskets, least, confidence, longest, low, method
):
    algorithm = AssociationRules(least, confidence, longest, min_items=low, method=method)
    table = run(algorithm, lists(baskets)).table
    rules, wanted = rules_of(table), by_hand(baskets, least, confidence, longest or 99, low)
    assert rules.keys() == wanted.keys()
    assert len(rules) == table.num_rows
    for rule, measures in rules.items():
        assert measures == pytest.approx(wanted[rule], abs=1e-12), rule


@given(BASKETS, st.sampled_from(["confidence", "lift", "support", "leverage", "conviction"]))
def test_rules_are_in_order(baskets, measure):
    rules = run(AssociationRules(1, 0.3, None, sort_by=measure), lists(baskets)).table.to_pylist()
    keys = [
        (-rule[measure], -rule["confidence"], -rule["support"],
         len(rule["antecedent"]), rule["antecedent"], len(rule["consequent"]), rule["consequent"])
        for rule in rules
    ]  # fmt: skip
    assert keys == sorted(keys)


@given(BASKETS, st.integers(1, 3))
def test_rules_of_mined_itemsets_are_the_same(baskets, longest):
    itemsets = run(FrequentItemsets(2), lists(baskets)).table
    wanted = run(AssociationRules(2, 0.4, longest, min_lift=1.0), lists(baskets)).table
    shuffled = itemsets.take(np.random.default_rng(1).permutation(itemsets.num_rows))
    for table, rows in ((itemsets, None), (shuffled.replace_schema_metadata(None), len(baskets))):
        rules = AssociationRules.from_itemsets(
            table, rows, min_confidence=0.4, max_consequent=longest, min_lift=1.0
        )
        assert rules.equals(wanted)


class TestAgainstMlxtend:
    def test_all_rules_of_larger_data(self):
        from mlxtend.frequent_patterns import association_rules

        chance = np.random.default_rng(5)
        block = chance.random((600, 14)) < 0.55 / np.arange(1, 15) ** 0.4
        block[:, 9] |= block[:, 0] & block[:, 3]
        baskets = [np.flatnonzero(row).tolist() for row in block]
        itemsets = run(FrequentItemsets(0.03), lists(baskets, pa.int64())).table
        frame = itemsets.select(["items", "frequency"]).to_pandas()
        frame = frame.set_axis(["itemsets", "support"], axis=1)
        frame["itemsets"] = frame["itemsets"].map(frozenset)
        peer = association_rules(frame, metric="confidence", min_threshold=0.45)
        columns = ["support", "confidence", "lift", "leverage", "conviction"]
        wanted = {
            (frozenset(before), frozenset(after)): tuple(measures)
            for before, after, measures in zip(
                peer["antecedents"], peer["consequents"], peer[columns].to_numpy(), strict=True
            )
        }
        table = run(AssociationRules(0.03, 0.45, None), lists(baskets, pa.int64())).table
        rules = {
            (frozenset(before), frozenset(after)): measures[1:]
            for (before, after), measures in rules_of(table).items()
        }
        assert len(wanted) > 100
        assert rules.keys() == wanted.keys()
        for rule, measures in rules.items():
            assert measures == pytest.approx(wanted[rule], rel=1e-9, abs=1e-12), rule


class TestParameters:
    ROWS = (["a", "b"], ["a", "b"], ["a"], ["b"], ["c"])

    def test_a_rule_that_never_fails_has_infinite_conviction(self):
        table = run(AssociationRules(1, 1.0), lists([["a", "b"], ["b"]])).table
        assert table["conviction"].to_pylist() == [math.inf]

    def test_a_confidence_of_exactly_the_least_is_enough(self):
        rows = [["a", "b"]] * 3 + [["a"]] * 7
        assert run(AssociationRules(1, 0.3), lists(rows)).table.num_rows == 2
        assert run(AssociationRules(1, 0.300001), lists(rows)).table.num_rows == 1

    def test_lift_is_bounded(self):
        strong = run(AssociationRules(1, 0.1, min_lift=1.11), lists(self.ROWS)).table
        assert {tuple(x) for x in strong["antecedent"].to_pylist()} == {("a",), ("b",)}
        assert run(AssociationRules(1, 0.1, min_lift=1.12), lists(self.ROWS)).table.num_rows == 0

    def test_no_rules_have_a_table_all_the_same(self):
        table = run(AssociationRules(5), lists(self.ROWS)).table
        assert table.schema.names == ["antecedent", "consequent", *MEASURES]
        assert table.schema.field("antecedent").type == pa.list_(pa.string())
        assert table.num_rows == 0

    def test_sizes_must_agree(self):
        with pytest.raises(ParameterError, match="max_size=2 is below min_items=3"):
            run(AssociationRules(max_size=2, min_items=3), lists(self.ROWS))

    def test_columns_are_looked_up(self):
        with pytest.raises(UnknownNameError, match="did you mean 'items'"):
            run(AssociationRules(column="item"), lists(self.ROWS))

    def test_method_and_memory_do_not_matter(self):
        chance = np.random.default_rng(2)
        baskets = [chance.choice(9, 4, replace=False).tolist() for _ in range(200)]
        results = [
            run(
                AssociationRules(4, 0.2, 2, method=m),
                dataset(lists(baskets, pa.int64()), split_rows=n),
            )
            for m, n in (("collect", 200), ("partition", 200), ("partition", 30))
        ]
        assert len({result.digest for result in results}) == 1
        assert results[0].table.num_rows > 100
        assert all(result.table.equals(results[0].table) for result in results)


class TestItemsetsFromElsewhere:
    SETS = pa.table({"items": [["a"], ["b"], ["a", "b"]], "support": [8, 5, 4]})

    def test_items_of_a_set_may_come_in_any_order(self):
        sets = pa.table({"items": [["b", "a"], ["b"], ["a"]], "support": [4, 5, 8]})
        rules = AssociationRules.from_itemsets(sets, 10)
        assert rules.equals(AssociationRules.from_itemsets(self.SETS, 10))
        assert rules["confidence"].to_pylist() == [0.8, 0.5]

    def test_the_number_of_baskets_is_needed(self):
        with pytest.raises(UsageError, match="pass it as rows="):
            AssociationRules.from_itemsets(self.SETS)

    def test_columns_are_needed(self):
        with pytest.raises(UsageError, match="no column 'support'"):
            AssociationRules.from_itemsets(self.SETS.select(["items"]), 10)

    def test_a_missing_part_is_told(self):
        with pytest.raises(UsageError, match=r"an itemset of 2 items .* kind='all' and min_size=1"):
            AssociationRules.from_itemsets(self.SETS.slice(1), 10)
        closed = run(FrequentItemsets(1, kind="closed"), lists([["a", "b", "c"], ["c"]])).table
        with pytest.raises(UsageError, match="kind='all'"):
            AssociationRules.from_itemsets(closed)

    def test_parameters_are_checked(self):
        with pytest.raises(ParameterError, match="min_confidence"):
            AssociationRules.from_itemsets(self.SETS, 10, min_confidence=1.5)


class TestReference:
    """The figures that R's arules gives for Groceries."""

    @pytest.mark.parametrize(
        ("support", "confidence", "sizes"),
        [(0.001, 0.5, {2: 11, 3: 1461, 4: 3211, 5: 939, 6: 46}), (0.001, 0.8, 410),
         (0.006, 0.25, 463)],
    )  # fmt: skip
    def test_groceries(self, shared_data: Callable[[str], Path], support, confidence, sizes):
        data = dataset(shared_data("groceries/groceries.csv"), format="basket")
        table = run(AssociationRules(support, confidence), data).table
        counted = collections.Counter(len(a) + 1 for a in table["antecedent"].to_pylist())
        assert (dict(counted) if isinstance(sizes, dict) else table.num_rows) == sizes
        assert {len(c) for c in table["consequent"].to_pylist()} == {1}
