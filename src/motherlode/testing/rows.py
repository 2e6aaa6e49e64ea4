"""Rows for any schema, made from its column types: ordinary ones and awkward ones."""

from __future__ import annotations

import decimal
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import MotherlodeError

FLAVOURS = (
    "ordinary",
    "empty",
    "one",
    "equal",
    "missing",
    "extreme",
    "infinite",
    "offset",
    "many",
)
"""What the rows of a case are like; all but the first may be refused with a clear error."""

_Maker = Callable[[str, random.Random], Any]
_SIZES = {
    "empty": 0,
    "one": 1,
    "equal": 7,
    "missing": 5,
    "extreme": 24,
    "infinite": 24,
    "many": 900,
}


def rows_of(
    schema: Schema, flavour: str = "ordinary", *, seed: int = 0, counts: bool = False
) -> Batch:
    """Return rows for any schema; the same ones for the same arguments.

    Parameters
    ----------
    schema : Schema
        Columns, and the feature block where there is one.
    flavour : str
        One of :data:`FLAVOURS`.
    seed : int
        Other rows of the same sort.
    counts : bool
        Whether features count something: whole and not negative, awkward ones aside.
    """
    chance = random.Random(f"{flavour} {seed}")
    count = _SIZES.get(flavour, 40)
    arrays = [column(field.type, flavour, count, chance) for field in schema.columns]
    if schema.n_features is None:
        return Batch(pa.record_batch(arrays, schema=schema.columns))
    return Batch(
        _columns(arrays, schema.columns, count),
        features=_features(schema, flavour, count, chance, _count if counts else _real),
        target=_target(flavour, count, chance) if schema.has_target else None,
    )


def column(kind: pa.DataType, flavour: str, count: int, chance: random.Random) -> pa.Array:
    """Return a column of a type in a flavour."""
    if flavour == "missing":
        return pa.nulls(count, kind)
    plain = pa.types.is_dictionary(kind)
    values = [_value(kind.value_type if plain else kind, flavour, chance) for _ in range(count)]
    if flavour == "equal":
        values = values[:1] * count
    if flavour == "infinite":
        values = [None if chance.random() < 0.2 else value for value in values]
    array = pa.array(values, kind.value_type if plain else kind)
    return array.dictionary_encode().cast(kind) if plain else array


def _columns(arrays: list[pa.Array], schema: pa.Schema, count: int) -> pa.RecordBatch:
    return pa.record_batch(arrays, schema=schema) if arrays else empty_columns(count)


def _features(schema: Schema, flavour: str, count: int, chance: random.Random, cell: _Maker) -> Any:
    width = schema.n_features or 0
    cells = [[cell(flavour, chance) for _ in range(width)] for _ in range(count)]
    if flavour == "equal":
        cells = cells[:1] * count
    block = np.array(cells, dtype=np.float64).reshape(count, width)
    if flavour == "missing":
        block[:] = np.nan
    if not schema.sparse:
        return block
    from scipy.sparse import csr_array

    empty = np.array([chance.random() < 0.6 for _ in range(block.size)], dtype=bool)
    block[empty.reshape(block.shape)] = 0.0
    return csr_array(block)


def _target(flavour: str, count: int, chance: random.Random) -> Any:
    labels = [0 if flavour == "equal" else chance.randrange(3) for _ in range(count)]
    return np.array(labels, dtype=np.int64)


_WORDS = ("ore", "vein", "gold", "tin", "shaft", "lamp", "cart", "rock")
_STRANGE = (
    "", " ", "\n", "\t tab", "a\0b", "ß", "İstanbul", "ﬁne", "e\u0301", "é", "日本 語", "NaN",
    "\U0001f469\u200d\U0001f680 mine", "\u202eright", "\ufeffbom", "x" * 300, "don't", "null",
    '"quoted", text', "\u1e9e \u017f \u212a \u212b",
)  # fmt: skip
_EXTREME = (
    0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e308, -1e308, 1e308, -1e308, 1.7976931348623157e308,
    1e-300, 0.1, 0.2, 0.3, 1.0, -1.0, 2.0**53, 2.0**53 + 2, 1e16, -1e16,
)  # fmt: skip
_LARGE = (0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**31, -(2**31), 255)


def _real(flavour: str, chance: random.Random) -> float:
    if flavour == "extreme":
        return chance.choice(_EXTREME)
    if flavour == "infinite" and chance.random() < 0.3:
        return chance.choice((float("nan"), float("inf"), float("-inf")))
    if flavour == "equal":
        return 2.5
    value = chance.gauss(0.0, 2.0) if chance.random() < 0.7 else float(chance.randrange(4))
    return 1e9 + value if flavour == "offset" else value


def _count(flavour: str, chance: random.Random) -> float:
    value = _real(flavour, chance)
    return value if flavour in ("extreme", "infinite") else float(abs(round(value)))


def _whole(flavour: str, chance: random.Random) -> int:
    if flavour == "extreme":
        return chance.choice(_LARGE)
    if flavour == "equal":
        return 3
    return chance.randrange(8) + (10**9 if flavour == "offset" else 0)


def _text(flavour: str, chance: random.Random) -> str:
    if flavour in ("extreme", "infinite") and chance.random() < 0.8:
        return chance.choice(_STRANGE)
    if flavour == "equal":
        return "gold ore"
    return " ".join(chance.choice(_WORDS) for _ in range(chance.randrange(1, 4)))


def _single(flavour: str, chance: random.Random) -> float:
    value = _real(flavour, chance)
    with np.errstate(all="ignore"):
        narrow = float(np.float32(value))
    return narrow if np.isfinite(narrow) or not np.isfinite(value) else 3e38


def _decimal(flavour: str, chance: random.Random) -> decimal.Decimal:
    cents = 250 if flavour == "equal" else chance.randrange(-9999, 9999)
    return decimal.Decimal(cents).scaleb(-2)


_VALUES: list[tuple[Callable[[pa.DataType], bool], _Maker]] = [
    (pa.types.is_float64, _real),
    (pa.types.is_floating, _single),
    (pa.types.is_int64, _whole),
    (pa.types.is_integer, lambda flavour, chance: chance.randrange(8)),
    (pa.types.is_boolean, lambda flavour, chance: flavour == "equal" or chance.random() < 0.5),
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_timestamp, lambda flavour, chance: 10**15 + 10**6 * _whole("offset", chance)),
    (pa.types.is_decimal, _decimal),
]


def _value(kind: pa.DataType, flavour: str, chance: random.Random) -> Any:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        size = 2 if flavour == "equal" else chance.randrange(6)
        items = [_value(kind.value_type, flavour, chance) for _ in range(size)]
        if flavour == "infinite":
            items = [None if chance.random() < 0.1 else item for item in items]
        return items
    for suits, make in _VALUES:
        if suits(kind):
            return make(flavour, chance)
    raise MotherlodeError(f"no small data for columns of {kind}", "give rows of your own")
