"""Estimators: learners with scikit-learn's conventions whose work is a summary, or passes of them.

An estimator holds parameters and, once fitted, what was learnt. The work is described by its
``plan()``, a :class:`~motherlode.algebra.summary.Summary` or
:class:`~motherlode.algebra.summary.Iterative` of its own, so that the same learner runs in memory,
over files, on a cluster and on streams; ``conclude`` takes the outcome.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from motherlode.algebra.summary import Algorithm
from motherlode.core import settings
from motherlode.core.batch import Batch
from motherlode.core.errors import DataError, UsageError
from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Source
from motherlode.mining.rows import Rows
from motherlode.runtime import run

CHUNK = 1 << 16
"""Rows that one thread predicts at a time."""

_TABLES = (Dataset, Source, str, os.PathLike, pa.Table, pa.RecordBatch)


class Estimator(BaseEstimator, Algorithm):
    """What learners share: they are fitted to arrays, frames, tables, datasets and files alike.

    ``fit`` takes whatever :func:`motherlode.data.dataset` does. Where ``y`` is a string, or
    ``target`` or ``features`` are given, rows are seen as columns: ``y`` names the labels, and all
    other numeric columns, or those in ``features``, are learnt from. Otherwise ``X`` is a matrix
    as scikit-learn takes it, and ``y`` holds the labels.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks of scikit-learn's that do not hold, each with the reason."""

    n_features_in_: int
    _checks: ClassVar[Mapping[str, Any]] = {"accept_sparse": "csr"}

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return str(BaseEstimator.__repr__(self, N_CHAR_MAX))

    def _learn(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Run the plan over the rows and take what it gives."""
        self.validate()
        rows, named = self.training(X, y, sample_weight)
        self.conclude(run(named.plan(), rows).value)
        return self

    def training(
        self, X: Any, y: Any, sample_weight: Any = None, *, reset: bool = True
    ) -> tuple[Dataset, Self]:
        """Return the rows to learn from, and what is to learn from them.

        Parameters
        ----------
        X, y, sample_weight
            As for ``fit``.
        reset : bool
            Whether this is the first that is seen; else there must be the features seen before.

        Returns
        -------
        Dataset
            The rows.
        Estimator
            This one, or a copy with the column of labels that ``y`` names.
        """
        if self._in_columns(X, y):
            if sample_weight is not None:
                raise UsageError(
                    "sample_weight goes with a matrix, not with columns",
                    "pass X and y as arrays",
                )
            named: Any = copy.copy(self)
            if isinstance(y, str):
                named.target = y
            elif y is not None:
                raise UsageError(
                    f"y must name the column of labels, got {type(y).__name__}",
                    "fit(data, y='label')",
                )
            if reset:
                self._forget_names()
            elif hasattr(self, "_columns"):
                named.features = self._columns
            return dataset(X), named
        if reset:
            self._forget_names()
        block, labels, weights = self._matrix(X, y, sample_weight, reset=reset)
        return dataset(block, y=labels, weights=weights), self

    def _in_columns(self, X: Any, y: Any = None) -> bool:
        """Tell whether rows are to be seen as named columns rather than as a matrix."""
        if _is_table(X):
            return True
        chosen = getattr(self, "target", None), getattr(self, "features", None)
        return isinstance(y, str) or (y is None and any(each is not None for each in chosen))

    def _matrix(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Any, Any, NDArray[np.float64] | None]:
        """Check a matrix with its labels and weights as scikit-learn does."""
        block = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            order="C",
            **self._checks,
        )
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, block, dtype=np.float64, ensure_non_negative=True
            )
        return block, y, weights

    def _note(self, names: Sequence[str] | None, width: int) -> None:
        """Keep how many features there were and, where they were columns, their names."""
        self.n_features_in_ = width
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
            self._columns = tuple(names)

    def _feature_names(self) -> Sequence[str]:
        """Return the names of the features; x0, x1, … where they have none."""
        names = self.__dict__.get("feature_names_in_")
        return [f"x{n}" for n in range(self.n_features_in_)] if names is None else list(names)

    def _forget_names(self) -> None:
        for name in ("feature_names_in_", "_columns"):
            self.__dict__.pop(name, None)

    def _blocks(self, X: Any) -> Iterator[Any]:
        """Yield the features of rows to predict for: of a matrix at once, of others by batch.

        Columns are found by the names that they had in ``fit``.
        """
        check_is_fitted(self)
        names: Sequence[str] | None = getattr(self, "_columns", None)
        if not _is_table(X) and not _has_columns(X, names):
            yield self._matrix(X, None, None, reset=False)[0]
            return
        rows = dataset(X)
        where = Rows.of(type(self).__name__, rows.schema, names or self._named_in_fit(rows))
        if where.width != self.n_features_in_:
            raise UsageError(
                f"the rows have {where.width} features, "
                f"{type(self).__name__} was fitted to {self.n_features_in_}"
            )
        for batch in batches(rows, where.needs()):
            yield where.block(batch)

    def _named_in_fit(self, rows: Dataset) -> Sequence[str] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None or rows.schema.n_features is not None else tuple(names)

    def beside(
        self, models: Sequence[Self], classes: NDArray[Any]
    ) -> Callable[[Any, NDArray[np.int64]], NDArray[np.int64]]:
        """Return a function that classifies each row by one of several models.

        Parameters
        ----------
        models : sequence of classifiers
            Fitted classifiers of this kind, such as one for each fold of a cross-validation.
        classes : ndarray of shape (n_classes,)
            All labels, sorted.

        Returns
        -------
        callable
            Takes what :meth:`given` returns and the number of the model for each row; returns the
            place of each predicted label among the classes.
        """

        def judge(given: Any, which: NDArray[np.int64]) -> NDArray[np.int64]:
            codes = np.empty(len(which), np.int64)
            for number, model in enumerate(models):
                rows = np.flatnonzero(which == number)
                if len(rows):
                    predicted = model.predict(given[rows])
                    codes[rows] = np.searchsorted(classes, predicted)
            return codes

        return judge

    def given(self, rows: Rows, batch: Batch) -> Any:
        """Return what ``predict`` takes of a batch."""
        return rows.block(batch)

    def _predicted(
        self, X: Any, function: Callable[[Any], NDArray[Any]], empty: NDArray[Any]
    ) -> NDArray[Any]:
        """Apply a function to all rows, a chunk on each processor, and join what it gives.

        ``empty`` is what it gives for no rows.
        """
        found = [part for block in self._blocks(X) for part in in_chunks(function, block)]
        return np.concatenate(found) if found else empty


def batches(rows: Dataset, needs: tuple[str, ...]) -> Iterator[Batch]:
    """Yield all rows in order; unlike mining, predicting cannot leave one out."""
    for split in rows.splits:
        bad = Quarantine()
        yield from rows.batches(split, needs, bad)
        if bad.records:
            raise DataError(
                f"a row could not be read: {bad.records[0]}",
                "mend it, or take it out of the file: there is to be a prediction for each row",
            )


def _is_table(X: Any) -> bool:
    """Tell whether rows can only be meant as columns; SciPy has matrices that are dicts."""
    return isinstance(X, _TABLES) or type(X) is dict


def _has_columns(X: Any, names: Sequence[str] | None) -> bool:
    """Tell whether a frame has columns of these names."""
    columns = getattr(X, "columns", None)
    return names is not None and columns is not None and all(name in columns for name in names)


def in_chunks(function: Callable[[Any], Any], block: Any) -> list[Any]:
    """Return what a function gives for each chunk of a block's rows, worked out in threads."""
    rows = block.shape[0]
    workers = settings.workers()
    if rows <= CHUNK or workers == 1:
        return [function(block)]
    pieces = [block[start : start + CHUNK] for start in range(0, rows, CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, pieces))
