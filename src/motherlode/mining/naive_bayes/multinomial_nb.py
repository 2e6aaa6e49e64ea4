"""Multinomial naive Bayes: classes told apart by how often things occur."""

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
from motherlode.mining.naive_bayes._feature_sums import FeatureCounts
from motherlode.mining.naive_bayes._word_counts import WordSums


class MultinomialNB(DiscreteNB):
    """Tell classes apart by how often features occur in them: words in texts, items in baskets.

    A class is taken to draw its features independently, each with a probability of its own: the
    smoothed share of the feature among all that occurs in the class,
    ``(count + alpha) / (total + alpha * d)``. A row belongs to the class under which its counts are
    most likely. All that is kept is the sum of each feature in each class. Sums are exact, so
    classifiers can be merged, and rows can be forgotten, to the last bit.

    Parameters
    ----------
    alpha : float or array of shape (n_features,)
        Added to each count (Laplace's smoothing is 1).
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
        Sums of the features.
    feature_log_prob_ : ndarray of shape (n_classes, n_features), float64
        Logarithms of their probabilities.
    class_log_prior_ : ndarray of shape (n_classes,), float64
        Logarithms of the probabilities of the classes.
    vocabulary_ : ndarray of shape (n_features,)
        The words, sorted, where ``text`` was given.

    Notes
    -----
    Time: O(n d), of sparse rows O(number of entries). State: a whole number for each class and
    feature; some 100 bytes instead where there are fractions. Grade: exact. Rows with negative
    features, NaN or infinities are refused.

    References
    ----------
    McCallum and Nigam, "A comparison of event models for naive Bayes text classification", AAAI
    Workshop on Learning for Text Categorization, 1998.

    Examples
    --------
    >>> import pyarrow as pa
    >>> mail = pa.table(
    ...     {
    ...         "label": ["spam", "ham", "spam", "ham"],
    ...         "message": ["win a prize now", "see you at noon", "prize now!", "at home now?"],
    ...     }
    ... )
    >>> model = MultinomialNB(text="message").fit(mail, y="label")
    >>> model.predict(["a prize", "home at noon"]).tolist()
    ['spam', 'ham']
    """

    traits: ClassVar[Traits] = Traits(
        "exact",
        "classes told apart by how often features occur",
        invertible=True,
        state_size="classes * d",
        reference="McCallum and Nigam 1998",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "alpha": AnyOf(Real(0.0), Numbers()),
        "fit_prior": Flag(),
        "class_prior": AnyOf(Numbers(), Nothing()),
        "classes": AnyOf(LabelList(), Nothing()),
        "target": AnyOf(Text(), Nothing()),
        "features": column_names(),
        "text": AnyOf(Text(), Nothing()),
        "token": Text(),
    }
    takes: ClassVar[str] = "counts counts_sparse"
    _checks: ClassVar[Mapping[str, Any]] = {"accept_sparse": "csr", "ensure_non_negative": True}

    def __init__(
        self,
        *,
        alpha: Any = 1.0,
        fit_prior: bool = True,
        class_prior: Any = None,
        classes: Sequence[Any] | None = None,
        target: str | None = None,
        features: Sequence[str] | None = None,
        text: str | None = None,
        token: str = r"[a-z0-9]+",
    ) -> None:
        self.alpha = alpha
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
            return WordSums("MultinomialNB", self.text, self.token, False, self.target, known)
        return FeatureCounts("MultinomialNB", self.features, self.target, known)

    def _log_probabilities(self) -> Floats:
        smoothed = self.feature_count_ + self._smoothing()
        with np.errstate(divide="ignore"):
            total = np.log(smoothed.sum(axis=1, keepdims=True))
            return np.asarray(np.log(smoothed) - total)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
