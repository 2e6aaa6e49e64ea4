"""Files: finding them, their folders, their compression, and that they stay as they were."""

from __future__ import annotations

import bz2
import errno
import gzip
import os
from pathlib import Path

import cloudpickle
import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import motherlode as ml
from motherlode.core.errors import (
    DataError,
    MissingExtraError,
    SourceChangedError,
    UnknownNameError,
    UsageError,
)
from motherlode.data import dataset
from motherlode.data.files.storage import translated
from tests.data.reading import read, written


def texts(data):
    return [row["text"] for row in read(data).rows]


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a.txt", "sub/c.txt", "_SUCCESS", ".hidden.txt", "sub/_x/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        written(tmp_path / name, name.encode())
    return tmp_path


def test_places(folder, monkeypatch):
    everything = ["a.txt", "b.txt", "sub/c.txt"]
    assert texts(dataset(folder)) == everything
    assert texts(dataset(str(folder) + "/")) == everything
    assert texts(dataset(f"{folder}/*.txt")) == everything[:2]
    assert texts(dataset(f"{folder}/**/*.txt")) == everything
    assert texts(dataset([folder / "b.txt", folder / "a.txt"])) == ["b.txt", "a.txt"]
    assert texts(dataset([f"{folder}/b.txt"])) == ["b.txt"]
    assert texts(dataset(f"file://{folder}/a.txt")) == ["a.txt"]
    monkeypatch.chdir(folder)
    assert texts(dataset("a.txt")) == ["a.txt"]
    assert dataset("a.txt").splits == dataset(folder / "a.txt").splits


def test_a_name_that_looks_like_a_glob_is_a_name(tmp_path):
    path = written(tmp_path / "a[1].txt", b"x")
    assert texts(dataset(path)) == ["x"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("b.tx", DataError, r"no file .*did you mean .*b\.txt"),
        ("no/such/b.txt", DataError, "nearest folder that exists"),
        ("*.csv", DataError, "no file matches"),
        ("empty", DataError, "no files in the directory"),
    ],
)
def test_places_where_nothing_is(folder, name, error, message):
    (folder / "empty").mkdir()
    with pytest.raises(error, match=message):
        dataset(str(folder / name))


def test_files_named_twice_are_refused(folder):
    with pytest.raises(UsageError, match=r"a\.txt is named twice"):
        dataset([folder / "a.txt", f"{folder}/a.txt"])


def test_formats_are_told_by_extension(tmp_path):
    strange = written(tmp_path / "a.csvv", b"x")
    with pytest.raises(UsageError, match=r"cannot tell the format.*format=.*did you mean '\.csv'"):
        dataset(strange)
    with pytest.raises(UsageError, match="has no extension"):
        dataset(written(tmp_path / "README", b"x"))
    with pytest.raises(UnknownNameError, match="unknown format 'csvv'; did you mean 'csv'"):
        dataset(strange, format="csvv")
    with pytest.raises(UnknownNameError, match="option of format text 'encodin'; did you mean"):
        dataset(strange, format="text", encodin="utf-8")
    written(tmp_path / "b.csv", b"a\n1\n")
    (tmp_path / "README").unlink()
    strange.rename(tmp_path / "c.txt")
    with pytest.raises(UsageError, match=r"several formats.*glob"):
        dataset(tmp_path)


def test_strings_that_may_be_files_or_texts(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="files or texts"):
        dataset(["a.txt", "a fine film"])
    with pytest.raises(DataError, match="no file"):
        dataset(["a.txt", "nothing.txt"])


def compressed(kind, content):
    if kind == "zst":
        return bytes(pa.compress(content, "zstd", asbytes=True))
    return {"gz": gzip.compress, "bz2": bz2.compress}[kind](content)


