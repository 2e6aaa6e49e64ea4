"""Word count: how often each word, or n-gram of words, occurs in a column of text."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from motherlode.algebra.summary import Chart, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import ParameterError, UsageError
from motherlode.core.parameters import AnyOf, Constraint, Flag, Integer, Nothing, Sequenced, Text
from motherlode.mining.text import _token_class as classes
from motherlode.mining.text import _word_table as table
from motherlode.mining.text._token_class import Kept
from motherlode.mining.text._word_table import Words


class WordCount(Summary[Words, pa.Table]):
    r"""Count the words of a text column.

    Every text is lower-cased and cut into tokens; the counts of equal tokens are added up. This
    is the first example of every book on distributed computing, because it is the plainest
    summary there is: a table from key to number, merged by addition. Counts subtract, so that
    sliding windows and forgetting are exact too.

    Tokens are found 64 bytes at a time as bit masks, and counted in an open-addressing hash table
    that holds words of up to 16 bytes in its own rows; longer ones stand in an arena of bytes.

    Parameters
    ----------
    column : str, optional
        The column of strings. It may be left out where there is only one.
    token : str, default "word"
        What a token is, as a longest run of characters:

        ``"word"``
            letters, digits, underscore and combining marks: what ``\w`` matches in Python's
            :mod:`re` (``str.isalnum`` or underscore) and the general category M, without which
            words of Hindi or Arabic would be torn apart;
        ``"letters"``
            the same without decimal digits and underscore;
        a class of characters, repeated
            ``[a-z]+``, ``[a-z0-9']+``, ``[^\W\d]+``, ``\S+``: one escape or set in brackets and
            a plus sign, with the meaning it has in :mod:`re`;
        any other regular expression
            as Polars' ``str.extract_all`` understands it, several times slower. The whole match
            is the token, also where there are groups.
    lowercase : bool, default True
        Whether texts are lower-cased, as ``str.lower`` does, before tokens are looked for.
    ngrams : int or (int, int), default 1
        How many consecutive tokens are counted together, or the least and greatest such number.
        They are joined by one space; none reaches across rows.
    min_length : int, default 1
        Shorter tokens, in characters, are left out before n-grams are made. Empty tokens always
        are.
    stop_words : list of str, optional
        Tokens that are left out before n-grams are made; lower-cased where ``lowercase``.
    top : int, optional
        How many words the result has, the most frequent ones; equally frequent words come in the
        order of their UTF-8 bytes. The state holds all words.
    min_count : int, default 1
        Words that occur less often are not in the result; the state holds them.

    Notes
    -----
    Result: a table with ``word`` (string) and ``count`` (int64), the most frequent first.

    Null texts are skipped. Bytes that are not UTF-8 belong to no token.

    Time O(bytes of text), one pass. Grade exact: the exported state, the sorted words with their
    counts, is the same for every partition and order of the rows. Which characters are letters
    follows the Unicode version of the running Python.

    References
    ----------
    J. Dean, S. Ghemawat: MapReduce: Simplified Data Processing on Large Clusters. OSDI 2004.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from motherlode.core.batch import Batch
    >>> texts = pa.record_batch({"line": ["To be, or not to be,", "that is the question"]})
    >>> count = WordCount(top=2).prepare(Batch(texts).schema)
    >>> count.finish(count.update(count.zero(), Batch(texts))).to_pylist()
    [{'word': 'be', 'count': 2}, {'word': 'to', 'count': 2}]
    """

    traits: ClassVar[Traits] = Traits(
        grade="exact",
        summary="How often each word or n-gram of words occurs in a text",
        invertible=True,
        commutative=True,
        state_size="O(distinct words): about 50 bytes each, and the bytes of words longer than 16",
        reference="Dean, Ghemawat: MapReduce. OSDI 2004",
    )
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "column": AnyOf(Text(), Nothing()),
        "token": Text(),
        "lowercase": Flag(),
        "ngrams": AnyOf(Integer(1), Sequenced(Integer(1), least=2)),
        "min_length": Integer(1),
        "stop_words": AnyOf(Sequenced(Text(), least=0), Nothing()),
        "top": AnyOf(Integer(1), Nothing()),
        "min_count": Integer(1),
    }
    chart: ClassVar[Chart | None] = Chart("bar", x="word", y="count", top=30)

    column_: str

    def __init__(
        self,
        column: str | None = None,
        *,
        token: str = "word",
        lowercase: bool = True,
        ngrams: int | Sequence[int] = 1,
        min_length: int = 1,
        stop_words: Sequence[str] | None = None,
        top: int | None = None,
        min_count: int = 1,
    ) -> None:
        self.column = column
        self.token = token
        self.lowercase = lowercase
        self.ngrams = ngrams
        self.min_length = min_length
        self.stop_words = stop_words
        self.top = top
        self.min_count = min_count

    def validate(self) -> None:
        super().validate()
        sizes = self._sizes()
        if len(sizes) > 2 or list(sizes) != sorted(sizes):
            raise ParameterError(
                f"WordCount: parameter 'ngrams' must be a number or (least, greatest), "
                f"got {self.ngrams!r}"
            )
        if not classes.is_class(self.token):
            _check_expression(self.token)

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        prepared = copy.copy(self)
        prepared.column_ = _text_column(schema, self.column)
        return prepared

    def needs(self) -> tuple[str, ...]:
        return (self.column_,)

    def zero(self) -> Words:
        return table.empty()

    def update(self, state: Words, batch: Batch) -> Words:
        texts = batch.column(self.column_)
        if classes.is_class(self.token):
            return self._count(state, texts, self.lowercase)
        return self._count_matches(state, texts)

    def merge(self, left: Words, right: Words) -> Words:
        return table.merge(left, right)

    def subtract(self, whole: Words, part: Words) -> Words:
        return table.subtract(whole, part)

    def finish(self, state: Words) -> pa.Table:
        return table.ranked(state, self.top, self.min_count)

    def export(self, state: Words) -> dict[str, Any]:
        return table.export(state)

    def load(self, exported: Any) -> Words:
        return table.of(exported["words"], exported["counts"])

    def _sizes(self) -> Sequence[int]:
        """Return the least and the greatest number of tokens of an n-gram."""
        return self.ngrams if isinstance(self.ngrams, Sequence) else (self.ngrams, self.ngrams)

    def _kept(self) -> Kept:
        """Return which tokens are counted, as the kernels want it."""
        low, high = self._sizes()
        words = {word.lower() if self.lowercase else word for word in self.stop_words or ()}
        return Kept(self.min_length, _stop_table(tuple(sorted(words))), low, high)

    def _count(self, state: Words, texts: pa.Array, lowercase: bool) -> Words:
        """Count runs of characters of one class."""
        from motherlode.mining.text._count_kernels import Rows, count_rows

        data, offsets = table.buffers(texts)
        valid = np.empty(0, np.bool_)
        if texts.null_count:
            valid = np.array(texts.is_valid(), np.bool_)
        beyond = len(data) > 0 and int(data[offsets[0] : offsets[-1]].max(initial=0)) >= 0x80
        tokens = (classes.all_tokens if beyond else classes.ascii_tokens)(self.token, lowercase)
        plain = self.min_length == 1 and not self.stop_words and self._sizes()[1] == 1
        kept = None if plain else self._kept()
        state, slow = count_rows(state, Rows(data, offsets, valid), tokens, kept)
        if slow.any():
            rest = texts.filter(pa.array(slow)).to_pylist()
            lowered = pa.array([text.lower() for text in rest], pa.large_string())
            state = self._count(state, lowered, False)
        return state

    def _count_matches(self, state: Words, texts: pa.Array) -> Words:
        """Count the matches of a regular expression."""
        import polars as pl

        from motherlode.mining.text._count_kernels import count_found

        column = pl.Series("text", texts.drop_null())
        if self.lowercase:
            column = column.str.to_lowercase()
        matches = column.str.extract_all(self.token)
        found = matches.explode(empty_as_null=False, keep_nulls=False).to_arrow()
        data, offsets = table.buffers(found)
        lines = np.repeat(np.arange(len(matches)), matches.list.len().to_numpy())
        text = table.padded(data[offsets[0] : offsets[-1]])
        offsets -= offsets[0]
        counted: Words = count_found(
            state, text, offsets[:-1].copy(), offsets[1:].copy(), lines, self._kept()
        )
        return counted


@lru_cache(maxsize=16)
def _stop_table(words: tuple[str, ...]) -> Words:
    """Return the table of the stop words; it is shared and only looked into."""
    return table.of(pa.array(words, pa.large_string()), np.ones(len(words), np.int64))


def _text_column(schema: Schema, column: str | None) -> str:
    """Return the name of the column to be read."""
    there = schema.text()
    if column is None:
        if len(there) == 1:
            return there[0]
        has = "the columns " + ", ".join(there) + " hold text" if there else "no column holds text"
        raise UsageError(
            f"WordCount: parameter 'column' is needed, because {has}",
            "name one with column=..." if there else f"there is {', '.join(schema.names)}",
        )
    schema.require(column)
    if column not in there:
        raise UsageError(
            f"WordCount: column {column!r} holds {schema.type(column)}, not text",
            f"there is {', '.join(there)}" if there else "cast it with with_columns",
        )
    return column


def _check_expression(token: str) -> None:
    """Raise ParameterError for what is no regular expression."""
    import polars as pl

    try:
        pl.Series([""]).str.extract_all(token)
    except pl.exceptions.PolarsError as error:
        raise ParameterError(
            f"WordCount: parameter 'token' is no regular expression: {token!r}",
            "use 'word', 'letters', or an expression as [a-z]+",
        ) from error
