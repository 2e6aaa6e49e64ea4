"""Text: every line once, however the file is cut."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.core.errors import DataError, ParameterError
from motherlode.data import dataset
from tests.data.reading import cut, read, written

LINE = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r", "é".encode(), "漢".encode(), b"\xff", b"\x00"]),
    max_size=6,
).map(b"".join)


def contents(line, ends=(b"\n", b"\r\n")):
    """Text of lines, perhaps with a byte order mark and without a last line end."""
    lines = st.lists(st.tuples(line, st.sampled_from(ends)), max_size=8)
    texts = lines.map(lambda pairs: b"".join(text + end for text, end in pairs))
    last = st.tuples(texts, line).map(lambda pair: pair[0] + pair[1])
    return st.tuples(st.sampled_from([b"", b"\xef\xbb\xbf"]), texts | last).map(b"".join)


def numbered_lines(content):
    """Every line with its offset, without its end: the plain meaning of a file of lines."""
    start = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    while start < len(content):
        end = content.find(b"\n", start)
        if end < 0:
            yield start, content[start:]
            return
        line = content[start:end]
        yield start, line[:-1] if line.endswith(b"\r") else line
        start = end + 1


def valid(raw):
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(contents(LINE), st.integers(1, 40), st.integers(1, 40))
def test_every_line_is_read_once_or_quarantined(tmp_path, content, split_bytes, block_bytes):
    path = written(tmp_path / "lines.txt", content)
    found = read(cut(path, split_bytes, block_bytes))
    lines = list(numbered_lines(content))
    assert [row["text"] for row in found.rows] == [raw.decode() for _, raw in lines if valid(raw)]
    assert found.bad == [(offset, raw) for offset, raw in lines if not valid(raw)]
    assert found.tally.read == len(lines)


@given(contents(LINE), st.integers(1, 40))
def test_a_compressed_file_has_the_same_lines(tmp_path, content, block_bytes):
    plain = read(dataset(written(tmp_path / "a.txt", content)))
    packed = read(cut(written(tmp_path / "a.txt.gz", gzip.compress(content)), 1, block_bytes))
    assert (packed.rows, packed.bad) == (plain.rows, plain.bad)


def test_latin_1_is_transcoded(tmp_path):
    path = written(tmp_path / "a.txt", "Grüße\r\nà\n".encode("latin-1"))
    assert dataset(path, encoding="latin-1").to_arrow()["text"].to_pylist() == ["Grüße", "à"]


def test_an_empty_file_has_no_rows(tmp_path):
    data = dataset(written(tmp_path / "a.txt", b""))
    assert (data.count(), data.schema.names) == (0, ["text"])


def test_a_line_longer_than_many_blocks_is_one_row(tmp_path):
    line = b"x" * 100_000
    path = written(tmp_path / "a.txt", b"a\n" + line + b"\nb\n")
    assert [len(row["text"]) for row in read(cut(path, 7_000, 64)).rows] == [1, 100_000, 1]


def test_utf_16_is_refused(tmp_path):
    path = written(tmp_path / "a.txt", "hello".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        dataset(path).count()


def test_an_unknown_encoding_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="encoding"):
        dataset(written(tmp_path / "a.txt", b""), encoding="koi8")
