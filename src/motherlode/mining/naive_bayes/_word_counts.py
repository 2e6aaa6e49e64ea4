"""What naive Bayes keeps of texts: how often each word occurs in each class."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary
from motherlode.core.batch import Batch, Schema, is_text
from motherlode.core.errors import StateError, UsageError
from motherlode.mining.folds import Folds
from motherlode.mining.naive_bayes._class_sums import ClassSums, State
from motherlode.mining.naive_bayes._counts import Ints
from motherlode.mining.rows import Rows

WAITING = 1 << 20
"""Entries that wait to be put together, or as many as there are already if that is more."""

SCHEMA = {"group": pl.Int64, "word": pl.String, "count": pl.Int64}


class WordCounts:
    """How often each word occurs in each group of texts.

    Only what occurs is kept, an entry for each group and word.

    Parameters
    ----------
    groups, width : int
        Of no importance: there is no table to be made.
    """

    def __init__(self, groups: int = 0, width: int = 0) -> None:
        self._frames = [pl.DataFrame(schema=SCHEMA)]
        self._waiting = 0

    def resize(self, groups: int) -> None:
        """Do nothing: groups are there when they have words."""

    def add(self, groups: Ints, texts: pl.Series, token: str, once: bool) -> None:
        """Add texts, each to its group; see :func:`words`."""
        found = words(texts, token, once)
        found = found.with_columns(group=pl.Series(groups[found["row"].to_numpy()], dtype=pl.Int64))
        self._put(found.group_by("group", "word").agg(count=pl.len().cast(pl.Int64)))

    def merge(self, other: WordCounts, groups: Ints, sign: int = 1) -> None:
        """Add another's counts, or subtract them; its group i is ``groups[i]`` here."""
        for frame in other._frames:
            moved = pl.Series(groups[frame["group"].to_numpy()], dtype=pl.Int64)
            self._put(frame.with_columns(group=moved, count=pl.col("count") * sign))
        if sign < 0 and (self.frame()["count"] < 0).any():
            raise StateError(
                "there are fewer words than are to be forgotten", "forget only texts learnt"
            )

    def take(self, groups: Ints) -> WordCounts:
        """Return a copy with these groups, in this order."""
        frame = self.frame()
        owners = frame["group"].to_numpy()
        places = np.full(max(owners.max(initial=0), groups.max(initial=0)) + 1, -1)
        places[groups] = np.arange(len(groups))
        moved = pl.Series(places[owners], dtype=pl.Int64)
        taken = WordCounts()
        taken._frames = [frame.with_columns(group=moved).filter(pl.col("group") >= 0)]
        return taken

    def frame(self) -> pl.DataFrame:
        """Return the entries, one a group and word, sorted by both."""
        if len(self._frames) > 1:
            together = pl.concat(self._frames).group_by("group", "word").agg(pl.col("count").sum())
            together = together.filter(pl.col("count") != 0).sort("group", "word")
            self._frames, self._waiting = [together], 0
        return self._frames[0]

    def table(self, groups: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the words, sorted, and how often each occurs in each group."""
        frame = self.frame()
        vocabulary = frame["word"].unique().sort()
        places = frame.join(
            pl.DataFrame({"word": vocabulary}).with_row_index("place"), on="word", how="left"
        )["place"]
        counts = np.zeros((groups, len(vocabulary)))
        counts[frame["group"].to_numpy(), places.to_numpy()] = frame["count"].to_numpy()
        return vocabulary.to_numpy(), counts

    def export(self) -> pa.Table:
        return self.frame().to_arrow()

    @classmethod
    def load(cls, plain: Any) -> Self:
        loaded = cls()
        frame = pl.from_arrow(plain)
        assert isinstance(frame, pl.DataFrame)
        loaded._frames = [frame.cast(SCHEMA)]  # type: ignore[arg-type]
        return loaded

    def _put(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame.select(list(SCHEMA)))
        self._waiting += frame.height
        if self._waiting > max(WAITING, self._frames[0].height):
            self.frame()


def words(texts: pl.Series, token: str, once: bool = False) -> pl.DataFrame:
    """Return the words of texts in lower case, with the number of the text of each.

    Parameters
    ----------
    texts : polars.Series of strings, length n
        The texts; a missing one has no words.
    token : str
        What a word is, as a regular expression.
    once : bool
        Whether a word is told only once for each text.

    Returns
    -------
    polars.DataFrame
        Columns ``row`` and ``word``, in the order of the texts.
    """
    found = texts.alias("word").str.to_lowercase().str.extract_all(token).to_frame()
    if once:
        found = found.with_columns(pl.col("word").list.unique(maintain_order=True))
    return found.with_row_index("row").explode("word").drop_nulls("word")


def matrix(texts: pl.Series, token: str, once: bool, vocabulary: NDArray[Any]) -> Any:
    """Return how often the words of a vocabulary occur in texts, as a CSR array."""
    from scipy.sparse import csr_array

    places = pl.DataFrame({"word": pl.Series(vocabulary, dtype=pl.String)}).with_row_index("place")
    found = words(texts, token, once).join(places, on="word").group_by("row", "place").len()
    found = found.sort("row", "place")
    counts = np.bincount(found["row"].to_numpy(), minlength=len(texts))
    bounds = np.concatenate([[0], np.cumsum(counts)])
    data = found["len"].to_numpy().astype(np.float64)
    shape = (len(texts), len(vocabulary))
    return csr_array((data, found["place"].to_numpy().astype(np.int64), bounds), shape=shape)


class WordSums(ClassSums):
    """Counts of the words of each class.

    The vocabulary is part of the state: it need not be known before, and states of texts with
    different words can be merged. That is why it is kept here, and not made in a step before.

    Parameters
    ----------
    owner : str
        The classifier, for errors.
    text : str
        Column of the texts.
    token : str
        What a word is, as a regular expression.
    once : bool
        Whether a word counts only once in a text.
    target, classes, folds
        As of :class:`ClassSums`.
    """

    kind = WordCounts

    def __init__(
        self,
        owner: str,
        text: str,
        token: str,
        once: bool,
        target: str | None = None,
        classes: Any = None,
        folds: Folds | None = None,
    ) -> None:
        super().__init__(owner, None, target, classes, folds)
        self.text = text
        self.token = token
        self.once = once

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(self)
        Summary.prepare(ready, schema)
        if self.target is None:
            raise UsageError(
                f"{self.owner}: which column holds the labels?",
                "name it: target='label', or fit(data, y='label')",
            )
        schema.require(self.text, self.target)
        if not is_text(schema.type(self.text)):
            raise UsageError(
                f"{self.owner}: column {self.text!r} holds {schema.type(self.text)}, not text"
            )
        ready.rows_ = Rows((self.text,), 0, self.target)
        ready.sparse_ = True
        return ready

    def add(self, sums: WordCounts, batch: Batch, groups: Ints) -> None:
        texts = pl.Series(batch.column(self.text))
        sums.add(groups, texts, self.token, self.once)

    def names(self, state: State) -> tuple[Sequence[str] | None, int]:
        return None, len(state.sums.table(len(state.labels))[0])
