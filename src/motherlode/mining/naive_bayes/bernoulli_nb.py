"""Bernoulli naive Bayes: classes told apart by what is there and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from motherlode.algebra.summary import Traits
from motherlode.core.parameters import AnyOf, Constraint, Flag, Nothing, Real, Text, column_names
from motherlode.mining.naive_bayes._class_sums import ClassSums
from motherlode.mining.naive_bayes._classifier import LabelList, Numbers
from motherlode.mining.naive_bayes._counts import Floats
from motherlode.mining.naive_bayes._discrete import DiscreteNB
from motherlode.mining.naive_bayes._feature_sums import FeaturePresence, binarized
from motherlode.mining.naive_bayes._likelihood import Likelihood
from motherlode.mining.naive_bayes._word_counts import WordSums


class BernoulliNB(DiscreteNB):
    """Tell classes apart by which features are present in them, and which are not.

    Each feature is present in a row of a class, independently of the others, with a probability
    of its own: the smoothed share of the class's rows that have it,
    ``(count + alpha) / (rows + 2 alpha)``. Unlike :class:`MultinomialNB` this also weighs what a
    row lacks, which suits short texts. All that is kept is the number of rows with each feature in
    each class. Sums are exact, so classifiers can be merged, and rows can be forgotten, to the
    last bit.

    Parameters
    ----------
    alpha : float or array of shape (n_features,)
        Added to each count (Laplace's smoothing is 1).
    binarize : float, optional
        A feature is present where it is above this; None takes features as they are.
    fit_prior : bool
        Whether classes are as likely beforehand as they are frequent; else all are equally likely.
    class_prior : array of shape (n_classes,), optional
        How likely the classes are beforehand, in the order of their labels.
    classes : sequence, optional
        The labels there may be; by default those that occur.
    target : str, optional
        Column of the labels.
    features : list of str, optional
        Columns to learn from; by default all numeric ones but the target.
    text : str, optional
        Column of texts to learn from instead: the features are then the words in it, and the
        vocabulary grows as new ones come.
    token : str
        What a word is, as a regular expression for texts in lower case.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    class_count_ : ndarray of shape (n_classes,), float64
        Weight of the rows of each class.
    feature_count_ : ndarray of shape (n_classes, n_features), float64
        Weight of the rows in which each feature is present.
    feature_log_prob_ : ndarray of shape (n_classes, n_features), float64
        Logarithms of the probabilities of presence.
    class_log_prior_ : ndarray of shape (n_classes,), float64
        Logarithms of the probabilities of the classes.
    vocabulary_ : ndarray of shape (n_features,)
        The words, sorted, where ``text`` was given.

    Notes
    -----
    Time: O(n d), of sparse rows O(number of entries). State: a whole number for each class and
    feature. Grade: exact. Rows with NaN or infinities are refused.

    References
    ----------
    McCallum and Nigam, "A comparison of event models for naive Bayes text classification", AAAI
    Workshop on Learning for Text Categorization, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]])
    >>> model = BernoulliNB().fit(X, np.array(["left", "left", "right", "right"]))
    >>> model.predict(np.array([[1, 1, 0], [0, 0, 1]])).tolist()
    ['left', 'right']
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "classes told apart by which features are present",
        invertible=True,
        state_size="classes * d",
        reference="McCallum and Nigam 1998",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "alpha": AnyOf(Real(0.0), Numbers()),
        "binarize": AnyOf(Real(), Nothing()),
        "fit_prior": Flag(),
        "class_prior": AnyOf(Numbers(), Nothing()),
        "classes": AnyOf(LabelList(), Nothing()),
        "target": AnyOf(Text(), Nothing()),
        "features": column_names(),
        "text": AnyOf(Text(), Nothing()),
        "token": Text(),
    }
    takes: ClassVar[str] = "labelled labelled_sparse"
    _once = True

    def __init__(
        self,
        *,
        alpha: Any = 1.0,
        binarize: float | None = 0.0,
        fit_prior: bool = True,
        class_prior: Any = None,
        classes: Sequence[Any] | None = None,
        target: str | None = None,
        features: Sequence[str] | None = None,
        text: str | None = None,
        token: str = r"[a-z0-9]+",
    ) -> None:
        self.alpha = alpha
        self.binarize = binarize
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.classes = classes
        self.target = target
        self.features = features
        self.text = text
        self.token = token

    def plan(self) -> ClassSums:
        self.validate()
        known = self.classes if self.classes is not None else self._announced
        if self.text is not None:
            return WordSums("BernoulliNB", self.text, self.token, True, self.target, known)
        return FeaturePresence(
            "BernoulliNB", self.features, self.target, known, binarize=self.binarize
        )

    def _log_probabilities(self) -> Floats:
        smoothing = self._smoothing()
        smoothed = self.feature_count_ + smoothing
        total = self.class_count_[:, None] + 2.0 * smoothing
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(smoothed) - np.log(total))

    def _likelihood(self) -> Likelihood:
        with np.errstate(divide="ignore", invalid="ignore"):
            absent = np.log1p(-np.exp(self.feature_log_prob_))
            starts = self.class_log_prior_ + absent.sum(axis=1)
            return Likelihood(starts[None], (self.feature_log_prob_ - absent)[None])

    def _seen(self, block: Any) -> Any:
        return block if self.text is not None else binarized(block, self.binarize)
