"""JSON lines: every record once, and its types as promised."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.errors import DataError
from motherlode.data import dataset
from tests.data.reading import cut, read, written

VALUES = st.one_of(
    st.none(), st.integers(-5, 5), st.just(2**63), st.just(1.5), st.booleans(), st.just("x")
)
STRINGS = st.one_of(st.none(), st.text(alphabet='a"\\é漢😀\n\t\0 ', max_size=4))
OBJECTS = st.builds(
    lambda members, plain: json.dumps(members, ensure_ascii=plain).encode(),
    st.fixed_dictionaries({}, optional={"a": VALUES, "b": STRINGS, "other": VALUES}),
    st.booleans(),
)
BROKEN = st.sampled_from(
    [
        *(b"null", b"[1]", b"3", b"x", b"}", b"\x00", b'{"a":1}{"a":2}', b'{"a":1}\r{"a":2}'),
        *(b'{"a":1', b'{"a":1,}', b'{"b":"\xff"}', rb'{"b":"\ud800"}'),
        rb'{"b":"\\ud800 \ud83d\ude00"}',  # an escaped backslash, and a pair: both are fine
    ]
)
LINES = st.one_of(OBJECTS, BROKEN, st.sampled_from([b"", b" ", b"\t\r"]))
FILES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=8)


def meaning(raw):
    """Return the row of a line, or None where it is unreadable."""
    try:
        record = json.loads(raw)
        assert isinstance(record, dict)
        number, text = record.get("a"), record.get("b")
        assert number is None or (type(number) is int and abs(number) < 2**63)
        if text is not None:
            text.encode()
    except (ValueError, AssertionError):
        return None
    return {"a": number, "b": text}


@given(FILES, st.booleans(), st.booleans(), st.integers(1, 40), st.integers(1, 40))
def test_every_record_is_read_once_or_quarantined(tmp_path, lines, mark, last, split_bytes, block):
    content = b"\xef\xbb\xbf" * mark
    rows, bad = [], []
    for number, (raw, end) in enumerate(lines):
        row = meaning(raw)
        if row is not None:
            rows.append(row)
        elif raw.strip():
            bad.append((len(content), raw.rstrip(b"\r")))
        content += raw + (end if last or number + 1 < len(lines) else b"")
    types = {"a": "int64", "b": "string"}
    path = written(tmp_path / "a.jsonl", content)
    for data in (
        cut(path, split_bytes, block, types=types),
        cut(written(tmp_path / "b.json.gz", gzip.compress(content)), 1, block, types=types),
    ):
        found = read(data, ("a", "b"))
        assert found.rows == rows
        assert found.bad == bad


def test_columns_and_types_are_those_of_the_samples(tmp_path):
    lines = [
        {"i": 1, "f": 1, "s": "x", "b": True, "none": None, "empty": [], "o": {}},
        {"i": 2, "f": 1.5, "l": [1, 2.5], "d": {"x": 1, "y": ["z"]}, "mixed": 1},
        {"i": None, "mixed": "one", "rows": [{"k": 1}], "t": "2020-01-01"},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    schema = dataset(written(tmp_path / "a.jsonl", text.encode())).schema
    assert {field.name: field.type for field in schema.columns} == {
        "i": pa.int64(),
        "f": pa.float64(),
        "s": pa.string(),
        "b": pa.bool_(),
        "none": pa.string(),
        "empty": pa.list_(pa.string()),
        "o": pa.string(),
        "l": pa.list_(pa.float64()),
        "d": pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]),
        "mixed": pa.string(),
        "rows": pa.list_(pa.struct([("k", pa.int64())])),
        "t": pa.string(),
    }


def test_nested_values_are_read(tmp_path):
    rows = [{"d": {"x": 1, "y": ["z", None]}, "m": 1}, {"d": None, "m": "q"}]
    path = written(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    assert dataset(path).to_arrow().to_pylist() == [rows[0] | {"m": "1"}, rows[1]]


def test_one_string_among_numbers_is_quarantined(tmp_path):
    path = written(tmp_path / "a.jsonl", b'{"a":1}\n{"a":"x"}\n{"a":3,"b":null}\n')
    found = read(dataset(path))
    assert [row["a"] for row in found.rows] == [1, 3]
    assert found.bad == [(8, b'{"a":"x"}')]
    assert "column 'a'" in found.reasons[0]


def test_a_member_that_no_sample_has_can_be_declared(tmp_path):
    path = written(tmp_path / "a.jsonl", b'{"a":1}\n')
    data = dataset(path, types={"time": "timestamp[ms]"})
    assert data.schema.names == ["a", "time"]
    assert data.to_arrow()["time"].to_pylist() == [None]


def test_timestamps_are_parsed_where_declared(tmp_path):
    path = written(tmp_path / "a.jsonl", b'{"t":"2015-09-12T00:46:58.771Z"}\n{"t":"noon"}\n')
    found = read(dataset(path, types={"t": "timestamp[ms]"}))
    assert [str(row["t"]) for row in found.rows] == ["2015-09-12 00:46:58.771000"]
    assert found.bad == [(33, b'{"t":"noon"}')]


def test_a_file_without_objects_is_refused(tmp_path):
    with pytest.raises(DataError, match="no line"):
        dataset(written(tmp_path / "a.jsonl", b"[1]\n")).count()
    empty = dataset(written(tmp_path / "b.jsonl", b""), types={"a": "int64"})
    assert empty.count() == 0
