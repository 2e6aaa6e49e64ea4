from typing import Any

import pytest

from motherlode.cli.show import cell, clean, size
from motherlode.cli.values import fitted, literal, names, number, pairs
from motherlode.core.errors import UsageError
from motherlode.core.parameters import (
    AnyOf,
    Choice,
    Constraint,
    Flag,
    Integer,
    Nothing,
    Real,
    Sequenced,
    Text,
)


@pytest.mark.parametrize(
    ("text", "constraint", "value"),
    [
        ("3", Integer(1), 3),
        ("3", Real(0), 3),
        ("0.5", Real(0), 0.5),
        ("1e-3", Real(0), 1e-3),
        ("true", Flag(), True),
        ("3", Text(), "3"),
        ("true", Text(), "true"),
        ("a,b", Text(), "a,b"),
        ("a,b", Sequenced(Text()), ["a", "b"]),
        ("1, 2", Sequenced(Integer()), [1, 2]),
        ("1,2", Sequenced(Text()), ["1", "2"]),
        ("[1, 2]", Sequenced(Integer()), [1, 2]),
        ("a", Sequenced(Text()), ["a"]),
        ("none", AnyOf(Integer(1), Nothing()), None),
        ("none", AnyOf(Text(), Nothing()), "none"),
        ("k-means||", Choice(("k-means||", "random")), "k-means||"),
        ("x", Integer(1), "x"),
        ("[a-z]+", Text(), "[a-z]+"),
        ("a,b", AnyOf(Text(), Sequenced(Text())), ["a", "b"]),
        ('"a,b"', AnyOf(Text(), Sequenced(Text())), "a,b"),
        ("a", AnyOf(Text(), Sequenced(Text())), "a"),
        ("1", AnyOf(Text(), Sequenced(Text())), "1"),
        ("a=b", Text(), "a=b"),
        ("", Text(), ""),
        ("1979-05-27", Text(), "1979-05-27"),
    ],
)
def test_texts_become_what_the_constraint_wants(
    text: str, constraint: Constraint, value: Any
) -> None:
    got = fitted({"name": text}, {"name": constraint})["name"]
    assert got == value
    assert type(got) is type(value)


def test_literals_and_pairs() -> None:
    assert literal(";") == ";"
    assert literal('"quoted"') == "quoted"
    assert literal("false") is False
    assert literal("1\nx = 2") == "1\nx = 2"
    assert pairs(["a=1", "b-c=x=y"], "--param") == {"a": "1", "b_c": "x=y"}
    assert names(" a, b,") == ["a", "b"]
    assert names(None) is None


def test_bounds() -> None:
    assert number(None) is None
    assert number("10") == 10
    assert number("1%") == 0.01
    assert number("0.5") == 0.5
    with pytest.raises(UsageError, match="'1 in 3'"):
        number("1 in 3")


def test_cells() -> None:
    assert cell(None) == "null"
    assert cell(float("nan")) == "nan"
    assert cell(1234567.891) == "1.23457e+06"
    assert cell(list(range(20))).endswith("11, …")
    assert cell({"a": [1.0]}) == "a: 1"
    assert cell(b"\xff\x00") == r"\xff\x00"
    assert len(cell("x" * 1_000)) == 200
    assert clean("tab\tnew\nline") == r"tab\tnew\nline"
    assert clean("Größe 東京") == "Größe 東京"
    assert [size(n) for n in (0, 999, 1_500, 12_345_678)] == ["0 B", "999 B", "1.5 kB", "12 MB"]
