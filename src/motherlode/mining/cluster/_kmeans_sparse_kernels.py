"""Compiled kernels of k-means on rows of which most entries are zero (CSR).

The centres are kept feature by feature, so that a row's entry meets all centres at once. As for
dense rows, sums are the same in any order of the rows.
"""

from typing import Any

import numpy as np
from numba import njit

from motherlode.mining.cluster._kmeans_kernels import FUSED, ROOM, _round_off, flush
from motherlode.mining.cluster._seeding_kernels import mixed, word


@njit(nogil=True, fastmath=FUSED)
def _closest(
    data: Any, indices: Any, first: Any, stop: Any, turned: Any, half: Any, dots: Any
) -> Any:
    """Return the centre nearest to a row; ``dots`` is left with half distances less the row's."""
    for c in range(len(half)):
        dots[c] = half[c]
    for p in range(first, stop):
        value, center = data[p], turned[indices[p]]
        for c in range(len(half)):
            dots[c] -= value * center[c]
    nearest = 0
    for c in range(1, len(half)):
        if dots[c] < dots[nearest]:
            nearest = c
    return nearest


@njit(nogil=True, fastmath=FUSED)
def _square(data: Any, first: Any, stop: Any) -> Any:
    total = 0.0
    for p in range(first, stop):
        total += data[p] * data[p]
    return total


@njit(nogil=True, cache=True, fastmath=FUSED)
def assign(
    data: Any, indices: Any, indptr: Any, turned: Any, half: Any, labels: Any, gaps: Any
) -> None:
    """Find the nearest centre of each row and the squared distance to it.

    Parameters
    ----------
    data, indices, indptr : arrays
        The rows in CSR form; data are float64.
    turned : float64 array, shape (d, k)
        The centres.
    half : float64 array, shape (k,)
        Half their squared lengths.
    labels : int32 array, shape (n,)
        Filled with the nearest centre, the first of equally near ones.
    gaps : float64 array, shape (n,) or (0,)
        Filled with the squared distance, where it is asked for.
    """
    dots = np.empty(len(half))
    for i in range(len(indptr) - 1):
        first, stop = indptr[i], indptr[i + 1]
        c = _closest(data, indices, first, stop, turned, half, dots)
        labels[i] = c
        if len(gaps):
            gaps[i] = max(_square(data, first, stop) + 2.0 * dots[c], 0.0)


@njit(nogil=True, cache=True, fastmath=FUSED)
def gather(
    data: Any,
    indices: Any,
    indptr: Any,
    weights: Any,
    turned: Any,
    half: Any,
    steps: Any,
    limbs: Any,
    close: Any,
) -> None:
    """Add each row to its nearest centre's sums, as for dense rows but without a shift."""
    k, d = len(half), len(turned)
    dots = np.empty(k)
    part = np.zeros((k, d + 2))
    for i in range(len(indptr) - 1):
        first, stop = indptr[i], indptr[i + 1]
        c = _closest(data, indices, first, stop, turned, half, dots)
        weight = weights[i] if len(weights) else 1.0
        for p in range(first, stop):
            j = indices[p]
            part[c, j] += _round_off(weight * data[p], steps[j])
        part[c, d] += _round_off(weight, steps[d])
        if close:
            gap = weight * max(_square(data, first, stop) + 2.0 * dots[c], 0.0)
            part[c, d + 1] += _round_off(gap, steps[d + 1])
        if i % ROOM == ROOM - 1:
            flush(part, steps, limbs)
    flush(part, steps, limbs)


@njit(nogil=True, cache=True)
def look(data: Any, indices: Any, indptr: Any, lows: Any, highs: Any) -> Any:
    """Update the least and the largest value of each feature.

    Returns
    -------
    int
        The first row that holds a number which is not finite, or -1.
    float
        The largest squared length of a row.
    """
    longest = 0.0
    for i in range(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            if not np.isfinite(data[p]):
                return i, longest
            j = indices[p]
            lows[j] = min(lows[j], data[p])
            highs[j] = max(highs[j], data[p])
        longest = max(longest, _square(data, indptr[i], indptr[i + 1]))
    return -1, longest


@njit(nogil=True, cache=True)
def hash_rows(data: Any, indices: Any, indptr: Any, factors: Any, hashes: Any) -> None:
    """Hash rows by what they hold, as dense rows are."""
    for i in range(len(indptr) - 1):
        code = np.uint64(0)
        for p in range(indptr[i], indptr[i + 1]):
            code += word(data[p]) * factors[indices[p]]
        hashes[i] = mixed(code)
