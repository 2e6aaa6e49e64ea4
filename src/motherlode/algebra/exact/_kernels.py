"""Compiled kernels that add values to limbs, by column or by group."""

# mypy: ignore-errors
# Numba infers and checks the types of kernels; only what is called from outside is annotated.

from typing import Any

import numpy as np
from numba import njit, types

from motherlode.algebra.exact._digit_kernels import (
    AHEAD,
    BIAS,
    BLOCK,
    CACHED,
    CHUNK,
    FEW,
    INFINITE,
    LEVELS,
    MASK,
    ROUNDS,
    _add_round,
    _anchor,
    _bits,
    _exponent,
    _inner,
    _levels,
    _mantissa,
    _prefetch,
    _put_powers,
    _spliced,
)


@_inner
def _add_each(x, least, powers, to):
    """Add one by one what has at least these bits; move the rest to the front, return how many."""
    kept = 0
    for i in range(x.size):
        b = _bits(x[i])
        if b & MASK < least:
            x[kept] = x[i]
            kept += 1
        else:
            _put_powers(_mantissa(b), _exponent(b), b >> 63, powers, to)
    return kept


@_spliced
def _add_finite(x, powers, to, digits):
    """Add finite values, which are overwritten."""
    lowest, highest = (-420, 500) if powers < 3 else (-160, 250)  # where digits' products fit
    for _ in range(ROUNDS):
        big = np.int64(0)
        for i in range(x.size):
            big = max(big, _bits(x[i]) & MASK)
        if big == 0:
            x = x[:0]
        if x.size < FEW:
            break
        top = min(_anchor(x, (big >> 52) - 1022, lowest), highest)
        if top < lowest:
            break
        least = (top + 1023) << 52
        if big >= least:
            x = x[: _add_each(x, least, powers, to)]
        x = x[: _add_round(x, top, _levels(x, top), powers, to, digits)]
    _add_each(x, np.int64(0), powers, to)


@_inner
def _count(b, counts):
    """Count a value that is not finite."""
    if b & MASK > INFINITE:
        counts[1] += 1
    else:
        counts[2 if b > 0 else 3] += 1


@_inner
def _fetch(values, valid, x, counts):
    """Copy the values into ``x``, with zeros for those not valid or not finite, and count them."""
    big = np.int64(0)
    n = values.size
    if valid.size:
        present = 0
        for i in range(n):
            x[i] = values[i] if valid[i] else 0.0
            present += np.int64(valid[i])
            big = max(big, _bits(x[i]) & MASK)
        counts[0] += present
    else:
        for i in range(n):
            x[i] = values[i]
            big = max(big, _bits(values[i]) & MASK)
        counts[0] += n
    if big < INFINITE:
        return
    nan = above = below = 0
    for i in range(n):
        b = _bits(x[i])
        nan += np.int64(b & MASK > INFINITE)
        above += np.int64(b == INFINITE)
        below += np.int64(b == INFINITE - (1 << 63))
        x[i] = x[i] if b & MASK < INFINITE else 0.0
    counts[0] -= nan + above + below
    counts[1] += nan
    counts[2] += above
    counts[3] += below


@_inner
def _carry(limbs):
    """Bring each limb but the last to at most 2**31 in size."""
    for j in range(limbs.size - 1):
        carry = (limbs[j] + (1 << 31)) >> 32
        limbs[j] -= carry << 32
        limbs[j + 1] += carry


@_inner
def _places(limbs, low, row):
    """Return the addresses in a row of limbs of what would weigh 1."""
    return (
        limbs[0].ctypes.data + 8 * (row * limbs[0].shape[1] - low[0]),
        limbs[1].ctypes.data + 8 * (row * limbs[1].shape[1] - low[1]),
        limbs[2].ctypes.data + 8 * (row * limbs[2].shape[1] - low[2]),
        limbs[3].ctypes.data + 8 * (row * limbs[3].shape[1] - low[3]),
    )


