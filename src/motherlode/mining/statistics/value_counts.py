"""Value counts: how often each value, or combination of values, occurs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import pyarrow as pa

from motherlode.algebra.columns import stored
from motherlode.algebra.keys import Counter, Keys
from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.parameters import AnyOf, Constraint, Flag, Integer, Nothing, Sequenced, Text


class ValueCounts(Summary[Counter, pa.Table]):
    """Exact counts of values, or of combinations of values.

    Each batch is counted by a hash table; the counted batches are put aside and added up when
    they hold as many values as the whole, so that a value is touched a bounded number of times
    a row and nothing is done value by value in Python.

    Parameters
    ----------
    columns : str, list of str or None
        One column, or several whose values are counted jointly; None takes all that hold single
        values (numbers, strings, bytes, booleans, times).
    top : int or None
        Give the most frequent values only; all are counted nevertheless.
    normalize : bool
        Whether to give each count's share of all rows too.

    Returns
    -------
    pyarrow.Table
        The columns, then ``count`` (int64) and, if asked for, ``fraction`` (float64), by falling
        count; equal counts by rising value, nulls last.

    Notes
    -----
    Values that are equal are one value; all NaN are one, -0.0 is 0.0, and null is counted as a
    value of its own. Time: about 0.1 µs a row. State: the distinct values and their counts; for
    more values than memory holds see ``TopK`` and ``Distinct``. Grade: exact.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> visits = pa.table({"page": ["home", "cart", "home", None, "home", "cart"]})
    >>> for row in run(ValueCounts("page", top=2), visits).table.to_pylist():
    ...     print(row)
    {'page': 'home', 'count': 3}
    {'page': 'cart', 'count': 2}
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "how often each value or combination of values occurs",
        invertible=True,
        state_size="distinct values",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "columns": AnyOf(Text(), Sequenced(Text()), Nothing()),
        "top": AnyOf(Integer(1), Nothing()),
        "normalize": Flag(),
    }

    keys_: Keys
    stored_: tuple[str, ...]

    def __init__(
        self,
        columns: str | Sequence[str] | None = None,
        top: int | None = None,
        normalize: bool = False,
    ) -> None:
        self.columns = columns
        self.top = top
        self.normalize = normalize

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.keys_ = Keys.of(schema, self.columns, "ValueCounts")
        ready.stored_ = stored(schema, ready.keys_.names)
        ready.chart = Chart("bar", ready.keys_.names[0], "count")  # type: ignore[misc]
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.stored_

    def zero(self) -> Counter:
        return Counter(self.keys_)

    def update(self, state: Counter, batch: Batch) -> Counter:
        state.add(batch)
        return state

    def merge(self, left: Counter, right: Counter) -> Counter:
        left.merge(right)
        return left

    def subtract(self, whole: Counter, part: Counter) -> Counter:
        whole.subtract(part)
        return whole

    def compact(self, state: Counter) -> Counter:
        return state.settle()

    def finish(self, state: Counter) -> pa.Table:
        frame = state.frame()
        rows = int(frame["n"].sum())
        fields = self.keys_.fields
        falling = [True] + [False] * len(fields)
        frame = frame.sort(["n", *fields], descending=falling, nulls_last=True)
        if self.top is not None:
            frame = frame.head(self.top)
        answer = self.keys_.table(frame)
        answer = answer.append_column(_free("count", answer), pa.array(frame["n"].to_numpy()))
        if self.normalize:
            share = (frame["n"] / max(rows, 1)).to_numpy()
            answer = answer.append_column(_free("fraction", answer), pa.array(share))
        return answer

    def export(self, state: Counter) -> Any:
        return state.table()

    def load(self, exported: Any) -> Counter:
        return Counter.of(self.keys_, exported)


def _free(name: str, table: pa.Table) -> str:
    """Return the name, or, where a column has it, the name with an underscore."""
    while name in table.column_names:
        name += "_"
    return name
