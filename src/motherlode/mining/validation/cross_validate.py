"""Cross-validation: how well a classifier does on rows that it has not seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier

from motherlode.algebra.combine import Mapped
from motherlode.algebra.summary import Context, Iterative, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import UsageError
from motherlode.core.parameters import Choice, Constraint, Integer, check_parameters
from motherlode.mining.estimator import Estimator
from motherlode.mining.folds import Dealer, Folds, FoldStates, with_column
from motherlode.mining.labels import Labels
from motherlode.mining.rows import Rows
from motherlode.runtime import run
from motherlode.runtime.engine import Engine

Floats = NDArray[np.float64]
Model = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """What cross-validation gives.

    Parameters
    ----------
    scores : ndarray of shape (folds,), float64
        The score on each fold of the classifier learnt from all others.
    rows : ndarray of shape (folds,), int64
        How many rows there are in each.
    confusion : ndarray of shape (folds, n_classes, n_classes), float64
        Weight of the rows of each fold by true class (first) and predicted class.
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    scores: Floats
    rows: NDArray[np.int64]
    confusion: Floats
    classes: NDArray[Any]

    @property
    def mean(self) -> float:
        """Mean of the scores."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the scores."""
        return float(self.scores.std())

    @property
    def table(self) -> pa.Table:
        """Fold, rows and score."""
        folds = np.arange(len(self.scores))
        return pa.table({"fold": folds, "rows": self.rows, "score": self.scores})

    def __repr__(self) -> str:
        return f"Scores({self.mean:.4f} ± {self.std:.4f} on {len(self.scores)} folds)"


def cross_validate(
    estimator: Estimator,
    X: Any,
    y: Any = None,
    *,
    folds: int = 10,
    scoring: str = "accuracy",
    how: str = "stratified",
    by: str | None = None,
    seed: int = 0,
    sample_weight: Any = None,
    on: str | Engine = "local",
    workers: int | None = None,
) -> Scores:
    """Tell how well a classifier does on rows that it has not seen.

    Rows are dealt into folds, and each fold is predicted by a classifier learnt from all others.
    No classifier is fitted for that: one pass keeps a state for each fold, the states of all folds
    but one are merged, and a second pass predicts each row once. So any number of folds costs
    about one fit and one prediction.

    Parameters
    ----------
    estimator : classifier
        One that learns in a single pass (naive Bayes). It stays unfitted.
    X : array, sparse matrix, frame, Arrow table, Dataset or path
        The rows.
    y : array of shape (n_rows,) or str
        The labels of a matrix, or the name of the column that holds them.
    folds : int
        How many folds, k.
    scoring : {'accuracy', 'balanced_accuracy', 'precision', 'recall', 'f1'}
        The score; the last three are means over the classes (macro averages).
    how : {'stratified', 'random'}
        Whether rows are dealt class by class in turn, or by chance.
    by : str, optional
        Column whose values stay together, all rows of one value in the same fold.
    seed : int
        Another seed, other folds.
    sample_weight : array of shape (n_rows,), optional
        Weights of the rows of a matrix.
    on : str or Engine
        Where it is done.
    workers : int, optional
        Number of workers; all processors by default.

    Returns
    -------
    Scores
        The score of each fold, their mean and standard deviation, and the confusion matrices.

    Raises
    ------
    UsageError
        If the estimator is not a classifier that learns in one pass, or a fold is empty.

    Notes
    -----
    Time: two passes, and O(k) merges of states. State: k times the classifier's. Which fold a row
    belongs to follows from the seed, its split and its place there (and its class): the scores do
    not depend on workers or memory.

    References
    ----------
    Izbicki, "Algebraic classifiers: a generic approach to fast cross-validation, online training,
    and parallel training", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from motherlode.mining.naive_bayes.gaussian_nb import GaussianNB
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> found = cross_validate(GaussianNB(), X, (X[:, 0] > 0).astype(int), folds=5)
    >>> len(found.scores), int(found.rows.sum()), found.mean > 0.9
    (5, 200, True)
    """
    values = {"folds": folds, "scoring": scoring, "how": how, "seed": seed}
    check_parameters("cross_validate", CONSTRAINTS, values)
    if not isinstance(estimator, Estimator) or not is_classifier(estimator):
        raise UsageError(
            f"cross_validate takes a classifier of this package, got {type(estimator).__name__}",
            "sklearn.model_selection.cross_val_score fits anything once a fold",
        )
    rows, named = clone(estimator).training(X, y, sample_weight)
    work = _CrossValidation(named, Folds(folds, seed, how, by), scoring)
    return run(work, rows, on=on, workers=workers).value  # type: ignore[no-any-return]


def _shares(confusion: Floats, axis: int) -> Floats:
    """Return for each class the share of its rows that is right; 0 of none."""
    totals = confusion.sum(axis=axis)
    return np.asarray(np.diag(confusion) / np.where(totals > 0.0, totals, 1.0))


def _balanced(confusion: Floats) -> float:
    return float(_shares(confusion, 1)[confusion.any(axis=1)].mean())


def _f1(confusion: Floats) -> float:
    totals = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = totals > 0.0
    return float((2.0 * np.diag(confusion)[present] / totals[present]).mean())


def _mean_share(axis: int) -> Callable[[Floats], float]:
    def score(confusion: Floats) -> float:
        present = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0.0
        return float(_shares(confusion, axis)[present].mean())

    return score


