"""Describe: what each column holds, at a glance and in one pass."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from motherlode.algebra import columns
from motherlode.algebra.keys import from_travel, to_travel, travel_type
from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema, is_numeric
from motherlode.core.parameters import AnyOf, Constraint, Flag, Nothing, Sequenced, Text
from motherlode.mining.statistics.distinct import Distinct, Sketch
from motherlode.mining.statistics.moments import Moments, Powers


@dataclass(slots=True)
class Extremes:
    """What is kept of one column beside its moments.

    Parameters
    ----------
    nulls : int
        How many values are missing.
    low, high : value or None
        Smallest and largest value; None before there is any.
    shortest, longest : int or None
        Lengths of text (characters) and bytes.
    """

    nulls: int = 0
    low: Any = None
    high: Any = None
    shortest: int | None = None
    longest: int | None = None

    def merge(self, other: Extremes) -> None:
        """Take what another column part holds too."""
        self.nulls += other.nulls
        self.low = _least(self.low, other.low)
        self.high = _most(self.high, other.high)
        self.shortest = _least(self.shortest, other.shortest)
        self.longest = _most(self.longest, other.longest)


@dataclass(slots=True)
class Profile:
    """The state: rows, and each column's extremes, moments and distinct values."""

    rows: int
    extremes: dict[str, Extremes]
    moments: Powers | None
    distinct: dict[str, Sketch] | None


