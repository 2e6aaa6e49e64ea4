"""k-means: rows put into k groups around their means."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from motherlode.algebra.summary import Chart, Iterative, Traits
from motherlode.core.batch import Batch, empty_columns
from motherlode.core.parameters import (
    AnyOf,
    Choice,
    Constraint,
    Integer,
    Nothing,
    Real,
    column_names,
)
from motherlode.data import Dataset, dataset
from motherlode.data.source import Source
from motherlode.mining.cluster._centers import LARGEST, Centers, Floats
from motherlode.mining.cluster._kmeans_passes import Gather, Survey
from motherlode.mining.cluster._kmeans_plan import Lloyd
from motherlode.mining.estimator import Estimator
from motherlode.mining.rows import Rows
from motherlode.runtime import run


@dataclass(frozen=True)
class Points(Constraint):
    """A matrix of numbers, one row a point."""

    def accepts(self, value: Any) -> bool:
        if isinstance(value, str) or np.ndim(value) != 2:
            return False
        return bool((np.abs(np.asarray(value, dtype=np.float64)) <= LARGEST).all())

    def invalid(self) -> Sequence[Any]:
        return [[1.0, 2.0], [[math.nan]]]

    def __str__(self) -> str:
        return "an array of centres, one row each"


class KMeans(ClusterMixin, TransformerMixin, Estimator):
    """Put rows into k clusters such that the squared distances to the clusters' means are small.

    Lloyd's algorithm goes over the rows again and again: each row is assigned to the nearest
    centre, then each centre moves to the mean of its rows. Every such pass is one summary, the
    sums of the rows of each cluster, so it runs wherever the rows lie. The sums do not round and
    the start is drawn by what rows hold, not by where they lie: cut, ordered or batched in any
    way, on any number of workers, the rows give the same clusters to the last bit.

    The start is k-means|| by default. From a sample of the different rows ``n_clusters`` are
    chosen that lie far from each other (greedy k-means++); if there are no more than the sample
    holds, these are the start. Else ``init_rounds`` passes draw ``oversampling * n_clusters`` rows
    each with chances proportional to their squared distance from what was chosen before, one pass
    weighs all these candidates, and they are clustered in their turn.

    Parameters
    ----------
    n_clusters : int
        The number of clusters, k.
    init : {'k-means||', 'k-means++', 'random'} or array of shape (n_clusters, n_features)
        Where to start: as above; k-means++ on the sample alone; rows at random; or given centres.
    oversampling : float
        Candidates drawn each round, in multiples of ``n_clusters``.
    init_rounds : int
        Passes that draw candidates.
    max_iter : int
        Steps of Lloyd's algorithm at most.
    tol : float
        Stop when the squared distances that the centres moved sum up to less than this share of
        the mean variance of the features, as in scikit-learn.
    random_state : int, optional
        Seed of the start; None counts as 0, so that answers can be repeated.
    features : list of str, optional
        Columns to cluster by; all numeric ones by default. Not for matrices.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features), float64
        The centres.
    counts_ : ndarray of shape (n_clusters,), float64
        Weight of the rows nearest to each, their number where rows have no weights.
    labels_ : ndarray of shape (n_rows,), int32
        The cluster of each row; not after fitting to a dataset or files.
    inertia_ : float
        Weighted sum of the squared distances of the rows to their centres.
    n_iter_ : int
        Steps taken.
    n_features_in_ : int
        Number of features.

    Notes
    -----
    Time: O(n k d) a pass; about ``init_rounds + 3`` passes beside the steps. State: O(k d). Grade:
    exact. Rows are summed after rounding to 2**-41 of the widest a feature goes, so centres are
    within about 1e-12 of its range of the true means. Rows that hold NaN or infinities are refused.
    ``partial_fit`` is the online variant for streams (Sculley 2010): centres move towards the rows
    of each batch with a rate that falls with the rows they have seen.

    References
    ----------
    Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982.
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, "Scalable k-means++", PVLDB 5(7), 2012.
    Sculley, "Web-scale k-means clustering", WWW 2010.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 1.0], [1.0, 2.0], [9.0, 8.0], [9.0, 9.0]])
    >>> model = KMeans(n_clusters=2).fit(X)
    >>> model.labels_.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    >>> float(model.inertia_)
    1.0
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "clusters around means (Lloyd, k-means||)",
        passes="k",
        streamable="online",
        state_size="k * d",
        reference="Lloyd 1982; Bahmani et al., PVLDB 2012",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "n_clusters": Integer(1),
        "init": AnyOf(Choice(("k-means||", "k-means++", "random")), Points()),
        "oversampling": Real(0.0, closed="right"),
        "init_rounds": Integer(0),
        "max_iter": Integer(1),
        "tol": Real(0.0),
        "random_state": AnyOf(Integer(0), Nothing()),
        "features": column_names(),
    }
    chart: ClassVar[Chart | None] = Chart("bar", x="cluster", y="size")
    takes: ClassVar[str] = "matrix sparse numbers"
    example: ClassVar[Mapping[str, Any]] = {"n_clusters": 3, "init_rounds": 1}

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means||",
        oversampling: float = 2.0,
        init_rounds: int = 2,
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | None = None,
        features: Sequence[str] | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.oversampling = oversampling
        self.init_rounds = init_rounds
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.features = features

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters.

        Parameters
        ----------
        X : array, sparse matrix, frame, Arrow table, Dataset or path
            The rows.
        y : ignored
        sample_weight : array of shape (n_rows,), optional
            Weights of the rows of a matrix.
        """
        self.__dict__.pop("labels_", None)
        self._learn(X, None, sample_weight)
        if not isinstance(X, Dataset | Source | str | os.PathLike):
            self.labels_ = self.predict(X)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int32]:
        """Find the clusters, and return that of each row."""
        return self.fit(X, y, sample_weight).predict(X)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Move the centres towards a batch of rows.

        Each centre becomes the mean of all rows that were ever assigned to it, each to what was
        nearest when it came. The first batch, of at least ``n_clusters`` rows, sets the start.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_rows, n_features)
            The batch.
        y : ignored
        sample_weight : array of shape (n_rows,), optional
            Weights of the rows.
        """
        self.validate()
        fresh = not hasattr(self, "cluster_centers_")
        block, _, weights = self._matrix(X, None, sample_weight, reset=fresh)
        if fresh:
            start = run(self._passes(max_iter=0), dataset(block, weights=weights)).value
            self.cluster_centers_ = start["centers"]
            self.counts_ = np.zeros(self.n_clusters)
            self.n_iter_ = 0
        rows, sparse = Rows(None, block.shape[1]), not isinstance(block, np.ndarray)
        batch = Batch(empty_columns(block.shape[0]), block, weights=weights)
        survey = Survey(rows, 0, 0, sparse)
        extent = survey.update(survey.zero(), batch).extent
        extent.check()
        step = Gather(rows, self.cluster_centers_, extent, sparse, close=True)
        found = step.finish(step.update(step.zero(), batch))
        self.counts_ = self.counts_ + found.weights
        share = found.weights / np.where(self.counts_ > 0.0, self.counts_, 1.0)
        moved = share[:, None] * (found.centers - self.cluster_centers_)
        self.cluster_centers_ = self.cluster_centers_ + moved
        self.inertia_ = found.inertia
        self.n_iter_ += 1
        self.labels_ = self.predict(block)
        return self

    def plan(self) -> Iterative[Any, Any]:
        self.validate()
        return self._passes(self.max_iter)

    def _passes(self, max_iter: int) -> Lloyd:
        return Lloyd(**{**self.parameters(), "max_iter": max_iter})

    def conclude(self, value: Any) -> Self:
        self._note(value["features"], value["width"])
        self.cluster_centers_ = value["centers"]
        self.counts_ = value["weights"]
        self.inertia_ = value["inertia"]
        self.n_iter_ = value["iterations"]
        empty = int((self.counts_ == 0.0).sum())
        if empty:
            warnings.warn(
                f"only {self.n_clusters - empty} of {self.n_clusters} clusters have rows; "
                "there may be too few different ones",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: Any) -> NDArray[np.int32]:
        """Return the cluster of each row: the nearest centre, the first of equally near ones.

        Parameters
        ----------
        X : array, sparse matrix, frame, Arrow table, Dataset or path
            The rows, with the features by name where they had names in ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,), int32
        """
        return self._predicted(X, lambda block: self._assign(block)[0], np.empty(0, np.int32))

    def transform(self, X: Any) -> NDArray[Any]:
        """Return the distances of each row to all centres.

        Returns
        -------
        ndarray of shape (n_rows, n_clusters)
        """
        return self._predicted(
            X, lambda block: self._centers(block).distances(block), np.empty((0, self.n_clusters))
        )

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the weighted sum of the squared distances to the nearest centres."""
        gaps = self._predicted(X, lambda block: self._assign(block, True)[1], np.empty(0))
        weights = 1.0 if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return -float((gaps * weights).sum())

    def table(self, value: Any) -> pa.Table:
        """Return cluster, size and centre, a row a cluster; the features by their names."""
        columns: dict[str, Any] = {"cluster": np.arange(len(self.counts_)), "size": self.counts_}
        for name, values in zip(self._feature_names(), self.cluster_centers_.T, strict=True):
            columns[f"mean_{name}" if name in columns else name] = values
        return pa.table(columns)

    def _assign(self, block: Any, gaps: bool = False) -> tuple[NDArray[np.int32], Floats]:
        return self._centers(block).assign(block, gaps)

    def _centers(self, block: Any) -> Centers:
        return Centers(self.cluster_centers_, sparse=not isinstance(block, np.ndarray))

    @property
    def _n_features_out(self) -> int:
        return self.n_clusters

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
