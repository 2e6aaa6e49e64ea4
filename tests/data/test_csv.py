"""CSV: every record once, however the file is cut and whatever is in quotes."""

from __future__ import annotations

import csv
import io
import re

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motherlode.core.errors import DataError, ParameterError, UnknownNameError, UsageError
from motherlode.data import dataset
from motherlode.data.formats.csv_quotes import Dialect, quotes
from tests.data.reading import cut, read, written

PIECE = st.sampled_from(
    [b'"', b'""', b",", b"\n", b"\r\n", b"a", b"b", b" ", b"1", b"-3", "é".encode(), b"\xff"]
)
TEXT = st.lists(PIECE, max_size=24).map(b"".join)
HEAD = b"a,b\n0,ok\n"
"""A good record first: where no sampled record fits the header, the file is refused."""


def records(content, start):
    """Yield offset, raw text and fields of each record, going through it byte by byte.

    A quote opens a field at its start only; a doubled one inside is a character; after the closing
    one the field goes on without quotes. Fields are None where a quote is never closed: then the
    record is its first line.
    """
    begin = position = start
    fields, field, state = [], b"", "start"
    while position < len(content):
        c = content[position : position + 1]
        position += 1
        if state == "quoted":
            if c != b'"':
                field += c
            elif content[position : position + 1] == b'"':
                field += c
                position += 1
            else:
                state = "plain"
        elif c == b'"' and state == "start":
            state = "quoted"
        elif c == b",":
            fields, field, state = [*fields, field], b"", "start"
        elif c == b"\n":
            raw = content[begin : position - 1]
            last = field[:-1] if field.endswith(b"\r") else field
            yield begin, raw.rstrip(b"\r"), [*fields, last]
            begin, fields, field, state = position, [], b"", "start"
        else:
            field += c
            state = "plain"
        if position == len(content) and state == "quoted":
            position = (content.find(b"\n", begin) + 1) or len(content)
            yield begin, content[begin:position].rstrip(b"\r\n"), None
            begin, fields, field, state = position, [], b"", "start"
    if begin < len(content):
        yield begin, content[begin:], [*fields, field]


def expected(content, start, whole=()):
    """Return rows and bad records; columns named in ``whole`` must hold whole numbers."""
    rows, bad = [], []
    for offset, raw, fields in records(content, start):
        if not raw:
            continue
        try:
            assert fields is not None
            assert len(fields) == 2
            texts = [field.decode() for field in fields]
            values = dict(zip("ab", [text or None for text in texts], strict=True))
            for name in whole:
                if values[name] is not None:
                    assert re.fullmatch(r" *-?\d+ *", values[name])
                    values[name] = int(values[name])
        except (AssertionError, UnicodeDecodeError):
            bad.append((offset, raw))
        else:
            rows.append(values)
    return rows, bad


@given(TEXT, st.integers(1, 30), st.integers(1, 30), st.booleans())
@example(b'"x', 1, 1, False)
@example(b'x"y,"1\n2","\n"\n', 3, 2, False)
@example(b'1,"\n3,"4\n', 5, 1, False)
def test_every_record_is_read_once_or_quarantined(tmp_path, text, split_bytes, block_bytes, mark):
    head = b"\xef\xbb\xbf" * mark + HEAD
    path = written(tmp_path / "a.csv", head + text)
    data = cut(path, split_bytes, block_bytes, types={"a": "string", "b": "string"})
    rows, bad = expected(head + text, len(head) - 5)
    found = read(data)
    assert found.rows == rows
    assert found.bad == bad


@given(TEXT, st.integers(1, 30), st.integers(1, 30))
def test_values_of_another_type_are_quarantined_one_by_one(tmp_path, text, split_bytes, block):
    path = written(tmp_path / "a.csv", HEAD + text)
    data = cut(path, split_bytes, block, types={"a": "int64", "b": "string"})
    rows, bad = expected(HEAD + text, 4, whole="a")
    found = read(data)
    assert found.rows == rows
    assert found.bad == bad


@given(TEXT)
def test_records_are_those_of_the_csv_module(text):
    """The oracle above agrees with Python's reader wherever every quote is closed."""
    try:
        content = text.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return
    found = list(records(content.encode(), 0))
    if all(fields is not None for _, _, fields in found):
        ours = [[field.decode() for field in fields] for _, raw, fields in found if raw]
        assert ours == [row for row in csv.reader(io.StringIO(content, newline="")) if row]


@given(TEXT, st.integers(1, 30))
def test_the_state_of_quotes_can_be_carried_from_chunk_to_chunk(text, size):
    dialect = Dialect(",", '"')
    whole = quotes(text, dialect)
    state, ends = 0, []
    for start in range(0, len(text), size):
        part = quotes(text[start : start + size], dialect, state)
        ends += [start + int(end) for end in part.ends()]
        state = part.state
    assert ends == whole.ends().tolist()
    assert whole.last_end() == (ends[-1] if ends else 0)
    assert whole.next_end(0) == (ends[0] if ends else 0)
    assert state == whole.state


