"""Protocols: what was written is read again, in the form that other tools expect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.mapreduce import protocol

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
LINE = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=9)


@given(PLAIN, PLAIN)
def test_json(key, value):
    line = protocol.JSONProtocol().write(key, value)
    assert b"\n" not in line
    assert line.count(b"\t") == 1
    assert protocol.JSONProtocol().read(line) == (key, value)
    assert json.loads(line.partition(b"\t")[2]) == value
    only = protocol.JSONValueProtocol()
    assert only.read(only.write(key, value)) == (None, value)


@pytest.mark.parametrize("number", [float("inf"), float("-inf")])
def test_repr_of_numbers_without_a_literal(number):
    pair = ({"a": [number]}, number)
    assert protocol.ReprProtocol().read(protocol.ReprProtocol().write(*pair)) == pair
    with pytest.raises(ValueError, match="malformed"):
        protocol.ReprProtocol().read(b"open('x')\t1")


@given(PLAIN, PLAIN)
def test_repr(key, value):
    pair = ((key, {1, 2}, b"\t"), value)
    line = protocol.ReprProtocol().write(*pair)
    assert b"\n" not in line
    assert protocol.ReprProtocol().read(line) == pair
    only = protocol.ReprValueProtocol()
    assert only.read(only.write(*pair)) == (None, value)


@given(LINE, LINE)
def test_text_and_bytes(key, value):
    text = protocol.TextProtocol()
    assert text.read(text.write(key, value)) == (key, value)
    raw = protocol.BytesProtocol()
    assert raw.read(raw.write(key.encode(), value.encode())) == (key.encode(), value.encode())
    assert protocol.TextValueProtocol().read(value.encode()) == (None, value)
    assert protocol.BytesValueProtocol().read(value.encode()) == (None, value.encode())
    assert protocol.RawValueProtocol().write(None, value) == value.encode()


@pytest.mark.parametrize(
    ("pair", "line"),
    [((None, "v"), b"v"), (("k", None), b"k"), (("k", ""), b"k\t"), (("k", "a\tb"), b"k\ta\tb")],
)
def test_text_leaves_out_what_is_not_there(pair, line):
    assert protocol.RawProtocol().write(*pair) == line


def test_text_without_a_tab_is_a_key():
    assert protocol.RawProtocol().read(b"word") == ("word", None)


def test_bytes_that_are_not_utf8_are_latin1():
    assert protocol.RawValueProtocol().read(b"caf\xe9") == (None, "caf\xe9")


def test_a_key_that_comes_again_is_read_once():
    class Counting(protocol.JSONProtocol):
        loads = 0

        def _loads(self, text):
            self.loads += 1
            return super()._loads(text)

    counting = Counting()
    assert [counting.read(b'"k"\t%d' % n) for n in range(5)] == [("k", n) for n in range(5)]
    assert counting.loads == 6
