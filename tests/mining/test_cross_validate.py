"""Cross-validation by merging fold states against fitting once a fold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import sklearn.naive_bayes as peers
from sklearn import metrics
from sklearn.base import ClassifierMixin
from sklearn.model_selection import cross_val_score

import motherlode as ml
from motherlode.algebra.summary import Summary, Traits
from motherlode.core.errors import ParameterError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.mining.estimator import Estimator
from motherlode.mining.folds import Dealer, Folds
from motherlode.mining.labels import Labels
from motherlode.mining.naive_bayes.gaussian_nb import GaussianNB
from motherlode.mining.naive_bayes.multinomial_nb import MultinomialNB
from motherlode.mining.rows import Rows
from motherlode.mining.validation.cross_validate import cross_validate

chance = np.random.default_rng(8)
Y = chance.choice([0, 1, 2], 600, p=[0.6, 0.3, 0.1])
X = np.abs(chance.normal(size=(600, 5)) + 0.7 * Y[:, None])
COUNTS = chance.poisson(1 + Y[:, None] * chance.random(8), (600, 8))


def dealt(rows, folds):
    """Return the fold of each row, as it is told to everyone."""
    labels, found = Labels(), []
    for split in rows.splits:
        dealer = Dealer(folds)
        found += [
            dealer.deal(batch, labels.codes(batch.target), labels) for batch in rows.batches(split)
        ]
    return np.concatenate(found)


def once_a_fold(peer, X, y, fold, folds, weights=None):
    """Return the confusion matrices of fitting a classifier on all folds but one, for each."""
    weights = np.ones(len(y)) if weights is None else weights
    found = []
    for number in range(folds):
        train, test = fold != number, fold == number
        predicted = peer.fit(X[train], y[train], sample_weight=weights[train]).predict(X[test])
        found.append(
            metrics.confusion_matrix(
                y[test], predicted, labels=np.unique(y), sample_weight=weights[test]
            )
        )
    return np.array(found)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("how", ["stratified", "random"])
@pytest.mark.parametrize(
    ("estimator", "peer", "rows"),
    [
        (GaussianNB(), peers.GaussianNB(), X),
        (MultinomialNB(), peers.MultinomialNB(), COUNTS),
        (MultinomialNB(alpha=0.3), peers.MultinomialNB(alpha=0.3), sp.csr_array(COUNTS)),
    ],
)
def test_it_is_fitting_once_a_fold(estimator, peer, rows, how, weighted):
    weights = chance.random(len(Y)) if weighted else None
    found = cross_validate(estimator, rows, Y, folds=7, how=how, seed=3, sample_weight=weights)
    fold = dealt(dataset(rows, y=Y), Folds(7, 3, how))
    wanted = once_a_fold(peer, rows, Y, fold, 7, weights)
    np.testing.assert_allclose(found.confusion, wanted)
    np.testing.assert_array_equal(found.rows, np.bincount(fold))
    assert found.classes.tolist() == [0, 1, 2]
    assert found.table.column_names == ["fold", "rows", "score"]
    np.testing.assert_allclose(found.mean, found.scores.mean())
    np.testing.assert_allclose(found.std, found.scores.std())


@pytest.mark.parametrize(
    ("scoring", "measure"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("f1", lambda y, p: metrics.f1_score(y, p, average="macro")),
        ("recall", lambda y, p: metrics.recall_score(y, p, average="macro")),
        (
            "precision",
            lambda y, p: metrics.precision_score(y, p, average="macro", zero_division=0),
        ),
    ],
)
def test_scores_are_scikit_learns(scoring, measure):
    found = cross_validate(GaussianNB(), X, Y, folds=5, scoring=scoring)
    fold = dealt(dataset(X, y=Y), Folds(5, 0, "stratified"))
    for number, score in enumerate(found.scores):
        train, test = fold != number, fold == number
        predicted = peers.GaussianNB().fit(X[train], Y[train]).predict(X[test])
        np.testing.assert_allclose(score, measure(Y[test], predicted))


def test_it_comes_out_about_where_scikit_learns_does():
    found = ml.cross_validate(ml.GaussianNB(), X, Y)
    peer = cross_val_score(peers.GaussianNB(), X, Y, cv=10)
    assert abs(found.mean - peer.mean()) < 3 * peer.std() / np.sqrt(10)
    assert repr(found).startswith("Scores(0.")


def test_stratified_folds_have_their_share_of_each_class():
    found = cross_validate(GaussianNB(), X, Y, folds=6)
    shares = found.confusion.sum(axis=2)
    assert (np.ptp(shares, axis=0) <= 1).all()
    assert np.ptp(found.rows) <= 3


def test_rows_of_one_value_stay_together():
    users = chance.integers(0, 40, 600)
    table = pa.table({"user": users, "x": X[:, 0], "z": X[:, 1], "label": Y})
    estimator = GaussianNB(features=["x", "z"])
    found = cross_validate(estimator, table, "label", folds=4, by="user")
    folds = Folds(4, 0, "stratified", "user")
    fold = np.concatenate(
        [
            Dealer(folds).deal(batch, np.zeros(len(batch), np.int64), Labels())
            for split in dataset(table).splits
            for batch in dataset(table).batches(split)
        ]
    )
    assert all(len(set(fold[users == user])) == 1 for user in users)
    wanted = once_a_fold(peers.GaussianNB(), X[:, :2], Y, fold, 4)
    np.testing.assert_array_equal(found.confusion, wanted)


def test_any_number_of_workers_and_files(tmp_path):
    table = pa.table({**{f"c{j}": COUNTS[:, j] for j in range(8)}, "label": Y.astype(str)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=90)
    wanted = cross_validate(MultinomialNB(), tmp_path / "rows.parquet", "label", workers=1)
    found = cross_validate(MultinomialNB(), tmp_path / "rows.parquet", "label", workers=3)
    np.testing.assert_array_equal(found.confusion, wanted.confusion)
    assert found.rows.sum() == 600


def test_texts_with_a_vocabulary_for_each_fold():
    words = [["ore", "vein"], ["gold", "tin"]]
    label = chance.integers(0, 2, 300)
    texts = [" ".join(chance.choice(words[c] + ["rock"], 4)) for c in label]
    texts[0] += " hapax"  # seen by all models but one
    table = pa.table({"text": texts, "label": label})
    found = cross_validate(MultinomialNB(text="text"), table, "label", folds=5)
    assert found.rows.sum() == 300
    assert found.mean > 0.95


class NearestMean(ClassifierMixin, Estimator):
    """A classifier whose summary knows nothing of folds."""

    traits: ClassVar[Traits] = Traits("ordered", "nearest mean")

    def __init__(self, target=None, features=None):
        self.target = target
        self.features = features

    def plan(self):
        return _Means(self.target)

    def fit(self, X, y):
        return self._learn(X, y)

    def conclude(self, value):
        self.classes_ = np.array(sorted(value))
        self.means_ = np.array([value[c][1] / value[c][0] for c in sorted(value)])
        self._note(None, self.means_.shape[1])
        return self

    def predict(self, X):
        return self._predicted(X, self._nearest, self.classes_[:0])

    def _nearest(self, block):
        gaps = ((block[:, None, :] - self.means_) ** 2).sum(axis=2)
        return self.classes_[gaps.argmin(axis=1)]


class _Means(Summary):
    traits: ClassVar[Traits] = Traits("ordered", "sums by class")

    def __init__(self, target):
        self.target = target

    def prepare(self, schema):
        ready = _Means(self.target)
        ready.rows_ = Rows.of("NearestMean", schema, None, self.target, supervised=True)
        return ready

    def needs(self):
        return self.rows_.needs()

    def zero(self):
        return {}

    def update(self, state, batch):
        labels = np.asarray(self.rows_.labels(batch))
        for label in np.unique(labels).tolist():
            rows = self.rows_.block(batch)[labels == label]
            n, total = state.get(label, (0, 0.0))
            state[label] = n + len(rows), total + rows.sum(axis=0)
        return state

    def merge(self, left, right):
        for label, (n, total) in right.items():
            m, other = left.get(label, (0, 0.0))
            left[label] = n + m, total + other
        return left

    def finish(self, state):
        return dict(state)

    def export(self, state):
        return [[label, n, np.array(total)] for label, (n, total) in sorted(state.items())]

    def load(self, exported):
        return {label: (n, np.array(total)) for label, n, total in exported}


def test_any_classifier_that_learns_in_one_pass():
    found = cross_validate(NearestMean(), X, Y, folds=6, how="random")
    fold = dealt(dataset(X, y=Y), Folds(6))
    for number in range(6):
        train, test = fold != number, fold == number
        predicted = NearestMean().fit(X[train], Y[train]).predict(X[test])
        np.testing.assert_array_equal(
            found.confusion[number], metrics.confusion_matrix(Y[test], predicted, labels=[0, 1, 2])
        )


def test_what_cannot_be_cross_validated_is_refused():
    with pytest.raises(UsageError, match="classifier of this package, got KMeans"):
        cross_validate(ml.KMeans(2), X, Y)
    with pytest.raises(UsageError, match="cross_val_score"):
        cross_validate(peers.GaussianNB(), X, Y)
    with pytest.raises(ParameterError, match="folds"):
        cross_validate(GaussianNB(), X, Y, folds=1)
    with pytest.raises(ParameterError, match="scoring"):
        cross_validate(GaussianNB(), X, Y, scoring="acuracy")
    with pytest.raises(UsageError, match="has no rows"):
        cross_validate(GaussianNB(), X[:6], Y[:6] * 0, folds=9)
    with pytest.raises(UnknownNameError, match="user"):
        cross_validate(GaussianNB(), pa.table({"a": [1.0], "y": [1]}), "y", by="user")
    with pytest.raises(UsageError, match="requires y"):
        cross_validate(GaussianNB(), X)


def test_the_estimator_stays_as_it_was():
    estimator = GaussianNB()
    cross_validate(estimator, X, Y)
    assert not hasattr(estimator, "classes_")
