"""k-means against a slow step of Lloyd's and scikit-learn, and the same however rows are cut."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Peer
from sklearn.exceptions import ConvergenceWarning

import motherlode as ml
from motherlode.core.errors import DataError, ParameterError, UnknownNameError
from motherlode.data import dataset
from motherlode.mining.cluster.kmeans import KMeans
from motherlode.runtime import run


def blobs(rows=900, width=3, clusters=4, seed=0, spread=10.0):
    chance = np.random.default_rng(seed)
    middles = chance.normal(size=(clusters, width)) * spread
    return middles[chance.integers(0, clusters, rows)] + chance.normal(size=(rows, width))


def slow_step(rows, centers, weights=None):
    """Assign each row to the first nearest centre, and return labels, means and squares."""
    weights = np.ones(len(rows)) if weights is None else weights
    gaps = np.array([[((row - center) ** 2).sum() for center in centers] for row in rows])
    labels = gaps.argmin(axis=1)
    means = np.array(
        [
            np.average(rows[labels == c], axis=0, weights=weights[labels == c])
            if weights[labels == c].sum()
            else centers[c]
            for c in range(len(centers))
        ]
    )
    return labels, means, (weights * gaps.min(axis=1)).sum()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 90),
    width=st.integers(1, 19),
    clusters=st.integers(1, 11),
    kind=st.sampled_from([np.float64, np.float32]),
    offset=st.sampled_from([0.0, 1e3]),
    sparse=st.booleans(),
    weighted=st.booleans(),
)
def test_one_step_is_the_slow_one(seed, rows, width, clusters, kind, offset, sparse, weighted):
    chance = np.random.default_rng(seed)
    clusters = min(clusters, rows)
    X = (np.round(chance.normal(size=(rows, width)), 3) + offset * (not sparse)).astype(kind)
    if sparse:
        X[chance.random(X.shape) < 0.6] = 0.0
    start = X[:clusters] + 0.25
    weights = chance.integers(1, 4, rows) / 2 if weighted else None
    given = sp.csr_array(X) if sparse else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(clusters, init=start, max_iter=1).fit(given, sample_weight=weights)
    labels, means, _ = slow_step(X.astype(np.float64), start.astype(np.float64), weights)
    if np.bincount(labels, minlength=clusters).all():  # else empty clusters were moved
        exact = 1e-9 if kind is np.float64 else 1e-3
        np.testing.assert_allclose(model.cluster_centers_, means, rtol=exact, atol=exact)
        found, _, inertia = slow_step(X.astype(np.float64), model.cluster_centers_, weights)
        np.testing.assert_allclose(model.inertia_, inertia, rtol=1e-6, atol=1e-3)
        if kind is np.float64:
            assert (model.labels_ == found).mean() > 0.9  # ties may be broken by rounding
        np.testing.assert_allclose(model.counts_.sum(), rows if weights is None else weights.sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["dense", "csr", "float32"])
def test_it_is_scikit_learns_from_the_same_start(form, weighted):
    X = blobs(700, 5, 6, seed=3, spread=2.0)
    weights = np.random.default_rng(1).random(len(X)) if weighted else None
    start = X[:6].copy()
    given = {"dense": X, "csr": sp.csr_array(X), "float32": X.astype(np.float32)}[form]
    model = KMeans(6, init=start, tol=0.0).fit(given, sample_weight=weights)
    peer = Peer(6, init=start, n_init=1, tol=0.0).fit(X, sample_weight=weights)
    exact = 1e-10 if form != "float32" else 1e-5
    np.testing.assert_allclose(model.cluster_centers_, peer.cluster_centers_, rtol=exact, atol=1e-6)
    np.testing.assert_array_equal(model.labels_, peer.labels_)
    np.testing.assert_allclose(model.inertia_, peer.inertia_, rtol=max(exact, 1e-9))
    np.testing.assert_allclose(model.score(X), peer.score(X), rtol=1e-5)
    np.testing.assert_allclose(model.transform(X), peer.transform(X), rtol=1e-4)
    np.testing.assert_array_equal(model.predict(X[:50]), peer.predict(X[:50]))
    if not weighted and form != "float32":
        assert model.n_iter_ == peer.n_iter_


def test_the_tolerance_is_scikit_learns():
    X = np.random.default_rng(5).normal(size=(2_000, 4))
    for tol in (1e-1, 1e-3, 1e-5):
        start = X[:7].copy()
        peer = Peer(7, init=start, n_init=1, tol=tol).fit(X)
        assert KMeans(7, init=start, tol=tol).fit(X).n_iter_ == peer.n_iter_


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    split=st.integers(20, 2_000),
    workers=st.integers(1, 3),
    init=st.sampled_from(["k-means||", "k-means++", "random"]),
)
def test_the_same_bits_however_rows_are_cut_and_ordered(seed, split, workers, init):
    X = blobs(1_600, 2, 5, seed=7)
    algorithm = KMeans(5, init=init, init_rounds=1, max_iter=4, random_state=seed % 3)
    wanted = run(algorithm, dataset(X)).digest
    shuffled = np.random.default_rng(seed).permutation(X)
    assert run(algorithm, dataset(shuffled, split_rows=split), workers=workers).digest == wanted


def test_candidates_are_drawn_where_the_rows_do_not_fit_into_the_sample():
    X = blobs(6_000, 4, 30, seed=2)
    result = run(KMeans(30, tol=0.0), X)
    drawn = run(KMeans(30, tol=0.0, init="k-means++"), X)
    assert result.passes - result.value.n_iter_ == 1 + 2 + 1 + 1  # look, draw twice, weigh, end
    assert drawn.passes - drawn.value.n_iter_ == 1 + 1
    best = Peer(30, n_init=5, random_state=0).fit(X).inertia_
    assert result.value.inertia_ < 1.05 * best
    assert drawn.value.inertia_ < 1.3 * best


def test_all_rows_are_in_the_sample_where_they_are_few():
    X = blobs(300, 2, 4, spread=50.0)
    result = run(KMeans(4), X)
    assert result.passes == result.value.n_iter_ + 2
    assert result.value.inertia_ < 1.001 * Peer(4, n_init=10, random_state=0).fit(X).inertia_


def test_seeds_differ_and_repeat():
    X = np.random.default_rng(0).normal(size=(500, 3))
    first, second, again = (KMeans(9, random_state=s).fit(X) for s in (1, 2, 1))
    assert not np.array_equal(first.cluster_centers_, second.cluster_centers_)
    np.testing.assert_array_equal(first.cluster_centers_, again.cluster_centers_)


def test_far_from_zero():
    X = blobs(400, 3, 4, spread=30.0)
    near, far = KMeans(4).fit(X), KMeans(4, init=X[:4] + 1e9).fit(X + 1e9)
    same = KMeans(4, init=X[:4]).fit(X)
    np.testing.assert_array_equal(far.labels_, same.labels_)
    np.testing.assert_allclose(far.inertia_, same.inertia_, rtol=1e-6)
    assert near.inertia_ <= same.inertia_ * (1 + 1e-9)


def test_an_empty_cluster_is_moved_to_the_farthest_row():
    X = np.array([[0.0], [1.0], [2.0], [50.0], [51.0]])
    model = KMeans(3, init=np.array([[1.0], [50.5], [900.0]])).fit(X)
    assert model.counts_.all()
    assert sorted(model.cluster_centers_.ravel().tolist()) in ([0.0, 1.5, 50.5], [0.5, 2.0, 50.5])


def test_fewer_different_rows_than_clusters():
    X = np.repeat([[1.0, 2.0], [3.0, 4.0]], 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="only 2 of 3 clusters have rows"):
        model = KMeans(3).fit(X)
    assert model.inertia_ == 0.0
    assert sorted(model.counts_.tolist()) == [0.0, 5.0, 5.0]


def test_equal_rows_count_as_often_as_they_are_there():
    X = blobs(200, 2, 3)
    doubled = KMeans(3, init=X[:3]).fit(np.concatenate([X, X]))
    weighted = KMeans(3, init=X[:3]).fit(X, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_allclose(doubled.cluster_centers_, weighted.cluster_centers_, rtol=1e-10)
    np.testing.assert_allclose(doubled.inertia_, weighted.inertia_, rtol=1e-9)
    np.testing.assert_array_equal(doubled.counts_, weighted.counts_)


def test_columns_files_and_datasets(tmp_path):
    X = blobs(500, 2, 3)
    table = pa.table({"name": [f"r{n}" for n in range(500)], "a": X[:, 0], "b": X[:, 1]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    wanted = KMeans(3).fit(X)
    for source in (table, dataset(table), tmp_path / "rows.parquet", table.to_pandas()[["a", "b"]]):
        model = KMeans(3).fit(source)
        np.testing.assert_array_equal(model.cluster_centers_, wanted.cluster_centers_)
        assert model.feature_names_in_.tolist() == ["a", "b"]
        np.testing.assert_array_equal(model.predict(source), wanted.labels_)
    backwards = table.select(["b", "a", "name"])
    np.testing.assert_array_equal(
        KMeans(3).fit(table).predict(backwards), wanted.labels_
    )  # by name
    alone = KMeans(2, features=["b"]).fit(table)
    assert alone.cluster_centers_.shape == (2, 1)
    np.testing.assert_array_equal(KMeans(3).fit_predict(dataset(table)), wanted.labels_)


def test_the_table_of_clusters():
    table = pa.table({"x": [0.0, 1.0, 10.0, 11.0], "size": [1.0, 1.0, 3.0, 3.0]})
    result = ml.mine(table, ml.KMeans(n_clusters=2))
    rows = sorted(result.table.to_pylist(), key=lambda row: row["x"])
    assert [(r["size"], r["x"], r["mean_size"]) for r in rows] == [
        (2.0, 0.5, 1.0),
        (2.0, 10.5, 3.0),
    ]
    assert sorted(r["cluster"] for r in rows) == [0, 1]
    assert result.rows.used == 4


def test_batches_move_centres_as_row_by_row():
    chance = np.random.default_rng(3)
    model = KMeans(4, random_state=1).partial_fit(chance.normal(size=(40, 3)))
    assert model.counts_.sum() == 40
    centers, counts = model.cluster_centers_.copy(), model.counts_.copy()
    for shift in (1.0, -2.0):
        batch = chance.normal(size=(30, 3)) + shift
        model.partial_fit(batch)
        labels = slow_step(batch, centers)[0]
        for row, label in zip(batch, labels, strict=True):  # Sculley's algorithm
            counts[label] += 1
            centers[label] += (row - centers[label]) / counts[label]
        np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(model.counts_, counts)
    assert model.n_iter_ == 3
    assert counts.sum() == 100


def test_the_first_batch_sets_the_start():
    X = blobs(60, 2, 3, spread=40.0)
    start = KMeans(3, init=X[:3]).partial_fit(X)
    np.testing.assert_allclose(
        start.cluster_centers_, KMeans(3, init=X[:3], max_iter=1).fit(X).cluster_centers_
    )
    model = KMeans(3).partial_fit(X)
    assert sorted(model.counts_) == sorted(KMeans(3).fit(X).counts_)


def test_rows_that_cannot_be_clustered_are_refused_by_name():
    table = pa.table({"a": [1.0, 2.0, None, 4.0], "b": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(DataError, match=r"row 2 of split 0 has nan in column 'a'"):
        KMeans(2).fit(table)
    with pytest.raises(DataError, match=r"row 1 of split 0 has inf in feature 2"):
        run(KMeans(1), dataset(sp.csr_array(np.array([[0, 1.0, 0], [2.0, 0, np.inf]]))))
    with pytest.raises(DataError, match="beyond float64"):
        KMeans(2).fit(np.array([[1e200], [2.0], [3.0]]))
    with pytest.raises(ValueError, match="NaN"):
        KMeans(1).fit(np.array([[np.nan]]))
    with pytest.raises(DataError, match="n_samples=2, n_clusters=3"):
        KMeans(3).fit(pa.table({"a": [1.0, 2.0]}))
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        KMeans(1, features=["pirce"]).fit(pa.table({"price": [1.0]}))


@pytest.mark.parametrize(
    "parameters",
    [
        {"init": "kmeans"},
        {"init": np.zeros((3, 2))},
        {"init": np.array([[np.nan, 1.0], [1.0, 1.0]])},
        {"tol": -1.0},
        {"max_iter": 0},
        {"oversampling": 0.0},
        {"random_state": -1},
    ],
)
def test_bad_parameters_are_refused_before_rows_are_read(parameters):
    with pytest.raises(ParameterError):
        KMeans(2, **parameters).fit(np.zeros((5, 2)))
