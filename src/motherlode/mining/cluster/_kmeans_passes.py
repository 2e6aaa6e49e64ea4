"""The passes of k-means over the rows, each a summary.

None of them depends on how the rows are cut or ordered: sums do not round, and rows are drawn by
what they hold. Rows that are equal are drawn, or not, as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch
from motherlode.mining import chance
from motherlode.mining.cluster._centers import (
    Centers,
    Clusters,
    Extent,
    Floats,
    Limbs,
    parts,
    settled,
)
from motherlode.mining.rows import Rows, fixed


@dataclass(slots=True)
class Sample:
    """Rows drawn: those of the least keys, in the order of their keys.

    Parameters
    ----------
    keys : ndarray of shape (m,), float64
        What decides.
    hashes : ndarray of shape (m,), uint64
        Hashes of the rows, which break ties; rows of one hash are one.
    points : ndarray of shape (m, d), float64
        The rows.
    """

    keys: Floats
    hashes: NDArray[np.uint64]
    points: Floats

    @classmethod
    def empty(cls, width: int) -> Sample:
        return cls(np.empty(0), np.empty(0, np.uint64), np.empty((0, width)))

    def joined(self, other: Sample, size: int) -> Sample:
        """Return the least of both."""
        keys = np.concatenate([self.keys, other.keys])
        hashes = np.concatenate([self.hashes, other.hashes])
        order = _least(keys, hashes, size)
        points = np.concatenate([self.points, other.points])
        return Sample(keys[order], hashes[order], points[order])

    def offered(self, keys: Floats, hashes: NDArray[np.uint64], block: Any, size: int) -> Sample:
        """Return the least of these rows and a block's; infinite keys are never drawn."""
        bound = self.keys[-1] if size and len(self.keys) == size else np.inf
        rows = np.flatnonzero((keys <= bound) & (keys < np.inf))
        if not size or not len(rows):
            return self
        rows = rows[_least(keys[rows], hashes[rows], size)]
        points = block[rows] if isinstance(block, np.ndarray) else block[rows].toarray()
        fresh = Sample(keys[rows], hashes[rows], points.astype(np.float64) + 0.0)
        return self.joined(fresh, size)

    def export(self) -> dict[str, Any]:
        return {"keys": self.keys, "hashes": self.hashes, "points": self.points}

    @classmethod
    def load(cls, exported: Any) -> Sample:
        return cls(*(np.array(exported[name]) for name in ("keys", "hashes", "points")))


@dataclass(slots=True)
class Overview:
    """What the first pass finds: how many rows there are, how far they reach, and a sample."""

    rows: int
    extent: Extent
    sample: Sample


class _Drawing(Summary[Any, Any]):
    """A pass that draws rows by what they hold."""

    def __init__(self, rows: Rows, size: int, seed: int, sparse: bool) -> None:
        self.rows = rows
        self.size = size
        self.seed = seed
        self.sparse = sparse

    def needs(self) -> tuple[str, ...]:
        return self.rows.needs()

    @cached_property
    def _factors(self) -> NDArray[np.uint64]:
        return chance.words(self.seed, "rows", count=self.rows.width) | np.uint64(1)

    def _hashes(self, block: Any) -> NDArray[np.uint64]:
        hashes = np.empty(block.shape[0], np.uint64)
        if self.sparse:
            from motherlode.mining.cluster import _kmeans_sparse_kernels as sparse

            sparse.hash_rows(*parts(block), self._factors, hashes)
        else:
            from motherlode.mining.cluster import _seeding_kernels as dense

            dense.hash_rows(fixed(block), self._factors, hashes)
        return hashes


class Survey(_Drawing):
    """The first pass: how far the rows reach, and a sample of the different rows.

    Parameters
    ----------
    rows : Rows
        Where the features are.
    size : int
        Rows to draw.
    seed : int
        What the draw depends on.
    sparse : bool
        Whether the rows come as CSR.
    """

    traits: ClassVar[Traits] = Traits("exact", "extent and a sample of the rows")

    def zero(self) -> Overview:
        width = self.rows.width
        longest = 0.0 if self.sparse else np.inf
        extent = Extent(np.full(width, np.inf), np.full(width, -np.inf), longest, 0.0)
        return Overview(0, extent, Sample.empty(width))

    def update(self, state: Overview, batch: Batch) -> Overview:
        if not len(batch):
            return state
        block = self.rows.block(batch)
        lows, highs = state.extent.lows, state.extent.highs
        longest = np.inf
        if self.sparse:
            from motherlode.mining.cluster import _kmeans_sparse_kernels as sparse

            np.minimum(lows, 0.0, out=lows)
            np.maximum(highs, 0.0, out=highs)
            wrong, longest = sparse.look(*parts(block), lows, highs)
            longest = max(longest, state.extent.longest)
        else:
            from motherlode.mining.cluster import _seeding_kernels as dense

            wrong = dense.look(fixed(block), lows, highs)
        if wrong >= 0:
            self.rows.refuse(batch, wrong)
        heaviest = 1.0 if batch.weights is None else float(batch.weights.max())
        extent = Extent(lows, highs, longest, max(heaviest, state.extent.heaviest))
        sample = state.sample
        if self.size:
            hashes = self._hashes(block)
            sample = sample.offered(_present(_share(hashes), batch), hashes, block, self.size)
        return Overview(state.rows + len(batch), extent, sample)

    def merge(self, left: Overview, right: Overview) -> Overview:
        mine, other = left.extent, right.extent
        extent = Extent(
            np.minimum(mine.lows, other.lows, out=mine.lows),
            np.maximum(mine.highs, other.highs, out=mine.highs),
            max(mine.longest, other.longest),
            max(mine.heaviest, other.heaviest),
        )
        sample = left.sample.joined(right.sample, self.size)
        return Overview(left.rows + right.rows, extent, sample)

    def finish(self, state: Overview) -> Overview:
        extent = state.extent
        extent = Extent(extent.lows.copy(), extent.highs.copy(), extent.longest, extent.heaviest)
        return Overview(state.rows, extent, state.sample)

    def export(self, state: Overview) -> Any:
        extent = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in state.extent.export().items()
        }
        return {"rows": state.rows, "extent": extent, "sample": state.sample.export()}

    def load(self, exported: Any) -> Overview:
        known = exported["extent"]
        lows, highs = np.array(known["lows"]), np.array(known["highs"])
        extent = Extent(lows, highs, known["longest"], known["heaviest"])
        return Overview(int(exported["rows"]), extent, Sample.load(exported["sample"]))


