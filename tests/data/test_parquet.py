"""Parquet and Arrow files: rows, projection, and what is skipped by statistics."""

from __future__ import annotations

import math

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.errors import DataError, ParameterError
from motherlode.data import dataset
from motherlode.data.quarantine import Quarantine
from tests.data.reading import read, written

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-4, 4)),
        st.one_of(st.none(), st.sampled_from([-1.0, 0.0, -0.0, 2.5, math.nan, math.inf])),
        st.one_of(st.none(), st.sampled_from(["", "a", "b", "é"])),
    ),
    min_size=1,
    max_size=12,
)
CONDITIONS = st.sampled_from(
    [
        pl.col("i") > 1,
        (pl.col("i") <= 0) & (pl.col("s") == "a"),
        pl.col("f") > 2.0,
        pl.col("f") < 0.0,
        pl.col("f") == 0.0,
        pl.col("f").is_nan(),
        pl.col("i").is_null(),
        pl.col("s").is_in(["b", "z"]),
        pl.col("i").is_between(2, 3) | (pl.col("s") > "a"),
        ~(pl.col("i") > -4),
        pl.col("s").str.len_bytes() > 1,
        pl.col("i") + 1 == 5,
        pl.lit(False),
    ]
)


def table(rows):
    columns = zip(*rows, strict=True)
    types = (pa.int64(), pa.float64(), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=["i", "f", "s"])


def same(one, other):
    return [[repr(v) for v in r.values()] for r in one] == [
        [repr(v) for v in r.values()] for r in other
    ]


@given(ROWS, st.integers(1, 5), CONDITIONS, st.sampled_from([1, 10_000]))
def test_skipping_row_groups_changes_nothing(tmp_path, rows, group, condition, split_bytes):
    path = tmp_path / "a.parquet"
    pq.write_table(table(rows), path, row_group_size=group)
    data = dataset(path, split_bytes=split_bytes).filter(condition)
    found = read(data)
    kept = pl.DataFrame(table(rows)).filter(condition).to_dicts()
    assert same(found.rows, kept)
    assert found.tally.read == len(rows)
    assert same(read(data, ("s",)).rows, [{"s": row["s"]} for row in kept])


def test_row_groups_that_cannot_match_are_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(1_000), "x": [0.5] * 1_000}), path, row_group_size=100)
    data = dataset(path).filter(pl.col("n") >= 950)
    quarantine = Quarantine()
    (batch,) = data.batches(data.splits[0], ("x",), quarantine)
    assert (len(batch), quarantine.skipped) == (50, 900)


def test_statistics_are_used_beside_folders(tmp_path):
    for year in (1, 2):
        (tmp_path / f"year={year}").mkdir()
        rows = pa.table({"n": range(100)})
        pq.write_table(rows, tmp_path / f"year={year}" / "a.parquet", row_group_size=10)
    data = dataset(tmp_path).filter((pl.col("year") == 2) & (pl.col("n") > 88))
    skipped = []
    for split in data.splits:
        quarantine = Quarantine()
        skipped.append((sum(map(len, data.batches(split, ("n",), quarantine))), quarantine.skipped))
    assert skipped == [(0, 100), (11, 80)]


def test_splits_are_runs_of_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(1_000)}), path, row_group_size=100)
    assert len(dataset(path).splits) == 1
    tiny = dataset(path, split_bytes=1)
    assert [(s.start, s.stop, s.rows) for s in tiny.splits][:2] == [(0, 1, 100), (1, 2, 100)]
    assert (tiny.count(), [row["n"] for row in read(tiny).rows]) == (1_000, list(range(1_000)))


def test_large_row_groups_come_in_batches_of_fixed_size(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(200_000)}), path)
    assert [len(batch) for batch in read(dataset(path)).batches] == [65_536] * 3 + [3_392]


def test_files_with_wider_types_are_read_as_the_widest(tmp_path):
    pq.write_table(pa.table({"n": pa.array([1], pa.int32())}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"n": pa.array([2**40], pa.int64())}), tmp_path / "2.parquet")
    data = dataset(tmp_path)
    assert data.schema.type("n") == pa.int64()
    assert data.to_arrow()["n"].to_pylist() == [1, 2**40]


def test_files_with_other_types_are_refused_before_reading(tmp_path):
    pq.write_table(pa.table({"n": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"n": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"'n' is string in .*2\.parquet but int64 in .*1\.parq"):
        _ = dataset(tmp_path).schema


def test_a_missing_column_is_refused_or_null(tmp_path):
    pq.write_table(pa.table({"n": [1], "m": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"n": [2]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"has no column 'm'.*missing='null'"):
        _ = dataset(tmp_path).schema
    data = dataset(tmp_path, missing="null")
    assert data.to_arrow().to_pydict() == {"n": [1, 2], "m": ["x", None]}
    with pytest.raises(ParameterError):
        dataset(tmp_path, missing="guess")


def test_columns_with_dots_and_nested_columns(tmp_path):
    rows = pa.table({"a": [{"b": 1}], "a.b": [2], "c": [[1, 2]]})
    pq.write_table(rows, tmp_path / "a.parquet")
    data = dataset(tmp_path / "a.parquet")
    assert data.select("a.b").to_arrow().to_pydict() == {"a.b": [2]}
    assert data.to_arrow().to_pylist() == rows.to_pylist()


def test_files_that_are_not_parquet_are_refused(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        dataset(written(tmp_path / "a.parquet", b"")).count()
    with pytest.raises(DataError, match=r"cannot read .*b\.parquet"):
        dataset(written(tmp_path / "b.parquet", b"hello, this is no parquet")).count()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("split_bytes", [None, 1])
def test_arrow_files_and_streams(tmp_path, stream, split_bytes):
    rows = pa.table({"n": range(100), "s": [str(n) for n in range(100)]})
    path = tmp_path / "a.arrow"
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(path, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=30)
    data = dataset(path, split_bytes=split_bytes)
    assert len(data.splits) == (4 if split_bytes and not stream else 1)
    assert read(data).rows == rows.to_pylist()
    assert read(data, ("s",)).rows == rows.select(["s"]).to_pylist()
    assert data.count() == 100


def test_an_arrow_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, pa.schema([("n", pa.int64())])) as writer:
        writer.write_table(pa.table({"n": range(100)}))
    written(path, path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"cannot read .*a\.arrow"):
        dataset(path).count()
