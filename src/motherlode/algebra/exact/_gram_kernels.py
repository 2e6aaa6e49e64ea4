"""Compiled kernels of the exact Gram matrix; digits as in :mod:`._kernels`."""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; only what is called from outside is annotated.

from typing import Any

import numpy as np
from numba import njit, types

from motherlode.algebra.exact._digit_kernels import (
    INFINITE,
    MASK,
    WIDTH,
    _bits,
    _exponent,
    _high,
    _inner,
    _mantissa,
    _put,
    _splitter,
)
from motherlode.algebra.exact._kernels import _Cells, _Grid, _Marks, _Mask, _Numbers, _Table


@njit(types.void(_Table, _Mask, _Marks, _Numbers), nogil=True, cache=True)
def gram_rows(values: Any, valid: Any, marks: Any, tops: Any) -> None:
    """Mark n rows as complete (0), missing something (1) or infinite (2).

    ``valid``, shape (n,), or (0,) where all are, says which have nothing missing. ``tops``, shape
    (p,), gets exponents, from -900 to 900, that the complete values are below if they can be.
    """
    n, p = values.shape
    big = np.zeros(p, np.int64)
    for i in range(n):
        worst = np.int64(0)
        for j in range(p):
            worst = max(worst, _bits(values[i, j]) & MASK)
        if worst > INFINITE or (valid.size and not valid[i]):
            marks[i] = 1
        elif worst == INFINITE:
            marks[i] = 2
        else:
            marks[i] = 0
            for j in range(p):
                big[j] = max(big[j], _bits(values[i, j]) & MASK)
    least = np.int64(900)
    for j in range(p):
        tops[j] = min(max((big[j] >> 52) - 1022, -900), 900)
        if big[j]:
            least = min(least, tops[j])
    for j in range(p):  # zeros have no exponent, and shall not widen the window of the others
        tops[j] = max(tops[j], least)


@njit(types.void(_Table, _Marks, _Numbers, _Cells), nogil=True, cache=True)
def gram_digits(values: Any, marks: Any, tops: Any, digits: Any) -> None:
    """Write complete rows as digits from ``tops`` down; mark those that do not end in time (3).

    ``digits``, shape (n, levels * p + 1), gets whole numbers: the first digits of all columns, the
    second ones, ..., and a 1; and zeros for rows that are marked. At most ``BLOCK`` rows.
    """
    n, p = values.shape
    levels = (digits.shape[1] - 1) // p
    left = np.empty(p)
    splitters = np.empty((levels, p))
    scales = np.empty((levels, p))
    for j in range(p):
        for level in range(levels):
            splitters[level, j] = _splitter(tops[j], level)
            scales[level, j] = 1.5 * 2.0**52 / splitters[level, j]
    for i in range(n):
        rest = np.int64(marks[i])
        for j in range(p):
            left[j] = values[i, j]
            rest |= np.int64(_bits(left[j]) & MASK >= (tops[j] + 1023) << 52)
        for level in range(levels):
            for j in range(p):
                s = splitters[level, j]
                q = (left[j] + s) - s
                left[j] -= q
                digits[i, level * p + j] = q * scales[level, j]
        for j in range(p):
            rest |= _bits(left[j]) & MASK
        digits[i, levels * p] = 1.0
        if rest:
            marks[i] = marks[i] or 3
            for j in range(levels * p + 1):
                digits[i, j] = 0.0


@_inner
def _put_whole(to, value, e):
    sign = value >> 63
    _put(to, np.uint64(0), np.uint64((value ^ sign) - sign), e, sign)


@njit(types.void(_Grid, _Numbers, _Grid, types.int64, _Grid, types.int64), nogil=True, cache=True)
def gram_put(totals: Any, tops: Any, pairs: Any, pairs_low: Any, sums: Any, sums_low: Any) -> None:
    """Add products of the columns of :func:`gram_digits`, summed over rows, to the limbs.

    ``pairs``, shape (p * (p + 1) / 2, any), is for the upper triangle, row by row, and ``sums``,
    shape (p, any), for the columns' sums.
    """
    p = tops.size
    levels = (totals.shape[0] - 1) // p
    to = pairs.ctypes.data - 8 * pairs_low
    for i in range(p):
        place = sums.ctypes.data + 8 * (i * sums.shape[1] - sums_low)
        for a in range(levels):
            _put_whole(place, totals[levels * p, a * p + i], tops[i] + 1 - WIDTH * (a + 1))
        for j in range(i, p):
            for a in range(levels):
                for b in range(levels):
                    e = tops[i] + tops[j] + 2 - WIDTH * (a + b + 2)
                    _put_whole(to, totals[a * p + i, b * p + j], e)
            to += 8 * pairs.shape[1]


@njit(types.void(_Table, _Grid, types.int64, _Grid, types.int64), nogil=True, cache=True)
def gram_each(values: Any, pairs: Any, pairs_low: Any, sums: Any, sums_low: Any) -> None:
    """Add complete rows to the limbs of :func:`gram_put`, product by product."""
    n, p = values.shape
    for r in range(n):
        to = pairs.ctypes.data - 8 * pairs_low
        for i in range(p):
            a = _bits(values[r, i])
            m, e, sign = _mantissa(a), _exponent(a), a >> 63
            if m:
                place = sums.ctypes.data + 8 * (i * sums.shape[1] - sums_low)
                _put(place, np.uint64(0), m, e, sign)
            for j in range(i, p):
                b = _bits(values[r, j])
                other = _mantissa(b)
                if m and other:
                    both = sign ^ (b >> 63)
                    _put(to, _high(m, other), m * other, e + _exponent(b), both)
                to += 8 * pairs.shape[1]
