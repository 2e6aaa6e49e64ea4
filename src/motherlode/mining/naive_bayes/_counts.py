"""Exact sums of features, class by class: counts kept compactly, and moments."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from motherlode.algebra.exact import ExactSums

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SAFE = 1 << 52
"""Whole numbers below are exact in float64, and some thousand of them together in int64."""


class Counts:
    """Exact sums in a table of groups by features.

    Whole numbers are kept as int64. As soon as there are others (or too large ones) these are
    summed exactly beside them; what is exported depends on the totals alone.

    Parameters
    ----------
    groups, width : int
        Shape of the table.
    """

    def __init__(self, groups: int, width: int) -> None:
        self.width = width
        self.whole: Ints = np.zeros((groups, width), np.int64)
        self.rest: ExactSums | None = None

    @property
    def groups(self) -> int:
        return len(self.whole)

    def resize(self, groups: int) -> None:
        """Add empty groups until there are so many."""
        if groups > self.groups:
            more = np.zeros((groups - self.groups, self.width), np.int64)
            self.whole = np.concatenate([self.whole, more])
            if self.rest is not None:
                self.rest.resize(groups * self.width)

    def add_whole(self, totals: Floats | Ints) -> None:
        """Add a table of whole numbers, each below ``SAFE`` in size."""
        self.whole += totals.astype(np.int64, copy=False)
        self._spill()

    def add_cells(self, cells: Ints, values: Floats) -> None:
        """Add any numbers, each to the cell ``group * width + feature``."""
        self._fractions().add_grouped(cells, values)

    def add_columns(self, group: int, columns: Floats) -> None:
        """Add the columns of a group, shape (width, n), or of several, one after the other."""
        self._fractions().add(columns.T, first=group * self.width)

    def merge(self, other: Counts, groups: Ints, sign: int = 1) -> None:
        """Add another's totals, or subtract them; its group i is ``groups[i]`` here."""
        self.whole[groups] += sign * other.whole
        if other.rest is not None:
            mine = self._fractions()
            places = np.full(mine.groups, -1)
            cells = groups[:, None] * self.width + np.arange(self.width)
            places[cells.ravel()] = np.arange(other.whole.size)
            theirs = other.rest.take(places)
            mine.merge(theirs) if sign > 0 else mine.subtract(theirs)
        self._spill()

    def take(self, groups: Ints) -> Counts:
        """Return a copy with these groups, in this order."""
        taken = Counts(0, self.width)
        taken.whole = self.whole[groups]
        if self.rest is not None:
            taken.rest = self.rest.take(self._cells(groups))
        return taken

    def floats(self) -> Floats:
        """Return the totals, rounded once."""
        if self.rest is None:
            return self.whole.astype(np.float64)
        return self._together().sum().reshape(self.whole.shape)

    def integers(self) -> tuple[list[int], int]:
        """Return whole numbers, cell by cell, and the exponent of 2 they are multiples of."""
        if self.rest is None:
            return self.whole.ravel().tolist(), 0
        return self._together().sums(1)

    def export(self) -> Any:
        """Return int64 of shape (groups, width) where all totals are such, else exact sums."""
        if self.rest is None:
            return self.whole.copy()
        numbers, exponent = self.integers()
        low = max(-exponent, 0)
        if all(number & ((1 << low) - 1) == 0 for number in numbers):
            totals = [number >> low if low else number << exponent for number in numbers]
            if all(abs(total) < 1 << 62 for total in totals):
                return np.array(totals, np.int64).reshape(self.whole.shape)
        return {"width": self.width, "sums": exported(self._together())}

    @classmethod
    def load(cls, plain: Any) -> Self:
        if isinstance(plain, np.ndarray):
            counts = cls(0, plain.shape[1])
            counts.whole = plain.copy()
            return counts
        rest = ExactSums.load(plain["sums"])
        counts = cls(rest.groups // plain["width"], plain["width"])
        counts.rest = rest
        return counts

    def _fractions(self) -> ExactSums:
        if self.rest is None:
            self.rest = ExactSums(self.whole.size, 1)
        return self.rest

    def _cells(self, groups: Ints) -> Ints:
        return (groups[:, None] * self.width + np.arange(self.width)).ravel()

    def _spill(self) -> None:
        """Move totals to the exact sums before they could pass int64."""
        if self.whole.size and max(int(self.whole.max()), -int(self.whole.min())) >= 1 << 61:
            self.rest = self._together()
            self.whole[:] = 0

    def _together(self) -> ExactSums:
        total = self._fractions().copy()
        cells = np.flatnonzero(self.whole)
        total.add_grouped(cells, self.whole.ravel()[cells])
        return total


class Moments:
    """Exact sums of the weighted values, and of their squares, of groups by features.

    Parameters
    ----------
    groups, width : int
        How many there are.
    """

    def __init__(self, groups: int, width: int) -> None:
        self.groups = groups
        self.width = width
        self.plain = ExactSums(groups * width, 2)
        self.weighted: tuple[ExactSums, ExactSums] | None = None

    def resize(self, groups: int) -> None:
        """Add empty groups until there are so many."""
        if groups > self.groups:
            self.groups = groups
            for sums in self._all():
                sums.resize(groups * self.width)

    def add(self, group: int, columns: Floats) -> None:
        """Add the columns of a group, shape (width, n), or of several, one after the other."""
        self.plain.add(columns.T, first=group * self.width)

    def add_weighted(self, group: int, columns: Floats, weights: Floats) -> None:
        """Add columns of numbers with their weights, of the same shape."""
        from motherlode.mining.naive_bayes import _counting_kernels as kernels

        values, squares = np.empty((2, *columns.shape)), np.empty((4, *columns.shape))
        kernels.weigh(columns, weights, values, squares)
        for sums, parts in zip(self._weighted(), (values, squares), strict=True):
            for part in parts:
                sums.add(part.T, first=group * self.width)

    def merge(self, other: Moments, groups: Ints, sign: int = 1) -> None:
        """Add another's sums, or subtract them; its group i is ``groups[i]`` here."""
        if other.weighted is not None:
            self._weighted()
        if self.groups == other.groups and np.array_equal(groups, np.arange(len(groups))):
            parts = other._all()
        else:
            places = np.full(self.groups * self.width, -1)
            places[self._cells(groups)] = np.arange(other.groups * other.width)
            parts = [each.take(places) for each in other._all()]
        for mine, part in zip(self._all(), parts, strict=False):
            mine.merge(part) if sign > 0 else mine.subtract(part)

    def take(self, groups: Ints) -> Moments:
        """Return a copy with these groups, in this order."""
        taken = Moments(len(groups), self.width)
        cells = self._cells(groups)
        taken.plain = self.plain.take(cells)
        if self.weighted is not None:
            sums, products = self.weighted
            taken.weighted = sums.take(cells), products.take(cells)
        return taken

    def integers(self, power: int) -> tuple[list[int], int]:
        """Return sums of a power as whole numbers, and the exponent of 2 they are multiples of."""
        numbers, e = self.plain.sums(power)
        if self.weighted is None:
            return numbers, e
        others, f = self.weighted[power - 1].sums(1)
        low = min(e, f)
        pairs = zip(numbers, others, strict=True)
        return [(one << (e - low)) + (other << (f - low)) for one, other in pairs], low

    def export(self) -> Any:
        sums, squares = self.plain.alone(1), self.plain.alone(2)
        if self.weighted is not None:
            sums.merge(self.weighted[0])
            squares.merge(self.weighted[1])
        return {"width": self.width, "sums": exported(sums), "squares": exported(squares)}

    @classmethod
    def load(cls, plain: Any) -> Self:
        sums, products = ExactSums.load(plain["sums"]), ExactSums.load(plain["squares"])
        moments = cls(sums.groups // plain["width"], plain["width"])
        moments.weighted = sums, products
        return moments

    def _all(self) -> list[ExactSums]:
        """Return the sums, those of weighted rows last."""
        return [self.plain, *(self.weighted or ())]

    def _weighted(self) -> tuple[ExactSums, ExactSums]:
        if self.weighted is None:
            cells = self.groups * self.width
            self.weighted = ExactSums(cells, 1), ExactSums(cells, 1)
        return self.weighted

    def _cells(self, groups: Ints) -> Ints:
        return (groups[:, None] * self.width + np.arange(self.width)).ravel()


def exported(sums: ExactSums) -> dict[str, Any]:
    """Return exact sums as plain data, without how many values they were made of.

    Totals of many values are added as one, so that number says nothing.
    """
    plain = sums.export()
    return {**plain, "counts": np.zeros_like(plain["counts"])}
