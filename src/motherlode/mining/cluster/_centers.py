"""Centres, made ready once for the kernels that hold rows against them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motherlode.core.errors import DataError
from motherlode.mining.rows import fixed

Floats = NDArray[np.float64]
Limbs = NDArray[np.int64]

LARGEST = 1e140
"""Numbers beyond have squares, and sums of squares, that float64 does not hold."""
HEAVIEST = 1e20
FEW = 1_024
"""Rows of a sparse matrix that are made dense at a time."""
_NONE = np.empty(0)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the rows reach.

    Parameters
    ----------
    lows, highs : ndarray of shape (d,), float64
        Least and largest value of each feature.
    longest : float
        Largest squared length of a row; infinite where it is not known.
    heaviest : float
        Largest weight of a row.
    """

    lows: Floats
    highs: Floats
    longest: float
    heaviest: float

    def check(self) -> None:
        """Raise :class:`DataError` if squared distances would be beyond float64."""
        largest = max(float(self.highs.max()), -float(self.lows.min()))
        if largest > LARGEST:
            raise DataError(
                f"the rows hold numbers as large as {largest:.3g}",
                "scale the columns: squared distances are beyond float64",
            )
        if self.heaviest > HEAVIEST:
            raise DataError(
                f"a row weighs {self.heaviest:.3g}", "scale the weights: sums are beyond float64"
            )

    def export(self) -> dict[str, Any]:
        """Return plain data, of which ``Extent(**plain)`` is the same again."""
        return {
            "lows": self.lows,
            "highs": self.highs,
            "longest": self.longest,
            "heaviest": self.heaviest,
        }


@dataclass(frozen=True, slots=True)
class Clusters:
    """What one step over the rows gives.

    Parameters
    ----------
    centers : ndarray of shape (k, d), float64
        Means of the rows nearest to each centre; a centre without rows stays where it was.
    weights : ndarray of shape (k,), float64
        Weights of these rows.
    inertia : float
        Weighted sum of the squared distances to the nearest centres as they were.
    variance : float
        Mean of the features' variances; like ``inertia`` NaN where it was not asked for.
    """

    centers: Floats
    weights: Floats
    inertia: float
    variance: float


