"""How the features of a block of rows are summed by class, for each kind of naive Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError, UsageError
from motherlode.mining.folds import Folds
from motherlode.mining.naive_bayes._class_sums import ClassSums
from motherlode.mining.naive_bayes._counts import Counts, Floats, Ints, Moments
from motherlode.mining.rows import fixed

LARGEST = 1e150
"""Weighted values beyond have squares that float64 does not hold."""


class FeatureCounts(ClassSums):
    """Sums of each class's features, which must not be negative; see :class:`ClassSums`."""

    kind = Counts

    def add(self, sums: Counts, batch: Batch, groups: Ints) -> None:
        from motherlode.mining.naive_bayes import _counting_kernels as kernels

        block = weighed(self.prepared(batch), batch.weights)
        totals = np.zeros((sums.groups, sums.width))
        if self.sparse_:
            parts = fixed(block.data), fixed(block.indices), fixed(block.indptr)
            found, row = kernels.add_sparse(*parts, groups, totals)
        else:
            found, row = kernels.add_rows(fixed(block), groups, totals)
        if found == kernels.MISSING:
            self.rows_.refuse(batch, row)
        if found == kernels.NEGATIVE:
            raise DataError(
                f"Negative values in data passed to {self.owner} (input X): row "
                f"{batch.start + row} of split {batch.split}",
                "leave such rows out with filter, or use another classifier",
            )
        if found == kernels.WHOLE:
            sums.add_whole(totals)
        elif self.sparse_:
            owners = np.repeat(groups, np.diff(block.indptr))
            sums.add_cells(owners * sums.width + block.indices, block.data)
        else:
            for group, columns in regrouped(block, groups, sums.groups)[1]:
                sums.add_columns(group, columns)

    def prepared(self, batch: Batch) -> Any:
        """Return the features to be summed."""
        return self.rows_.block(batch)


class FeaturePresence(FeatureCounts):
    """Sums over each class's rows of whether a feature is above a threshold.

    Parameters
    ----------
    owner, features, target, classes, folds
        As of :class:`ClassSums`.
    binarize : float or None
        The threshold; None for features that are 0 or 1 already, which are summed as they are.
    """

    def __init__(
        self,
        owner: str,
        features: Sequence[str] | None = None,
        target: str | None = None,
        classes: Any = None,
        folds: Folds | None = None,
        binarize: float | None = 0.0,
    ) -> None:
        super().__init__(owner, features, target, classes, folds)
        self.binarize = binarize

    def prepared(self, batch: Batch) -> Any:
        block = self.rows_.block(batch)
        values = block.data if self.sparse_ else block
        if not np.isfinite(values).all():
            wrong = int(np.flatnonzero(~np.isfinite(values.ravel()))[0])
            row = wrong // block.shape[1]
            if self.sparse_:
                row = int(np.searchsorted(block.indptr, wrong, side="right")) - 1
            self.rows_.refuse(batch, row)
        return binarized(block, self.binarize)


class FeatureMoments(ClassSums):
    """Sums of each class's features and of their squares; see :class:`ClassSums`."""

    kind = Moments

    def prepare(self, schema: Schema) -> Self:
        ready = super().prepare(schema)
        if ready.sparse_:
            raise UsageError(
                f"{self.owner}: sparse rows have no normal distribution",
                "use MultinomialNB, BernoulliNB, or a dense matrix",
            )
        return ready

    def add(self, sums: Moments, batch: Batch, groups: Ints) -> None:
        block = self.rows_.block(batch)
        wrong, columns = regrouped(block, groups, sums.groups)
        if wrong >= 0:
            self.rows_.refuse(batch, wrong)
        if batch.weights is None:
            for group, values in columns:
                sums.add(group, values)
            return
        if np.abs(block).max() * max(1.0, batch.weights.max()) > LARGEST:
            raise DataError(
                f"{self.owner}: the rows hold numbers as large as {np.abs(block).max():.3g}",
                "scale the columns, or leave the weights out",
            )
        weights = regrouped(batch.weights[:, None], groups, sums.groups)[1]
        for (group, values), (_, heavy) in zip(columns, weights, strict=True):
            sums.add_weighted(group, values, np.repeat(heavy, sums.width, axis=0))


def weighed(block: Any, weights: Floats | None) -> Any:
    """Return a block with its rows multiplied by their weights."""
    if weights is None:
        return block
    if isinstance(block, np.ndarray):
        return block * weights[:, None]
    return type(block)(
        (block.data * np.repeat(weights, np.diff(block.indptr)), block.indices, block.indptr),
        shape=block.shape,
    )


def binarized(block: Any, threshold: float | None) -> Any:
    """Return a block of ones where it is above a threshold, and zeros elsewhere."""
    if threshold is None:
        return block
    if isinstance(block, np.ndarray):
        return (block > threshold).astype(np.float64)
    return type(block)(
        ((block.data > threshold).astype(np.float64), block.indices, block.indptr),
        shape=block.shape,
    )


def regrouped(block: Any, groups: Ints, count: int) -> tuple[int, list[tuple[int, Floats]]]:
    """Return the rows column by column, some groups of like size together.

    Parameters
    ----------
    block : array of shape (n, width)
        The rows.
    groups : ndarray of shape (n,), int64
        Their groups.
    count : int
        How many groups there are.

    Returns
    -------
    int
        The first row with a number that is not finite, or -1.
    list of (int, ndarray of shape (k * width, rows))
        A first group with the columns of this one and the next k - 1 groups, one group's after
        the other's. Shorter columns end with zeros.
    """
    from motherlode.mining.naive_bayes import _counting_kernels as kernels

    width = block.shape[1]
    rows = np.bincount(groups, minlength=count).tolist()
    sizes, bounds = np.zeros(count, np.int64), []
    first = 0
    while first < count:
        stop, most, total = first + 1, rows[first], rows[first]
        while stop < count and _alike(stop + 1 - first, max(most, rows[stop]), total + rows[stop]):
            most, total, stop = max(most, rows[stop]), total + rows[stop], stop + 1
        sizes[first:stop] = most
        bounds.append((first, stop))
        first = stop
    starts = np.concatenate([[0], np.cumsum(sizes * width)])
    columns = np.zeros(int(starts[-1]))
    wrong = int(kernels.regroup(fixed(block), groups, starts[:-1], sizes, columns))
    return wrong, [
        (first, columns[starts[first] : starts[stop]].reshape((stop - first) * width, -1))
        for first, stop in bounds
        if sizes[first]
    ]


def _alike(groups: int, most: int, total: int) -> bool:
    """Tell whether groups are so alike in size that making them equal costs next to nothing."""
    return groups * most <= total + total // 8
