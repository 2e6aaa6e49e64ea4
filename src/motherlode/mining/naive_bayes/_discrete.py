"""What the naive Bayes classifiers for counts and for presence share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError
from motherlode.data import Dataset, dataset
from motherlode.mining.estimator import batches
from motherlode.mining.naive_bayes._class_sums import Learned
from motherlode.mining.naive_bayes._classifier import NaiveBayes
from motherlode.mining.naive_bayes._counts import Floats
from motherlode.mining.naive_bayes._likelihood import Likelihood
from motherlode.mining.naive_bayes._word_counts import WordCounts, matrix
from motherlode.mining.rows import Rows


class DiscreteNB(NaiveBayes):
    """A naive Bayes classifier whose likelihood is linear in the features."""

    alpha: Any
    fit_prior: bool
    class_prior: Any
    text: str | None
    token: str
    features: Sequence[str] | None
    feature_count_: Floats
    feature_log_prob_: Floats
    class_log_prior_: Floats
    _once = False

    def table(self, value: Any) -> pa.Table:
        """Return label, feature, count and log-probability, a row a class and feature."""
        return pa.table(
            {
                **self._cells(),
                "count": self.feature_count_.ravel(),
                "log_probability": self.feature_log_prob_.ravel(),
            }
        )

    def _feature_names(self) -> Any:
        return self.vocabulary_ if self.text is not None else super()._feature_names()

    def _settle(self, learned: Learned) -> None:
        self.__dict__.pop("vocabulary_", None)
        sums = learned.state.sums
        if isinstance(sums, WordCounts):
            self.vocabulary_, counts = sums.table(len(learned.labels))
        else:
            counts = sums.floats()
        self.feature_count_ = self._aligned(counts)
        self.class_log_prior_ = self._log_prior(self.class_prior, self.fit_prior)
        self.feature_log_prob_ = self._log_probabilities()

    def _log_probabilities(self) -> Floats:
        """Return the logarithm of the probability of each feature in each class."""
        raise NotImplementedError

    def _smoothing(self) -> Any:
        """Return what is added to each count."""
        if np.ndim(self.alpha) and np.shape(self.alpha) != (self.n_features_in_,):
            raise ParameterError(
                f"{type(self).__name__}: alpha must be one number, or one for each of the "
                f"{self.n_features_in_} features, got shape {np.shape(self.alpha)}"
            )
        return np.asarray(self.alpha, dtype=np.float64)

    def _likelihood(self) -> Likelihood:
        return Likelihood(self.class_log_prior_[None], self.feature_log_prob_[None])

    def _in_columns(self, X: Any, y: Any = None) -> bool:
        return self.text is not None or super()._in_columns(X, y)

    def training(
        self, X: Any, y: Any, sample_weight: Any = None, *, reset: bool = True
    ) -> tuple[Dataset, Self]:
        texts = self._texts(X)
        if texts is not None and y is not None and not isinstance(y, str):
            name = "label" if self.text != "label" else "class"
            X, y = pa.table({self.text: texts.to_arrow(), name: pa.array(np.asarray(y))}), name
        return super().training(X, y, sample_weight, reset=reset)

    def _blocks(self, X: Any) -> Iterator[Any]:
        if self.text is None:
            yield from super()._blocks(X)
            return
        texts = self._texts(X)
        if texts is not None:
            yield self._counted(texts)
            return
        rows = dataset(X)
        rows.schema.require(self.text)
        for batch in batches(rows, (self.text,)):
            yield self._counted(pl.Series(batch.column(self.text)))

    def beside(self, models: Sequence[Self], classes: NDArray[Any]) -> Any:
        # Models of texts have vocabularies of their own, so their columns do not match.
        kind: Any = super() if self.text is None else super(NaiveBayes, self)
        return kind.beside(models, classes)

    def given(self, rows: Rows, batch: Batch) -> Any:
        if self.text is None:
            return super().given(rows, batch)
        return pl.Series(batch.column(self.text))

    def _counted(self, texts: pl.Series) -> Any:
        return matrix(texts, self.token, self._once, self.vocabulary_)

    def _texts(self, X: Any) -> pl.Series | None:
        """Return texts that came as a sequence of strings, not in a column."""
        if self.text is None:
            return None
        if isinstance(X, list | tuple) or (hasattr(X, "dtype") and getattr(X, "ndim", 1) == 1):
            return pl.Series(np.asarray(X).tolist(), dtype=pl.String)
        return pl.Series(X) if isinstance(X, pa.Array | pa.ChunkedArray) else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.poor_score = True
        return tags
