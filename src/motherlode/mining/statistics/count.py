"""Count: how many rows there are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.grouped import Codes, Grouped
from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch


class Count(Summary[int, pa.Table]):
    """Number of rows.

    The smallest summary there is, of use beside others and in group-bys.

    Returns
    -------
    pyarrow.Table
        One row with the column ``count`` (int64).

    Notes
    -----
    Time: O(1) a batch. State: one number. Grade: exact.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.runtime import run
    >>> run(Count(), pa.table({"city": ["Bonn", "Köln", "Bonn"]})).table.to_pylist()
    [{'count': 3}]
    """

    traits: ClassVar[Traits] = Traits(
        "exact", "number of rows", invertible=True, state_size="O(1)", reference=""
    )

    def needs(self) -> tuple[str, ...] | None:
        return ()

    def zero(self) -> int:
        return 0

    def update(self, state: int, batch: Batch) -> int:
        return state + len(batch)

    def merge(self, left: int, right: int) -> int:
        return left + right

    def subtract(self, whole: int, part: int) -> int:
        return whole - part

    def finish(self, state: int) -> pa.Table:
        return pa.table({"count": pa.array([state], pa.int64())})

    def grouped(self) -> Grouped[NDArray[np.int64]]:
        """Return the vectorised form that group-bys use."""
        return _GroupedCount()


class _GroupedCount(Grouped[NDArray[np.int64]]):
    """Rows of each group."""

    def zero(self) -> NDArray[np.int64]:
        return np.zeros(0, np.int64)

    def update(
        self, state: NDArray[np.int64], codes: Codes, groups: int, batch: Batch
    ) -> NDArray[np.int64]:
        counts = np.bincount(codes, minlength=groups)
        counts[: len(state)] += state
        return counts

    def merge(
        self,
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        codes: Codes,
        groups: int,
    ) -> NDArray[np.int64]:
        total = np.zeros(groups, np.int64)
        total[: len(left)] = left
        total[codes] += right
        return total

    def subtract(
        self, whole: NDArray[np.int64], part: NDArray[np.int64], codes: Codes
    ) -> NDArray[np.int64]:
        whole[codes] -= part
        return whole

    def take(self, state: NDArray[np.int64], groups: Codes) -> NDArray[np.int64]:
        return state[groups]

    def finish(self, state: NDArray[np.int64]) -> tuple[pa.Table, Codes]:
        return pa.table({"count": state}), np.arange(len(state))

    def export(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        return state

    def load(self, exported: NDArray[np.int64]) -> NDArray[np.int64]:
        return exported.copy()