@given(TEXT, st.integers(1, 30))
def test_without_quoting_a_quote_is_a_character(tmp_path, text, split_bytes):
    path = written(tmp_path / "a.csv", HEAD + text)
    data = cut(path, split_bytes, 5, quote=None, types={"a": "string", "b": "string"})
    lines = [line.removesuffix(b"\r") for line in (HEAD + text).split(b"\n")[1:]]
    split = [line.split(b",") for line in lines if line]
    good = [f for f in split if len(f) == 2 and b"\xff" not in b"".join(f)]
    found = read(data)
    values = [{"a": f[0].decode() or None, "b": f[1].decode() or None} for f in good]
    assert found.rows == values
    assert len(found.bad) == len(split) - len(good)


def test_compiled_and_interpreted_quotes_agree():
    import numpy as np

    from motherlode.data.formats import _kernels
    from motherlode.data.formats.csv_quotes import structural

    text = np.frombuffer(b'a"b,"c""d"e"f","\n""\r"x"' * 50, np.uint8)
    at = np.flatnonzero(text == ord('"'))
    for state in range(4):
        one = structural(text, at, ord(","), state)
        assert one.tolist() == _kernels.structural_compiled(text, at, ord(","), state).tolist()


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["1", "2"], pa.int64()),
        (["1", "2.5"], pa.float64()),
        (["1", ""], pa.int64()),
        (["1", "NA", "null"], pa.int64()),
        (["1", "x"], pa.string()),
        (["x", "NA"], pa.string()),
        (["true", "False"], pa.bool_()),
        (["2020-01-01"], pa.date32()),
        (["2020-01-01 10:00:00"], pa.timestamp("s")),
        (["2020-01-01", "2020-01-01 10:00:00"], pa.timestamp("s")),
        (["", ""], pa.string()),
        (["1", "12345678901234567890"], pa.float64()),
        (["nan", "1"], pa.float64()),
    ],
)
def test_types_are_told_by_the_values(tmp_path, lines, kind):
    rows = "".join(f"k,{line}\n" for line in lines)
    data = dataset(written(tmp_path / "a.csv", f"key,value\n{rows}".encode()))
    assert data.schema.type("value") == kind
    assert data.count() == len(lines)


def test_the_end_of_a_large_file_is_sampled_too(tmp_path):
    lines = b"".join(b"%d,%d\n" % (i, i) for i in range(900_000)) + b"1,2.5\n"
    path = written(tmp_path / "a.csv", b"a,b\n" + lines)
    assert path.stat().st_size > 9_000_000
    data = dataset(path)
    assert data.schema.type("b") == pa.float64()
    assert data.select("a").count() == 900_001


def test_strings_stay_as_they_are_but_empty_ones_are_null(tmp_path):
    path = written(tmp_path / "a.csv", b'code,n\nNA,NA\n,1\n"",2\nDE,""\n')
    assert dataset(path).to_arrow().to_pydict() == {
        "code": ["NA", None, None, "DE"],
        "n": [None, 1, 2, None],
    }


def test_null_values_apply_to_every_column(tmp_path):
    path = written(tmp_path / "a.csv", b"code,n\n?,?\nx,1\n")
    found = dataset(path, null_values=["?"]).to_arrow().to_pydict()
    assert found == {"code": [None, "x"], "n": [None, 1]}


def test_the_reason_names_column_and_value(tmp_path):
    path = written(tmp_path / "a.csv", b"a,b\n1,2\n3,abc\n4\n5,6,7\n8,9\n")
    found = read(dataset(path, types={"b": "int64"}))
    assert found.bad == [(8, b"3,abc"), (14, b"4"), (16, b"5,6,7")]
    assert found.reasons == [
        "column 'b' is not int64: invalid value 'abc'",
        "1 fields, not 2",
        "3 fields, not 2",
    ]


def test_only_the_columns_read_are_looked_at(tmp_path):
    data = dataset(written(tmp_path / "a.csv", b"a,b\n1,2\n3,x\n"), types={"b": "int64"})
    assert len(read(data, ("a",)).rows) == 2
    found = read(data, ("b", "a"))
    assert found.bad == [(8, b"3,x")]
    assert found.reasons == ["column 'b' is not int64: invalid value 'x'"]
    assert read(data, ("b",)).reasons == found.reasons


def test_a_lone_carriage_return_does_not_end_a_record(tmp_path):
    path = written(tmp_path / "a.csv", b'a,b\n1,2\r3,4\n5,"x\ry"\n')
    found = read(dataset(path, types={"a": "string", "b": "string"}))
    assert found.rows == [{"a": "5", "b": "x\ry"}]
    assert found.bad == [(4, b"1,2\r3,4")]