SCORES: Mapping[str, Callable[[Floats], float]] = {
    "accuracy": lambda confusion: float(np.trace(confusion) / confusion.sum()),
    "balanced_accuracy": _balanced,
    "precision": _mean_share(0),
    "recall": _mean_share(1),
    "f1": _f1,
}
CONSTRAINTS: Mapping[str, Constraint] = {
    "folds": Integer(2, 1_000),
    "scoring": Choice(tuple(SCORES)),
    "how": Choice(("stratified", "random")),
    "seed": Integer(0),
}


class _CrossValidation(Iterative[Model, Scores]):
    """Two passes: a state for each fold, then a verdict on each row.

    Parameters
    ----------
    estimator : Estimator
        What is tried.
    folds : Folds
        How rows are dealt.
    scoring : str
        Name of the score.
    """

    traits: ClassVar[Traits] = Traits("exact", "scores on rows not seen", passes="2")

    folded_: Any
    rows_: Rows

    def __init__(self, estimator: Estimator, folds: Folds, scoring: str) -> None:
        self.estimator = estimator
        self.folds = folds
        self.scoring = scoring

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(super().prepare(schema))
        learning: Any = self.estimator.plan()
        if not isinstance(learning, Summary):
            raise UsageError(
                f"{type(self.estimator).__name__} reads the rows several times, so states of "
                "folds cannot be merged",
                "sklearn.model_selection.cross_val_score fits it once a fold",
            )
        if self.folds.column is not None:
            schema.require(self.folds.column)
        learning = learning.prepare(schema)
        if hasattr(learning, "with_folds"):
            ready.folded_, ready.rows_ = learning.with_folds(self.folds), learning.rows_
            return ready
        features, target = (getattr(self.estimator, name, None) for name in ("features", "target"))
        owner = type(self.estimator).__name__
        ready.rows_ = Rows.of(owner, schema, features, target, supervised=True)
        ready.folded_ = FoldStates(learning, ready.rows_, self.folds)
        return ready

    def start(self, context: Context) -> Model:
        return {"stage": "learn"}

    def pass_(self, model: Model) -> Summary[Any, Any]:
        if model["stage"] == "learn":
            return _Learn(self.folded_)
        classes = Labels.load(model["states"]["labels"])
        models = []
        for learned in self.folded_.without_each(self.folded_.load(model["states"])):
            each: Any = copy.copy(self.estimator)
            each._announced = classes.array()
            models.append(each.conclude(learned))
        judge = self.estimator.beside(models, classes.array())
        return _Judge(self.estimator, judge, classes, self.rows_, self.folds)

    def advance(self, model: Model, result: Any) -> Model:
        if model["stage"] == "learn":
            return {"stage": "judge", "states": result}
        classes = Labels.load(model["states"]["labels"]).array()
        return {"stage": "done", "classes": classes, **result}

    def done(self, model: Model) -> bool:
        return bool(model["stage"] == "done")

    def finish(self, model: Model) -> Scores:
        rows, confusion = model["rows"], model["confusion"]
        if not rows.all():
            raise UsageError(
                f"fold {int(np.flatnonzero(rows == 0)[0])} of {len(rows)} has no rows",
                "choose fewer folds",
            )
        scores = np.array([SCORES[self.scoring](each) for each in confusion])
        return Scores(scores, rows, confusion, model["classes"])


class _Learn(Mapped):
    """A summary of which the outcome is the state itself."""

    def __init__(self, inner: Summary[Any, Any]) -> None:
        super().__init__(inner, lambda value: value)

    def finish(self, state: Any) -> Any:
        return self.inner.export(state)


Verdicts = tuple[Dealer, dict[str, Any]]


class _Judge(Summary[Verdicts, Any]):
    """True and predicted classes of the rows of each fold.

    Parameters
    ----------
    estimator : Estimator
        What is tried.
    judge : callable
        Classifies rows, each by the model of its fold.
    labels : Labels
        The classes.
    rows : Rows
        Where features and labels are.
    folds : Folds
        How rows are dealt.
    """

    traits: ClassVar[Traits] = Traits("exact", "confusion matrices")

    def __init__(
        self, estimator: Estimator, judge: Any, labels: Labels, rows: Rows, folds: Folds
    ) -> None:
        self.estimator = estimator
        self.judge = judge
        self.labels = labels
        self.rows = rows
        self.folds = folds

    def needs(self) -> tuple[str, ...]:
        return with_column(self.rows.needs(), self.folds)

    def zero(self) -> Verdicts:
        count, classes = self.folds.count, len(self.labels)
        confusion = np.zeros((count, classes, classes))
        return Dealer(self.folds), {"rows": np.zeros(count, np.int64), "confusion": confusion}

    def update(self, state: Verdicts, batch: Batch) -> Verdicts:
        dealer, found = state
        true = self.labels.codes(self.rows.labels(batch))
        dealt = dealer.deal(batch, true, self.labels)
        predicted = self.judge(self.estimator.given(self.rows, batch), dealt)
        confusion = found["confusion"]
        cells = (dealt * len(self.labels) + true) * len(self.labels) + predicted
        counts = np.bincount(cells, batch.weights, minlength=confusion.size)
        confusion += counts.reshape(confusion.shape)
        found["rows"] += np.bincount(dealt, minlength=self.folds.count)
        return state

    def merge(self, left: Verdicts, right: Verdicts) -> Verdicts:
        for name, value in right[1].items():
            left[1][name] += value
        return left

    def finish(self, state: Verdicts) -> Any:
        return self.export(state)

    def export(self, state: Verdicts) -> Any:
        return {name: value.copy() for name, value in state[1].items()}

    def load(self, exported: Any) -> Verdicts:
        return Dealer(self.folds), {name: np.array(value) for name, value in exported.items()}