LINES = b"".join(b"line %d %d\n" % (n, n * n * n) for n in range(20_000))


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
@pytest.mark.parametrize("name", ["a.txt.{}", "a.txt"])
def test_compressed_files(tmp_path, kind, name):
    """By extension, and by their first bytes where the extension does not say so."""
    path = written(tmp_path / name.format(kind), compressed(kind, LINES))
    data = dataset(path, split_bytes=100)
    assert len(data.splits) == 1
    assert data.count() == 20_000


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
def test_files_of_several_compressed_parts(tmp_path, kind):
    path = written(tmp_path / f"a.txt.{kind}", compressed(kind, b"a\n") + compressed(kind, b"b\n"))
    assert texts(dataset(path)) == ["a", "b"]


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
def test_compressed_files_that_are_cut_off(tmp_path, kind):
    content = compressed(kind, LINES)
    path = written(tmp_path / f"a.txt.{kind}", content[: len(content) // 2])
    with pytest.raises(DataError, match=r"damaged or cut off.*bytes of text.*fetch the file again"):
        dataset(path).count()
    written(path, b"this was never compressed" * 100)
    with pytest.raises(DataError, match="damaged or cut off"):
        dataset(path).count()


def test_compression_can_be_said(tmp_path):
    path = written(tmp_path / "a.txt.gz", b"plain\n")
    assert texts(dataset(path, compression="none")) == ["plain"]
    packed = written(tmp_path / "b.data", gzip.compress(b"x\n"))
    assert texts(dataset(packed, format="text", compression="gzip")) == ["x"]
    with pytest.raises(UnknownNameError, match="did you mean 'gzip'"):
        dataset(path, compression="gzp").count()


def changed(path):
    path.write_bytes(path.read_bytes() + b"more\n")


def test_a_file_that_changed_before_it_is_read_is_refused(tmp_path):
    path = written(tmp_path / "a.txt", b"a\nb\n")
    data = dataset(path)
    split = data.splits[0]
    changed(path)
    with pytest.raises(SourceChangedError, match=r"4 bytes then, 9 now"):
        list(data.batches(split))
    path.unlink()
    with pytest.raises(SourceChangedError, match="is gone"):
        list(data.batches(split))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = written(tmp_path / "a.txt", b"a\n" * 100)
    data = dataset(path)
    data.source.format.block_bytes = 10
    batches = data.batches(data.splits[0])
    next(batches)
    stamp = path.stat().st_mtime_ns + 1
    os.utime(path, ns=(stamp, stamp))
    with pytest.raises(SourceChangedError):
        list(batches)


def test_versions_decide_identity_and_fingerprint(tmp_path):
    path = written(tmp_path / "a.txt", b"a\nb\n")
    one = dataset(path, split_bytes=2)
    assert one.fingerprint == dataset(path, split_bytes=2).fingerprint
    assert one.fingerprint != dataset(path, split_bytes=2, encoding="latin-1").fingerprint
    assert len({split.identity for split in one.splits}) == 2
    changed(path)
    other = dataset(path, split_bytes=2)
    assert one.fingerprint != other.fingerprint
    assert one.splits[0].identity != other.splits[0].identity


def hive(root, write):
    for year in (2023, 2024):
        for land in ("de", "at%2Fch", "__HIVE_DEFAULT_PARTITION__"):
            folder = root / f"year={year}" / f"land={land}"
            folder.mkdir(parents=True)
            write(folder, year)
    return root


def write_csv(folder, year):
    written(folder / "part.csv", b"n\n%d\n" % year)


def write_parquet(folder, year):
    pq.write_table(pa.table({"n": [year]}), folder / "part.parquet")


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_folders_are_columns(tmp_path, write):
    data = dataset(hive(tmp_path, write))
    assert data.schema.names == ["n", "year", "land"]
    assert data.schema.type("year") == pa.int64()
    rows = [(row["n"], row["year"], row["land"]) for row in read(data).rows]
    assert sorted(rows, key=str) == sorted(
        ((y, y, land) for y in (2023, 2024) for land in ("de", "at/ch", None)), key=str
    )
    assert read(data, ("land", "n")).rows[0].keys() == {"land", "n"}
    assert len(read(data, ("year",)).rows) == 6
    some = data.filter((pl.col("year") == 2024) & (pl.col("land") == "de"))
    assert read(some).rows == [{"n": 2024, "year": 2024, "land": "de"}]


def test_folders_that_cannot_match_are_not_read(tmp_path):
    data = dataset(hive(tmp_path, write_csv)).filter(pl.col("year") > 2023)
    for path in tmp_path.glob("year=2023/*/*.csv"):
        path.unlink()
    _ = read(data)


def test_rows_in_folders_that_cannot_match_count_where_they_are_known(tmp_path):
    data = dataset(hive(tmp_path, write_parquet)).filter(pl.col("year") > 2023)
    assert (read(data).tally.read, read(data).tally.filtered) == (6, 3)


def test_codes_are_not_numbers(tmp_path):
    (tmp_path / "zip=01234").mkdir()
    written(tmp_path / "zip=01234" / "a.txt", b"x\n")
    assert read(dataset(tmp_path)).rows == [{"text": "x", "zip": "01234"}]


def test_files_must_be_in_folders_of_one_kind(tmp_path):
    (tmp_path / "year=1").mkdir()
    written(tmp_path / "year=1" / "a.txt", b"x\n")
    written(tmp_path / "b.txt", b"y\n")
    with pytest.raises(DataError, match=r"is in folders for \['year'\]"):
        dataset(tmp_path).count()


@pytest.fixture
def store():
    files = fsspec.filesystem("memory")
    files.pipe(
        {
            "/lake/year=1/a.txt": b"one\ntwo\n",
            "/lake/year=2/b.txt": b"three\n",
            "/lake/_SUCCESS": b"",
            "/t.parquet": parquet_bytes(),
        }
    )
    yield files
    files.rm("/", recursive=True)


def parquet_bytes():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": range(10)}), sink, row_group_size=3)
    return sink.getvalue().to_pybytes()


def test_files_in_a_store(store):
    everything = [("one", 1), ("two", 1), ("three", 2)]
    for place in ("memory://lake", "memory://lake/*/*.txt"):
        data = dataset(place, split_bytes=3)
        rows = [(row["text"], row["year"]) for row in read(data).rows]
        assert rows == everything
    assert texts(dataset("memory://lake/year=2/b.txt")) == ["three"]
    data = dataset("memory://t.parquet", split_bytes=1)
    assert [row["n"] for row in read(cloudpickle.loads(cloudpickle.dumps(data))).rows] == [
        *range(10)
    ]
    with pytest.raises(DataError, match="no file"):
        dataset("memory://lake/none.txt")
    with pytest.raises(DataError, match="no file matches"):
        dataset("memory://lake/*.txt")


def test_a_file_in_a_store_that_changed_is_refused(store):
    data = dataset("memory://lake/year=2/b.txt")
    split = data.splits[0]
    store.pipe({"/lake/year=2/b.txt": b"other\n"})
    with pytest.raises(SourceChangedError):
        list(data.batches(split))


def test_stores_that_are_not_known_or_not_installed():
    with pytest.raises(UnknownNameError, match="URL scheme 'memry'"):
        dataset("memry://x.txt")
    with pytest.raises(UsageError, match="one store"):
        dataset([Path(__file__).as_posix(), "memory://x.txt"], format="text")


def test_a_store_without_its_package(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(MissingExtraError, match=r"motherlode\[s3\]"):
        dataset("s3://bucket/x.txt")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (PermissionError(errno.EACCES, "no"), "no permission to read '/x'"),
        (IsADirectoryError(errno.EISDIR, "no"), "is a directory"),
        (OSError(errno.ENOSPC, "full"), "No space left on device"),
        (OSError("Couldn't deserialize thrift"), "deserialize thrift"),
        (pa.ArrowInvalid("bad magic"), "bad magic"),
        (EOFError("ended"), "ended"),
    ],
)
def test_failures_are_translated(raised, message):
    with pytest.raises(DataError, match=message) as caught, translated("/x"):
        raise raised
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [ConnectionResetError("cut"), OSError(errno.EIO, "disk")])
def test_failures_that_may_pass_are_left_for_another_try(raised):
    with pytest.raises(type(raised)), translated("/x"):
        raise raised
    with pytest.raises(DataError), translated("/x", planning=True):
        raise raised


def test_rows_of_partitioned_files_are_counted_without_reading_a_column(tmp_path):
    (tmp_path / "year=2024").mkdir()
    (tmp_path / "year=2024" / "a.csv").write_text("city\nBonn\nUlm\n")
    assert ml.mine(tmp_path, ml.Count()).table.to_pylist() == [{"count": 2}]
