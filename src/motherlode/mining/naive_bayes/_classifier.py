"""What the naive Bayes classifiers share: learning, going on, merging, forgetting, predicting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from motherlode.core.errors import DataError, ParameterError, StateError, UsageError
from motherlode.core.parameters import Constraint
from motherlode.data import Dataset
from motherlode.mining.estimator import Estimator
from motherlode.mining.labels import Labels
from motherlode.mining.naive_bayes._class_sums import Learned
from motherlode.mining.naive_bayes._counts import Floats
from motherlode.mining.naive_bayes._likelihood import Likelihood
from motherlode.runtime import run


@dataclass(frozen=True)
class Numbers(Constraint):
    """A list or array of numbers, none of them negative."""

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
            return False
        array = np.asarray(value)
        return array.dtype.kind in "iuf" and bool((array >= 0.0).all())

    def invalid(self) -> Sequence[Any]:
        return ["many", [-1.0, 1.0], [["one"]]]

    def __str__(self) -> str:
        return "an array of numbers of at least 0"


@dataclass(frozen=True)
class LabelList(Constraint):
    """A list or array of labels of one kind."""

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
            return False
        return len(value) > 0 and len({type(label) for label in value}) == 1

    def invalid(self) -> Sequence[Any]:
        return ["spam", [], [1, "spam"]]

    def __str__(self) -> str:
        return "a list of labels of one kind"


class NaiveBayes(ClassifierMixin, Estimator):
    """A naive Bayes classifier.

    Subclasses say how the rows are summed (``plan``), which attributes follow from the sums
    (``_settle``), and how likely rows are with them (``_likelihood``).
    """

    target: str | None
    classes: Sequence[Any] | None
    classes_: NDArray[Any]
    class_count_: Floats
    _announced: NDArray[Any] | None = None

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from rows, forgetting what was learnt before.

        Parameters
        ----------
        X : array, sparse matrix, frame, Arrow table, Dataset or path
            The rows.
        y : array of shape (n_rows,) or str
            The labels of a matrix, or the name of the column that holds them.
        sample_weight : array of shape (n_rows,), optional
            Weights of the rows of a matrix.
        """
        self._announced = None
        self._learn(X, y, sample_weight)
        return self._as_given(y)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn from more rows; the result is as if all rows had been there at once.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : sequence, optional
            All labels that there will be, as scikit-learn wants them at the first call; they may
            be left out, and new labels are classes of their own when they come.
        """
        learned = self.__dict__.get("_learned")
        if classes is not None:
            self._announced = np.asarray(classes)
        summary, state = self._sums_of(X, y, sample_weight, reset=learned is None)
        if learned is not None:
            state = summary.merge(learned.state, state)
        self.conclude(summary.finish(state))
        return self._as_given(y)

    def merge(self, other: Self) -> Self:
        """Take in what another classifier of the same kind and parameters has learnt.

        The result is that of one fit to the rows of both, to the last bit. The other one stays as
        it is.

        Raises
        ------
        StateError
            If their parameters or features differ.
        """
        if type(other) is not type(self):
            raise UsageError(
                f"cannot merge {type(other).__name__} into {type(self).__name__}",
                "merge classifiers of one kind",
            )
        check_is_fitted(self)
        check_is_fitted(other)
        for name, value in self.parameters().items():
            if not np.array_equal(np.asarray(value), np.asarray(getattr(other, name))):
                raise StateError(f"the classifiers differ in their parameter {name}")
        summary, theirs = self._learned.summary, other._learned.summary
        mine, others = summary.rows_, theirs.rows_
        if (mine.features, mine.width) != (others.features, others.width):
            raise StateError(
                f"the classifiers learnt from {mine.width} and {others.width} features, or from "
                "columns of other names",
                "merge classifiers of the same columns",
            )
        state = summary.merge(self._learned.state, other._learned.state)
        return self.conclude(summary.finish(state))

    def forget(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Take rows back that were learnt; the result is that of never having seen them.

        Parameters
        ----------
        X, y, sample_weight
            The rows, as for :meth:`fit`.

        Raises
        ------
        StateError
            If there are more rows of a class than were learnt.
        """
        check_is_fitted(self)
        summary, state = self._sums_of(X, y, sample_weight, reset=False)
        # A refusal must leave what was learnt as it was, but subtracting consumes it.
        kept = summary.finish(self._learned.state).state
        self.conclude(summary.finish(summary.subtract(kept, state)))
        return self._as_given(y)

    def conclude(self, value: Any) -> Self:
        labels = value.labels
        announced = self.classes if self.classes is not None else self._announced
        if announced is not None:
            known = Labels.of(announced)
            known.codes(labels)
            labels = known.taken(known.order()).array()
        if not len(labels):
            raise DataError("there are no rows to learn from")
        self._learned: Learned = value
        self.classes_ = labels
        self.class_count_ = self._aligned(value.weights)
        self._note(*value.summary.names(value.state))
        self._settle(value)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most likely class of each row.

        Parameters
        ----------
        X : array, sparse matrix, frame, Arrow table, Dataset or path
            The rows, with the features by name where they had names in ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        check_is_fitted(self)
        likely = self._likelihood()
        best = self._predicted(
            X, lambda block: likely.most_likely(self._seen(block)), np.empty(0, np.int64)
        )
        return np.asarray(self.classes_[best])

    def predict_joint_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of the joint probabilities of rows and classes.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        check_is_fitted(self)
        likely = self._likelihood()
        return self._predicted(
            X, lambda block: likely.joint(self._seen(block)), np.empty((0, len(self.classes_)))
        )

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of the classes' probabilities for each row; as above."""
        joint = self.predict_joint_log_proba(X)
        joint -= joint.max(axis=1, keepdims=True, initial=-np.inf)
        joint -= np.log(np.exp(joint).sum(axis=1, keepdims=True))
        return joint

    def predict_proba(self, X: Any) -> Floats:
        """Return the classes' probabilities for each row; as above."""
        return np.exp(self.predict_log_proba(X))

    def beside(
        self, models: Sequence[Self], classes: NDArray[Any]
    ) -> Callable[[Any, NDArray[np.int64]], NDArray[np.int64]]:
        together = Likelihood.beside([model._likelihood() for model in models])
        return lambda block, which: together.most_likely(self._seen(block), which)

    def _cells(self) -> dict[str, NDArray[Any]]:
        """Return the label and the name of each class and feature, for a long table."""
        names = np.asarray(self._feature_names())
        return {
            "label": np.repeat(self.classes_, len(names)),
            "feature": np.tile(names, len(self.classes_)),
        }

    def _seen(self, block: Any) -> Any:
        """Return a block of features as the likelihood takes it."""
        return block

    def _likelihood(self) -> Likelihood:
        raise NotImplementedError

    def _settle(self, learned: Learned) -> None:
        """Set the fitted attributes that follow from the sums."""
        raise NotImplementedError

    def _aligned(self, by_label: NDArray[Any]) -> NDArray[Any]:
        """Return what there is for each class with rows, and zeros for others announced."""
        labels = self._learned.labels
        if len(labels) == len(self.classes_):
            return by_label
        full = np.zeros((len(self.classes_), *by_label.shape[1:]))
        full[np.searchsorted(self.classes_, labels)] = by_label
        return full

    def _log_prior(self, given: Any, fitted: bool = True) -> Floats:
        """Return the logarithms of the classes' prior probabilities."""
        if given is not None:
            if len(given) != len(self.classes_):
                raise ParameterError(
                    f"{type(self).__name__}: there must be a prior for each of the "
                    f"{len(self.classes_)} classes, got {len(given)}"
                )
            return np.asarray(np.log(np.asarray(given, dtype=np.float64)))
        if not fitted:
            return np.full(len(self.classes_), -np.log(len(self.classes_)))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.class_count_) - np.log(self.class_count_.sum()))

    def _sums_of(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return a summary, and the state of these rows."""
        self.validate()
        rows, named = self.training(X, y, sample_weight, reset=reset)
        result = run(named.plan(), rows)
        assert result.part is not None
        return result.summary, result.part.state

    def _as_given(self, y: Any) -> Self:
        """Give the classes the type of labels that came as an array."""
        if y is not None and not isinstance(y, str):
            kind = np.asarray(y).dtype
            if kind.kind in "iufO":
                self.classes_ = self.classes_.astype(kind)
        return self

    def training(
        self, X: Any, y: Any, sample_weight: Any = None, *, reset: bool = True
    ) -> tuple[Dataset, Self]:
        if y is None and not self._in_columns(X):
            raise UsageError(
                f"{type(self).__name__} requires y to be passed, but the target y is None",
                "pass the labels, or the name of their column",
            )
        return super().training(X, y, sample_weight, reset=reset)

    def _matrix(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, Any, Any]:
        block, _, weights = super()._matrix(X, None, sample_weight, reset=reset)
        return block, y if y is None else _checked(block, y), weights


def _checked(block: Any, y: Any) -> NDArray[Any]:
    """Return the labels that came beside a matrix, if they are as scikit-learn wants them."""
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    check_consistent_length(block, labels)
    assert_all_finite(labels, input_name="y")
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        raise UsageError(
            "Unknown label type: continuous", "classes are whole numbers, strings or booleans"
        )
    return labels