_Given = types.Array(types.int64, 1, "C", readonly=True)
_Table = types.Array(types.float64, 2, "C", readonly=True)
_Valid = types.Array(types.uint8, 2, "C", readonly=True)
_Grid = types.int64[:, ::1]
_Mask = types.Array(types.uint8, 1, "C", readonly=True)
_Marks = types.uint8[::1]
_Numbers = types.int64[::1]
_Cells = types.float64[:, ::1]
_Powers = types.UniTuple(_Grid, 4)
_Lows = types.UniTuple(types.int64, 4)


@njit(types.void(_Table, _Valid, types.int64, _Powers, _Grid), nogil=True, cache=True)
def add_columns(values: Any, valid: Any, powers: Any, limbs: Any, counts: Any) -> None:
    """Add each row of values, shape (groups, n), to its row of limbs.

    ``valid`` has the same shape, or (groups, 0) where all values count. ``limbs`` has for power k
    the shape (groups, 66 * k + 6), begins at limb -34 * k, and is zero at first; in the end no
    limb is larger than 2**31. ``counts``, shape (groups, 4), is of finite values, NaN, inf, -inf.
    """
    low = (-BIAS, -2 * BIAS, -3 * BIAS, -4 * BIAS)
    digits = np.empty((3 * LEVELS + 2, BLOCK))
    x = np.empty(CHUNK)
    n = values.shape[1]
    for row in range(values.shape[0]):
        to = _places(limbs, low, row)
        for start in range(0, n, CHUNK):
            stop = min(n, start + CHUNK)
            _fetch(values[row, start:stop], valid[row, start:stop], x, counts[row])
            _add_finite(x[: stop - start], powers, to, digits)
        for k in range(powers):
            _carry(limbs[k][row])


@njit(types.UniTuple(types.int64, 2)(_Given), nogil=True, cache=True)
def exponents(bits: Any) -> Any:
    """Return the lowest and the highest exponent of float64 given as bits.

    Zeros, NaN and inf are left out; where nothing remains, the lowest is above the highest.
    """
    low, high = np.int64(0x7FF), np.int64(0)
    for i in range(bits.size):
        e = max((bits[i] >> 52) & 0x7FF, 1)
        some = bits[i] & MASK != 0 and e != 0x7FF
        low = min(low, e if some else np.int64(0x7FF))
        high = max(high, e if some else np.int64(0))
    return low - 1075, high - 1075


@_inner
def _prefetch_rows(row, powers, limbs, width, tally):
    _prefetch(tally + 32 * row)
    for k in range(powers):
        _prefetch(limbs[k] + row * width[k])
        _prefetch(limbs[k] + row * width[k] + width[k] - 8)


@njit(
    types.void(_Given, _Given, types.int64, types.int64, _Powers, _Lows, _Grid),
    nogil=True,
    cache=True,
)
def add_grouped(
    codes: Any, bits: Any, kind: Any, powers: Any, limbs: Any, low: Any, counts: Any
) -> None:
    """Add each of n values, given as bits, to the limbs of its group; to none if that is negative.

    ``kind`` says what the bits are: 0 for float64, 1 for int64, 2 for uint64. ``limbs`` has for
    each power the shape (groups, any), begins at limb ``low``, and is wide enough for the values.
    ``counts`` is as for :func:`add_columns`.
    """
    n = codes.size
    start = _places(limbs, (0, 0, 0, 0), 0)
    unit = _places(limbs, low, 0)
    a, b, c, d = limbs
    width = (8 * a.shape[1], 8 * b.shape[1], 8 * c.shape[1], 8 * d.shape[1])
    scattered = counts.shape[0] > CACHED
    for i in range(n):
        if scattered and i + AHEAD < n and codes[i + AHEAD] >= 0:
            _prefetch_rows(codes[i + AHEAD], powers, start, width, counts.ctypes.data)
        row = codes[i]
        if row < 0:
            continue
        value = bits[i]
        sign = value >> 63 if kind < 2 else 0
        m, e = np.uint64((value ^ sign) - sign), 0
        if kind == 0:
            if value & MASK >= INFINITE:
                _count(value, counts[row])
                continue
            m, e = _mantissa(value), _exponent(value)
        counts[row, 0] += 1
        if m:
            to = (
                unit[0] + row * width[0],
                unit[1] + row * width[1],
                unit[2] + row * width[2],
                unit[3] + row * width[3],
            )
            _put_powers(m, e, sign, powers, to)
