"""Group by: a map from keys to the states of a summary."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.columns import stored
from motherlode.algebra.combine import Product, combined_traits
from motherlode.algebra.grouped import Codes, Grouped, Separate
from motherlode.algebra.keys import Keys
from motherlode.algebra.summary import Algorithm, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MotherlodeError, StateError, UsageError
from motherlode.core.parameters import AnyOf, Sequenced, Text, check_parameters

ASIDE = 1 << 16
"""Rows put aside at least before they are looked up among the groups."""


@dataclass(slots=True)
class Groups:
    """The state of a group-by.

    Parameters
    ----------
    keys : polars.DataFrame
        The keys, in order of first appearance: a group's number is its row.
    rows : ndarray of shape (n_groups,), int64
        Rows of each group; a group without any is not kept.
    parts : dict
        The grouped state of each summary.
    aside : list of Batch
        Rows that were not looked up yet.
    waiting : int
        How many.
    """

    keys: pl.DataFrame
    rows: NDArray[np.int64]
    parts: dict[str, Any]
    aside: list[Batch] = field(default_factory=list)
    waiting: int = 0


class GroupBy(Summary[Groups, Any]):
    """One state of a summary, or of several, for each key.

    Parameters
    ----------
    keys : str or list of str
        Columns whose values, jointly, make the groups: numbers, strings, bytes, booleans, times.
        Null is a group of its own, so is NaN, and -0.0 is 0.0.
    summary : Summary, Product, or mapping of str to Summary
        What is kept of each group's rows; of a mapping, each summary by its name.

    Returns
    -------
    pyarrow.Table, or dict of them for a mapping
        The key columns, then the columns of the summary's own table, sorted by key, nulls last.
        As a table, the answers of a mapping are put side by side if each has one row a group;
        a column is then named after its summary, and after its own name too where the summary
        has several.

    Notes
    -----
    Complexity: about 0.1 µs a row to find its group, plus what the summary takes. Rows are put
    aside until there are as many as groups, so that a group is touched a bounded number of times
    a row. A summary with the method ``grouped()`` (counts, sums, moments) keeps its states in
    arrays, and a million groups are practical; of any other, one Python object is kept a group.
    State: the keys and one state each. Grade and what else holds: as of the summaries.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.mining.statistics.count import Count
    >>> from motherlode.mining.statistics.sum import Sum
    >>> from motherlode.runtime import run
    >>> sales = pa.table({"city": ["Bonn", "Ulm", "Bonn"], "price": [3, 4, 5]})
    >>> by_city = GroupBy("city", {"n": Count(), "total": Sum(["price"])})
    >>> run(by_city, sales).table.to_pylist()
    [{'city': 'Bonn', 'n': 2, 'total': 8}, {'city': 'Ulm', 'n': 1, 'total': 4}]
    """

    traits: ClassVar[Traits] = Traits(
        "exact", "one state a key", invertible=True, state_size="groups * states"
    )
    keys_: Keys
    parts_: dict[str, Grouped[Any]]

    def __init__(
        self,
        keys: str | Sequence[str],
        summary: Summary[Any, Any] | Mapping[str, Summary[Any, Any]],
    ) -> None:
        self.keys = keys
        self.summary = summary
        try:
            parts = [part.plan().traits for part in self._summaries().values() if _is_one(part)]
        except MotherlodeError:
            return  # validate says what is wrong
        if parts:
            traits = combined_traits(parts, "one state a key")
            size = f"groups * ({traits.state_size})"
            self.traits = replace(traits, state_size=size)  # type: ignore[misc]

    @property
    def _several(self) -> bool:
        return isinstance(self.summary, Mapping | Product)

    def _summaries(self) -> Mapping[str, Any]:
        if isinstance(self.summary, Product):
            return self.summary.parts
        return self.summary if isinstance(self.summary, Mapping) else {"": self.summary}

    def validate(self) -> None:
        keys = {"keys": AnyOf(Text(), Sequenced(Text()))}
        check_parameters("GroupBy", keys, {"keys": self.keys})
        if not self._summaries():
            raise UsageError("GroupBy: there is no summary", "give one, or {'name': summary}")
        for name, part in self._summaries().items():
            if not _is_one(part) or not isinstance(part.plan(), Summary):
                what = f"{name!r} is" if name else "the summary is"
                raise UsageError(
                    f"GroupBy: {what} {part!r}, not a summary of one pass",
                    "give an instance, as Count(), of an algorithm that reads the rows once",
                )
            part.validate()

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.keys_ = Keys.of(schema, self.keys, "GroupBy")
        chosen = {name: part.plan().prepare(schema) for name, part in self._summaries().items()}
        ready.summary = chosen if self._several else chosen[""]
        ready.parts_ = {name: _grouped(part) for name, part in chosen.items()}
        ready._stored = stored(schema, ready.keys_.names)
        return ready

    _stored: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...] | None:
        wanted = dict.fromkeys(self._stored)
        for part in self._summaries().values():
            names = part.needs()
            if names is None:
                return None
            wanted.update(dict.fromkeys(names))
        return tuple(wanted)

    def zero(self) -> Groups:
        parts = {name: part.zero() for name, part in self.parts_.items()}
        return Groups(self.keys_.empty(), np.zeros(0, np.int64), parts)

    def update(self, state: Groups, batch: Batch) -> Groups:
        needs = self.needs()
        if needs is not None and batch.columns.num_columns > len(needs):
            batch = replace(batch, columns=batch.columns.select(list(needs)), _matrices={})
        if len(batch):
            state.aside.append(batch)
            state.waiting += len(batch)
        return self._settle(state) if state.waiting >= max(ASIDE, len(state.rows)) else state

    def merge(self, left: Groups, right: Groups) -> Groups:
        left = self._settle(left)
        codes, left.keys = self._codes(left.keys, right.keys)
        groups = left.keys.height
        left.rows = _grown(left.rows, groups)
        left.rows[codes] += right.rows
        for name, part in self.parts_.items():
            left.parts[name] = part.merge(left.parts[name], right.parts[name], codes, groups)
        left.aside.extend(right.aside)
        left.waiting += right.waiting
        return left

    def subtract(self, whole: Groups, part: Groups) -> Groups:
        whole, part = self._settle(whole), self._settled(part)
        known = whole.keys.height
        codes, keys = self._codes(whole.keys, part.keys)
        if keys.height > known or (whole.rows[codes] < part.rows).any():
            raise StateError(
                "the rows to forget were not all grouped here",
                "subtract only the state of rows that the whole state covers",
            )
        whole.rows[codes] -= part.rows
        for name, each in self.parts_.items():
            whole.parts[name] = each.subtract(whole.parts[name], part.parts[name], codes)
        return self._take(whole, np.flatnonzero(whole.rows)) if not whole.rows.all() else whole

    def compact(self, state: Groups) -> Groups:
        state = self._settle(state)
        state.parts = {name: part.compact(state.parts[name]) for name, part in self.parts_.items()}
        return state

    def finish(self, state: Groups) -> Any:
        ordered = self._sorted(state)
        answers = {}
        for name, part in self.parts_.items():
            answer, owners = part.finish(ordered.parts[name])
            keys = self.keys_.table(ordered.keys).take(pa.array(owners))
            answers[name] = _beside(keys, [(name, answer)] if name else [("result", answer)], False)
        return answers if self._several else answers[""]

    def table(self, value: Any) -> pa.Table:
        if not isinstance(value, dict):
            return super().table(value)
        width = 1 if isinstance(self.keys, str) else len(self.keys)
        tables = list(value.items())
        keys = tables[0][1].select(range(width))
        for name, answer in tables:
            if not answer.select(range(width)).equals(keys):
                raise UsageError(
                    f"the answer of {name!r} does not have one row a group",
                    "take the value, a table a name, instead",
                )
        answers = [(name, a.select(range(width, a.num_columns))) for name, a in tables]
        return _beside(keys, answers, True)

    def export(self, state: Groups) -> Any:
        ordered = self._sorted(state)
        keys = self.keys_.arrays(ordered.keys)
        parts = {name: part.export(ordered.parts[name]) for name, part in self.parts_.items()}
        return {"keys": keys, "rows": ordered.rows, "parts": parts}

    def load(self, exported: Any) -> Groups:
        keys = self.keys_.canonical(pa.table(exported["keys"], self.keys_.fields))
        parts = {name: part.load(exported["parts"][name]) for name, part in self.parts_.items()}
        return Groups(keys, np.array(exported["rows"], dtype=np.int64), parts)

    def _codes(self, known: pl.DataFrame, fresh: pl.DataFrame) -> tuple[Codes, pl.DataFrame]:
        """Return the group of each fresh key, and all keys: new ones after those known."""
        together = pl.concat([known, fresh]).with_row_index("row")
        fields = self.keys_.fields
        first = together.select(pl.col("row").first().over(fields))["row"].to_numpy()
        first = first.astype(np.int64)
        new = first == np.arange(len(first))
        numbers = np.cumsum(new) - 1
        keys = together.filter(pl.Series(new)).select(fields)
        return numbers[first[known.height :]], keys

    def _settle(self, state: Groups) -> Groups:
        """Look up the rows put aside and update their groups."""
        if not state.waiting:
            return state
        batch = together(state.aside)
        if 4 * state.keys.height < len(batch):
            numbers, frame = self.keys_.encoded(batch)
            places, state.keys = self._codes(state.keys, frame)
            codes = places[numbers]
        else:
            codes, state.keys = self._codes(state.keys, self.keys_.frame(batch))
        groups = state.keys.height
        state.rows = _grown(state.rows, groups) + np.bincount(codes, minlength=groups)
        for name, part in self.parts_.items():
            state.parts[name] = part.update(state.parts[name], codes, groups, batch)
        state.aside, state.waiting = [], 0
        return state

    def _settled(self, state: Groups) -> Groups:
        """Return the state with no rows aside, without changing it."""
        if not state.waiting:
            return state
        fresh = self._take(state, np.arange(len(state.rows)))
        fresh.aside, fresh.waiting = state.aside, state.waiting
        return self._settle(fresh)

    def _sorted(self, state: Groups) -> Groups:
        state = self._settled(state)
        places = pl.Series("place", np.arange(len(state.rows)))
        order = self.keys_.sort(state.keys.with_columns(places))["place"].to_numpy()
        return self._take(state, order)

    def _take(self, state: Groups, groups: Codes) -> Groups:
        parts = {name: part.take(state.parts[name], groups) for name, part in self.parts_.items()}
        return Groups(state.keys[groups], state.rows[groups], parts)


def together(batches: Sequence[Batch]) -> Batch:
    """Return the rows of several batches as one."""
    if len(batches) == 1:
        return batches[0]
    first = batches[0]
    columns = pa.concat_batches([b.columns for b in batches])
    features = [b.features for b in batches]
    if first.features is None:
        block = None
    elif isinstance(first.features, np.ndarray):
        block = np.concatenate(features)
    else:
        import scipy.sparse

        block = scipy.sparse.vstack(features, format="csr")
    target = None if first.target is None else np.concatenate([b.target for b in batches])
    weights = None if first.weights is None else np.concatenate([b.weights for b in batches])
    return replace(
        first, columns=columns, features=block, target=target, weights=weights, _matrices={}
    )


def _is_one(part: Any) -> bool:
    return isinstance(part, Algorithm)


def _grouped(summary: Summary[Any, Any]) -> Grouped[Any]:
    make = getattr(summary, "grouped", None)
    chosen = make() if make is not None else None
    return Separate(summary) if chosen is None else chosen


def _grown(rows: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    return np.concatenate([rows, np.zeros(groups - len(rows), np.int64)])


def _beside(keys: pa.Table, answers: Sequence[tuple[str, pa.Table]], named: bool) -> pa.Table:
    """Return the tables side by side; names are made unique by that of their summary."""
    columns = dict(zip(keys.column_names, keys.columns, strict=True))
    for name, answer in answers:
        for column, values in zip(answer.column_names, answer.columns, strict=True):
            label = column
            if named:
                label = name if answer.num_columns == 1 else f"{name}_{column}"
            columns[f"{name}_{column}" if label in columns else label] = values
    return pa.table(columns)
