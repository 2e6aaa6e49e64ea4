"""Quantiles: values of given rank, exactly while few rows, else within a declared error."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra import columns
from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema, is_numeric
from motherlode.core.parameters import AnyOf, Constraint, Nothing, Real, Sequenced, Text

EVEN_LEVELS = 20
"""Levels of equal size; each further one is twice as large, so that their errors converge."""


class Level:
    """Values of one weight, and how often they were thinned, and which way.

    Parameters
    ----------
    runs_sorted : bool
        Whether values come in sorted runs, which are merged faster than they are sorted.
    """

    __slots__ = ("first", "kind", "runs", "second", "size")

    def __init__(self, runs_sorted: bool) -> None:
        self.kind: Any = "stable" if runs_sorted else None
        self.runs: list[NDArray[np.float64]] = []
        self.size = 0
        self.first = 0
        self.second = 0

    def put(self, run: NDArray[np.float64]) -> None:
        if len(run):
            self.runs.append(run)
            self.size += len(run)

    def values(self) -> NDArray[np.float64]:
        """Return all values, sorted."""
        if not self.runs:
            return np.empty(0)
        return np.sort(np.concatenate(self.runs), kind=self.kind)

    def thin(self) -> NDArray[np.float64]:
        """Give up the values, and return every other one, for twice the weight.

        Of the sorted values the first, third, … or the second, fourth, … are taken, whichever
        was done less often; an odd one out, the largest, stays.
        """
        values = self.values()
        even = len(values) & ~1
        self.runs, self.size = [], 0
        self.put(values[even:].copy())
        start = 0 if self.first <= self.second else 1
        if start:
            self.second += 1
        else:
            self.first += 1
        return values[start:even:2].copy()


class Ladder:
    """What is kept of one column: levels of values, each weighing twice the one below.

    Parameters
    ----------
    width : int
        Even number of values at which a level is thinned.
    """

    __slots__ = ("high", "levels", "low", "nan", "nulls", "rows", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.levels = [Level(False)]
        self.rows = 0
        self.nulls = 0
        self.nan = 0
        self.low = math.inf
        self.high = -math.inf

    def limit(self, level: int) -> int:
        """Return at how many values a level is thinned."""
        return self.width << max(0, level + 1 - EVEN_LEVELS)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add values, none of them NaN."""
        if not len(values):
            return
        values = values + 0.0  # -0.0 becomes 0.0: which of them is kept must not be chance
        self.rows += len(values)
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        start = 0
        while start < len(values):
            # Thinned after so many values, wherever batches begin: no batching changes the state.
            stop = start + self.width - self.levels[0].size
            self.levels[0].put(values[start:stop].copy())
            start = stop
            self._settle()

    def merge(self, other: Ladder) -> None:
        """Add what another ladder holds; it is left alone."""
        self.rows += other.rows
        self.nulls += other.nulls
        self.nan += other.nan
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        while len(self.levels) < len(other.levels):
            self.levels.append(Level(True))
        for own, its in zip(self.levels, other.levels, strict=False):
            own.first += its.first
            own.second += its.second
            for run in its.runs:
                own.put(run)
        self._settle()

    @property
    def doubt(self) -> tuple[int, int]:
        """How much ranks counted here may be too high, and too low."""
        over = sum(level.first << i for i, level in enumerate(self.levels))
        under = sum(level.second << i for i, level in enumerate(self.levels))
        return over, under

    @property
    def error(self) -> int:
        """How far off a quantile's rank may be."""
        return (sum(self.doubt) + 1) // 2

    def quantiles(self, shares: Sequence[Fraction]) -> list[float | None]:
        """Return the value of rank ``ceil(share * rows)`` for each share."""
        if not self.rows:
            return [None] * len(shares)
        values = np.concatenate([level.values() for level in self.levels])
        sizes = [level.size for level in self.levels]
        weights = np.repeat(np.int64(1) << np.arange(len(sizes)), sizes)
        order = np.argsort(values, kind="stable")
        # Where all values kept are too high, or too low, the exact extremes are what is meant.
        values = np.concatenate([[self.low], values[order], [self.high]])
        ranks = np.concatenate([[0], np.cumsum(weights[order])])
        over, under = self.doubt
        found: list[float | None] = []
        for share in shares:
            rank = max(1, math.ceil(share * self.rows))
            # Half a rank lower, so that what rounds to this rank is off by as much either way.
            at = int(np.searchsorted(2 * ranks, 2 * rank - 1 + over - under))
            ends = {1: 0, self.rows: -1}
            found.append(float(values[ends.get(rank, at)]))
        return found

    def export(self) -> Any:
        """Return the ladder as plain data."""
        return {
            "levels": [[level.values(), level.first, level.second] for level in self.levels],
            "rows": self.rows,
            "nulls": self.nulls,
            "nan": self.nan,
            "low": self.low,
            "high": self.high,
        }

    @classmethod
    def load(cls, width: int, exported: Any) -> Ladder:
        """Return the ladder that was exported."""
        ladder = cls(width)
        ladder.levels = []
        for values, first, second in exported["levels"]:
            level = Level(bool(ladder.levels))
            level.put(np.array(values, dtype=np.float64))
            level.first, level.second = int(first), int(second)
            ladder.levels.append(level)
        for name in ("rows", "nulls", "nan"):
            setattr(ladder, name, int(exported[name]))
        ladder.low, ladder.high = float(exported["low"]), float(exported["high"])
        return ladder

    def _settle(self) -> None:
        """Thin every level that is full, from the lowest up."""
        for number, level in enumerate(self.levels):  # grows while it is walked
            if level.size >= self.limit(number):
                if number + 1 == len(self.levels):
                    self.levels.append(Level(True))
                self.levels[number + 1].put(level.thin())


