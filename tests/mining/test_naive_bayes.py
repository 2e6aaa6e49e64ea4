"""Naive Bayes against scikit-learn and fractions, and exact: merged, forgotten, cut in any way."""

from __future__ import annotations

import copy
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import sklearn.naive_bayes as peers
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

import motherlode as ml
from motherlode.algebra import codec
from motherlode.core.errors import DataError, ParameterError, StateError, UsageError
from motherlode.data import dataset
from motherlode.mining.naive_bayes.bernoulli_nb import BernoulliNB
from motherlode.mining.naive_bayes.gaussian_nb import GaussianNB
from motherlode.mining.naive_bayes.multinomial_nb import MultinomialNB
from motherlode.runtime import run

KINDS = [MultinomialNB, BernoulliNB, GaussianNB]
chance = np.random.default_rng(11)
Y = chance.integers(0, 4, 400)
COUNTS = chance.poisson(1.0 + Y[:, None] * chance.random(12), (400, 12))
REALS = COUNTS * chance.random((400, 12))
WEIGHTS = chance.random(400)
NAMES = np.array(["ham", "spam", "other", "none"])[Y]

LABELS = {
    "int": Y,
    "str": NAMES,
    "bool": Y > 1,
    "float": Y / 1.0,
    "object": NAMES.astype(object),
    "small": Y.astype(np.int8) - 3,
    "far": Y * 10**12,
}

FITTED = {
    MultinomialNB: ("feature_count_", "feature_log_prob_", "class_log_prior_", "class_count_"),
    BernoulliNB: ("feature_count_", "feature_log_prob_", "class_log_prior_", "class_count_"),
    GaussianNB: ("theta_", "var_", "class_prior_", "class_count_"),
}


def same(left, right):
    """Whether two classifiers hold the same, to the bit."""
    for name in ("classes_", *FITTED[type(left)]):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), strict=True)


def pickled(model):
    return codec.encode(model._learned.summary.export(model._learned.state))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize(
    ("kind", "X"),
    [
        (MultinomialNB, COUNTS),
        (MultinomialNB, REALS),
        (MultinomialNB, REALS.astype(np.float32)),
        (MultinomialNB, sp.csr_array(REALS)),
        (MultinomialNB, sp.coo_matrix(COUNTS)),
        (BernoulliNB, COUNTS),
        (BernoulliNB, REALS - 0.5),
        (BernoulliNB, sp.csr_array(COUNTS)),
        (GaussianNB, REALS),
        (GaussianNB, COUNTS),
    ],
)
def test_it_is_scikit_learns(kind, X, labels, weighted):
    weights = WEIGHTS if weighted else None
    model = kind().fit(X, labels, sample_weight=weights)
    peer = getattr(peers, kind.__name__)().fit(X, labels, sample_weight=weights)
    np.testing.assert_array_equal(model.classes_, peer.classes_)
    for name in FITTED[kind]:
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    exact = 1e-9 if getattr(X, "dtype", None) != np.float32 else 1e-4
    for name in ("predict_log_proba", "predict_proba", "predict_joint_log_proba"):
        expected = getattr(peer, name)(X)
        np.testing.assert_allclose(getattr(model, name)(X), expected, rtol=exact, atol=exact)
    assert model.score(X, labels) == peer.score(X, labels)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (MultinomialNB, {"alpha": 0.1, "fit_prior": False}),
        (MultinomialNB, {"alpha": np.arange(1.0, 13.0), "class_prior": [0.1, 0.2, 0.3, 0.4]}),
        (BernoulliNB, {"alpha": 2.5, "binarize": 1.5}),
        (BernoulliNB, {"fit_prior": False, "binarize": 0.25}),
        (GaussianNB, {"priors": [0.1, 0.2, 0.3, 0.4]}),
        (GaussianNB, {"var_smoothing": 0.1}),
    ],
)
def test_parameters_mean_what_they_mean_there(kind, parameters):
    model, peer = kind(**parameters).fit(REALS, Y), getattr(peers, kind.__name__)(**parameters)
    peer.fit(REALS, Y)
    np.testing.assert_allclose(
        model.predict_joint_log_proba(REALS), peer.predict_joint_log_proba(REALS), rtol=1e-9
    )


