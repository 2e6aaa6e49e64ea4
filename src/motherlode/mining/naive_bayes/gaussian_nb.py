"""Gaussian naive Bayes: classes told apart by means and variances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from motherlode.algebra.summary import Traits
from motherlode.core.errors import ParameterError
from motherlode.core.parameters import AnyOf, Constraint, Nothing, Real, Text, column_names
from motherlode.mining.naive_bayes._class_sums import ClassSums, Learned
from motherlode.mining.naive_bayes._classifier import LabelList, NaiveBayes, Numbers
from motherlode.mining.naive_bayes._counts import Counts, Floats, Moments
from motherlode.mining.naive_bayes._feature_sums import FeatureMoments
from motherlode.mining.naive_bayes._likelihood import Likelihood


class GaussianNB(NaiveBayes):
    """Tell classes apart by where their features lie, each on a normal distribution of its own.

    Each feature of a class is taken to be normally distributed, independently of the others, with
    the mean and variance that it has among the class's rows. All that is kept are the sums of each
    feature and of its squares in each class. These are exact, so means and variances are the true
    ones, rounded once (even where values lie far from zero), classifiers can be merged, and rows
    can be forgotten, to the last bit.

    Parameters
    ----------
    priors : array of shape (n_classes,), optional
        How likely the classes are beforehand; by default as they are frequent.
    var_smoothing : float
        Share of the largest variance of a feature that is added to all variances.
    classes : sequence, optional
        The labels there may be; by default those that occur.
    target : str, optional
        Column of the labels.
    features : list of str, optional
        Columns to learn from; by default all numeric ones but the target.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    class_count_ : ndarray of shape (n_classes,), float64
        Weight of the rows of each class.
    class_prior_ : ndarray of shape (n_classes,), float64
        Probabilities of the classes.
    theta_, var_ : ndarray of shape (n_classes, n_features), float64
        Means and smoothed variances of the features in each class.
    epsilon_ : float
        What was added to the variances.

    Notes
    -----
    Time: O(n d). State: some 100 bytes for each class and feature. Grade: exact. After
    ``partial_fit`` the smoothing follows from the variances of all rows so far, where scikit-learn
    takes those of the last batch: so it does not matter how the rows came. Rows with NaN or
    infinities are refused.

    References
    ----------
    John and Langley, "Estimating continuous distributions in Bayesian classifiers", UAI 1995.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 9.0], [2.0, 8.0], [7.0, 1.0], [8.0, 2.0]])
    >>> model = GaussianNB().fit(X, ["a", "a", "b", "b"])
    >>> model.predict(np.array([[1.5, 8.0], [9.0, 1.0]])).tolist()
    ['a', 'b']
    >>> model.theta_.tolist()
    [[1.5, 8.5], [7.5, 1.5]]
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "classes told apart by means and variances",
        invertible=True,
        state_size="classes * d",
        reference="John and Langley, UAI 1995",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "priors": AnyOf(Numbers(), Nothing()),
        "var_smoothing": Real(0.0),
        "classes": AnyOf(LabelList(), Nothing()),
        "target": AnyOf(Text(), Nothing()),
        "features": column_names(),
    }
    takes: ClassVar[str] = "labelled"
    _checks: ClassVar[Mapping[str, Any]] = {}

    theta_: Floats
    var_: Floats
    class_prior_: Floats
    epsilon_: float

    def __init__(
        self,
        *,
        priors: Any = None,
        var_smoothing: float = 1e-9,
        classes: Sequence[Any] | None = None,
        target: str | None = None,
        features: Sequence[str] | None = None,
    ) -> None:
        self.priors = priors
        self.var_smoothing = var_smoothing
        self.classes = classes
        self.target = target
        self.features = features

    def plan(self) -> ClassSums:
        self.validate()
        known = self.classes if self.classes is not None else self._announced
        return FeatureMoments("GaussianNB", self.features, self.target, known)

    def table(self, value: Any) -> pa.Table:
        """Return label, feature, mean and smoothed variance, a row a class and feature."""
        return pa.table(
            {**self._cells(), "mean": self.theta_.ravel(), "variance": self.var_.ravel()}
        )

    def _settle(self, learned: Learned) -> None:
        state = learned.state
        means, variances, largest = _moments(state.weights, state.sums)
        self.epsilon_ = self.var_smoothing * largest
        self.theta_ = self._aligned(means)
        self.var_ = self._aligned(variances) + self.epsilon_
        self.class_prior_ = np.exp(self._log_prior(self.priors))
        if self.priors is not None and not np.isclose(self.class_prior_.sum(), 1.0):
            raise ParameterError(f"GaussianNB: priors must add up to 1, got {self.priors!r}")

    def _likelihood(self) -> Likelihood:
        with np.errstate(divide="ignore"):
            starts = np.log(self.class_prior_) - 0.5 * np.log(2.0 * np.pi * self.var_).sum(axis=1)
            return Likelihood(starts[None], self.theta_[None], 1.0 / self.var_[None])


def _moments(weights: Counts, sums: Moments) -> tuple[Floats, Floats, float]:
    """Return means and variances, shape (groups, width), and the largest variance of a feature.

    They are worked out in whole numbers, and rounded once. With n rows (or so much weight), the
    variance is ``(n * sum of squares - sum**2) / n**2``.
    """
    values, e = sums.integers(1)
    squares, f = sums.integers(2)
    totals, g = weights.integers()
    # In units of 2**u for values and 2**(2 * u - g) for squares, all exponents agree.
    u = min(e, (f + g) // 2)
    values = [value << (e - u) for value in values]
    squares = [square << (f + g - 2 * u) for square in squares]

    def spread(total: int, square: int, value: int) -> float:
        return _ratio(total * square - value * value, total * total, 2 * u - 2 * g)

    width, cells = sums.width, range(len(values))
    means, variances = np.zeros(len(values)), np.zeros(len(values))
    for cell in cells:
        total = totals[cell // width]
        if total:
            means[cell] = _ratio(values[cell], total, u - g)
            variances[cell] = spread(total, squares[cell], values[cell])
    whole = sum(totals)
    largest = max(
        spread(whole, sum(squares[j::width]), sum(values[j::width])) for j in range(width)
    )
    return means.reshape(-1, width), variances.reshape(-1, width), largest


def _ratio(above: int, below: int, exponent: int) -> float:
    """Return ``above / below * 2**exponent``, rounded once; infinite if it is too large."""
    above, below = above << max(exponent, 0), below << max(-exponent, 0)
    try:
        return above / below
    except OverflowError:
        return float("inf") if above > 0 else float("-inf")
