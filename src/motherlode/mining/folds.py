"""Folds: rows dealt into a few parts of nearly equal size, the same ones at every pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.hashing import hash_rows
from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch
from motherlode.mining import chance
from motherlode.mining.labels import Label, Labels
from motherlode.mining.rows import Rows

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Folds:
    """How rows are dealt.

    Parameters
    ----------
    count : int
        How many folds there are.
    seed : int
        Another seed, other folds.
    how : {'random', 'stratified'}
        By chance, or class by class in turn, such that each fold has its share of each class.
    column : str or None
        Deal by the values of this column instead: rows of one value stay together.
    """

    count: int
    seed: int = 0
    how: str = "random"
    column: str | None = None


@dataclass(slots=True)
class Dealer:
    """Deals the rows of one split after the other.

    Parameters
    ----------
    folds : Folds
        How.
    """

    folds: Folds
    _split: int = -1
    _next: Codes = field(default_factory=lambda: np.zeros(0, np.int64))

    def deal(self, batch: Batch, classes: Codes, labels: Labels) -> Codes:
        """Return the fold of each row.

        Parameters
        ----------
        batch : Batch
            The rows; batches of a split must come in their order.
        classes : ndarray of shape (n_rows,), int64
            Numbers of their classes.
        labels : Labels
            The classes.
        """
        folds = self.folds
        if folds.column is not None:
            hashes = hash_rows([batch.column(folds.column)], folds.seed)
            return (hashes % np.uint64(folds.count)).astype(np.int64)
        if folds.how == "random":
            drawn = chance.words(folds.seed, "folds", batch.split, batch.start, len(batch))
            return (drawn % np.uint64(folds.count)).astype(np.int64)
        if batch.split != self._split or not batch.start:
            self._split, self._next = batch.split, np.zeros(0, np.int64)
        return self._in_turn(classes, labels)

    def _in_turn(self, classes: Codes, labels: Labels) -> Codes:
        """Deal the rows of each class in turn, each class beginning at another fold."""
        from motherlode.mining import _fold_kernels as kernels

        fresh = list(labels.numbers)[len(self._next) :]
        if fresh:
            # By label, not by number: classes are numbered as they come.
            first = [self._split + _place(self.folds, label) for label in fresh]
            self._next = np.concatenate([self._next, np.array(first) % self.folds.count])
        dealt = np.empty(len(classes), np.int64)
        kernels.in_turn(classes, self._next, self.folds.count, dealt)
        return dealt


@cache
def _place(folds: Folds, label: Label) -> int:
    """Return the fold that the first row of a class goes to in the first split."""
    hashed = hash_rows([pa.array([f"{folds.seed}/{label}"])])[0]
    return int(hashed % np.uint64(folds.count))


class FoldStates(Summary[Any, Any]):
    """One state of a summary for each fold: any learner's, one pass over the rows.

    Parameters
    ----------
    inner : Summary
        The learner's, prepared.
    rows : Rows
        Where the labels are.
    folds : Folds
        How rows are dealt.
    """

    traits: ClassVar[Traits] = Traits("ordered", "a state for each fold")

    def __init__(self, inner: Summary[Any, Any], rows: Rows, folds: Folds) -> None:
        self.inner = inner
        self.rows = rows
        self.folds = folds

    def needs(self) -> tuple[str, ...] | None:
        inner = self.inner.needs()
        return None if inner is None else with_column(inner, self.folds)

    def zero(self) -> Any:
        return Labels(), Dealer(self.folds), [self.inner.zero() for _ in range(self.folds.count)]

    def update(self, state: Any, batch: Batch) -> Any:
        labels, dealer, parts = state
        codes = labels.codes(self.rows.labels(batch))
        dealt = dealer.deal(batch, codes, labels)
        for fold in range(self.folds.count):
            rows = np.flatnonzero(dealt == fold)
            if len(rows):
                parts[fold] = self.inner.update(parts[fold], batch.take(rows))
        return state

    def merge(self, left: Any, right: Any) -> Any:
        left[0].adopt(right[0])
        for fold in range(self.folds.count):
            left[2][fold] = self.inner.merge(left[2][fold], right[2][fold])
        return left

    def finish(self, state: Any) -> Any:
        return self.export(state)

    def export(self, state: Any) -> Any:
        labels = state[0].taken(state[0].order())
        return {"labels": labels.export(), "parts": [self.inner.export(part) for part in state[2]]}

    def load(self, exported: Any) -> Any:
        parts = [self.inner.load(part) for part in exported["parts"]]
        return Labels.load(exported["labels"]), Dealer(self.folds), parts

    def without_each(self, state: Any) -> list[Any]:
        """Return for each fold what the summary makes of all others, in about 4 merges a fold."""
        merge, zero, parts = self.inner.merge, self.inner.zero, state[2]
        after = [zero()]
        for part in reversed(parts[1:]):
            after.append(merge(merge(zero(), after[-1]), part))
        before, found = zero(), []
        for part, rest in zip(parts, reversed(after), strict=True):
            found.append(self.inner.finish(merge(merge(zero(), before), rest)))
            before = merge(before, part)
        return found


def with_column(needs: tuple[str, ...], folds: Folds | None) -> tuple[str, ...]:
    """Return the columns needed, with the one that rows are dealt by."""
    if folds is None or folds.column is None or folds.column in needs:
        return needs
    return (*needs, folds.column)
