"""Compiled kernels of the statistics; imported only when rows are to be counted."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # publishes no types
from numba import njit, types
from numba.extending import intrinsic

ONE = np.uint64(1)


@intrinsic
def _leading_zeros(typing: Any, word: Any) -> Any:
    """Return how many zeros a uint64 begins with; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@njit(nogil=True, cache=True)
def insert(table: Any, count: Any, limit: Any, hashes: Any, start: Any) -> Any:
    """Put hashes into an open-addressing table until it holds ``limit``.

    Parameters
    ----------
    table : ndarray of uint64
        Its size is a power of two; 0 is an empty place, so the hash 0 is kept as 1.
    count, limit : int
        How many it holds, and may hold.
    hashes : ndarray of uint64
        What is put in, from ``start`` on.

    Returns
    -------
    tuple of int
        How many it holds, and which hash comes next.
    """
    mask = np.uint64(len(table) - 1)
    for i in range(start, len(hashes)):
        code = hashes[i]
        if code == 0:
            code = ONE
        place = code & mask
        while table[place] != 0 and table[place] != code:
            place = (place + ONE) & mask
        if table[place] == 0:
            if count == limit:
                return count, i
            table[place] = code
            count += 1
    return count, len(hashes)


@njit(nogil=True, cache=True)
def register(registers: Any, precision: Any, hashes: Any) -> None:
    """Raise each hash's register to the place of the first one after its index bits."""
    shift = np.uint64(64 - precision)
    end = ONE << np.uint64(precision - 1)  # stops the count where no bit is left
    for i in range(len(hashes)):
        code = hashes[i]
        if code == 0:
            code = ONE
        rest = (code << np.uint64(precision)) | end
        rank = _leading_zeros(rest) + 1  # type: ignore[call-arg] # an intrinsic
        index = code >> shift
        if rank > registers[index]:
            registers[index] = rank


@njit(nogil=True, cache=True)
def count_bins(values: Any, edges: Any, scale: Any, counts: Any) -> Any:
    """Count values into bins ``[edges[i], edges[i + 1])``, the last one closed.

    Parameters
    ----------
    values : ndarray of float64
        NaN among them are counted apart.
    edges : ndarray of float64, shape (n_bins + 1,)
        Rising.
    scale : float
        Bins a unit where the edges are evenly spaced, to guess the bin; 0 where they are not,
        and the bin is found by bisection.
    counts : ndarray of int64, shape (n_bins,)
        Added to.

    Returns
    -------
    tuple of int
        How many were below the first edge, above the last, and NaN.
    """
    bins = len(counts)
    low, high = edges[0], edges[bins]
    below = above = missing = 0
    for i in range(len(values)):
        value = values[i]
        if not low <= value <= high:
            if value < low:
                below += 1
            elif value > high:
                above += 1
            else:
                missing += 1
            continue
        if scale > 0.0:
            at = min(int((value - low) * scale), bins - 1)
            while value < edges[at]:
                at -= 1
            while at < bins - 1 and value >= edges[at + 1]:
                at += 1
        else:
            at, stop = 0, bins
            while stop - at > 1:
                middle = (at + stop) // 2
                if value >= edges[middle]:
                    at = middle
                else:
                    stop = middle
        counts[at] += 1
    return below, above, missing
