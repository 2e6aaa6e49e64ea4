"""Compiled kernels that count what each class looks like."""

from typing import Any

import numpy as np
from numba import njit

WHOLE, FRACTION, NEGATIVE, MISSING = 0, 1, 2, 3
"""What a block holds at worst."""
LARGE = 2.0**31


@njit(nogil=True, cache=True)
def add_rows(rows: Any, groups: Any, totals: Any) -> Any:
    """Add each row to the totals of its group.

    Parameters
    ----------
    rows : float array, shape (n, d)
        The rows.
    groups : int64 array, shape (n,)
        Their groups.
    totals : float64 array, shape (groups, d)
        Added to; of no use unless all numbers are whole, not negative and below ``LARGE``.

    Returns
    -------
    int
        What the rows hold.
    int
        The first row that holds it, or -1.
    """
    fractions = 0
    for i in range(len(rows)):
        row, total = rows[i], totals[groups[i]]
        uneven, nothing, least, most = 0.0, 0.0, 0.0, 0.0
        for j in range(len(row)):
            value = np.float64(row[j])
            total[j] += value
            nothing += value - value
            uneven += np.abs(value - np.floor(value))
            least = min(least, value)
            most = max(most, value)
        if nothing != 0.0:
            return MISSING, i
        if least < 0.0:
            return NEGATIVE, i
        if uneven != 0.0 or most >= LARGE:
            fractions += 1
    return (FRACTION if fractions else WHOLE), -1


@njit(nogil=True, cache=True)
def add_sparse(data: Any, indices: Any, indptr: Any, groups: Any, totals: Any) -> Any:
    """Add each row to the totals of its group; as :func:`add_rows`, of CSR rows."""
    fractions = 0
    for i in range(len(indptr) - 1):
        total = totals[groups[i]]
        for p in range(indptr[i], indptr[i + 1]):
            value = np.float64(data[p])
            if not value >= 0.0 or value >= LARGE or value != np.floor(value):
                if not np.isfinite(value):
                    return MISSING, i
                if value < 0.0:
                    return NEGATIVE, i
                fractions += 1
            total[indices[p]] += value
    return (FRACTION if fractions else WHOLE), -1


@njit(nogil=True, cache=True)
def regroup(rows: Any, groups: Any, starts: Any, sizes: Any, columns: Any) -> Any:
    """Write the rows column by column, each group on its own.

    Parameters
    ----------
    rows : float array, shape (n, d)
        The rows.
    groups : int64 array, shape (n,)
        Their groups.
    starts, sizes : int64 arrays, shape (groups,)
        Where in ``columns`` a group begins, and how long its columns are.
    columns : float64 array, shape (any,)
        Filled with one matrix of shape (d, size) for each group, to be zeros at first where there
        are fewer rows than the size.

    Returns
    -------
    int
        The first row that holds a number which is not finite, or -1.
    """
    places = np.zeros(len(starts), np.int64)
    for i in range(len(rows)):
        g = groups[i]
        size, at = sizes[g], starts[g] + places[g]
        places[g] += 1
        nothing = 0.0
        for j in range(rows.shape[1]):
            value = np.float64(rows[i, j])
            nothing += value - value
            columns[at + j * size] = value
        if nothing != 0.0:
            return i
    return -1


@njit(nogil=True)
def _product(a: Any, b: Any) -> Any:
    """Return a product rounded, and what was rounded off (Dekker 1971)."""
    splitter = 134217729.0
    high = a * b
    scaled = splitter * a
    a1 = scaled - (scaled - a)
    scaled = splitter * b
    b1 = scaled - (scaled - b)
    a2, b2 = a - a1, b - b1
    return high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2


@njit(nogil=True, cache=True)
def weigh(values: Any, weights: Any, first: Any, second: Any) -> None:
    """Fill in weighted values and squares, as numbers whose sums they are.

    Parameters
    ----------
    values, weights : float64 arrays, shape (d, n)
        The values, a row a feature, and their weights.
    first : float64 array, shape (2, d, n)
        Parts of the weighted values, exactly.
    second : float64 array, shape (4, d, n)
        Parts of the weighted squares, to 100 bits or more.
    """
    for j in range(values.shape[0]):
        for i in range(values.shape[1]):
            x, w = values[j, i], weights[j, i]
            first[0, j, i], first[1, j, i] = _product(x, w)
            high, low = _product(x, x)
            second[0, j, i], second[1, j, i] = _product(high, w)
            second[2, j, i], second[3, j, i] = _product(low, w)