class Quantiles(Summary[dict[str, Ladder], pa.Table]):
    """Quantiles of columns, within a declared error of rank.

    Values are collected; when there are ``width`` of them they are sorted, and every other one
    is kept with twice the weight, and so on, level above level. Thinning values of weight ``w``
    moves a rank by at most ``w``, upwards if the first, third, … are kept and downwards if the
    second, fourth, …; both are counted and taken turns with. Each row's weight passes a level
    once at most, whatever was merged with what, so that all thinnings together move no rank by
    more than ``eps * rows``: with ``width = 10.5 / eps``, each of the first 20 levels adds
    ``eps / 21`` and those above, ever wider, together as much. The bound is not a probability:
    it holds for every order of the rows and every tree of merges.

    Parameters
    ----------
    columns : list of str or None
        Which columns; None takes all that hold numbers.
    q : float or list of float
        Shares between 0 and 1.
    eps : float
        Largest error of a rank, as a share of the rows.

    Returns
    -------
    pyarrow.Table
        ``column``, ``q``, ``value`` (float64) and ``error`` (float64), a row for each column and
        share. The value is one of the data, that of rank ``ceil(q * n)`` among the ``n`` values
        (NumPy's ``inverted_cdf``), or one whose rank differs from that by at most ``error * n``,
        where ``error <= eps`` is what really was lost; 0 as long as all values are kept. The
        smallest and the largest value are exact.

    Notes
    -----
    Nulls and NaN have no rank and are left out; infinities have one. Time: about 40 ns a value.
    State: at most ``10.5 / eps`` values for each of ``log2(n * eps / 10)`` levels, so 1 MB for a
    billion rows and ``eps=0.001``. Grade: bounded by ``eps``; deterministic.

    References
    ----------
    J. I. Munro and M. S. Paterson, "Selection and sorting with limited storage", Theoretical
    Computer Science 12, 1980. G. S. Manku and others, "Approximate medians and other quantiles
    in one pass and with limited memory", SIGMOD 1998. P. K. Agarwal and others, "Mergeable
    summaries", PODS 2012.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> times = pa.table({"ms": [12, 7, 3, 250, 9]})
    >>> run(Quantiles(q=[0.5, 1.0]), times).table.to_pydict()["value"]
    [9.0, 250.0]
    """

    traits: ClassVar[Traits] = Traits(
        "bounded",
        "quantiles within a declared error of rank",
        state_size="log(rows * eps) / eps",
        reference="Manku et al., SIGMOD 1998; Agarwal et al., PODS 2012",
        eps="rank error <= eps * rows",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "columns": AnyOf(Text(), Sequenced(Text()), Nothing()),
        "q": AnyOf(Real(0.0, 1.0), Sequenced(Real(0.0, 1.0))),
        "eps": Real(1e-7, 0.5),
    }
    chart: ClassVar[Chart | None] = Chart("line", "q", "value", color="column")

    names_: tuple[str, ...]
    stored_: tuple[str, ...]

    def __init__(
        self,
        columns: str | Sequence[str] | None = None,
        q: float | Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
        eps: float = 0.001,
    ) -> None:
        self.columns = columns
        self.q = q
        self.eps = eps

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.names_ = columns.choose(schema, self.columns, is_numeric, "numbers", "Quantiles")
        ready.stored_ = columns.stored(schema, ready.names_)
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    @property
    def _width(self) -> int:
        return 2 * math.ceil((EVEN_LEVELS + 1) / (4 * self.eps))

    def zero(self) -> dict[str, Ladder]:
        return {name: Ladder(self._width) for name in self.names_}

    def update(self, state: dict[str, Ladder], batch: Batch) -> dict[str, Ladder]:
        for name, ladder in state.items():
            values, nulls = _ranked(batch, name)
            ladder.nulls += nulls
            ladder.nan += len(batch) - nulls - len(values)
            ladder.add(values)
        return state

    def merge(self, left: dict[str, Ladder], right: dict[str, Ladder]) -> dict[str, Ladder]:
        for name, ladder in left.items():
            ladder.merge(right[name])
        return left

    def finish(self, state: dict[str, Ladder]) -> pa.Table:
        shares = [float(q) for q in np.atleast_1d(np.asarray(self.q))]
        exactly = [_exactly(share) for share in shares]
        names: list[str] = []
        values: list[float | None] = []
        errors: list[float] = []
        for name, ladder in state.items():
            names += [name] * len(shares)
            values += ladder.quantiles(exactly)
            errors += [ladder.error / max(ladder.rows, 1)] * len(shares)
        return pa.table(
            {
                "column": pa.array(names, pa.string()),
                "q": pa.array(shares * len(state), pa.float64()),
                "value": pa.array(values, pa.float64()),
                "error": pa.array(errors, pa.float64()),
            }
        )

    def error(self, answer: pa.Table, rows: Batch) -> float:
        """Return how far an answer is off, as a multiple of the declared bound.

        Infinite where it is further off than it says itself.
        """
        worst = 0.0
        for row in answer.to_pylist():
            values = np.sort(_ranked(rows, row["column"])[0])
            if row["value"] is None or not len(values):
                worst = max(worst, 0.0 if row["value"] is None and not len(values) else math.inf)
                continue
            wanted = max(1, math.ceil(_exactly(row["q"]) * len(values)))
            first = int(np.searchsorted(values, row["value"], "left")) + 1
            last = int(np.searchsorted(values, row["value"], "right"))
            off = max(first - wanted, wanted - last, 0) if first <= last else math.inf
            if off > row["error"] * len(values) + 1e-6:
                return math.inf
            worst = max(worst, off / (self.eps * len(values)))
        return worst

    def export(self, state: dict[str, Ladder]) -> Any:
        return {name: ladder.export() for name, ladder in state.items()}

    def load(self, exported: Any) -> dict[str, Ladder]:
        return {name: Ladder.load(self._width, exported[name]) for name in self.names_}


def _ranked(batch: Batch, name: str) -> tuple[NDArray[np.float64], int]:
    """Return the values that have a rank, and the number of nulls."""
    values, valid = columns.numbers(batch, name)
    if valid is not None:
        values = values[valid]
    nulls = len(batch) - len(values)
    missing = np.isnan(values)
    return (values[~missing] if missing.any() else values), nulls


def _exactly(share: float) -> Fraction:
    """Return the fraction that was written: 0.07 of 100 rows is row 7, not a little more."""
    return Fraction(repr(share))