def test_header_options(tmp_path):
    rows = written(tmp_path / "rows.csv", b"1;x\n2;y\n")
    with pytest.raises(UsageError, match="header=False"):
        dataset(rows, delimiter=";").count()
    assert dataset(rows, delimiter=";", header=False).schema.names == ["c0", "c1"]
    assert dataset(rows, delimiter=";", header=True).count() == 1
    named = dataset(rows, delimiter=";", header=False, names=["n", "s"])
    assert named.to_arrow().to_pydict() == {"n": [1, 2], "s": ["x", "y"]}


def test_names_that_are_missing_are_made_and_double_ones_refused(tmp_path):
    assert dataset(written(tmp_path / "a.csv", b",x\n1,2\n")).schema.names == ["c0", "x"]
    with pytest.raises(DataError, match="'x' twice"):
        dataset(written(tmp_path / "b.csv", b"x,x\n1,2\n")).count()


def test_a_header_may_hold_quoted_line_ends(tmp_path):
    data = dataset(written(tmp_path / "a.csv", b'\n\n"a\nb","c,d"\n1,2\n'))
    assert data.to_arrow().to_pydict() == {"a\nb": [1], "c,d": [2]}


def test_rows_with_more_fields_than_the_header(tmp_path):
    data = dataset(written(tmp_path / "a.csv", b"a,b\n1,2,\n3,4,\n"))
    assert data.schema.names == ["a", "b", "c2"]
    with pytest.raises(DataError, match="have 3 fields, but there are 2 names"):
        dataset(written(tmp_path / "b.csv", b"a,b\n1,2,3\n4,5,6\n7\n")).count()


def test_files_without_rows(tmp_path):
    data = dataset(written(tmp_path / "a.csv", b"a,b\n"))
    assert (data.count(), data.schema.names) == (0, ["a", "b"])
    assert data.to_arrow().num_rows == 0
    with pytest.raises(DataError, match="is empty"):
        dataset(written(tmp_path / "b.csv", b"")).count()


def test_several_files_must_have_one_header(tmp_path):
    one = written(tmp_path / "1.csv", b"a,b\n1,x\n")
    two = written(tmp_path / "2.csv", b"a,b\n2.5,y\n")
    assert dataset([one, two]).to_arrow()["a"].to_pylist() == [1.0, 2.5]
    other = written(tmp_path / "3.csv", b"b,a\nz,3\n")
    with pytest.raises(DataError, match=r"the header of .*3\.csv is not that of .*1\.csv"):
        dataset([one, other]).count()


def test_types_may_be_declared(tmp_path):
    path = written(tmp_path / "a.csv", b"zip,when\n01234,2020-01-01\n")
    data = dataset(path, types={"zip": "string", "when": pa.timestamp("ms")})
    assert data.to_arrow()["zip"].to_pylist() == ["01234"]
    assert data.schema.type("when") == pa.timestamp("ms")
    with pytest.raises(UnknownNameError, match="did you mean 'zip'"):
        dataset(path, types={"zp": "string"}).count()
    with pytest.raises(UsageError, match="unknown type 'strng'"):
        dataset(path, types={"zip": "strng"}).count()


def test_latin_1_is_transcoded(tmp_path):
    path = written(tmp_path / "a.csv", "größe,n\nüber,1\nx,y\n".encode("latin-1"))
    with pytest.raises(DataError, match="latin-1"):
        dataset(path).count()
    found = read(dataset(path, encoding="latin-1", types={"n": "int64"}))
    assert found.rows == [{"größe": "über", "n": 1}]
    assert found.bad == [(15, b"x,y")]


def test_nul_bytes_are_characters(tmp_path):
    found = read(dataset(written(tmp_path / "a.csv", b"a,b\n\x00,1\nx,2\n")))
    assert [row["a"] for row in found.rows] == ["\x00", "x"]


def test_tabs_need_no_quotes(tmp_path):
    path = written(tmp_path / "a.tsv", b'a\tb\n1\t"open\n2\tx\n')
    assert dataset(path).to_arrow()["b"].to_pylist() == ['"open', "x"]


def test_a_record_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("motherlode.data.files.records.LONGEST_RECORD", 1_000)
    path = written(tmp_path / "a.csv", b'a,b\n1,2\n3,"' + b"x,y\n" * 1_000)
    data = cut(path, 1 << 20, 100, types={"a": "int64", "b": "string"})
    with pytest.raises(DataError, match=r"record at byte 8 of .*quote=None"):
        read(data)


@pytest.mark.parametrize("options", [{"delimiter": ",,"}, {"quote": "é"}, {"header": "yes"}])
def test_bad_options_are_refused_before_reading(tmp_path, options):
    with pytest.raises(ParameterError):
        dataset(written(tmp_path / "a.csv", b"a\n1\n"), **options)