def test_means_and_variances_are_exact_far_from_zero():
    X = REALS[:, :3] + 1e9
    model = GaussianNB(var_smoothing=0.0).fit(X, Y)
    for c in range(4):
        for j in range(3):
            values = [Fraction(v) for v in X[c == Y, j]]
            mean = sum(values) / len(values)
            variance = sum(v * v for v in values) / len(values) - mean * mean
            assert model.theta_[c, j] == float(mean)
            assert model.var_[c, j] == float(variance)


def test_weighted_means_and_variances_far_from_zero():
    X = REALS[:, :2] + 1e9
    model = GaussianNB(var_smoothing=0.0).fit(X, Y, sample_weight=WEIGHTS)
    for c in range(4):
        weights = [Fraction(w) for w in WEIGHTS[c == Y]]
        for j in range(2):
            values = [Fraction(v) for v in X[c == Y, j]]
            mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
            squares = (w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
            np.testing.assert_allclose(model.theta_[c, j], float(mean), rtol=1e-15)
            np.testing.assert_allclose(model.var_[c, j], float(sum(squares) / sum(weights)), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("X", [COUNTS, REALS], ids=["whole", "fractions"])
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), split=st.integers(1, 300), weighted=st.booleans())
def test_the_same_bits_however_rows_are_cut_and_ordered(kind, X, seed, split, weighted):
    order = np.random.default_rng(seed).permutation(len(X))
    weights = WEIGHTS if weighted else None
    wanted = run(kind(), dataset(X, y=NAMES, weights=weights)).digest
    shuffled = dataset(
        X[order], y=NAMES[order], weights=weights[order] if weighted else None, split_rows=split
    )
    assert run(kind(), shuffled, workers=2).digest == wanted


@pytest.mark.parametrize(
    ("kind", "X"),
    [
        *((kind, X) for kind in KINDS for X in (COUNTS, REALS)),
        (MultinomialNB, sp.csr_array(REALS)),
        (BernoulliNB, sp.csr_array(REALS)),
    ],
)
def test_going_on_merging_and_forgetting_are_exact(kind, X):
    whole = kind().fit(X, NAMES)
    batches = kind()
    for start in range(0, 400, 64):
        rows = slice(start, start + 64)
        batches.partial_fit(X[rows], NAMES[rows])
    same(batches, whole)
    first, second = kind().fit(X[:150], NAMES[:150]), kind().fit(X[150:], NAMES[150:])
    kept, alone = copy.deepcopy(second), copy.deepcopy(first)
    merged = first.merge(second)
    assert merged is first
    same(merged, whole)
    same(second, kept)
    merged.forget(X[150:], NAMES[150:])
    same(merged, alone)
    assert pickled(merged) == pickled(alone)
    assert pickled(whole) == pickled(batches)


def test_weighted_rows_are_forgotten_too():
    for kind in KINDS:
        alone = kind().fit(REALS[:200], Y[:200], sample_weight=WEIGHTS[:200])
        both = copy.deepcopy(alone).partial_fit(REALS[200:], Y[200:], sample_weight=WEIGHTS[200:])
        same(both, kind().fit(REALS, Y, sample_weight=WEIGHTS))
        same(both.forget(REALS[200:], Y[200:], sample_weight=WEIGHTS[200:]), alone)
        assert pickled(both) == pickled(alone)


def test_a_class_comes_later_and_goes_again():
    early, late = NAMES != "none", NAMES == "none"
    model = MultinomialNB().fit(COUNTS[early], NAMES[early])
    assert model.classes_.tolist() == ["ham", "other", "spam"]
    model.merge(MultinomialNB().fit(COUNTS[late], NAMES[late]))
    same(model, MultinomialNB().fit(COUNTS, NAMES))
    model.forget(COUNTS[late], NAMES[late])
    assert model.classes_.tolist() == ["ham", "other", "spam"]


