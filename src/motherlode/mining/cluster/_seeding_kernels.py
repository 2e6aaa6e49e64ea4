"""Compiled kernels that choose where k-means starts; imported only when it does."""

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True)
def mixed(code: Any) -> Any:
    """Return 64 bits of which each depends on all bits given (the finaliser of SplitMix64)."""
    code ^= code >> np.uint64(30)
    code *= np.uint64(0xBF58476D1CE4E5B9)
    code ^= code >> np.uint64(27)
    code *= np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))


@njit(nogil=True)
def word(value: Any) -> Any:
    """Return the bits of a number, those of -0.0 as of 0.0.

    Round numbers have zeros at the end, which products would keep: so the front is put there.
    """
    bits = np.float64(value + 0.0).view(np.uint64)
    return bits ^ (bits >> np.uint64(32))


@njit(nogil=True, cache=True)
def hash_rows(rows: Any, factors: Any, hashes: Any) -> None:
    """Hash rows by what they hold: equal rows have equal hashes.

    Parameters
    ----------
    rows : float array, shape (n, d)
        The rows.
    factors : uint64 array, shape (d,)
        Odd random numbers. The hash is linear in the bits before it is mixed, so that zeros add
        nothing and sparse rows hash as dense ones.
    hashes : uint64 array, shape (n,)
        Filled.
    """
    for i in range(len(rows)):
        code = np.uint64(0)
        for j in range(rows.shape[1]):
            code += word(rows[i, j]) * factors[j]
        hashes[i] = mixed(code)


@njit(nogil=True, cache=True)
def look(rows: Any, lows: Any, highs: Any) -> Any:
    """Update the least and the largest value of each feature.

    Parameters
    ----------
    rows : float array, shape (n, d)
        The rows.
    lows, highs : float64 arrays, shape (d,)
        Updated.

    Returns
    -------
    int
        The first row that holds a number which is not finite, or -1.
    """
    for i in range(len(rows)):
        nothing = 0.0
        for j in range(rows.shape[1]):
            value = np.float64(rows[i, j]) + 0.0
            nothing += value - value
            lows[j] = min(lows[j], value)
            highs[j] = max(highs[j], value)
        if nothing != 0.0:
            return i
    return -1


@njit(nogil=True)
def _gap(a: Any, b: Any) -> Any:
    total = 0.0
    for j in range(len(a)):
        total += (a[j] - b[j]) ** 2
    return total


@njit(nogil=True)
def _drawn(mass: Any, chance: Any) -> Any:
    """Return a place drawn with probabilities proportional to ``mass``; -1 if that is all zero."""
    total = 0.0
    last = -1
    for i in range(len(mass)):
        total += mass[i]
        if mass[i] > 0.0:
            last = i
    aim = chance * total
    running = 0.0
    for i in range(len(mass)):
        running += mass[i]
        if mass[i] > 0.0 and running > aim:
            return i
    return last


@njit(nogil=True, cache=True)
def spread_out(points: Any, weights: Any, chances: Any, chosen: Any) -> Any:
    """Choose points far from each other: greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each next point is the best of a few, drawn with probabilities proportional to their weight
    times their squared distance from those chosen.

    Parameters
    ----------
    points : float64 array, shape (m, d)
        What there is to choose from.
    weights : float64 array, shape (m,)
        How many rows each stands for.
    chances : float64 array, shape (k, trials)
        Random numbers in [0, 1).
    chosen : int64 array, shape (k,)
        Filled with the places of the chosen points.

    Returns
    -------
    int
        How many were chosen: fewer than k where fewer points differ.
    """
    size, trials = len(points), chances.shape[1]
    gaps, mass = np.full(size, np.inf), weights.copy()
    tried, best = np.empty(size), np.empty(size)
    for c in range(len(chosen)):
        least, choice = np.inf, -1
        for t in range(1 if c == 0 else trials):
            place = _drawn(mass, chances[c, t])
            if place < 0:
                return c
            potential = 0.0
            for i in range(size):
                tried[i] = min(gaps[i], _gap(points[i], points[place]))
                potential += weights[i] * tried[i]
            if choice < 0 or potential < least:
                least, choice = potential, place
                best, tried = tried, best
        chosen[c] = choice
        for i in range(size):
            gaps[i] = best[i]
            mass[i] = weights[i] * gaps[i]
    return len(chosen)
