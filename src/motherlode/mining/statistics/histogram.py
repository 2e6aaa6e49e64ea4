"""Histogram: how many values fall into each bin."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra import columns
from motherlode.algebra.summary import Chart, Context, Iterative, Summary, Traits
from motherlode.core.batch import Batch, Schema, is_numeric
from motherlode.core.errors import ParameterError
from motherlode.core.parameters import (
    AnyOf,
    Choice,
    Constraint,
    Integer,
    Nothing,
    Real,
    Sequenced,
    Text,
)


@dataclass(frozen=True, slots=True)
class Bins:
    """A histogram.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,), float64
        Bin i holds ``edges[i] <= value < edges[i + 1]``; the last one its upper edge too.
    counts : ndarray of shape (n_bins,), int64
        Values in each bin.
    below, above, nan, nulls : int
        Values left of the first edge, right of the last one, not a number, and missing.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below: int = 0
    above: int = 0
    nan: int = 0
    nulls: int = 0

    @property
    def rows(self) -> int:
        """All rows: those in bins and those that are not."""
        return int(self.counts.sum()) + self.below + self.above + self.nan + self.nulls

    @property
    def table(self) -> pa.Table:
        """The bins as a table with the columns ``low``, ``high`` and ``count``."""
        return pa.table({"low": self.edges[:-1], "high": self.edges[1:], "count": self.counts})


