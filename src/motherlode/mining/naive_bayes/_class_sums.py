"""What naive Bayes keeps of the rows: sums of the features of each class, exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import DataError, StateError
from motherlode.mining.folds import Dealer, Folds, with_column
from motherlode.mining.labels import Labels, numbers_of
from motherlode.mining.naive_bayes._counts import Counts, Floats, Ints
from motherlode.mining.rows import Rows


@dataclass(slots=True)
class State:
    """Sums by class, and by fold where rows are dealt into folds.

    Parameters
    ----------
    labels : Labels
        The classes; those of class c in fold f are group ``c * folds + f``.
    rows : ndarray of shape (groups,), int64
        Rows of each group.
    weights : Counts
        Their weights.
    sums : Counts, Moments or WordCounts
        Sums of their features.
    dealer : Dealer or None
        Deals rows into folds.
    """

    labels: Labels
    rows: Ints
    weights: Counts
    sums: Any
    dealer: Dealer | None = None


@dataclass(slots=True)
class Learned:
    """What a classifier is made from.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        The classes, sorted.
    weights : ndarray of shape (n_classes,), float64
        Weight of the rows of each.
    state : State
        The sums, with the classes in that order.
    summary : Summary
        What made the state, and can go on with it.
    """

    labels: NDArray[Any]
    weights: Floats
    state: Any
    summary: Any


class ClassSums(Summary[State, Learned]):
    """Sums of the features of each class.

    Parameters
    ----------
    owner : str
        The classifier, for errors.
    features : sequence of str or None
        Columns of the features.
    target : str or None
        Column of the labels.
    classes : sequence, array or None
        The only labels there may be.
    folds : Folds or None
        How rows are dealt into folds, the sums of which are kept apart.
    """

    traits: ClassVar[Traits] = Traits(
        "exact", "sums of each class's features", invertible=True, state_size="classes * d"
    )
    kind: ClassVar[Any]

    rows_: Rows
    sparse_: bool

    def __init__(
        self,
        owner: str,
        features: Sequence[str] | None = None,
        target: str | None = None,
        classes: Any = None,
        folds: Folds | None = None,
    ) -> None:
        self.owner = owner
        self.features = features
        self.target = target
        self.classes = classes
        self.folds = folds

    @property
    def parts(self) -> int:
        """Number of folds kept apart."""
        return 1 if self.folds is None else self.folds.count

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(super().prepare(schema))
        ready.rows_ = Rows.of(self.owner, schema, self.features, self.target, supervised=True)
        ready.sparse_ = schema.sparse and ready.rows_.features is None
        return ready

    def needs(self) -> tuple[str, ...]:
        return with_column(self.rows_.needs(), self.folds)

    def zero(self) -> State:
        width = self.rows_.width
        dealer = None if self.folds is None else Dealer(self.folds)
        return State(Labels(), np.zeros(0, np.int64), Counts(0, 1), self.kind(0, width), dealer)

    def update(self, state: State, batch: Batch) -> State:
        if not len(batch):
            return state
        codes = state.labels.codes(self.rows_.labels(batch))
        self._check(state.labels)
        groups = codes
        if state.dealer is not None:
            groups = codes * self.parts + state.dealer.deal(batch, codes, state.labels)
        self._resize(state)
        rows = np.bincount(groups, minlength=len(state.rows))
        state.rows += rows
        if batch.weights is None:
            state.weights.add_whole(rows[:, None])
        else:
            state.weights.add_cells(groups, batch.weights)
        self.add(state.sums, batch, groups)
        return state

    def add(self, sums: Any, batch: Batch, groups: Ints) -> None:
        """Add a batch of rows, each to its group."""
        raise NotImplementedError

    def names(self, state: State) -> tuple[Sequence[str] | None, int]:
        """Return the names of the features, if they have any, and their number."""
        return self.rows_.features, self.rows_.width

    def merge(self, left: State, right: State) -> State:
        groups = self._groups(left.labels.adopt(right.labels))
        self._resize(left)
        left.rows[groups] += right.rows
        left.weights.merge(right.weights, groups)
        left.sums.merge(right.sums, groups)
        return left

    def subtract(self, whole: State, part: State) -> State:
        groups = self._groups(numbers_of(part.labels, whole.labels))
        if (whole.rows[groups] < part.rows).any():
            raise StateError(
                f"{self.owner}: there are fewer rows of a class than are to be forgotten",
                "forget only rows that were learnt",
            )
        whole.rows[groups] -= part.rows
        whole.weights.merge(part.weights, groups, -1)
        whole.sums.merge(part.sums, groups, -1)
        return whole

    def finish(self, state: State) -> Learned:
        return self._learned(self._total(self._sorted(state)))

    def with_folds(self, folds: Folds) -> Self:
        """Return a summary that keeps the sums of each fold apart, at no cost a row."""
        ready = copy.copy(self)
        ready.folds = folds
        return ready

    def without_each(self, state: State) -> list[Learned]:
        """Return for each fold what is learnt from all others."""
        kept = self._sorted(state)
        total = self._total(kept)
        found = []
        for fold in range(self.parts):
            rest = self._sorted(total, 1, empty=True)
            part = self._part(kept, fold)
            rest.rows -= part.rows
            rest.weights.merge(part.weights, np.arange(len(part.rows)), -1)
            rest.sums.merge(part.sums, np.arange(len(part.rows)), -1)
            found.append(self._learned(self._sorted(rest, 1)))
        return found

    def export(self, state: State) -> Any:
        kept = self._sorted(state)
        return {
            "labels": kept.labels.export(),
            "rows": kept.rows,
            "weights": kept.weights.export(),
            "sums": kept.sums.export(),
        }

    def load(self, exported: Any) -> State:
        state = self.zero()
        state.labels = Labels.load(exported["labels"])
        state.rows = np.array(exported["rows"])
        state.weights = Counts.load(exported["weights"])
        state.sums = self.kind.load(exported["sums"])
        return state

    def _check(self, labels: Labels) -> None:
        """Raise if there are labels beside those that were announced."""
        if self.classes is not None:
            strange = [label for label in labels.numbers if label not in self.classes]
            if strange:
                raise DataError(
                    f"the label {strange[0]!r} is not among the classes {list(self.classes)}",
                    "name all classes, or none",
                )

    def _groups(self, codes: Ints) -> Ints:
        return (codes[:, None] * self.parts + np.arange(self.parts)).ravel()

    def _resize(self, state: State) -> None:
        groups = len(state.labels) * self.parts
        if groups > len(state.rows):
            state.rows = np.concatenate([state.rows, np.zeros(groups - len(state.rows), np.int64)])
            state.weights.resize(groups)
            state.sums.resize(groups)

    def _sorted(self, state: State, parts: int | None = None, empty: bool = False) -> State:
        """Return a copy with the classes that have rows, in the order of their labels."""
        parts = self.parts if parts is None else parts
        held = np.flatnonzero(state.rows.reshape(-1, parts).any(axis=1) | empty)
        order = state.labels.order(held.tolist())
        groups = (order[:, None] * parts + np.arange(parts)).ravel()
        return State(
            state.labels.taken(order),
            state.rows[groups],
            state.weights.take(groups),
            state.sums.take(groups),
        )

    def _total(self, state: State) -> State:
        """Return the sums over all folds; the state itself where there are none."""
        if self.folds is None:
            return state
        total = self._part(state, 0)
        for fold in range(1, self.parts):
            part = self._part(state, fold)
            total.rows += part.rows
            total.weights.merge(part.weights, np.arange(len(part.rows)))
            total.sums.merge(part.sums, np.arange(len(part.rows)))
        return total

    def _part(self, state: State, fold: int) -> State:
        """Return a copy of the sums of one fold."""
        groups = np.arange(len(state.labels)) * self.parts + fold
        weights, sums = state.weights.take(groups), state.sums.take(groups)
        return State(state.labels, state.rows[groups], weights, sums)

    def _learned(self, state: State) -> Learned:
        return Learned(state.labels.array(), state.weights.floats()[:, 0], state, self)