class Draw(_Drawing):
    """Draws rows that are far from the centres.

    Parameters
    ----------
    rows : Rows
        Where the features are.
    centers : ndarray of shape (k, d), float64
        The centres so far.
    size : int
        Rows to draw.
    seed : int
        What the draw depends on.
    sparse : bool
        Whether the rows come as CSR.
    farthest : bool
        Whether simply the farthest are taken.
    """

    traits: ClassVar[Traits] = Traits("exact", "a sample of rows by squared distance")

    def __init__(
        self, rows: Rows, centers: Floats, size: int, seed: int, sparse: bool, farthest: bool
    ) -> None:
        super().__init__(rows, size, seed, sparse)
        self.centers = centers
        self.farthest = farthest
        self._ready = Centers(centers, sparse)

    def zero(self) -> Sample:
        return Sample.empty(self.rows.width)

    def update(self, state: Sample, batch: Batch) -> Sample:
        block = self.rows.block(batch)
        _, gaps = self._ready.assign(block, gaps=True)
        hashes = self._hashes(block)
        # A row is drawn if its random number is below its squared distance times some factor,
        # as in k-means||; the factor is the one that gives the size asked for (sequential
        # Poisson sampling), so that no pass is needed to know the total.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            keys = -gaps if self.farthest else _share(hashes) / gaps
        return state.offered(
            _present(np.where(gaps > 0.0, keys, np.inf), batch), hashes, block, self.size
        )

    def merge(self, left: Sample, right: Sample) -> Sample:
        return left.joined(right, self.size)

    def finish(self, state: Sample) -> Sample:
        return state

    def export(self, state: Sample) -> Any:
        return state.export()

    def load(self, exported: Any) -> Sample:
        return Sample.load(exported)


class Gather(Summary[Limbs, Clusters]):
    """Sums of the rows nearest to each centre: one step of Lloyd's algorithm.

    Parameters
    ----------
    rows : Rows
        Where the features are.
    centers : ndarray of shape (k, d), float64
        The centres.
    extent : Extent
        How far the rows reach.
    sparse : bool
        Whether the rows come as CSR.
    close : bool
        Whether the squared distances are summed too.
    """

    traits: ClassVar[Traits] = Traits("exact", "sums of the rows of each cluster")

    def __init__(
        self, rows: Rows, centers: Floats, extent: Extent, sparse: bool, close: bool
    ) -> None:
        self.rows = rows
        self.centers = centers
        self.extent = extent
        self.sparse = sparse
        self.close = close
        self._ready = Centers(centers, sparse)
        self._steps = self._ready.steps(extent)

    def needs(self) -> tuple[str, ...]:
        return self.rows.needs()

    def zero(self) -> Limbs:
        return self._ready.nothing()

    def update(self, state: Limbs, batch: Batch) -> Limbs:
        block = self.rows.block(batch)
        self._ready.gather(block, batch.weights, self._steps, state, self.close)
        return state

    def merge(self, left: Limbs, right: Limbs) -> Limbs:
        left += right
        return left

    def finish(self, state: Limbs) -> Clusters:
        return self._ready.clusters(state, self._steps, self.close)

    def export(self, state: Limbs) -> Any:
        return settled(state[:, : len(self.centers)])

    def load(self, exported: Any) -> Limbs:
        state = self.zero()
        state[:, : len(self.centers)] = exported
        return state


def _least(keys: Floats, hashes: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Return the places of the least keys in order, of equal rows the first."""
    places = np.arange(len(keys))
    if len(keys) > 4 * size > 0:
        places = np.flatnonzero(keys <= np.partition(keys, size - 1)[size - 1])
    order = places[np.lexsort((hashes[places], keys[places]))]
    again = (keys[order][1:] == keys[order][:-1]) & (hashes[order][1:] == hashes[order][:-1])
    unique = np.concatenate([order[:1], order[1:][~again]])
    if len(unique) < size and len(places) < len(keys):
        # Equal rows took the places of others: look at all of them, each row once.
        _, first = np.unique(hashes, return_index=True)
        unique = first[np.lexsort((hashes[first], keys[first]))]
    return unique[:size]


def _share(hashes: NDArray[np.uint64]) -> Floats:
    """Return a random number above 0 and up to 1 for each hash."""
    return np.asarray(((hashes >> np.uint64(11)) + np.uint64(1)) * 2.0**-53, dtype=np.float64)


def _present(keys: Floats, batch: Batch) -> Floats:
    """Return the keys, infinite for rows that weigh nothing."""
    return keys if batch.weights is None else np.where(batch.weights > 0.0, keys, np.inf)
