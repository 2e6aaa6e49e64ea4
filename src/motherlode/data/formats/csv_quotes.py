"""Where CSV records end: line ends outside quotes, found without looking at every byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motherlode.data.files.records import BLOCK_BYTES
from motherlode.data.files.storage import Reader

FIELD, PLAIN, QUOTED, CLOSED = range(4)
"""Where a piece of text ends: before a field, in an unquoted one, in quotes, just after them."""

COMPILED_FROM = 50_000
"""Quotes from which on compiled code is worth its import."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart.

    Parameters
    ----------
    delimiter : str
        One ASCII character between fields.
    quote : str or None
        Around fields that hold delimiters or line ends; doubled inside them. None for no quoting.
    """

    delimiter: str
    quote: str | None


@dataclass(frozen=True, slots=True)
class Quotes:
    """The quotes of a piece of text that open or close a field.

    A quote opens a field only at its start; elsewhere in an unquoted field it is a character. A
    doubled quote closes the field and opens it again, which comes to the same.

    Parameters
    ----------
    data : bytes
        The text.
    inside : bool
        Whether it starts in quotes.
    toggles : ndarray of int64
        Positions of the quotes that open or close, in order.
    state : int
        Where the text ends.
    """

    data: bytes
    inside: bool
    toggles: NDArray[np.int64]
    state: int

    def last_end(self) -> int:
        """Return the position after the last line end outside quotes, or 0."""
        stop = len(self.data)
        while True:
            at = self.data.rfind(b"\n", 0, stop)
            if at < 0:
                return 0
            before = int(np.searchsorted(self.toggles, at))
            if bool(before % 2) == self.inside:
                return at + 1
            if before == 0:
                return 0
            stop = int(self.toggles[before - 1])

    def next_end(self, start: int) -> int:
        """Return the position after the first line end outside quotes from ``start``, or 0."""
        while True:
            at = self.data.find(b"\n", start)
            if at < 0:
                return 0
            before = int(np.searchsorted(self.toggles, at))
            if bool(before % 2) == self.inside:
                return at + 1
            if before == len(self.toggles):
                return 0
            start = int(self.toggles[before]) + 1

    def ends(self) -> NDArray[np.int64]:
        """Return the position after every line end outside quotes."""
        at = np.flatnonzero(np.frombuffer(self.data, np.uint8) == 10)
        if not len(self.toggles):
            return at[:0] if self.inside else at + 1
        before = np.searchsorted(self.toggles, at)
        ends: NDArray[np.int64] = at[(before % 2 == 1) == self.inside] + 1
        return ends


def quotes(data: bytes, dialect: Dialect, state: int = FIELD) -> Quotes:
    """Find the quotes that open or close fields.

    Where every quote that would open by its parity stands at the start of a field, parity is
    right; only text with stray quotes is gone through one by one.

    Parameters
    ----------
    data : bytes
        Any piece of a file.
    dialect : Dialect
        How fields are told apart.
    state : int
        Where the text before it ends.
    """
    inside = state == QUOTED
    none = np.zeros(0, dtype=np.int64)
    if dialect.quote is None or dialect.quote.encode() not in data:
        return Quotes(data, inside, none, _state(data, dialect, state, none, inside))
    text = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(text == ord(dialect.quote))
    if not _parity_holds(text, at, ord(dialect.delimiter), ord(dialect.quote), state):
        at = _toggles(text, at, ord(dialect.delimiter), state)
    return Quotes(data, inside, at, _state(data, dialect, state, at, inside))


def borders(
    reader: Reader, start: int, size: int, positions: Sequence[int], dialect: Dialect
) -> list[int]:
    """Return where the first record starts at or after each of the ascending positions.

    The text is read from ``start``, where a record starts, up to the last position: whether a line
    end is inside quotes follows from all that is before it.
    """
    found: list[int] = []
    wanted = [position for position in positions if position > start]
    found += [start] * (len(positions) - len(wanted))
    state = FIELD
    at = start
    while wanted and at < size:
        data = reader.read_at(at, min(BLOCK_BYTES, size - at))
        if not data:
            break
        known = quotes(data, dialect, state)
        while wanted and wanted[0] - 1 < at + len(data):
            end = known.next_end(max(0, wanted[0] - 1 - at))
            if not end:
                break
            found.append(at + end)
            wanted.pop(0)
        state = known.state
        at += len(data)
    return found + [size] * len(wanted)


def structural(text: Any, at: Any, delimiter: int, state: int) -> Any:
    """Return which of the quotes at these positions open or close a field, one by one."""
    kept = np.empty_like(at)
    count = 0
    inside = state == 2
    closed = -1 if state == 3 else -2
    for position in at:
        if inside:
            inside = False
            closed = position
        else:
            if position == 0:
                opens = state == 0 or closed == -1
            else:
                before = text[position - 1]
                opens = before == delimiter or before == 10 or before == 13
                opens = opens or closed == position - 1
            if not opens:
                continue
            inside = True
        kept[count] = position
        count += 1
    return kept[:count]


def _toggles(
    text: NDArray[np.uint8], at: NDArray[np.int64], delimiter: int, state: int
) -> NDArray[np.int64]:
    if len(at) < COMPILED_FROM:
        found: NDArray[np.int64] = structural(text, at, delimiter, state)
        return found
    from motherlode.data.formats._kernels import structural_compiled

    found = structural_compiled(text, at, delimiter, state)
    return found


def _parity_holds(
    text: NDArray[np.uint8], at: NDArray[np.int64], delimiter: int, quote: int, state: int
) -> bool:
    opening = at[1::2] if state == QUOTED else at[::2]
    if len(opening) and opening[0] == 0:
        if state == PLAIN:
            return False
        opening = opening[1:]
    # A quote just before one that opens has closed by parity: the two are a doubled quote.
    before = text[opening - 1]
    holds = (before == delimiter) | (before == 10) | (before == 13) | (before == quote)
    return bool(holds.all())


def _state(
    data: bytes, dialect: Dialect, state: int, toggles: NDArray[np.int64], inside: bool
) -> int:
    if not data:
        return state
    if (len(toggles) % 2 == 1) != inside:
        return QUOTED
    if len(toggles) and toggles[-1] == len(data) - 1:
        return CLOSED
    return FIELD if data[-1:] in (dialect.delimiter.encode(), b"\n", b"\r") else PLAIN
