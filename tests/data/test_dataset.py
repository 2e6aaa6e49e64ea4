"""Datasets: steps, what is read for them, and the account of the rows."""

from __future__ import annotations

import subprocess
import sys

import cloudpickle
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import (
    DataError,
    QuarantineError,
    UnknownNameError,
    UsageError,
    UserFunctionError,
)
from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Tolerance
from motherlode.data.source import Source, Split
from tests.data.reading import read, written

FRAME = pl.DataFrame(
    {"n": [1, 2, None, 4, 5], "s": ["a", "b", None, "d", "e"], "x": [0.5, 1.5, 2.5, 3.5, 4.5]}
)


@pytest.fixture
def numbers():
    return dataset(FRAME, split_rows=2)


STEPS = {
    "filter": lambda d: d.filter(pl.col("n") > 1),
    "sql": lambda d: d.filter("x > 1.0 AND s <> 'd'"),
    "select": lambda d: d.select("s", "n", "x", twice=pl.col("n") * 2),
    "compute": lambda d: d.with_columns(x=pl.col("x") + pl.col("n"), one=pl.lit(1)),
    "several": lambda d: d.with_columns(pl.col("n", "x") * 2),
    "drop": lambda d: d.with_columns(gone=pl.col("s")).drop("gone"),
    "map": lambda d: d.map_batches(lambda frame: frame.filter(pl.col("x") < 4)),
}
MEANING = {
    "filter": lambda f: f.filter(pl.col("n") > 1),
    "sql": lambda f: f.filter((pl.col("x") > 1.0) & (pl.col("s") != "d")),
    "select": lambda f: f.select("s", "n", "x", twice=pl.col("n") * 2),
    "compute": lambda f: f.with_columns(x=pl.col("x") + pl.col("n"), one=pl.lit(1)),
    "several": lambda f: f.with_columns(pl.col("n", "x") * 2),
    "drop": lambda f: f,
    "map": lambda f: f.filter(pl.col("x") < 4),
}


@given(
    st.lists(st.sampled_from(sorted(STEPS)), max_size=4),
    st.integers(1, 6),
    st.sets(st.sampled_from(["n", "s", "x"])),
)
def test_steps_mean_what_they_mean_to_polars(steps, split_rows, needs):
    data, frame = dataset(FRAME, split_rows=split_rows), FRAME
    for step in steps:
        data, frame = STEPS[step](data), MEANING[step](frame)
    found = read(data)
    assert found.rows == frame.to_dicts()
    assert found.tally.read == FRAME.height
    assert data.schema.names == frame.columns
    assert data.to_polars().equals(frame)
    assert data.count() == frame.height
    wanted = tuple(sorted(needs))
    assert read(data, wanted).rows == frame.select(wanted).to_dicts() * bool(wanted) or not wanted
    assert read(data, wanted).tally == found.tally


