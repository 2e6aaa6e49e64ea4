"""Word counts against plain Python: `re.findall`, `str.lower` and a Counter."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherlode.algebra import codec
from motherlode.core.batch import Batch
from motherlode.core.errors import ParameterError, StateError, UnknownNameError, UsageError
from motherlode.mining.text.word_count import WordCount
from motherlode.runtime import run

# Characters whose lower case has another length or depends on the neighbours, marks that belong to
# a word, a joiner that does not, digits that are letters to some, and what is around them.
ODD = "İI\u0131ẞßΣσςΩKÅȺⱥéÉ\u0301\u0307\u093e\u200d\u2019'²½٣Ⅷ中文Дд😀\U0001d400_-. \t\n\0aAzZ09"
TEXTS = st.text(st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8")), max_size=40)
ROWS = st.lists(st.one_of(st.none(), TEXTS), max_size=8)
CLASSES = [r"[a-z]+", r"[a-z0-9]+", r"\w+", r"[^\W\d_]+", r"\S+", r"[^a ]+", r"[à-ÿ_\-]+", r"[]a]+"]


def word_tokens(text: str) -> list[str]:
    def member(character: str) -> bool:
        marks = unicodedata.category(character).startswith("M")
        return character.isalnum() or character == "_" or marks

    return ["".join(run) for inside, run in groupby(text, member) if inside]


def grams(tokens: Sequence[str], low: int, high: int) -> Iterable[str]:
    for size in range(low, high + 1):
        for start in range(len(tokens) - size + 1):
            yield " ".join(tokens[start : start + size])


def expected(
    rows: Iterable[str | None],
    tokens: Callable[[str], list[str]],
    *,
    lowercase: bool = True,
    ngrams: tuple[int, int] = (1, 1),
    min_length: int = 1,
    stop: Sequence[str] = (),
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        found = tokens((row or "").lower() if lowercase else row or "")
        kept = [each for each in found if len(each) >= min_length and each not in stop]
        counts.update(grams(kept, *ngrams))
    return counts


def ready(**parameters: Any) -> WordCount:
    return WordCount(**parameters).prepare(Batch(batch([])).schema)


def batch(rows: Sequence[str | None], kind: pa.DataType | None = None) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(rows, kind or pa.string())})


def state(count: WordCount, *pieces: pa.RecordBatch) -> Any:
    folded = count.zero()
    for piece in pieces:
        folded = count.update(folded, Batch(piece))
    return folded


def counted(count: WordCount, *pieces: pa.RecordBatch) -> dict[str, int]:
    table = count.finish(state(count, *pieces))
    return dict(zip(table["word"].to_pylist(), table["count"].to_pylist(), strict=True))


def digest(count: WordCount, folded: Any) -> str:
    return codec.digest(count.export(folded))


@given(ROWS, st.booleans())
def test_words_of_any_text(rows: list[str | None], lowercase: bool) -> None:
    count = ready(lowercase=lowercase)
    assert counted(count, batch(rows)) == expected(rows, word_tokens, lowercase=lowercase)


@pytest.mark.parametrize("token", CLASSES)
@given(rows=ROWS, lowercase=st.booleans())
def test_character_classes_mean_what_they_mean_to_re(
    token: str, rows: list[str | None], lowercase: bool
) -> None:
    found = counted(ready(token=token, lowercase=lowercase), batch(rows))
    assert found == expected(rows, re.compile(token).findall, lowercase=lowercase)


def test_letters_are_words_without_digits_and_underscore() -> None:
    rows = ["x2y_z Ⅷ² 中文 e\u0301a 7"]
    assert list(counted(ready(token="letters"), batch(rows))) == [
        "e\u0301a",
        "x",
        "y",
        "z",
        "ⅷ²",
        "中文",
    ]


def test_every_character() -> None:
    everything = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    rows = [" ".join(everything[start : start + 4096]) for start in range(0, 0x110000, 4096)]
    words = {token for each in everything for token in word_tokens(each.lower())}
    found = counted(ready(), batch(rows))
    assert set(found) == words
    assert sum(found.values()) == sum(len(word_tokens(each.lower())) for each in everything)


@given(
    rows=ROWS,
    low=st.integers(1, 3),
    more=st.integers(0, 2),
    min_length=st.integers(1, 3),
    stop=st.lists(st.sampled_from(["a", "é", "z09", "Σ", "中文"]), max_size=3),
)
def test_ngrams_of_what_is_kept(
    rows: list[str | None], low: int, more: int, min_length: int, stop: list[str]
) -> None:
    sizes = (low, low + more)
    count = ready(ngrams=sizes, min_length=min_length, stop_words=stop)
    lowered = [word.lower() for word in stop]
    assert counted(count, batch(rows)) == expected(
        rows, word_tokens, ngrams=sizes, min_length=min_length, stop=lowered
    )


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", " ", "bcd ", "é", "中", "😀 ", "word " * 400, "x" * 3000, "ñ " * 900]
        ),
        st.integers(16_330, 16_440).map(lambda size: "k" * size),
        st.integers(16_330, 16_440).map(lambda size: ("ab " * size)[:size]),
        st.sampled_from(["Σ", "İ", "Д "]),
    ),
    max_size=12,
).map("".join)


@given(
    rows=st.lists(st.one_of(PIECES, st.none()), max_size=4),
    ngrams=st.sampled_from([(1, 1), (2, 2), (1, 3)]),
    stop=st.sampled_from([[], ["ab", "word"]]),
)
def test_rows_longer_than_what_is_read_at_once(
    rows: list[str | None], ngrams: tuple[int, int], stop: list[str]
) -> None:
    count = ready(ngrams=ngrams, stop_words=stop)
    assert counted(count, batch(rows)) == expected(rows, word_tokens, ngrams=ngrams, stop=stop)


@given(rows=ROWS, cuts=st.lists(st.integers(0, 8), max_size=3), ngrams=st.integers(1, 2))
def test_any_split_gives_the_same_state(
    rows: list[str | None], cuts: list[int], ngrams: int
) -> None:
    count = ready(ngrams=ngrams)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    whole = state(count, batch(rows))
    pieces = [batch(rows).slice(a, b - a) for a, b in pairwise(bounds)]
    parts = [state(count, piece) for piece in pieces]
    right = digest(count, parts[-1])
    merged = count.zero()
    for part in reversed(parts):
        merged = count.merge(merged, part)
    assert digest(count, state(count, *pieces)) == digest(count, merged) == digest(count, whole)
    assert digest(count, parts[-1]) == right
    assert digest(count, count.load(count.export(whole))) == digest(count, whole)


@given(ROWS, ROWS)
def test_subtracting_is_never_having_seen(kept: list[str | None], gone: list[str | None]) -> None:
    count = ready()
    part = state(count, batch(gone))
    before = digest(count, part)
    left = count.subtract(state(count, batch(kept), batch(gone)), part)
    assert digest(count, left) == digest(count, state(count, batch(kept)))
    assert digest(count, part) == before
    again = count.update(left, Batch(batch(gone)))
    assert digest(count, again) == digest(count, state(count, batch(gone), batch(kept)))


def test_subtracting_what_was_never_counted_is_refused() -> None:
    count = ready()
    whole = state(count, batch(["a b"]))
    before = digest(count, whole)
    for rows in (["a a"], ["c"]):
        with pytest.raises(StateError, match="does not"):
            count.subtract(whole, state(count, batch(rows)))
    assert digest(count, whole) == before


@pytest.mark.parametrize("length", [7, 12, 24])
def test_many_words(length: int) -> None:
    letters = np.random.default_rng(length).choice(list("abcdé中"), (40_000, length))
    words = ["".join(row) for row in letters.tolist()]
    rows = [" ".join(words[start : start + 100]) for start in range(0, len(words), 100)]
    count = ready()
    third = len(rows) // 3
    left, right = state(count, batch(rows[:third])), state(count, batch(rows[third:]))
    merged = count.merge(left, right)
    exported = count.export(merged)
    found = dict(zip(exported["words"].to_pylist(), exported["counts"].tolist(), strict=True))
    assert found == Counter(words)
    assert list(found) == sorted(found, key=str.encode)
    rest = count.subtract(merged, right)
    assert digest(count, rest) == digest(count, state(count, batch(rows[:third])))
    assert len(rest.counts) < 0.5 * len(found)  # the emptied entries are given back


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a" * 8, "a" * 15, "a" * 16, "a" * 40]),
            st.text("a\0b", max_size=9),
        ),
        max_size=30,
    )
)
def test_words_are_sorted_by_their_bytes(parts: list[tuple[str, str]]) -> None:
    words = ["".join(part) for part in parts]
    count = ready(token="[^ ]+")
    exported = count.export(state(count, batch([" ".join(words)])))
    assert exported["words"].to_pylist() == sorted({word for word in words if word})


def test_ties_among_many_words_with_one_beginning() -> None:
    numbers = np.random.default_rng(5).permutation(3000)
    words = [f"https://example.org/page/{number:x}" for number in numbers.tolist()]
    count = ready(token=r"\S+")
    exported = count.export(state(count, batch(words)))
    assert exported["words"].to_pylist() == sorted(words)


def strings(rows: Sequence[bytes | None], hidden: bytes = b"") -> pa.Array:
    """Return an Arrow array of these bytes; the slots of nulls hold hidden ones."""
    raw = [hidden if row is None else row for row in rows]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int32)
    shown = np.packbits(np.array([row is not None for row in rows], bool), bitorder="little")
    buffers = [pa.py_buffer(shown.tobytes()), pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))]
    return pa.StringArray.from_buffers(len(raw), buffers[1], buffers[2], buffers[0])


@pytest.mark.parametrize(
    "hidden", [b"", b"ghost \xc3\x89 \xff", b"x" * 17_000, "İ".encode() * 9_000]
)
def test_slices_and_what_nulls_hide(hidden: bytes) -> None:
    rows = [b"out", b"a b", None, b"", b"b c", None, b"tail"]
    array = strings(rows, hidden)[1:6]
    for ngrams in (1, 2):
        count = ready(ngrams=ngrams)
        found = counted(count, pa.record_batch({"text": array}))
        assert found == expected(["a b", "b c"], word_tokens, ngrams=(ngrams, ngrams))


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_every_type_of_strings(kind: pa.DataType) -> None:
    rows = ["To be", None, "or not to be, a word of more than twelve bytes", "Ё"]
    strings = pa.array(rows).cast(kind)[1:] if kind != pa.string() else pa.array(rows)[1:]
    count = WordCount().prepare(Batch(pa.record_batch({"text": strings})).schema)
    assert counted(count, pa.record_batch({"text": strings})) == expected(rows[1:], word_tokens)


@given(
    st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b"\xe2\x82")), max_size=6)
)
def test_bytes_that_are_not_utf8_belong_to_no_word(rows: list[bytes]) -> None:
    count = ready()
    texts = [row.decode(errors="replace") for row in rows]
    assert counted(count, pa.record_batch({"text": strings(rows)})) == expected(texts, word_tokens)


def test_other_expressions_go_through_polars() -> None:
    rows = ["Well-known and so-called e-mail 3.14, 42", None, "", "x-y"]
    token = r"[a-z]+-[a-z]+|\d+(?:\.\d+)?"
    for ngrams in ((1, 1), (1, 2)):
        count = ready(token=token, ngrams=ngrams, min_length=3)
        found = counted(count, batch(rows), batch([]), batch(rows[2:]))
        assert found == expected(
            [*rows, *rows[2:]], re.compile(token).findall, ngrams=ngrams, min_length=3
        )


def test_empty_matches_are_no_tokens() -> None:
    assert counted(ready(token="(?:ab)*"), batch(["abab ba c"])) == {"abab": 1}


def test_the_result_is_ranked() -> None:
    rows = ["b a c b a d é é"]
    result = run(WordCount(top=3), pa.table({"line": rows}), workers=1)
    assert result.table.to_pylist() == [
        {"word": "a", "count": 2}, {"word": "b", "count": 2}, {"word": "é", "count": 2}
    ]  # fmt: skip
    assert result.table.schema == pa.schema([("word", pa.string()), ("count", pa.int64())])
    assert list(counted(ready(top=4), batch(rows))) == ["a", "b", "é", "c"]
    assert list(counted(ready(min_count=2, top=9), batch(rows))) == ["a", "b", "é"]
    assert counted(ready(min_count=3), batch(rows)) == {}


def test_workers_and_memory_do_not_matter(tmp_path: Path) -> None:
    lines = ["the quick brown fox", "Ünïcode ΣΑΣ", "", "jumps over the lazy dog"] * 5_000
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    results = [run(WordCount(), str(tmp_path / "lines.txt"), workers=workers) for workers in (1, 2)]
    assert results[0].digest == results[1].digest
    assert dict(zip(*results[0].table.to_pydict().values(), strict=True)) == expected(
        lines, word_tokens
    )


def test_the_column_is_found_or_asked_for() -> None:
    two = Batch(pa.record_batch({"title": ["a"], "body": ["b"], "year": [2000]})).schema
    with pytest.raises(UsageError, match="title, body"):
        WordCount().prepare(two)
    assert WordCount("body").prepare(two).needs() == ("body",)
    with pytest.raises(UnknownNameError, match="did you mean 'title'"):
        WordCount("titel").prepare(two)
    with pytest.raises(UsageError, match="int64, not text"):
        WordCount("year").prepare(two)
    with pytest.raises(UsageError, match="no column holds text"):
        WordCount().prepare(Batch(pa.record_batch({"year": [2000]})).schema)


@pytest.mark.parametrize(
    "parameters",
    [{"ngrams": (2, 1)}, {"ngrams": (1, 2, 3)}, {"token": "[a"}, {"token": "(?<x"}, {"top": 0}],
    ids=str,
)
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        ready(**parameters)


@pytest.mark.parametrize(
    ("name", "tokens", "distinct", "most"),
    [
        (
            "shakespeare_collected-works", 259_221, 13_524,
            {"the": 7988, "and": 7155, "i": 6415, "to": 5572, "of": 5317},
        ),
        ("republic", 220_513, 10_431, {"the": 15589, "of": 10454, "and": 9593}),
    ],
)  # fmt: skip
def test_books(
    shared_data: Callable[[str], Path],
    name: str,
    tokens: int,
    distinct: int,
    most: dict[str, int],
) -> None:
    path = shared_data(f"texts/{name}.txt")
    table = run(WordCount(token="[a-z]+"), str(path)).table
    assert sum(table["count"].to_pylist()) == tokens
    assert len(table) == distinct
    assert {row["word"]: row["count"] for row in table.slice(0, len(most)).to_pylist()} == most
    lines = path.read_text(encoding="utf-8").split("\n")
    bigrams = run(WordCount(ngrams=2), str(path)).table
    found = dict(zip(bigrams["word"].to_pylist(), bigrams["count"].to_pylist(), strict=True))
    assert found == expected(lines, word_tokens, ngrams=(2, 2))
