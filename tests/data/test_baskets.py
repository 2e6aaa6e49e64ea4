"""Baskets, sequences and sparse rows: every line once, as the plain meaning of its format."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.errors import DataError
from motherlode.data import dataset
from tests.data.reading import cut, read, written
from tests.data.test_text import contents, numbered_lines, valid

WORDS = [b"1", b"23", b" ", b" ", b"\t", b"7", b"2147483648", b"99999999999999999999", b"x", b"-"]
NUMBERS = st.lists(st.sampled_from(WORDS), max_size=6).map(b"".join)
MARKS = st.lists(
    st.sampled_from([b"1 ", b"2 ", b"-1 ", b"-1 ", b"-2", b"-2 ", b"5000000000 ", b"x ", b"#"]),
    max_size=8,
).map(b"".join)
NAMES = st.lists(
    st.sampled_from([b"a", b"b", b" ", b",", b",", b'"', "é".encode(), b"\xff"]), max_size=8
).map(b"".join)
PAIRS = st.lists(
    st.sampled_from(
        [b"1", b" ", b" 1:2", b" 2:0.5", b" 3:-1e-3", b" 4:x", b" qid:1", b"#", b" 9:1"]
    ),
    max_size=5,
).map(b"".join)


def split_lines(content):
    return [(offset, raw) for offset, raw in numbered_lines(content)]


@given(contents(NUMBERS), st.integers(1, 30), st.integers(1, 30))
def test_fimi(tmp_path, content, split_bytes, block_bytes):
    rows, bad = [], []
    for offset, raw in split_lines(content):
        words = raw.split()
        if all(word.isdigit() and int(word) < 2**31 for word in words):
            rows.append([int(word) for word in words])
        else:
            bad.append((offset, raw.rstrip(b"\r")))
    path = written(tmp_path / "a.dat", content)
    found = read(cut(path, split_bytes, block_bytes, items="int32"))
    assert [row["items"] for row in found.rows] == rows
    assert found.bad == bad


def sequence(raw):
    """Return a sequence of itemsets, or None where the line is none."""
    sets, items = [], []
    words = raw.split()
    for position, word in enumerate(words):
        if word == b"-1":
            sets.append(items)
            items = []
        elif word == b"-2":
            return sets if position + 1 == len(words) and not items else None
        elif word.isdigit() and int(word) < 2**31:
            items.append(int(word))
        else:
            return None
    return None


@given(contents(MARKS), st.integers(1, 30), st.integers(1, 30))
def test_spmf(tmp_path, content, split_bytes, block_bytes):
    rows, bad = [], []
    for offset, raw in split_lines(content):
        if not raw.strip() or raw.startswith(b"#"):
            continue
        sets = sequence(raw)
        if sets is None:
            bad.append((offset, raw.rstrip(b"\r")))
        else:
            rows.append(sets)
    path = written(tmp_path / "a.spmf", content)
    found = read(cut(path, split_bytes, block_bytes, items="int32"))
    assert [row["sequence"] for row in found.rows] == rows
    assert found.bad == bad


@given(contents(NAMES), st.integers(1, 30), st.integers(1, 30))
def test_basket(tmp_path, content, split_bytes, block_bytes):
    path = written(tmp_path / "a.basket", content)
    found = read(cut(path, split_bytes, block_bytes))
    lines = split_lines(content)
    plain = [raw.decode() for _, raw in lines if valid(raw) and b'"' not in raw]
    names = [[n.strip() for n in line.split(",") if n.strip()] for line in plain]
    if not any(b'"' in raw for _, raw in lines):
        assert [row["items"] for row in found.rows] == names
    assert found.tally.read == len(lines)
    assert {offset for offset, _ in found.bad} >= {o for o, raw in lines if not valid(raw)}


def test_names_in_quotes(tmp_path):
    content = b'"a, b" , c,\n"d""e",f\nplain,  two words \n"open\n\n'
    found = read(dataset(written(tmp_path / "a.basket", content)))
    baskets = [["a, b", "c"], ['d"e', "f"], ["plain", "two words"], []]
    assert [row["items"] for row in found.rows] == baskets
    assert found.bad == [(40, b'"open')]


def test_items_beyond_32_bits_are_found_by_the_sample(tmp_path):
    data = dataset(written(tmp_path / "a.dat", b"1 2\n3 3000000000\n"))
    assert data.schema.type("items") == pa.list_(pa.int64())
    assert data.to_arrow()["items"].to_pylist() == [[1, 2], [3, 3_000_000_000]]
    small = dataset(written(tmp_path / "b.dat", b"1 2\n"))
    assert small.schema.type("items") == pa.list_(pa.int32())


def sparse_row(raw):
    """Return label and entries of a line, or None where it is none."""
    words = raw.partition(b"#")[0].split()
    entries = {}
    last = 0
    try:
        label = float(words[0])
        for word in words[1:]:
            index, colon, value = word.partition(b":")
            if index == b"qid":
                continue
            assert colon
            assert index.isdigit()
            assert last < int(index) <= 5
            last = int(index)
            entries[last] = float(value)
    except (ValueError, AssertionError):
        return None
    return label, entries


@given(contents(PAIRS), st.integers(1, 30), st.integers(1, 30))
def test_svmlight(tmp_path, content, split_bytes, block_bytes):
    rows, bad = [], []
    for offset, raw in split_lines(content):
        if not raw.partition(b"#")[0].strip():
            continue
        row = sparse_row(raw)
        if row is None:
            bad.append((offset, raw.rstrip(b"\r")))
        else:
            rows.append(row)
    path = written(tmp_path / "a.svmlight", content)
    found = read(cut(path, split_bytes, block_bytes, n_features=5, zero_based=False))
    assert found.bad == bad
    labels = [label for batch in found.batches for label in batch.target]
    assert labels == [label for label, _ in rows]
    dense = [row for batch in found.batches for row in batch.matrix(dense=True).tolist()]
    assert dense == [[entries.get(n, 0.0) for n in range(1, 6)] for _, entries in rows]


def test_the_width_of_sparse_rows_is_found(tmp_path):
    one = dataset(written(tmp_path / "a.svm", b"1 1:0.5 7:2\n-1 3:1e-3\n"))
    assert (one.schema.n_features, one.schema.sparse, one.schema.has_target) == (7, True, True)
    zero = dataset(written(tmp_path / "b.svm", b"1 0:0.1\n"))
    (batch,) = read(zero).batches
    assert batch.matrix(dense=True).tolist() == [[0.1]]
    assert np.asarray(batch.target).tolist() == [1.0]
    with pytest.raises(DataError, match="no index"):
        dataset(written(tmp_path / "c.svm", b"1\n")).count()


def test_every_digit_of_a_value_counts(tmp_path):
    rng = np.random.default_rng(3)
    dense = rng.normal(size=(200, 9)) * 10.0 ** rng.integers(-300, 300, (200, 9))
    dense[rng.random((200, 9)) < 0.5] = 0.0
    lines = [
        " ".join([repr(float(row[0])), *(f"{n}:{v!r}" for n, v in enumerate(row.tolist()) if v)])
        for row in dense
    ]
    path = written(tmp_path / "a.svm", "\n".join(lines).encode())
    found = read(dataset(path, n_features=9, zero_based=True, split_bytes=1_000))
    assert np.array_equal(np.vstack([b.matrix(dense=True) for b in found.batches]), dense)
    assert np.array_equal(np.concatenate([b.target for b in found.batches]), dense[:, 0])