class Centers:
    """Points to which rows are assigned.

    Parameters
    ----------
    points : ndarray of shape (k, d), float64
        The centres.
    sparse : bool
        Whether the rows are CSR.
    """

    def __init__(self, points: Floats, sparse: bool = False) -> None:
        self.points = points
        self.sparse = sparse

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def shift(self) -> Floats:
        """What is taken off rows and centres before lengths are worked out.

        Distances do not change, but far from the origin they would drown in the squares of the
        coordinates. The numbers are such that float32 holds them too; zeros for CSR rows, which
        would no longer be sparse.
        """
        if self.sparse:
            return np.zeros(self.points.shape[1])
        limit = float(np.finfo(np.float32).max)
        middle = np.clip(self.points.mean(axis=0), -limit, limit)
        return np.asarray(middle.astype(np.float32), dtype=np.float64)

    def assign(self, block: Any, gaps: bool = False) -> tuple[NDArray[np.int32], Floats]:
        """Return the nearest centre of each row and, if asked for, the squared distances."""
        labels = np.empty(block.shape[0], np.int32)
        squares = np.empty(block.shape[0] if gaps else 0)
        if self.sparse:
            from motherlode.mining.cluster import _kmeans_sparse_kernels as sparse

            sparse.assign(*parts(block), *self._turned, labels, squares)
        else:
            from motherlode.mining.cluster import _kmeans_kernels as dense

            dense.assign(fixed(block), *self._ready(block.dtype), labels, squares)
        return labels, squares

    def distances(self, block: Any) -> NDArray[Any]:
        """Return the distances of rows to all centres, in the rows' precision.

        These are worked out from differences, which takes longer but has no cancellation.
        """
        from motherlode.mining.cluster import _kmeans_kernels as dense

        lengths = np.empty((block.shape[0], len(self)), block.dtype)
        for start in range(0, block.shape[0], FEW):
            rows = block[start : start + FEW]
            rows = rows.toarray() if self.sparse else rows
            dense.distances(fixed(rows), self.points, lengths[start : start + FEW])
        return lengths

    def nothing(self) -> Limbs:
        """Return the sums before any row: of the features, the weight and the squared distance.

        As ``limbs[0] + 2**32 * limbs[1]``, in units, of shape (k, d + 2).
        """
        return np.zeros((2, self._padded, self.points.shape[1] + 2), np.int64)

    def gather(
        self, block: Any, weights: Floats | None, steps: Floats, limbs: Limbs, close: bool
    ) -> None:
        """Add each row to the sums of its nearest centre; see :meth:`clusters`."""
        heavy = fixed(_NONE if weights is None else weights)
        if self.sparse:
            from motherlode.mining.cluster import _kmeans_sparse_kernels as sparse

            sparse.gather(*parts(block), heavy, *self._turned, steps, limbs, close)
        else:
            from motherlode.mining.cluster import _kmeans_kernels as dense

            dense.gather(fixed(block), heavy, *self._ready(block.dtype), steps, limbs, close)

    def steps(self, extent: Extent) -> Floats:
        """Return what rounds the numbers to be summed, such that their sums will not round."""
        reach = np.maximum(np.abs(extent.highs - self.shift), np.abs(extent.lows - self.shift))
        away = np.abs(self.points - self.shift).max(axis=0)
        length = np.sqrt(extent.longest) + np.sqrt((self.points * self.points).sum(axis=1)).max()
        gap = min(float(((reach + away) ** 2).sum()), float(length * length))
        largest = extent.heaviest * np.array([*reach, 1.0, gap])
        exponents = np.clip(np.frexp(largest)[1] + 1, -900, None)
        return np.asarray(1.5 * np.ldexp(1.0, exponents + 52 - 41), dtype=np.float64)

    def clusters(self, limbs: Limbs, steps: Floats, close: bool) -> Clusters:
        """Return what the sums say."""
        lower, upper = settled(limbs[:, : len(self)]).astype(np.float64)
        sums = (upper * 2.0**32 + lower) * (steps / (1.5 * 2.0**52))
        weights, gaps = sums[:, -2].copy(), sums[:, -1]
        held = weights > 0.0
        centers = self.points.copy()
        centers[held] = self.shift + sums[held, :-2] / weights[held, None]
        if not close:
            return Clusters(centers, weights, np.nan, np.nan)
        total = weights.sum()
        middle = (weights[:, None] * centers).sum(axis=0) / total if total else centers[0]
        # The squares around the middle, from those around each centre as it was.
        off = self.points - middle
        turned = sums[:, :-2] - weights[:, None] * (self.points - self.shift)
        scatter = gaps.sum() + (2.0 * off * turned + weights[:, None] * off * off).sum()
        variance = max(float(scatter), 0.0) / (total * len(middle)) if total else 0.0
        return Clusters(centers, weights, float(gaps.sum()), variance)

    @property
    def _padded(self) -> int:
        from motherlode.mining.cluster._kmeans_kernels import GROUP

        return len(self) if self.sparse else -(-len(self) // GROUP) * GROUP

    def _ready(self, kind: Any) -> tuple[Any, Any, Any]:
        """Return shift, negated shifted centres and half their squared lengths in a precision."""
        shifted = np.zeros((self._padded, self.points.shape[1]))
        shifted[: len(self)] = self.shift - self.points
        half = np.full(len(shifted), np.inf)
        half[: len(self)] = 0.5 * (shifted * shifted).sum(axis=1)[: len(self)]
        return self.shift.astype(kind), shifted.astype(kind), half.astype(kind)

    @cached_property
    def _turned(self) -> tuple[Floats, Floats]:
        half = 0.5 * (self.points * self.points).sum(axis=1)
        return np.ascontiguousarray(self.points.T), half


def settled(limbs: Limbs) -> Limbs:
    """Return sums in the one form in which lower halves are from 0 to 2**32 - 1."""
    lower, upper = limbs
    return np.stack([lower & 0xFFFFFFFF, upper + (lower >> 32)])


def parts(block: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return data, indices and row bounds of a CSR array."""
    data = block.data.astype(np.float64, copy=False)
    bounds = block.indptr.astype(np.int64, copy=False)
    return fixed(data), fixed(block.indices), fixed(bounds)
