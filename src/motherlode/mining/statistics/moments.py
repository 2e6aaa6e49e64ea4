"""Moments: mean, variance, skewness and kurtosis of columns, exactly."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra import columns
from motherlode.algebra.exact import ExactSums
from motherlode.algebra.grouped import Codes, Grouped
from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema, is_numeric
from motherlode.core.parameters import AnyOf, Constraint, Integer, Nothing, Sequenced, Text
from motherlode.mining.statistics.sum import scattered


@dataclass(slots=True)
class Powers:
    """Rows seen, and the exact sums of the powers of each column's values."""

    rows: int
    sums: ExactSums


class Moments(Summary[Powers, pa.Table]):
    """Count, sum, mean, variance, standard deviation, skewness and kurtosis of columns.

    The sums of the values and of their powers are kept to the last bit, so that nothing cancels:
    the variance of values around 1e9 is as good as that of values around 0, and each answer is
    the true one, rounded once.

    Parameters
    ----------
    columns : str, list of str or None
        Which columns; None takes all that hold numbers.
    up_to : int
        Highest moment wanted: 1 mean, 2 variance, 3 skewness, 4 kurtosis. Lower is faster.
    ddof : int
        Variances are divided by ``n - ddof``.

    Returns
    -------
    pyarrow.Table
        ``column``, ``count`` (values that are not null), ``nulls``, ``nan``, ``inf`` (of either
        sign), ``sum``, ``mean``, and as far as wanted ``variance``, ``std``, ``skewness``,
        ``kurtosis`` (SciPy's: biased, 0 for a normal distribution), a row for each column.

    Notes
    -----
    Nulls are left out. NaN and infinities are values: as in NumPy they make the sum and the mean
    NaN or infinite, and the rest NaN; ``nan`` and ``inf`` tell how many there are. Integers and
    booleans are exact too; decimals are taken as the nearest float64. Time: about 1 ns a value
    for ``up_to=2``, 8 ns for 4. State: some 0.1 KB a column. Grade: exact.

    References
    ----------
    R. M. Neal, "Fast exact summation using small and large superaccumulators",
    arXiv:1505.05571, 2015.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> prices = pa.table({"price": [1e9 + 1, 1e9 + 2, 1e9 + 3]})
    >>> (row,) = run(Moments(up_to=2), prices).table.to_pylist()
    >>> row["mean"], row["variance"]
    (1000000002.0, 1.0)
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "mean, variance, skewness and kurtosis of columns",
        invertible=True,
        state_size="columns",
        reference="Neal, arXiv:1505.05571, 2015",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "columns": AnyOf(Text(), Sequenced(Text()), Nothing()),
        "up_to": Integer(1, 4),
        "ddof": Integer(0),
    }
    chart: ClassVar[Chart | None] = Chart("bar", "column", "mean")

    names_: tuple[str, ...]
    stored_: tuple[str, ...]

    def __init__(
        self, columns: str | Sequence[str] | None = None, up_to: int = 4, ddof: int = 1
    ) -> None:
        self.columns = columns
        self.up_to = up_to
        self.ddof = ddof

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.names_ = columns.choose(schema, self.columns, is_numeric, "numbers", "Moments")
        ready.stored_ = columns.stored(schema, ready.names_)
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> Powers:
        return Powers(0, ExactSums(len(self.names_), self.up_to))

    def update(self, state: Powers, batch: Batch) -> Powers:
        if columns.are_block(batch, self.names_):
            state.sums.add(batch.matrix(dense=True))
        else:
            for group, name in enumerate(self.names_):
                state.sums.add_column(group, *columns.natives(batch, name))
        state.rows += len(batch)
        return state

    def merge(self, left: Powers, right: Powers) -> Powers:
        return Powers(left.rows + right.rows, left.sums.merge(right.sums))

    def subtract(self, whole: Powers, part: Powers) -> Powers:
        return Powers(whole.rows - part.rows, whole.sums.subtract(part.sums))

    def finish(self, state: Powers) -> pa.Table:
        numbers = self.describe(state.sums, np.int64(state.rows))
        return pa.table({"column": pa.array(self.names_, pa.string()), **numbers})

    def export(self, state: Powers) -> Any:
        return {"rows": state.rows, "sums": state.sums.export()}

    def load(self, exported: Any) -> Powers:
        return Powers(int(exported["rows"]), ExactSums.load(exported["sums"]))

    def grouped(self) -> Grouped[GroupedPowers]:
        """Return the vectorised form that group-bys use."""
        return _GroupedMoments(self)

    def describe(self, sums: ExactSums, rows: Any) -> dict[str, NDArray[Any]]:
        """Return the numbers of each group of sums, of which there were so many rows."""
        count = sums.counts.sum(axis=1)
        numbers: dict[str, NDArray[Any]] = {
            "count": count,
            "nulls": rows - count,
            "nan": sums.counts[:, 1],
            "inf": sums.counts[:, 2:].sum(axis=1),
            "sum": sums.sum(),
            "mean": sums.mean(),
        }
        if self.up_to > 1:
            numbers["variance"] = sums.variance(self.ddof)
            numbers["std"] = sums.std(self.ddof)
        if self.up_to > 2:
            numbers["skewness"] = sums.skewness()
        if self.up_to > 3:
            numbers["kurtosis"] = sums.kurtosis()
        return numbers


@dataclass(slots=True)
class GroupedPowers:
    """Rows of each group, and for each column the sums of all groups."""

    rows: NDArray[np.int64]
    sums: list[ExactSums]


class _GroupedMoments(Grouped[GroupedPowers]):
    """The moments of many groups."""

    def __init__(self, whole: Moments) -> None:
        self.whole = whole

    def zero(self) -> GroupedPowers:
        sums = [ExactSums(0, self.whole.up_to) for _ in self.whole.names_]
        return GroupedPowers(np.zeros(0, np.int64), sums)

    def update(
        self, state: GroupedPowers, codes: Codes, groups: int, batch: Batch
    ) -> GroupedPowers:
        rows = np.bincount(codes, minlength=groups)
        rows[: len(state.rows)] += state.rows
        for name, sums in zip(self.whole.names_, state.sums, strict=True):
            sums.resize(groups)
            sums.add_grouped(codes, *columns.natives(batch, name))
        return GroupedPowers(rows, state.sums)

    def merge(
        self,
        left: GroupedPowers,
        right: GroupedPowers,
        codes: Codes,
        groups: int,
    ) -> GroupedPowers:
        return self._combined(left, right, codes, groups, 1)

    def subtract(self, whole: GroupedPowers, part: GroupedPowers, codes: Codes) -> GroupedPowers:
        return self._combined(whole, part, codes, len(whole.rows), -1)

    def _combined(
        self,
        left: GroupedPowers,
        right: GroupedPowers,
        codes: Codes,
        groups: int,
        sign: int,
    ) -> GroupedPowers:
        rows = np.zeros(groups, np.int64)
        rows[: len(left.rows)] = left.rows
        rows[codes] += sign * right.rows
        pairs = zip(left.sums, right.sums, strict=True)
        return GroupedPowers(rows, [scattered(a, b, codes, groups, sign) for a, b in pairs])

    def take(self, state: GroupedPowers, groups: Codes) -> GroupedPowers:
        return GroupedPowers(state.rows[groups], [sums.take(groups) for sums in state.sums])

    def finish(self, state: GroupedPowers) -> tuple[pa.Table, Codes]:
        groups, names = len(state.rows), self.whole.names_
        described = [self.whole.describe(sums, state.rows) for sums in state.sums]
        table = {"column": pa.array(names * groups, pa.string())}
        for number in described[0]:
            table[number] = pa.array(np.stack([each[number] for each in described], 1).ravel())
        return pa.table(table), np.repeat(np.arange(groups), len(names))

    def export(self, state: GroupedPowers) -> Any:
        return {"rows": state.rows, "sums": [sums.export() for sums in state.sums]}

    def load(self, exported: Any) -> GroupedPowers:
        sums = [ExactSums.load(each) for each in exported["sums"]]
        return GroupedPowers(np.array(exported["rows"], dtype=np.int64), sums)
