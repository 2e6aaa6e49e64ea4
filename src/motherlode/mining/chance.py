"""Chance that can be repeated: random numbers that follow from a row's place alone.

A number depends on the seed, on what it is drawn for, and on the row's split and its position
there; not on batches, workers or what was drawn before.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.hashing import hash_rows


def words(
    seed: int, purpose: str, split: int = 0, start: int = 0, count: int = 1
) -> NDArray[np.uint64]:
    """Return 64 random bits a row.

    Parameters
    ----------
    seed : int
        The user's seed.
    purpose : str
        What the bits decide; decisions of different purposes are independent.
    split : int
        Number of the split.
    start, count : int
        The rows' positions in it: ``start`` to ``start + count - 1``.

    Returns
    -------
    ndarray of shape (count,), uint64

    Examples
    --------
    >>> bool((words(7, "coin", 0, 100, 5) == words(7, "coin", 0, 90, 15)[10:]).all())
    True
    """
    stream = hash_rows([pa.array([f"{seed}/{purpose}/{split}"])])
    return hash_rows([pa.array(np.arange(start, start + count))], int(stream[0]))


def uniform(
    seed: int, purpose: str, split: int = 0, start: int = 0, count: int = 1
) -> NDArray[np.float64]:
    """Return a random number in [0, 1) for each row; as :func:`words`."""
    drawn = words(seed, purpose, split, start, count)
    return np.asarray((drawn >> np.uint64(11)) * 2.0**-53, dtype=np.float64)
