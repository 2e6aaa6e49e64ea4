"""Exact sums of the powers of values, by column or by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motherlode.algebra.exact.limbs import (
    PIECE,
    Floats,
    Ints,
    Limbs,
    checked,
    chosen,
    inexact,
    masked,
    ready,
    taller,
)
from motherlode.algebra.exact.moments import Moments
from motherlode.core.errors import UsageError


class ExactSums(Moments):
    """Exact sums of the powers of values, for the columns of a table or the keys of a group-by.

    Adding costs about 1 ns per value for ordinary columns and powers up to 2, 8 ns for powers up
    to 4 or values scattered over hundreds of binary orders of magnitude, and 10 ns per grouped
    value while the groups' limbs fit in the cache. A state takes some 150 bytes a group, or up to
    1.7 KB where values of all magnitudes meet: all groups keep the same window of limbs.

    Parameters
    ----------
    groups : int
        How many sums to keep apart.
    powers : int
        Highest power to sum, 1 to 4: 1 gives means, 2 variances, 3 skewness, 4 kurtosis.

    Attributes
    ----------
    counts : int64 array, shape (groups, 4)
        How many finite values, NaN, inf and -inf there are.
    """

    def __init__(self, groups: int = 1, powers: int = 2) -> None:
        if groups < 0 or not 1 <= powers <= 4:
            raise UsageError(f"groups must be at least 0 and powers 1 to 4, got {groups}, {powers}")
        self.groups = groups
        self.powers = powers
        self._counts: Ints = np.zeros((groups, 4), np.int64)
        self._parts = [Limbs(groups) for _ in range(powers)]

    @property
    def counts(self) -> Ints:
        return self._counts[: self.groups]

    def resize(self, groups: int) -> None:
        """Add empty groups until there are so many."""
        if groups < self.groups:
            raise UsageError(f"cannot drop groups: there are {self.groups}, asked for {groups}")
        self.groups = groups
        self._counts = taller(self._counts, groups)
        for part in self._parts:
            part.rows = groups
            part.store = taller(part.store, groups)

    def add(
        self, values: ArrayLike, valid: ArrayLike | None = None, first: int | None = None
    ) -> None:
        """Add the rows of a table, each column to its group.

        Parameters
        ----------
        values : array of floats, integers or booleans, shape (n, groups), or (n,) for one group
            Read only; fastest where columns are contiguous.
        valid : bool array of the same shape, optional
            Which values count, where not all do.
        first : int, optional
            Group of the first column, the others following; by default there is a column for
            each group.
        """
        table = checked(values, (1, 2))
        mask = None if valid is None else masked(valid, table.shape)
        if table.ndim == 1:
            table, mask = table[:, None], None if mask is None else mask[:, None]
        fits = (
            table.shape[1] == self.groups
            if first is None
            else 0 <= first <= self.groups - table.shape[1]
        )
        if not fits:
            raise UsageError(
                f"the table has {table.shape[1]} columns, there are {self.groups} groups"
            )
        self._add_table(table, mask, first or 0)

    def add_column(self, group: int, values: ArrayLike, valid: ArrayLike | None = None) -> None:
        """Add a column, shape (n,), to one group; as :meth:`add`."""
        column = checked(values, (1,))
        if not 0 <= group < self.groups:
            raise UsageError(f"there is no group {group}, only {self.groups}")
        mask = None if valid is None else masked(valid, column.shape)[:, None]
        self._add_table(column[:, None], mask, group)

    def _add_table(self, table: NDArray[Any], mask: NDArray[np.bool_] | None, group: int) -> None:
        n, columns = table.shape
        if not table.size:
            return
        if inexact(table):
            codes = np.tile(np.arange(group, group + columns), n)
            self.add_grouped(codes, table.ravel(), None if mask is None else mask.ravel())
            return
        as_is = table.dtype == np.float64 and table.T.flags.c_contiguous
        rows = PIECE if as_is else max(2048, (1 << 17) // columns)
        for start in range(0, n, rows):
            piece = ready(table[start : start + rows].T, np.float64)
            valid = np.empty((columns, 0), np.uint8)
            if mask is not None:
                valid = np.ascontiguousarray(mask[start : start + rows].T).view(np.uint8)
            self._add_columns(piece, valid, group)

    def _add_columns(self, columns: Floats, valid: NDArray[np.uint8], group: int) -> None:
        rows = len(columns)
        limbs = tuple(
            np.zeros((rows, 66 * k + 6 if k <= self.powers else 0), np.int64) for k in range(1, 5)
        )
        counts = self.counts[group : group + rows]
        from motherlode.algebra.exact import _kernels as kernels

        kernels.add_columns(columns, valid, self.powers, limbs, counts)
        for k, part in enumerate(self._parts):
            used = np.flatnonzero(limbs[k].any(axis=0))
            if used.size:
                first, last = int(used[0]), int(used[-1]) + 1
                low = first - 34 * (k + 1)
                window = part.window(low, low + last - first, 1)
                window[group : group + rows] += limbs[k][:, first:last]

    def add_grouped(
        self, codes: ArrayLike, values: ArrayLike, valid: ArrayLike | None = None
    ) -> None:
        """Add each value to a group of its own.

        Parameters
        ----------
        codes : integer array, shape (n,)
            Groups; values with a negative one are left out.
        values : array of floats, integers or booleans, shape (n,)
            Read only.
        valid : bool array, shape (n,), optional
            Which values count, where not all do.
        """
        array = checked(values, (1,))
        given = np.asarray(codes)
        if given.dtype.kind not in "iu":
            raise UsageError(f"codes must be integers, got {given.dtype}")
        groups = ready(given, np.int64)
        if groups.shape != array.shape:
            raise UsageError(f"there are {groups.shape} codes for values of shape {array.shape}")
        if valid is not None:
            groups = np.where(masked(valid, array.shape), groups, -1)
        if groups.size and groups.max() >= self.groups:
            raise UsageError(f"there is no group {groups.max()}, only {self.groups}; resize first")
        kind = (1 if array.dtype.kind == "i" else 2) if inexact(array) else 0
        bits = ready(array, (np.float64, np.int64, np.uint64)[kind]).view(np.int64)
        for start in range(0, bits.size, PIECE):
            stop = start + PIECE
            self._add_bits(groups[start:stop], bits[start:stop], kind)

    def _add_bits(self, codes: Ints, bits: Ints, kind: int) -> None:
        # Numba takes half a second to import, which who only merges need not wait for.
        from motherlode.algebra.exact import _kernels as kernels

        low, high = (0, 0) if kind else kernels.exponents(bits)
        limbs: list[Ints] = [np.zeros((self.groups, 0), np.int64) for _ in range(4)]
        for k, part in enumerate(self._parts):
            first = (k + 1) * low >> 5
            last = ((k + 1) * high + (0, 0, 64, 128)[k] >> 5) + (3, 5, 5, 5)[k]
            if low <= high:
                part.window(first, last, 3 * bits.size)
            limbs[k] = part.limbs
        lows = tuple(part.low for part in self._parts) + (0,) * (4 - self.powers)
        kernels.add_grouped(codes, bits, kind, self.powers, tuple(limbs), lows, self.counts)

    def _combine(self, other: ExactSums, sign: int) -> Self:
        if (other.groups, other.powers) != (self.groups, self.powers):
            raise UsageError(
                f"cannot merge {other.groups} groups and {other.powers} powers"
                f" into {self.groups} and {self.powers}"
            )
        counts = self.counts
        counts += sign * other.counts
        for mine, theirs in zip(self._parts, other._parts, strict=True):
            mine.combine(theirs, sign)
        return self

    def merge(self, other: ExactSums) -> Self:
        """Add the values that another state has seen, and return self; ``other`` stays as it is."""
        return self._combine(other, 1)

    def subtract(self, other: ExactSums) -> Self:
        """Take back values that another state has seen, and return self."""
        return self._combine(other, -1)

    def take(self, indices: ArrayLike) -> ExactSums:
        """Return a state whose group ``i`` is ``indices[i]`` of this one, or empty for -1."""
        wanted = np.asarray(indices, np.int64)
        if wanted.size and not -1 <= wanted.min() <= wanted.max() < self.groups:
            raise UsageError(f"indices must be from -1 to {self.groups - 1}")
        taken = ExactSums(len(wanted), self.powers)
        taken._counts = chosen(self.counts, wanted)
        taken._parts = [part.take(wanted) for part in self._parts]
        return taken

    def copy(self) -> ExactSums:
        """Return an independent state equal to this one."""
        return self.take(np.arange(self.groups))

    def alone(self, power: int) -> ExactSums:
        """Return an independent state whose values are these ones raised to a power."""
        if not 1 <= power <= self.powers:
            raise UsageError(f"power {power} is not kept, only 1 to {self.powers}")
        single = ExactSums(self.groups, 1)
        single._counts = self.counts.copy()
        if power % 2 == 0:
            single._counts[:, 2] += single._counts[:, 3]
            single._counts[:, 3] = 0
        single._parts = [self._parts[power - 1].take(np.arange(self.groups))]
        return single

    def export(self) -> dict[str, Any]:
        """Return the state as numbers and arrays, the same whatever way it came about.

        Returns
        -------
        dict
            ``counts`` as the attribute; ``sums``, for each power, a dict of ``sign``, int8 array
            of shape (groups,), ``digits``, uint32 array of shape (groups, used), base 2**32, least
            first, and ``low``, the weight of the first digit being ``2**(32 * low)``.
        """
        sums = [part.export() for part in self._parts]
        return {"counts": self.counts.copy(), "sums": sums}

    @classmethod
    def load(cls, exported: Mapping[str, Any]) -> Self:
        """Return a state from what :meth:`export` gave, without references into it."""
        state = cls(len(exported["counts"]), len(exported["sums"]))
        state._counts = np.array(exported["counts"], np.int64, order="C")
        state._parts = [Limbs.load_from(part) for part in exported["sums"]]
        return state

    def sums(self, power: int) -> tuple[list[int], int]:
        """Return whole numbers, one a group, and the exponent of 2 that they are multiples of."""
        if not 1 <= power <= self.powers:
            raise UsageError(f"power {power} is not kept, only 1 to {self.powers}")
        return self._parts[power - 1].integers()