def test_what_was_not_learnt_cannot_be_forgotten():
    model = GaussianNB().fit(REALS[:100], Y[:100])
    before = pickled(model)
    with pytest.raises(StateError, match="fewer rows of a class"):
        model.forget(REALS, Y)
    with pytest.raises(StateError, match="no rows of class 9"):
        model.forget(REALS[:1], np.array([9]))
    assert pickled(model) == before
    model.forget(REALS[:99], Y[:99])
    assert model.class_count_.tolist() == [1.0]


def test_classes_announced_are_there_without_rows():
    model = MultinomialNB().partial_fit(COUNTS[:1], Y[:1], classes=[0, 1, 2, 3])
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert model.class_count_.sum() == 1.0
    model.partial_fit(COUNTS[1:], Y[1:])
    np.testing.assert_allclose(
        model.predict_proba(COUNTS), peers.MultinomialNB().fit(COUNTS, Y).predict_proba(COUNTS)
    )
    with pytest.raises(DataError, match="7 is not among the classes"):
        GaussianNB(classes=[0, 1]).fit(REALS[:2], [0, 7])


def test_columns_frames_and_datasets():
    table = pa.table({"a": COUNTS[:, 0], "label": NAMES, "b": COUNTS[:, 1], "note": NAMES})
    wanted = MultinomialNB().fit(COUNTS[:, :2], NAMES)
    expected = wanted.predict(COUNTS[:, :2])
    for source in (table, dataset(table), pl.from_arrow(table), table.to_pandas()):
        model = MultinomialNB().fit(source, y="label")
        same(model, wanted)
        assert model.feature_names_in_.tolist() == ["a", "b"]
        np.testing.assert_array_equal(model.predict(source), expected)
    same(MultinomialNB(target="label", features=["a", "b"]).fit(table), wanted)
    found = ml.mine(table, ml.MultinomialNB(target="label"))
    same(found.value, wanted)
    assert found.table.column_names == ["label", "feature", "count", "log_probability"]
    assert found.table.num_rows == 8
    half = MultinomialNB().fit(table.slice(0, 100), y="label")
    same(half.partial_fit(table.slice(100), y="label"), wanted)
    frame = pd.DataFrame(COUNTS[:, :2], columns=["a", "b"])
    named = MultinomialNB().fit(frame, NAMES)
    np.testing.assert_array_equal(named.predict(table), expected)
    gaussian = ml.mine(table, ml.GaussianNB(target="label", features=["b"]))
    assert gaussian.table.column_names == ["label", "feature", "mean", "variance"]


TEXTS = ["Win a PRIZE now", "see you at noon", "prize, prize now!", "at home now?", "", "noon"]
KIND_OF = ["spam", "ham", "spam", "ham", "ham", "spam"]
MAIL = pa.table({"message": TEXTS, "label": KIND_OF})


@pytest.mark.parametrize(("kind", "binary"), [(MultinomialNB, False), (BernoulliNB, True)])
def test_texts_against_a_vectorizer(kind, binary):
    words = CountVectorizer(token_pattern=r"[a-z0-9]+", binary=binary)
    peer = getattr(peers, kind.__name__)().fit(words.fit_transform(TEXTS), KIND_OF)
    model = kind(text="message").fit(MAIL, y="label")
    assert model.vocabulary_.tolist() == words.get_feature_names_out().tolist()
    np.testing.assert_array_equal(model.feature_count_, peer.feature_count_)
    strange = ["home prize prize zebra", "", "NOW"]
    expected = peer.predict_log_proba(words.transform(strange))
    for texts in (strange, np.array(strange), pa.array(strange), pa.table({"message": strange})):
        np.testing.assert_allclose(model.predict_log_proba(texts), expected)
    same(kind(text="any").fit(TEXTS, KIND_OF), model)


@pytest.mark.parametrize("kind", [MultinomialNB, BernoulliNB])
def test_vocabularies_merge_and_shrink(kind):
    whole = kind(text="message").fit(MAIL, y="label")
    first = kind(text="message").fit(MAIL.slice(0, 2), y="label")
    alone = copy.deepcopy(first)
    first.merge(kind(text="message").fit(MAIL.slice(2), y="label"))
    same(first, whole)
    assert first.vocabulary_.tolist() == whole.vocabulary_.tolist()
    first.forget(MAIL.slice(2), y="label")
    assert first.vocabulary_.tolist() == alone.vocabulary_.tolist()
    same(first, alone)
    digests = {
        run(kind(text="message", target="label"), dataset(MAIL, split_rows=n)).digest
        for n in (1, 2, 6)
    }
    assert len(digests) == 1
    with pytest.raises(StateError):
        first.forget(pa.table({"message": ["unheard of"], "label": ["ham"]}), y="label")