class Describe(Summary[Profile, pa.Table]):
    """One line about every column: how full it is, and how its values are distributed.

    Parameters
    ----------
    columns : str, list of str or None
        Which columns; None takes all, of any type.
    distinct : bool
        Whether to count distinct values (exactly while few, else by HyperLogLog).

    Returns
    -------
    pyarrow.Table
        A row for each column, null where something does not apply: ``column``, ``type``,
        ``count`` (values that are not null), ``nulls``, ``distinct``, for numbers and booleans
        ``nan``, ``inf``, ``mean``, ``std``, ``variance`` (divided by n - 1), ``skewness``,
        ``kurtosis``, then ``min`` and ``max`` as text that gives the exact value back (NaN
        left out), and for text and bytes ``shortest`` and ``longest``. Of nested columns only
        the counts.

    Notes
    -----
    Moments are those of ``Moments``, exact and rounded once. Time: about 10 ns a number and
    30 ns a short string; a third less without ``distinct``. State: up to 16 KB a column. Grade:
    exact, but for ``distinct``, whose state is exact and whose answer estimates beyond 4,096
    values, with a standard error of 0.8 %.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> people = pa.table({"age": [31, 64, None], "city": ["Bonn", "Ulm", "Bonn"]})
    >>> for row in run(Describe(), people).table.to_pylist():
    ...     print(row["column"], row["count"], row["distinct"], row["mean"], row["min"], row["max"])
    age 2 2 47.5 31 64
    city 3 2 None Bonn Ulm
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "counts, moments, extremes and distinct values of every column",
        state_size="16 KB * columns",
        eps="distinct within 4 * 0.8 %, 4 standard errors; all else exact",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "columns": AnyOf(Text(), Sequenced(Text()), Nothing()),
        "distinct": Flag(),
    }
    chart: ClassVar[Chart | None] = Chart("bar", "column", "count")

    types_: dict[str, pa.DataType]
    stored_: tuple[str, ...]
    moments_: Moments | None
    distinct_: Distinct | None

    def __init__(self, columns: str | Sequence[str] | None = None, distinct: bool = True) -> None:
        self.columns = columns
        self.distinct = distinct

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        names = columns.choose(schema, self.columns, lambda kind: True, "values", "Describe")
        types = columns.column_types(schema)
        ready.types_ = {name: types[name] for name in names}
        ready.stored_ = columns.stored(schema, names)
        numeric = [name for name in names if is_numeric(types[name])]
        single = [name for name in names if travel_type(types[name]) is not None]
        ready.moments_ = Moments(numeric).prepare(schema) if numeric else None
        counted = self.distinct and single
        ready.distinct_ = Distinct(single).prepare(schema) if counted else None
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> Profile:
        return Profile(
            0,
            {name: Extremes() for name in self.types_},
            None if self.moments_ is None else self.moments_.zero(),
            None if self.distinct_ is None else self.distinct_.zero(),
        )

    def update(self, state: Profile, batch: Batch) -> Profile:
        for name, kind in self.types_.items():
            state.extremes[name].merge(_extremes(columns.array(batch, name), kind))
        if self.moments_ is not None and state.moments is not None:
            state.moments = self.moments_.update(state.moments, batch)
        if self.distinct_ is not None and state.distinct is not None:
            state.distinct = self.distinct_.update(state.distinct, batch)
        state.rows += len(batch)
        return state

    def merge(self, left: Profile, right: Profile) -> Profile:
        for name, extremes in left.extremes.items():
            extremes.merge(right.extremes[name])
        if self.moments_ is not None and left.moments is not None and right.moments is not None:
            left.moments = self.moments_.merge(left.moments, right.moments)
        if self.distinct_ is not None and left.distinct is not None and right.distinct is not None:
            left.distinct = self.distinct_.merge(left.distinct, right.distinct)
        left.rows += right.rows
        return left

    def finish(self, state: Profile) -> pa.Table:
        numbers = self._lines("moments", state.moments)
        counts = self._lines("distinct", state.distinct)
        lines = []
        for name, kind in self.types_.items():
            kept = state.extremes[name]
            line = {"column": name, "type": str(kind), "count": state.rows - kept.nulls}
            line |= {"nulls": kept.nulls, "distinct": counts.get(name, {}).get("distinct")}
            line |= {field: numbers.get(name, {}).get(field) for field in _NUMBERS}
            line |= {"min": _text(kept.low, kind), "max": _text(kept.high, kind)}
            line |= {"shortest": kept.shortest, "longest": kept.longest}
            lines.append(line)
        return pa.Table.from_pylist(lines, schema=_SCHEMA)

    def error(self, answer: pa.Table, rows: Batch) -> float:
        """Return how far ``distinct`` is off, as a multiple of four standard errors."""
        ready = self.prepare(rows.schema)
        if ready.distinct_ is None:
            return 0.0
        counted = answer.filter(pc.is_valid(answer["distinct"])).select(["column", "distinct"])
        return ready.distinct_.error(counted, rows)

    def export(self, state: Profile) -> Any:
        extremes = {}
        for name, kept in state.extremes.items():
            kind = travel_type(self.types_[name]) or pa.null()
            bounds = pa.array([kept.low, kept.high], kind)
            extremes[name] = [kept.nulls, bounds, kept.shortest, kept.longest]
        exported: dict[str, Any] = {"rows": state.rows, "extremes": extremes}
        if self.moments_ is not None and state.moments is not None:
            exported["moments"] = self.moments_.export(state.moments)
        if self.distinct_ is not None and state.distinct is not None:
            exported["distinct"] = self.distinct_.export(state.distinct)
        return exported

    def load(self, exported: Any) -> Profile:
        extremes = {}
        for name in self.types_:
            nulls, bounds, shortest, longest = exported["extremes"][name]
            low, high = bounds.to_pylist()
            extremes[name] = Extremes(int(nulls), low, high, shortest, longest)
        moments, distinct = self.moments_, self.distinct_
        return Profile(
            int(exported["rows"]),
            extremes,
            None if moments is None else moments.load(exported["moments"]),
            None if distinct is None else distinct.load(exported["distinct"]),
        )

    def _lines(self, part: str, state: Any) -> dict[str, dict[str, Any]]:
        """Return the answer of a part, by column."""
        summary = self.moments_ if part == "moments" else self.distinct_
        if summary is None:
            return {}
        return {line["column"]: line for line in summary.finish(state).to_pylist()}


_NUMBERS = ("nan", "inf", "mean", "std", "variance", "skewness", "kurtosis")

_SCHEMA = pa.schema(
    [
        ("column", pa.string()),
        ("type", pa.string()),
        *((name, pa.int64()) for name in ("count", "nulls", "distinct", "nan", "inf")),
        *((name, pa.float64()) for name in ("mean", "std", "variance", "skewness", "kurtosis")),
        ("min", pa.string()),
        ("max", pa.string()),
        ("shortest", pa.int64()),
        ("longest", pa.int64()),
    ]
)


def _least(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def _most(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)


def _extremes(array: pa.Array, kind: pa.DataType) -> Extremes:
    """Return the extremes of one batch's column."""
    found = Extremes(array.null_count)
    if travel_type(kind) is None or array.null_count == len(array):
        return found
    travelled = to_travel(array, kind)
    if pa.types.is_floating(kind):
        values = travelled.drop_null().to_numpy()
        low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
        if low == low:  # all NaN otherwise
            found.low, found.high = low + 0.0, high + 0.0
        return found
    bounds = pc.min_max(travelled)
    found.low, found.high = bounds["min"].as_py(), bounds["max"].as_py()
    if pa.types.is_large_string(travelled.type) or pa.types.is_large_binary(travelled.type):
        text = pa.types.is_large_string(travelled.type)
        lengths = pc.utf8_length(travelled) if text else pc.binary_length(travelled)
        spread = pc.min_max(lengths)
        found.shortest, found.longest = spread["min"].as_py(), spread["max"].as_py()
    return found


def _text(value: Any, kind: pa.DataType) -> str | None:
    """Return a value as text from which it can be read again."""
    if value is None:
        return None
    if pa.types.is_float64(kind):
        return repr(value)
    if pa.types.is_floating(kind):
        return str(np.float16(value) if pa.types.is_float16(kind) else np.float32(value))
    if isinstance(value, bytes):
        return repr(value)[2:-1]
    (whole,) = from_travel(pa.array([value], travel_type(kind)), kind).cast(pa.string()).to_pylist()
    return str(whole)
