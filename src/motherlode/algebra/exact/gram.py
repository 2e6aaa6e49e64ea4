"""Exact sums of products of columns, and the covariances that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motherlode.algebra.exact.limbs import (
    Floats,
    Ints,
    Limbs,
    checked,
    inexact,
    masked,
    ready,
    rounded,
    rounded_root,
)
from motherlode.algebra.exact.moments import aligned
from motherlode.core.errors import UsageError


class ExactGram:
    """Exact sums of the columns of a table and of all products of two of them.

    Rows with a NaN, a missing value or an inf in any column are left out, and counted. Products
    of digits are left to BLAS, in blocks so small that they come out exact: two to twelve times the
    cost of ``X.T @ X``, and p * (p + 1) / 2 exact numbers of some 60 bytes.

    Parameters
    ----------
    columns : int
        Number of columns, p.

    Attributes
    ----------
    counts : int64 array, shape (3,)
        How many rows were used, had something missing, and had an inf but nothing missing.
    """

    def __init__(self, columns: int) -> None:
        if columns < 1:
            raise UsageError(f"columns must be at least 1, got {columns}")
        self.columns = columns
        self.counts: Ints = np.zeros(3, np.int64)
        self._sums = Limbs(columns)
        self._pairs = Limbs(columns * (columns + 1) // 2)

    def add(self, rows: ArrayLike, valid: ArrayLike | None = None) -> None:
        """Add rows.

        Parameters
        ----------
        rows : array of floats, integers or booleans, shape (n, columns)
            Read only.
        valid : bool array, shape (n,) or (n, columns), optional
            Which rows, or values, are not missing.
        """
        table = checked(rows, (2,))
        if table.shape[1] != self.columns:
            raise UsageError(f"rows have {table.shape[1]} values, there are {self.columns} columns")
        if inexact(table):
            raise UsageError("integers beyond 2**53 have no exact products here", "cast to float64")
        present: NDArray[np.bool_] = np.ones(0, np.bool_)
        if valid is not None and np.ndim(valid) == 2:
            present = np.all(masked(valid, table.shape), axis=1)
        elif valid is not None:
            present = masked(valid, table.shape[:1])
        for start in range(0, len(table), 1 << 16):
            piece = ready(table[start : start + (1 << 16)], np.float64)
            mask = np.ascontiguousarray(present[start : start + (1 << 16)]).view(np.uint8)
            self._add_piece(piece, mask)

    def _add_piece(self, rows: Floats, mask: NDArray[np.uint8]) -> None:
        from motherlode.algebra.exact import _digit_kernels as digits_of
        from motherlode.algebra.exact import _gram_kernels as kernels
        from motherlode.algebra.exact import _kernels as adding

        marks = np.empty(len(rows), np.uint8)
        tops = np.empty(self.columns, np.int64)
        kernels.gram_rows(rows, mask, marks, tops)
        self.counts += np.bincount(marks, minlength=3)
        levels = self._levels(rows, marks, tops)
        width = levels * self.columns + 1
        totals = np.zeros((width, width), np.int64)
        buffer = np.empty((digits_of.BLOCK, width))
        for start in range(0, len(rows), digits_of.BLOCK):
            block = slice(start, min(len(rows), start + digits_of.BLOCK))
            digits = buffer[: block.stop - start]
            kernels.gram_digits(rows[block], marks[block], tops, digits)
            totals += (digits.T @ digits).astype(np.int64)
        unit = digits_of.WIDTH * levels
        self._open(int(tops.min()) + 1 - unit, int(tops.max()), levels * levels)
        kernels.gram_put(
            totals, tops, self._pairs.limbs, self._pairs.low, self._sums.limbs, self._sums.low
        )
        if (marks == 3).any():
            scattered = rows[marks == 3]
            low, high = adding.exponents(scattered.view(np.int64).ravel())
            self._open(low, high, len(scattered))
            kernels.gram_each(
                scattered, self._pairs.limbs, self._pairs.low, self._sums.limbs, self._sums.low
            )

    def _open(self, low: int, high: int, additions: int) -> None:
        """Make room for numbers with exponents between two, and for their products."""
        self._sums.window(low >> 5, (high >> 5) + 3, additions)
        self._pairs.window(2 * low >> 5, (2 * high >> 5) + 5, additions)

    def _levels(self, rows: Floats, marks: NDArray[np.uint8], tops: Ints) -> int:
        """Return how many digits make a sample of the rows cheapest to add."""
        from motherlode.algebra.exact import _gram_kernels as kernels

        step = max(1, len(rows) // 256)
        sample = np.ascontiguousarray(rows[::step][:512])
        best, least = 1, math.inf
        for levels in range(1, 6):
            found = marks[::step][:512].copy()
            digits = np.empty((len(sample), levels * self.columns + 1))
            kernels.gram_digits(sample, found, tops, digits)
            # A row that goes one by one costs about as much as 70 products of digits a pair.
            slow = float(np.mean(found == 3))
            if levels**2 + 70.0 * slow < least:
                best, least = levels, levels**2 + 70.0 * slow
            if not slow:
                break
        return best

    def _combine(self, other: ExactGram, sign: int) -> Self:
        if other.columns != self.columns:
            raise UsageError(f"cannot merge {other.columns} columns into {self.columns}")
        self.counts += sign * other.counts
        self._sums.combine(other._sums, sign)
        self._pairs.combine(other._pairs, sign)
        return self

    def merge(self, other: ExactGram) -> Self:
        """Add the rows that another state has seen, and return self; ``other`` stays as it is."""
        return self._combine(other, 1)

    def subtract(self, other: ExactGram) -> Self:
        """Take back rows that another state has seen, and return self."""
        return self._combine(other, -1)

    def copy(self) -> ExactGram:
        """Return an independent state equal to this one."""
        return ExactGram(self.columns).merge(self)

    def export(self) -> dict[str, Any]:
        """Return the state in canonical form, as :meth:`ExactSums.export`; pairs go by rows."""
        sums, pairs = self._sums.export(), self._pairs.export()
        return {"counts": self.counts.copy(), "sums": sums, "pairs": pairs}

    @classmethod
    def load(cls, exported: Mapping[str, Any]) -> Self:
        """Return a state from what :meth:`export` gave, without references into it."""
        state = cls(len(exported["sums"]["sign"]))
        state.counts = np.array(exported["counts"], np.int64, order="C")
        state._sums = Limbs.load_from(exported["sums"])
        state._pairs = Limbs.load_from(exported["pairs"])
        return state

    def sums(self) -> tuple[list[int], int]:
        """Return whole numbers, one a column, and the exponent of 2 that they are multiples of."""
        return self._sums.integers()

    def products(self) -> tuple[list[int], int]:
        """As :meth:`sums`, for the upper triangle of the products, row by row."""
        return self._pairs.integers()

    def mean(self) -> Floats:
        """Means of the columns over the rows used, shape (p,), rounded once."""
        numbers, e = self.sums()
        n = int(self.counts[0])
        return np.array([rounded(number, n, e) if n else math.nan for number in numbers])

    def _scatter(self, formula: Callable[[int, int, int, int], float]) -> Floats:
        """Fill a symmetric matrix from the exact co-moments of i and j, of i, of j, and e."""
        (means, pairs), e = aligned([self.sums(), self.products()])
        n, p = int(self.counts[0]), self.columns
        upper = [
            n * pair - means[i] * means[j] for pair, (i, j) in zip(pairs, _upper(p), strict=True)
        ]
        own = [upper[i * p - i * (i - 1) // 2] for i in range(p)]
        result = np.empty((p, p))
        for both, (i, j) in zip(upper, _upper(p), strict=True):
            result[i, j] = result[j, i] = formula(both, own[i], own[j], 2 * e)
        return result

    def covariance(self, ddof: int = 1) -> Floats:
        """Covariances with divisor ``n - ddof``, shape (p, p), each rounded once."""
        n = int(self.counts[0])
        below = n * (n - ddof)
        if n <= max(ddof, 0):
            return np.full((self.columns, self.columns), np.nan)
        return self._scatter(lambda both, left, right, e: rounded(both, below, e))

    def correlation(self) -> Floats:
        """Correlations, shape (p, p), each rounded once; NaN where a column is constant."""

        def formula(both: int, left: int, right: int, e: int) -> float:
            if not left * right:
                return math.nan
            root = rounded_root(both * both, left * right, 0)
            return root if both > 0 else -root

        return self._scatter(formula)


def _upper(p: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(p) for j in range(i, p))
