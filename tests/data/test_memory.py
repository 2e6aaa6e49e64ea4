"""What is in memory becomes batches without copying, and of the right types."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from motherlode.core.errors import DataError, UnknownNameError, UsageError
from motherlode.data import dataset
from tests.data.reading import read


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_matrix_is_not_copied(kind):
    matrix = np.zeros((1_000, 3), dtype=kind)
    batches = read(dataset(matrix, split_rows=300)).batches
    assert [len(batch) for batch in batches] == [300, 300, 300, 100]
    for batch in batches:
        assert np.shares_memory(batch.features, matrix)
        assert batch.features.dtype == kind
        assert batch.features.flags.c_contiguous


def test_a_million_rows_of_sixteen_columns_are_eight_splits():
    splits = dataset(np.zeros((1_000_000, 16))).splits
    assert [split.rows for split in splits] == [131_072] * 7 + [82_496]
    assert len(dataset(np.zeros((10_000, 4_000), np.float32)).splits) == 10


@pytest.mark.parametrize(
    "matrix",
    [
        np.asfortranarray(np.arange(6.0).reshape(3, 2)),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.arange(6).reshape(3, 2),
        np.array([[True, False]]),
        np.arange(6, dtype=np.float16).reshape(3, 2),
    ],
)
def test_other_layouts_are_converted(matrix):
    (batch,) = read(dataset(matrix)).batches
    assert batch.features.flags.c_contiguous
    assert batch.features.dtype == np.float64
    assert np.array_equal(batch.features, matrix)


def test_a_sparse_matrix_is_not_copied():
    matrix = scipy.sparse.random_array((1_000, 50), density=0.1, format="csr", rng=1)
    data = dataset(matrix, y=np.arange(1_000), split_rows=600)
    first, second = read(data).batches
    assert np.shares_memory(data.source.features.data, matrix.data)
    whole = scipy.sparse.vstack([first.features, second.features])
    assert (whole != matrix).nnz == 0
    assert (data.schema.n_features, data.schema.sparse) == (50, True)
    assert second.target.tolist() == list(range(600, 1_000))


def test_a_sparse_matrix_is_made_canonical_without_touching_it():
    matrix = scipy.sparse.csr_array(([1, 2, 3], [2, 0, 0], [0, 3]), shape=(1, 3))
    (batch,) = read(dataset(matrix)).batches
    assert batch.features.toarray().tolist() == [[5.0, 0.0, 1.0]]
    assert batch.features.indices.tolist() == [0, 2]
    assert matrix.indices.tolist() == [2, 0, 0]


def test_a_table_is_not_copied():
    table = pa.table({"x": np.arange(1_000.0)})
    batches = read(dataset(table, split_rows=400)).batches
    address = table["x"].chunk(0).buffers()[1].address
    assert [batch.columns.column(0).buffers()[1].address for batch in batches] == [address] * 3
    assert [batch.columns.column(0).offset for batch in batches] == [0, 400, 800]


def test_many_small_chunks_become_one_batch():
    table = pa.concat_tables([pa.table({"x": [n]}) for n in range(500)])
    assert [len(batch) for batch in read(dataset(table)).batches] == [500]


def test_pandas_types():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "f": [1.5, np.nan],
            "s": ["x", None],
            "b": pd.array([True, None], dtype="boolean"),
            "c": pd.Categorical(["u", "v"]),
            "t": pd.to_datetime(["2020-01-01", None]),
            0: [1, 2],
        }
    )
    data = dataset(frame)
    kinds = {field.name: field.type for field in data.schema.columns}
    assert [kinds[name] for name in "ifsb0"] == [
        *(pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.int64())
    ]
    assert pa.types.is_timestamp(kinds["t"])
    assert kinds["c"].value_type == pa.string()
    second = read(data).rows[1]
    assert [second[name] for name in "ifsbt"] == [None] * 5
    assert (second["c"], second["0"]) == ("v", 2)


def test_polars_arrow_and_plain_objects():
    rows = [{"a": 1, "s": "x"}, {"a": 2, "s": None}]
    frame = pl.DataFrame(rows)
    for obj in (
        *(frame, frame.lazy(), frame.to_arrow(), frame.to_arrow().to_batches()[0]),
        *(rows, {"a": [1, 2], "s": ["x", None]}),
    ):
        data = dataset(obj)
        assert read(data).rows == rows
        assert data.schema.type("s") == pa.string()
    assert read(dataset(frame["a"])).rows == [{"a": 1}, {"a": 2}]
    structured = np.array([(1, 0.5)], dtype=[("n", "i4"), ("x", "f8")])
    assert read(dataset(structured)).rows == [{"n": 1, "x": 0.5}]
    assert dataset(np.arange(3)).schema.n_features == 1


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())),
        *(pa.large_list(pa.large_string()), pa.list_view(pa.string()), pa.large_binary()),
        pa.struct([("k", pa.large_string())]),
    ],
)
def test_types_are_made_plain(kind):
    value = {"k": "v"} if pa.types.is_struct(kind) else ["v"] if "list" in str(kind) else "v"
    value = b"v" if pa.types.is_large_binary(kind) else value
    table = pa.table({"c": pa.array([value, None, value], kind)})
    data = dataset(table)
    (batch,) = read(data).batches
    assert batch.columns.schema == data.schema.columns
    assert "large" not in str(data.schema.type("c"))
    assert "view" not in str(data.schema.type("c"))
    assert batch.columns.column(0).to_pylist() == [value, None, value]


def test_baskets_texts_and_sets():
    assert read(dataset([["b", "a"], [], ["c"]])).rows == [
        {"items": items} for items in (["b", "a"], [], ["c"])
    ]
    assert read(dataset([{"b", "a"}, frozenset()])).rows == [{"items": ["a", "b"]}, {"items": []}]
    assert read(dataset([(1, 2)])).rows == [{"items": [1, 2]}]
    assert read(dataset(["good film", "bad"])).rows == [{"text": "good film"}, {"text": "bad"}]


@pytest.mark.parametrize(
    ("obj", "options", "error", "message"),
    [
        ([], {}, UsageError, "an empty list"),
        ([1, 2], {}, UsageError, "a list of int"),
        (object(), {}, UsageError, "cannot mine object"),
        (np.zeros((2, 2, 2)), {}, UsageError, "two dimensions"),
        (np.array([["a", "b"]]), {}, UsageError, "must hold numbers"),
        (np.zeros((3, 1)), {"y": [1, 2]}, UsageError, r"y must have shape \(3,\)"),
        (np.zeros((3, 1)), {"z": 1}, UnknownNameError, "unknown option 'z'"),
        ({"a": [1]}, {"y": [1]}, UnknownNameError, "unknown option 'y'"),
        ({"a": [1]}, {"format": "csv"}, UsageError, "is for files"),
        ({"a": [1, "x"]}, {}, DataError, "cannot make columns"),
        ([["a", 1]], {}, DataError, "cannot make columns"),
        (pd.DataFrame({"a": [1, "x"]}), {}, DataError, "several types"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, UsageError, "'a' is there twice"),
        (pd.DataFrame({("a", "b"): [1]}), {}, UsageError, "several levels"),
    ],
)
def test_what_cannot_be_mined_is_refused(obj, options, error, message):
    with pytest.raises(error, match=message):
        dataset(obj, **options)


def test_columns_and_where():
    data = dataset({"a": [1, 2, 3], "b": ["x", "y", "z"]}, columns=["b"], where=pl.col("a") > 1)
    assert read(data).rows == [{"b": "y"}, {"b": "z"}]
    assert read(dataset(data, where="b = 'z'")).rows == [{"b": "z"}]
    with pytest.raises(UnknownNameError):
        dataset(data, delimiter=";")


def test_content_decides_the_fingerprint_and_the_object_the_identity():
    one, two = dataset(np.eye(3)), dataset(np.eye(3))
    assert one.fingerprint == two.fingerprint != dataset(np.ones((3, 3))).fingerprint
    assert one.splits[0].identity != two.splits[0].identity
    frame = {"s": ["a", None], "n": [1, 2]}
    assert dataset(frame).fingerprint == dataset(pl.DataFrame(frame)).fingerprint
    assert dataset(frame).fingerprint != dataset({"s": ["a", ""], "n": [1, 2]}).fingerprint


def test_no_rows():
    for obj in (np.zeros((0, 3)), {"a": []}, pl.DataFrame({"a": []})):
        data = dataset(obj)
        assert (len(data.splits), data.count(), data.to_arrow().num_rows) == (0, 0, 0)
