"""Which characters make up a token, and what they become when lower-cased, as tables."""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motherlode.mining.text._word_table import Words

NAMED = {"word": r"\w+", "letters": r"[^\W\d_]+"}
TOKEN = 1 << 21
SPECIAL = 1 << 22

# Where Unicode has letters with case and combining marks; a test compares with all of it.
CASED = 0x20000
MARKED = ((0, 0x20000), (0xE0000, 0xE1000))

_SIGMA = 0x3A3
_SURROGATES = slice(0xD800, 0xE000)
# A class of one character, repeated: an escape as \w, or a set in brackets without nested sets.
_REPEATED_CLASS = re.compile(r"(?:\\[dDsSwW]|\[\^?\]?(?:[^\]\\\[]|\\.)*\])\+", re.DOTALL)


class Tokens(NamedTuple):
    """The characters of a token, for the kernels.

    Parameters
    ----------
    lows, spans : ndarray of uint8
        Its ASCII characters as ranges ``low .. low + span``.
    rules : ndarray of int32
        For every code point: what it is lower-cased to; :data:`TOKEN` is added where that
        belongs to a token, :data:`SPECIAL` where the text has to be lower-cased as a whole (the
        number of UTF-8 bytes changes, or the letter is a sigma, which depends on its neighbours).
        Empty as long as no text had a character beyond ASCII.
    lowercase : bool
        Whether letters are lower-cased first.
    """

    lows: NDArray[np.uint8]
    spans: NDArray[np.uint8]
    rules: NDArray[np.int32]
    lowercase: bool


class Kept(NamedTuple):
    """Which of the tokens are counted, and how many of them together.

    Parameters
    ----------
    min_length : int
        Characters of a token, at least.
    stop : Words
        Tokens that are left out.
    low, high : int
        Tokens of an n-gram.
    """

    min_length: int
    stop: Words
    low: int
    high: int


def is_class(token: str) -> bool:
    """Tell whether tokens are runs of characters of one class, which the kernels find."""
    if token in NAMED:
        return True
    if not _REPEATED_CLASS.fullmatch(token):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(token)
        except (re.error, FutureWarning):  # as [\\p{L}]+ or [a-z&&[^x]]+
            return False
    return True


@lru_cache(maxsize=64)
def ascii_tokens(token: str, lowercase: bool) -> Tokens:
    """Return the tables of a class of characters, without those beyond ASCII."""
    member = np.zeros(130, np.int8)
    for start, stop in _runs(token, "".join(map(chr, range(128)))):
        member[start + 1 : stop + 1] = 1
    steps = np.diff(member)
    lows = np.flatnonzero(steps == 1)
    spans = np.flatnonzero(steps == -1) - lows - 1
    return Tokens(lows.astype(np.uint8), spans.astype(np.uint8), np.empty(0, np.int32), lowercase)


@lru_cache(maxsize=8)
def all_tokens(token: str, lowercase: bool) -> Tokens:
    """Return the tables of a class of characters; about 40 ms, 4.5 MB."""
    points = np.arange(0x110000, dtype=np.uint32)
    characters = points.tobytes().decode("utf-32-le", "surrogatepass")
    member = np.zeros(len(points), np.bool_)
    for start, stop in _runs(token, characters):
        member[start:stop] = True
    if token in NAMED:
        _add_marks(member)
    member[_SURROGATES] = False
    lowered, special = points, np.empty(0, np.int64)
    if lowercase:
        lowered, special = _lowered(characters)
    rules = lowered.astype(np.int32)
    rules[member[lowered]] += TOKEN
    rules[special] += SPECIAL
    return ascii_tokens(token, lowercase)._replace(rules=rules)


def _runs(token: str, characters: str) -> list[tuple[int, int]]:
    """Return where the runs of a token's characters are."""
    return [match.span() for match in re.finditer(NAMED.get(token, token), characters)]


def _add_marks(member: NDArray[np.bool_]) -> None:
    """Add the combining marks, which have the general category M."""
    for start, stop in MARKED:
        others = np.flatnonzero(~member[start:stop]) + start
        categories = "".join(map(unicodedata.category, map(chr, others.tolist())))
        marks = np.frombuffer(categories.encode(), np.uint8)[::2] == ord("M")
        member[others[marks]] = True


def _lowered(characters: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return every code point lower-cased, and those that need the whole text for that."""
    lowered = np.arange(len(characters), dtype=np.uint32)
    special = [_SIGMA]
    for start in range(0, CASED, 4096):
        block = characters[start : start + 4096]
        small = block.lower()
        if len(small) != len(block):  # a character that becomes several
            parts = [character.lower() for character in block]
            special += [start + place for place, part in enumerate(parts) if len(part) > 1]
            small = "".join(part[0] for part in parts)
        encoded = small.encode("utf-32-le", "surrogatepass")
        lowered[start : start + 4096] = np.frombuffer(encoded, np.uint32)
    changed = np.flatnonzero(lowered[:CASED] != np.arange(CASED))
    resized = changed[_utf8_length(lowered[changed]) != _utf8_length(changed)]
    return lowered, np.unique(np.concatenate([resized, np.array(special)]))


def _utf8_length(points: NDArray[Any]) -> NDArray[np.int64]:
    return np.searchsorted(np.array([0x80, 0x800, 0x10000]), points, side="right")
