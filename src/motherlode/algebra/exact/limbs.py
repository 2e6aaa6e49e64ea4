"""Numbers as rows of limbs: kept, carried, added up, and rounded to floats at the very end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motherlode.core.errors import UsageError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROOM = 1 << 30  # additions of less than 2**32 that leave a limb below 2**62
PIECE = 1 << 28  # values that a kernel takes at once, each adding to a limb at most three times


def taller(array: Ints, rows: int) -> Ints:
    """Return an array with at least so many rows, the new ones zero; growth is amortised."""
    if rows <= len(array):
        return array
    taller = np.zeros((max(rows, len(array) * 3 // 2), array.shape[1]), np.int64)
    taller[: len(array)] = array
    return taller


def chosen(array: Ints, indices: Ints) -> Ints:
    """Return these rows, zeros for -1."""
    chosen = np.zeros((len(indices), array.shape[1]), np.int64)
    there = indices >= 0
    chosen[there] = array[indices[there]]
    return chosen


def _carry(limbs: Ints, half: int) -> None:
    """Bring all limbs but the last into [-half, 2**32 - half)."""
    rows = max(1, (1 << 15) // max(1, limbs.shape[1]))  # what the second-level cache holds
    for start in range(0, len(limbs), rows):
        part = limbs[start : start + rows].T
        for j in range(len(part) - 1):
            carry = (part[j] + half) >> 32
            part[j] -= carry << 32
            part[j + 1] += carry


class Limbs:
    """Exact numbers, one a row: ``limbs[g, j]`` weighs ``2**(32 * (low + j))``.

    ``load`` bounds the size of every limb, in units of 2**32. ``store`` may have rows to spare,
    which are zero.
    """

    __slots__ = ("load", "low", "rows", "store")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.store: Ints = np.zeros((rows, 0), np.int64)
        self.low = 0
        self.load = 0

    @property
    def limbs(self) -> Ints:
        return self.store[: self.rows]

    def window(self, low: int, high: int, additions: int) -> Ints:
        """Make room for so many additions to limbs ``low`` to ``high``; return these limbs."""
        if self.load + additions > ROOM:
            self.settle()
        self.load += additions
        width = self.store.shape[1]
        first, last = (min(low, self.low), max(high, self.low + width)) if width else (low, high)
        if last - first > width:
            wider = np.zeros((len(self.store), last - first), np.int64)
            wider[:, self.low - first : self.low - first + width] = self.store
            self.store = wider
        self.low = first
        return self.limbs[:, low - first : high - first]

    def settle(self) -> None:
        """Carry, and keep only the limbs in use."""
        width = self.store.shape[1]
        limbs = np.zeros((self.rows, width + 2), np.int64)
        limbs[:, :width] = self.limbs
        _carry(limbs, 1 << 31)
        self.store = limbs
        self.load = 1
        self._trim()

    def _trim(self) -> None:
        used = np.flatnonzero(self.store.any(axis=0))
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        self.store = np.ascontiguousarray(self.store[:, first:last])
        self.low = self.low + first if used.size else 0

    def combine(self, other: Limbs, sign: int) -> None:
        """Add ``other``, or subtract it."""
        if self.load + other.load > ROOM:
            self.settle()
        if self.load + other.load > ROOM:
            other = other._settled()
        theirs = other.limbs
        if theirs.shape[1]:
            mine = self.window(other.low, other.low + theirs.shape[1], other.load)
            (np.add if sign > 0 else np.subtract)(mine, theirs, out=mine)

    def take(self, indices: Ints) -> Limbs:
        """Return the rows with these numbers, zero for -1."""
        taken = Limbs(len(indices))
        taken.store = chosen(self.limbs, indices)
        taken.low, taken.load = self.low, self.load
        return taken

    def _settled(self) -> Limbs:
        settled = self.take(np.arange(self.rows))
        settled.settle()
        return settled

    def export(self) -> dict[str, Any]:
        """Return sign and magnitude, with only the limbs in use."""
        settled = self._settled()
        sign = np.zeros(self.rows, np.int64)
        for column in settled.store.T:
            np.copyto(sign, np.sign(column), where=column != 0)
        settled.store *= sign[:, None]
        _carry(settled.store, 0)
        settled._trim()
        digits = settled.store.astype(np.uint32)
        return {"low": settled.low, "sign": sign.astype(np.int8), "digits": digits}

    @classmethod
    def load_from(cls, exported: Mapping[str, Any]) -> Limbs:
        limbs = cls(len(exported["sign"]))
        limbs.store = np.multiply(exported["digits"], exported["sign"][:, None], dtype=np.int64)
        limbs.store = np.ascontiguousarray(limbs.store)
        limbs.low, limbs.load = int(exported["low"]), 1
        return limbs

    def integers(self) -> tuple[list[int], int]:
        """Return whole numbers, and the power of two that they are multiples of."""
        exported = self.export()
        digits = exported["digits"].astype("<u4")
        data, step = digits.tobytes(), 4 * digits.shape[1]
        signs = exported["sign"].tolist()
        numbers = [
            sign * int.from_bytes(data[step * g : step * (g + 1)], "little")
            for g, sign in enumerate(signs)
        ]
        return numbers, 32 * exported["low"]


def rounded(above: int, below: int, exponent: int) -> float:
    """Return ``above / below * 2**exponent``, rounded once to nearest even, ±inf if too large."""
    if exponent > 0:
        above <<= exponent
    else:
        below <<= -exponent
    try:
        return above / below  # Python rounds the quotient of integers correctly
    except OverflowError:
        return math.inf if above > 0 else -math.inf


def rounded_root(above: int, below: int, exponent: int) -> float:
    """Return ``sqrt(above / below * 2**exponent)``, rounded once to nearest even."""
    above <<= exponent & 1
    shift = max(0, 130 + below.bit_length() - above.bit_length()) // 2
    quotient, rest = divmod(above << 2 * shift, below)
    root = math.isqrt(quotient)
    # A last bit that says whether anything was cut off stands for all of it.
    inexact = rest != 0 or root * root != quotient
    return rounded(root << 1 | inexact, 1, (exponent >> 1) - shift - 1)


def checked(values: ArrayLike, dimensions: tuple[int, ...]) -> NDArray[Any]:
    """Return values as an array of numbers of one of these dimensions, or raise."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise UsageError(f"cannot add exactly values of type {array.dtype}", "cast to float64")
    if array.ndim not in dimensions:
        raise UsageError(f"values must have {dimensions} dimensions, got {array.ndim}")
    return array


def ready(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """Return the array as a kernel takes it, without a copy where it can be."""
    return np.require(array, dtype, ["C", "A"])


def inexact(array: NDArray[Any]) -> bool:
    """Tell whether there are integers that float64 rounds."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or not array.size:
        return False
    return max(int(array.max()), -int(array.min())) > 1 << 53


def masked(valid: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of this shape, or raise."""
    mask = np.asarray(valid)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise UsageError(
            f"valid must be booleans of shape {shape}, got {mask.dtype} of shape {mask.shape}"
        )
    return mask