def test_spam_is_told_from_the_rest(shared_data):
    text = shared_data("sms-spam/SMSSpamCollection").read_text(encoding="utf-8")
    label, message = zip(*(line.split("\t", 1) for line in text.split("\n") if line), strict=True)
    mail = pa.table({"label": label, "message": message})
    train = len(mail) * 3 // 10
    model = MultinomialNB(text="message").fit(mail.slice(0, train), y="label")
    accuracy = (model.predict(mail.slice(train)) == np.array(label[train:])).mean()
    assert round(accuracy, 3) == 0.982


def test_rows_that_cannot_be_learnt_from_are_refused():
    table = pa.table({"a": [1.0, None, 2.0], "label": ["x", "y", None]})
    with pytest.raises(DataError, match="row 2 of split 0 has no 'label'"):
        GaussianNB().fit(table, y="label")
    for kind in KINDS:
        with pytest.raises(DataError, match="row 1 of split 0 has nan in column 'a'"):
            kind().fit(table.slice(0, 2), y="label")
    with pytest.raises(DataError, match="row 1 of split 0"):
        MultinomialNB(target="y").fit(pa.table({"a": [1.0, -1.0], "y": [0, 1]}))
    with pytest.raises(ValueError, match="Negative values"):
        MultinomialNB().fit(-COUNTS - 1, Y)
    with pytest.raises(DataError, match="labels are str, those before were int"):
        GaussianNB().fit(REALS, Y).partial_fit(REALS, NAMES)
    with pytest.raises(UsageError, match="sparse"):
        run(GaussianNB(), dataset(sp.csr_array(REALS), y=Y))
    with pytest.raises(UsageError, match="which column holds the labels"):
        MultinomialNB().fit(pa.table({"a": [1.0]}))
    with pytest.raises(ValueError, match="Unknown label type"):
        GaussianNB().fit(REALS, WEIGHTS)
    with pytest.raises(DataError, match="no rows"):
        GaussianNB().fit(pa.table({"a": pa.array([], pa.float64()), "y": pa.array([], "i8")}), "y")


def test_classifiers_that_differ_are_not_merged():
    model = MultinomialNB().fit(COUNTS, Y)
    for other, what in (
        (MultinomialNB(alpha=2.0).fit(COUNTS, Y), "alpha"),
        (MultinomialNB().fit(COUNTS[:, :3], Y), "12 and 3 features"),
    ):
        with pytest.raises(StateError, match=what):
            model.merge(other)
    with pytest.raises(UsageError, match="BernoulliNB"):
        model.merge(BernoulliNB().fit(COUNTS, Y))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (MultinomialNB, {"alpha": -1.0}),
        (MultinomialNB, {"alpha": [1.0, 2.0]}),
        (MultinomialNB, {"class_prior": [0.5]}),
        (BernoulliNB, {"classes": [1, "two"]}),
        (GaussianNB, {"priors": [0.5, 0.1, 0.1, 0.1]}),
        (GaussianNB, {"var_smoothing": -1.0}),
    ],
)
def test_bad_parameters_are_refused(kind, parameters):
    with pytest.raises(ParameterError):
        kind(**parameters).fit(COUNTS, Y)


def test_counts_beyond_int64_and_fractions_that_cancel():
    large = np.full((3, 1), 2.0**62)
    model = MultinomialNB().fit(np.concatenate([large, large]), [0] * 6)
    assert model.feature_count_.item() == 6 * 2.0**62
    halves = MultinomialNB().fit(np.array([[0.5], [0.5], [1.0]]), [0, 0, 0])
    wholes = MultinomialNB().fit(np.array([[1.0], [1.0], [0.0]]), [0, 0, 0])
    assert pickled(halves) == pickled(wholes)