class Watched(Source):
    """A source that remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    @property
    def schema(self):
        return Schema(pa.schema([(name, pa.int64()) for name in "abcd"]))

    @property
    def splits(self):
        return [Split(0, "here", 0, 3, "rows", rows=3)]

    def read(self, split, request, quarantine):
        self.asked.append(request.columns)
        columns = {name: [1, 2, 3] for name in request.columns}
        yield Batch(
            pa.RecordBatch.from_pydict(
                columns, schema=pa.schema([(n, pa.int64()) for n in columns])
            )
        )


@pytest.mark.parametrize(
    ("steps", "needs", "asked"),
    [
        (lambda d: d, None, "abcd"),
        (lambda d: d, ("c", "a"), "ca"),
        (lambda d: d.filter(pl.col("b") > 1), ("c",), "bc"),
        (lambda d: d.with_columns(e=pl.col("a") + 1), ("c",), "c"),
        (lambda d: d.with_columns(e=pl.col("a") + 1), ("e",), "a"),
        (lambda d: d.with_columns(a=pl.col("b")), ("a",), "b"),
        (lambda d: d.select("a", e=pl.col("b") + pl.col("c")), ("e",), "bc"),
        (lambda d: d.select(e=pl.col("b")).filter(pl.col("e") > 1), (), "b"),
        (lambda d: d.drop("a"), None, "bcd"),
        (lambda d: d.map_batches(lambda f: f), ("a",), "abcd"),
    ],
)
def test_only_what_is_needed_is_read(steps, needs, asked):
    source = Watched()
    read(steps(Dataset(source)), needs)
    assert source.asked == [tuple(asked)]


@pytest.mark.parametrize(
    "expression",
    [
        pl.col("x") > pl.col("x").mean(),
        pl.col("n").cum_sum() > 2,
        pl.col("n").shift(1) > 0,
        pl.col("x").rank() > 1,
        pl.col("n").sum().over("s") > 1,
        pl.col("n").is_unique(),
        pl.int_range(pl.len()) < 2,
        pl.col("n").fill_null(strategy="forward") > 1,
        "x > avg(x)",
        "sum(n) > 1.5",
    ],
)
def test_expressions_over_other_rows_are_refused(numbers, expression):
    with pytest.raises(UsageError, match=r"depends on other rows.*row by row"):
        numbers.filter(expression)


def test_selectors_over_other_rows_are_refused(numbers):
    import polars.selectors as cs

    assert numbers.with_columns(cs.numeric() * 2).to_polars()["x"].to_list()[0] == 1.0
    with pytest.raises(UsageError, match="depends on other rows"):
        numbers.with_columns(cs.numeric() - cs.numeric().mean())


def test_expressions_that_change_the_number_of_rows_are_refused(numbers):
    with pytest.raises(UsageError, match="changes the number of rows"):
        numbers.select(pl.col("n").filter(pl.col("x") > 1))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda d: d.filter(pl.col("m") > 1), UnknownNameError, "there is n, s, x"),
        (lambda d: d.filter("m > 1"), UnknownNameError, "unknown column 'm'"),
        (lambda d: d.filter("n >"), UsageError, "not an SQL expression"),
        (lambda d: d.filter(pl.col("n")), UsageError, "true or false"),
        (lambda d: d.filter(pl.col("s") > 1), UsageError, "cannot evaluate"),
        (lambda d: d.select("n", "m"), UnknownNameError, "unknown column 'm'"),
        (lambda d: d.select("n", "n"), UsageError, "cannot evaluate"),
        (lambda d: d.drop("m"), UnknownNameError, "unknown column 'm'"),
        (lambda d: d.with_columns(3), UsageError, "must be a Polars expression"),
        (lambda d: d.map_batches(3), UsageError, "takes a function"),
        (lambda d: d.map_batches(lambda f: f["n"]), DataError, "not a Polars DataFrame"),
        (lambda d: d.map_batches(lambda f: f["n"][0] + 1), UserFunctionError, "without rows"),
    ],
)
def test_wrong_steps_are_refused_when_they_are_added(numbers, wrong, error, message):
    with pytest.raises(error, match=message):
        wrong(numbers)


def test_wanting_an_unknown_column_is_refused(numbers):
    with pytest.raises(UnknownNameError, match="did you mean 'x'"):
        list(numbers.batches(numbers.splits[0], ("X",)))


def test_a_function_that_raises_says_where(numbers):
    def fragile(frame):
        if 4 in frame["n"]:
            raise KeyError("four")
        return frame

    data = numbers.map_batches(fragile)
    with pytest.raises(
        UserFunctionError, match=r"fragile raised KeyError on split 1 .*'four'"
    ) as e:
        data.to_arrow()
    assert isinstance(e.value.__cause__, KeyError)


def test_a_python_function_in_an_expression_that_raises(numbers):
    def inverse(n):
        return {1: 1, 2: 0, 5: 0}[n]

    data = numbers.with_columns(y=pl.col("n").map_elements(inverse, return_dtype=pl.Int64))
    assert data.runs_python
    with pytest.raises(UserFunctionError, match="the step Compute raised KeyError on split 1"):
        data.to_arrow()


def test_a_function_may_leave_out_rows_but_not_add_any(numbers):
    fewer = read(numbers.map_batches(lambda frame: frame.head(1)))
    assert (fewer.tally.read, fewer.tally.used, fewer.tally.filtered) == (5, 3, 2)
    with pytest.raises(DataError, match=r"made 4 rows of 2.*list column"):
        numbers.map_batches(lambda frame: pl.concat([frame, frame])).to_arrow()


def test_a_declared_schema_is_kept(numbers):
    def doubled(frame):
        return frame.select(m=pl.col("n").fill_null(0) * 2)

    data = numbers.map_batches(doubled, {"m": pa.int32()})
    assert data.schema.type("m") == pa.int32()
    assert data.to_arrow()["m"].to_pylist() == [2, 4, 0, 8, 10]
    with pytest.raises(DataError, match="did not return the column 'k'"):
        numbers.map_batches(doubled, {"k": pa.int64()}).to_arrow()
    with pytest.raises(DataError, match="outside its declared schema"):
        numbers.map_batches(lambda f: f.select(m=pl.lit(300)), {"m": pa.int8()}).to_arrow()


def test_python_is_told_from_compiled_work(numbers):
    assert not numbers.filter(pl.col("n") > 1).runs_python
    assert not numbers.map_batches(lambda frame: frame).runs_python
    assert numbers.map_batches(lambda frame: frame, python=True).runs_python


def test_head_reads_no_more_than_it_needs():
    source = Watched()
    data = Dataset(source)
    assert data.head(2).to_pydict() == {name: [1, 2] for name in "abcd"}
    assert dataset(FRAME).head(100).num_rows == 5


def test_too_many_bad_records_stop_the_reading(tmp_path):
    path = written(tmp_path / "a.txt", b"\xff\n" * 12 + b"x\n")
    with pytest.raises(QuarantineError, match="12 of 13"):
        dataset(path).to_arrow()
    assert dataset(path).to_arrow(Tolerance(fraction=1.0)).num_rows == 1


def test_the_fingerprint_follows_the_steps_and_nothing_else():
    data = dataset(FRAME)
    made = [
        data,
        data.filter(pl.col("n") > 1),
        data.filter(pl.col("n") > 2),
        data.select("n"),
        data.map_batches(lambda frame: frame.head(1)),
        data.map_batches(lambda frame: frame.head(2)),
    ]
    assert len({each.fingerprint for each in made}) == len(made)
    again = dataset(FRAME.clone(), split_rows=None)
    assert again.filter(pl.col("n") > 1).fingerprint == made[1].fingerprint


PROGRAM = """
import polars as pl
from motherlode.data import dataset
limit = 3
kinds = {"x", "y", "z"}
data = dataset(pl.DataFrame({"n": [1, 2], "s": ["x", "q"]}))
data = data.filter(pl.col("s").is_in(["x", "y"]) & (pl.col("n") < limit))
data = data.map_batches(lambda frame: frame.filter(pl.col("n") < limit))
print(data.with_columns(m=pl.col("n") * 2.5).fingerprint)
"""


def test_the_fingerprint_is_the_same_in_every_process():
    def run(seed):
        environment = {"PYTHONHASHSEED": str(seed), "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    assert run(1) == run(2) != b""


def test_a_dataset_can_be_shipped(tmp_path):
    path = written(tmp_path / "a.csv", b"a,b\n1,x\n2,y\n")
    data = dataset(path).filter(pl.col("a") > 1).with_columns(c=pl.col("b").str.to_uppercase())
    document = cloudpickle.dumps(data)
    shipped = cloudpickle.loads(document)
    assert len(document) < 10_000
    assert shipped.portable
    assert shipped.fingerprint == data.fingerprint
    assert read(shipped).rows == [{"a": 2, "b": "y", "c": "Y"}]


def test_steps_on_a_dense_matrix():
    matrix = np.arange(12.0).reshape(4, 3)
    data = dataset(matrix, y=np.array(["p", "q", "p", "q"]), weights=[1, 2, 3, 4])
    kept = data.filter((pl.col("x0") > 0) & (pl.col("y") == "q"))
    (batch,) = read(kept).batches
    assert batch.features.tolist() == [[3.0, 4.0, 5.0], [9.0, 10.0, 11.0]]
    assert (batch.target.tolist(), batch.weights.tolist()) == (["q", "q"], [2.0, 4.0])
    assert kept.schema.n_features == 3
    named = data.with_columns(total=pl.col("x0") + pl.col("x2")).select("y", "total")
    assert named.to_arrow().to_pydict() == {
        "y": ["p", "q", "p", "q"],
        "total": [2.0, 8.0, 14.0, 20.0],
    }
    assert data.to_arrow().schema.names == ["x0", "x1", "x2", "y", "weight"]


def test_a_sparse_matrix_has_no_columns():
    import scipy.sparse

    data = dataset(scipy.sparse.eye_array(3, format="csr"), y=[0, 1, 0])
    assert read(data.filter(pl.col("y") == 1)).batches[0].features.toarray().tolist() == [[0, 1, 0]]
    for wrong in (lambda: data.select("y"), lambda: data.to_arrow()):
        with pytest.raises(UsageError, match="sparse matrix"):
            wrong()


def test_the_record_that_a_function_cannot_take_is_named():
    rows = pl.DataFrame({"n": range(1_000), "word": ["x"] * 999 + ["poison"]})

    def careful(frame):
        if (frame["word"] == "poison").any():
            raise ValueError("not this one")
        return frame

    data = dataset(rows, split_rows=1_000).map_batches(careful)
    with pytest.raises(UserFunctionError, match=r"row 999 of it, \{'n': 999, 'word': 'poison'\}"):
        data.to_arrow()
    with pytest.raises(UserFunctionError, match=r"\), \{'n': 999, 'word': 'poison'\}: not"):
        dataset(rows, split_rows=1_000).filter("n > 500").map_batches(careful).to_arrow()


def test_no_record_is_named_where_none_alone_is_to_blame():
    def crowded(frame):
        if frame.height > 3:
            raise ValueError("too many")
        return frame

    with pytest.raises(UserFunctionError, match=r"rows 0 to 9\): too many"):
        dataset({"n": list(range(9))}).map_batches(crowded).to_arrow()