class Histogram(Iterative[dict[str, Any], Bins]):
    """Counts of values in bins, as ``numpy.histogram`` gives them.

    Where the range is not given, a first pass finds the smallest and the largest finite value
    and a second one counts. With a range or edges one pass is enough, and the histogram can be
    used in group-bys, windows and products as any summary.

    Parameters
    ----------
    column : str or None
        The column; None takes the first that holds numbers.
    bins : int or list of float
        Number of bins, or their rising edges. There are fewer where the range does not hold so
        many different numbers.
    range : (float, float) or None
        Where the first bin begins and the last one ends; None for the range of the data.
    scale : {'linear', 'log'}
        Whether bins are equally wide or each as many times as wide as the one before; on a
        logarithmic scale values of 0 and less are counted in ``below``.

    Returns
    -------
    Bins
        ``edges``, ``counts``, and what is in no bin: ``below``, ``above``, ``nan``, ``nulls``.
        As a table ``low``, ``high`` and ``count``, a row a bin.

    Notes
    -----
    Time: about 2 ns a value and pass with equal bins, else log2(bins) comparisons. State: one
    count a bin. Grade: exact.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> ages = pa.table({"age": [31, 35, 38, 52, 70]})
    >>> for row in run(Histogram("age", bins=2, range=(30, 70)), ages).table.to_pylist():
    ...     print(row)
    {'low': 30.0, 'high': 50.0, 'count': 3}
    {'low': 50.0, 'high': 70.0, 'count': 2}
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "how many values fall into each bin",
        passes="2, or 1 with a range or edges",
        streamable="refit",
        state_size="bins",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "column": AnyOf(Text(), Nothing()),
        "bins": AnyOf(Integer(1), Sequenced(Real(), least=2)),
        "range": AnyOf(Sequenced(Real(), least=2), Nothing()),
        "scale": Choice(("linear", "log")),
    }
    chart: ClassVar[Chart | None] = Chart("histogram", "low", "count", top=1000)

    def __init__(
        self,
        column: str | None = None,
        bins: int | Sequence[float] = 10,
        range: tuple[float, float] | None = None,
        scale: str = "linear",
    ) -> None:
        self.column = column
        self.bins = bins
        self.range = range
        self.scale = scale

    def validate(self) -> None:
        super().validate()
        if not isinstance(self.bins, Integral):
            edges = np.asarray(self.bins, dtype=np.float64)
            if np.isnan(edges).any() or (np.diff(edges) <= 0).any():
                raise ParameterError(f"Histogram: edges must rise, got {self.bins!r}")
        if self.range is not None:
            low = 0.0 if self.scale == "log" else -math.inf
            if len(self.range) != 2 or not low < self.range[0] <= self.range[1] < math.inf:
                which = "positive" if low == 0.0 else "finite"
                raise ParameterError(
                    f"Histogram: parameter 'range' must be two rising {which} numbers, "
                    f"got {self.range!r}"
                )

    def plan(self) -> Summary[Any, Any] | Iterative[Any, Any]:  # type: ignore[override]
        known = self._known()
        return self if known is None else BinCounts(known, self.column)

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.column = _only(schema, self.column)
        return ready

    def start(self, context: Context) -> dict[str, Any]:
        return {"edges": self._known(), "counts": None}

    def pass_(self, model: dict[str, Any]) -> Summary[Any, Any]:
        if model["edges"] is None:
            return Extent(self.column, self.scale == "log")
        return BinCounts(model["edges"], self.column)

    def advance(self, model: dict[str, Any], result: Any) -> dict[str, Any]:
        if model["edges"] is None:
            return {"edges": self._edges(*result), "counts": None}
        outside = [result.below, result.above, result.nan, result.nulls]
        return {"edges": result.edges, "counts": result.counts, "outside": outside}

    def done(self, model: dict[str, Any]) -> bool:
        return model["counts"] is not None

    def finish(self, model: dict[str, Any]) -> Bins:
        edges = np.empty(0) if model["edges"] is None else model["edges"]
        if model["counts"] is None:
            return Bins(edges, np.zeros(max(len(edges) - 1, 0), np.int64))
        return Bins(edges, model["counts"], *model["outside"])

    def table(self, value: Any) -> pa.Table:
        return value.table if isinstance(value, Bins) else super().table(value)

    def _known(self) -> NDArray[np.float64] | None:
        """Return the edges, if they follow from the parameters alone."""
        self.validate()
        if not isinstance(self.bins, Integral):
            return np.asarray(self.bins, dtype=np.float64)
        return None if self.range is None else self._edges(*self.range)

    def _edges(self, low: float, high: float) -> NDArray[np.float64]:
        """Return edges from ``low`` to ``high``; as many as there are different numbers for."""
        assert isinstance(self.bins, Integral)
        log = self.scale == "log"
        if not low <= high:
            low, high = (1.0, 10.0) if log else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        if log:
            edges = np.geomspace(low, high, int(self.bins) + 1)
        elif high - low < math.inf:
            edges = np.linspace(low, high, int(self.bins) + 1)
        else:
            edges = 2.0 * np.linspace(low / 2, high / 2, int(self.bins) + 1)
        return np.unique(edges)


class Extent(Summary[tuple[float, float], tuple[float, float]]):
    """The smallest and the largest finite value of a column; (inf, -inf) if there is none.

    Parameters
    ----------
    column : str or None
        The column; None takes the first that holds numbers.
    positive : bool
        Whether only values above 0 are looked at.
    """

    traits: ClassVar[Traits] = Traits("exact", "smallest and largest finite value")

    stored_: tuple[str, ...]

    def __init__(self, column: str | None = None, positive: bool = False) -> None:
        self.column = column
        self.positive = positive

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.column = _only(schema, self.column)
        ready.stored_ = columns.stored(schema, [ready.column])
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> tuple[float, float]:
        return math.inf, -math.inf

    def update(self, state: tuple[float, float], batch: Batch) -> tuple[float, float]:
        assert self.column is not None
        values, valid = columns.numbers(batch, self.column)
        if valid is not None:
            values = values[valid]
        wanted = np.isfinite(values)
        if self.positive:
            wanted &= values > 0.0
        if not wanted.all():
            values = values[wanted]
        if not len(values):
            return state
        return self.merge(state, (float(values.min()) + 0.0, float(values.max()) + 0.0))

    def merge(self, left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float]:
        return min(left[0], right[0]), max(left[1], right[1])

    def finish(self, state: tuple[float, float]) -> tuple[float, float]:
        return state

    def table(self, value: Any) -> pa.Table:
        return pa.table({"low": [value[0]], "high": [value[1]]})


class BinCounts(Summary[Bins, Bins]):
    """Counts of a column's values between given edges.

    Parameters
    ----------
    edges : list of float
        Rising.
    column : str or None
        The column; None takes the first that holds numbers.
    """

    traits: ClassVar[Traits] = Traits(
        "exact", "how many values fall between given edges", invertible=True, state_size="bins"
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {"column": AnyOf(Text(), Nothing())}
    chart: ClassVar[Chart | None] = Histogram.chart

    edges_: NDArray[np.float64]
    scale_: float
    stored_: tuple[str, ...]

    def __init__(self, edges: Any, column: str | None = None) -> None:
        self.edges = edges
        self.column = column

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.column = _only(schema, self.column)
        ready.stored_ = columns.stored(schema, [ready.column])
        ready.edges_ = np.ascontiguousarray(self.edges, dtype=np.float64)
        ready.scale_ = _scale(ready.edges_)
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> Bins:
        return Bins(self.edges_, np.zeros(len(self.edges_) - 1, np.int64))

    def update(self, state: Bins, batch: Batch) -> Bins:
        from motherlode.mining.statistics import _kernels

        assert self.column is not None
        values, valid = columns.numbers(batch, self.column)
        if valid is not None:
            values = values[valid]
        below, above, nan = _kernels.count_bins(values, self.edges_, self.scale_, state.counts)
        nulls = len(batch) - len(values)
        return Bins(
            self.edges_,
            state.counts,
            state.below + below,
            state.above + above,
            state.nan + nan,
            state.nulls + nulls,
        )

    def merge(self, left: Bins, right: Bins) -> Bins:
        return self._combined(left, right, 1)

    def subtract(self, whole: Bins, part: Bins) -> Bins:
        return self._combined(whole, part, -1)

    def finish(self, state: Bins) -> Bins:
        outside = (state.below, state.above, state.nan, state.nulls)
        return Bins(self.edges_, state.counts.copy(), *outside)

    def table(self, value: Any) -> pa.Table:
        return value.table if isinstance(value, Bins) else super().table(value)

    def export(self, state: Bins) -> Any:
        outside = [state.below, state.above, state.nan, state.nulls]
        return {"counts": state.counts.copy(), "outside": outside}

    def load(self, exported: Any) -> Bins:
        counts = np.array(exported["counts"], dtype=np.int64)
        return Bins(self.edges_, counts, *(int(number) for number in exported["outside"]))

    def _combined(self, left: Bins, right: Bins, sign: int) -> Bins:
        counts = left.counts
        counts += sign * right.counts
        return Bins(
            self.edges_,
            counts,
            left.below + sign * right.below,
            left.above + sign * right.above,
            left.nan + sign * right.nan,
            left.nulls + sign * right.nulls,
        )


def _only(schema: Schema, column: str | None) -> str:
    return columns.choose(schema, column, is_numeric, "numbers", "Histogram")[0]


def _scale(edges: NDArray[np.float64]) -> float:
    """Return bins a unit where the edges are evenly spaced, else 0."""
    low, high, bins = float(edges[0]), float(edges[-1]), len(edges) - 1
    width = high - low
    if not 0.0 < width < math.inf or bins / width == math.inf:
        return 0.0
    return bins / width if np.array_equal(np.linspace(low, high, bins + 1), edges) else 0.0
