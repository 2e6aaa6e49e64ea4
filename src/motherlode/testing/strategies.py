"""Hypothesis strategies for rows: what the fixed cases did not think of.

>>> from hypothesis import given
>>> @given(batches("numbers"))
... def every_row_is_counted(rows):
...     assert len(rows) <= 30
>>> every_row_is_counted()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import MotherlodeError
from motherlode.testing.cases import KINDS, Case

Strategy = st.SearchStrategy[Any]

_FLOATS = (0.0, -0.0, 1.0, 0.1, 1e9 + 0.5, 5e-324, 1e308, -1e308, 1e-300, 2.0**53, 3.0)


def batches(kind: str, *, max_rows: int = 30, finite: bool = False) -> st.SearchStrategy[Batch]:
    """Return a strategy for rows of a kind.

    Parameters
    ----------
    kind : str
        One of :data:`motherlode.testing.cases.KINDS`.
    max_rows : int
        At most so many rows.
    finite : bool
        Whether numbers are finite and nothing is null.
    """
    schema = KINDS[kind]
    cell = st.integers(0, 9).map(float) if kind.startswith("counts") else _floats(64, finite)
    return st.integers(0, max_rows).flatmap(lambda count: _rows(schema, count, finite, cell))


def cases(kind: str, *, max_rows: int = 30, finite: bool = False) -> st.SearchStrategy[Case]:
    """Return a strategy for cases as the laws take them; they may be refused."""
    rows = batches(kind, max_rows=max_rows, finite=finite)
    return rows.map(lambda batch: Case(f"{kind}/drawn", batch))


def columns(kind: pa.DataType, count: int, *, finite: bool = False) -> st.SearchStrategy[pa.Array]:
    """Return a strategy for columns of a type and length."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    value = _values(plain, finite)
    drawn = st.lists(value if finite else st.none() | value, min_size=count, max_size=count)
    arrays = drawn.map(lambda values: pa.array(values, plain))
    if plain is kind:
        return arrays
    return arrays.map(lambda array: array.dictionary_encode().cast(kind))


def _rows(schema: Schema, count: int, finite: bool, cell: Strategy) -> st.SearchStrategy[Batch]:
    arrays = st.tuples(*(columns(f.type, count, finite=finite) for f in schema.columns))
    if schema.n_features is None:
        return arrays.map(lambda drawn: Batch(pa.record_batch(list(drawn), schema=schema.columns)))
    width = schema.n_features
    cells = st.lists(cell, min_size=count * width, max_size=count * width)
    labels = st.lists(st.integers(0, 2), min_size=count, max_size=count)
    return st.builds(
        lambda flat, target: Batch(
            empty_columns(count),
            _block(np.array(flat, dtype=np.float64).reshape(count, width), schema.sparse),
            np.array(target, dtype=np.int64) if schema.has_target else None,
        ),
        cells,
        labels,
    )


def _block(dense: Any, sparse: bool) -> Any:
    if not sparse:
        return dense
    from scipy.sparse import csr_array

    return csr_array(dense)


def _floats(width: int, finite: bool) -> Strategy:
    wild = not finite
    if width == 64:
        return st.sampled_from(_FLOATS) | st.floats(allow_nan=wild, allow_infinity=wild)
    narrow = [float(np.float32(value)) for value in _FLOATS if abs(value) < 1e38]
    return st.sampled_from(narrow) | st.floats(width=32, allow_nan=wild, allow_infinity=wild)


def _values(kind: pa.DataType, finite: bool) -> Strategy:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = _values(kind.value_type, finite)
        return st.lists(item if finite else st.none() | item, max_size=5)
    for suits, make in _MAKERS:
        if suits(kind):
            return make(kind, finite)
    raise MotherlodeError(f"no strategy for columns of {kind}", "draw such rows yourself")


_MAKERS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, bool], Strategy]]] = [
    (pa.types.is_floating, lambda kind, finite: _floats(kind.bit_width, finite)),
    (pa.types.is_int64, lambda kind, finite: st.integers(0, 5) | st.integers(-(2**63), 2**63 - 1)),
    (pa.types.is_boolean, lambda kind, finite: st.booleans()),
    (pa.types.is_string, lambda kind, finite: st.sampled_from(("", "tin")) | st.text(max_size=9)),
    (pa.types.is_timestamp, lambda kind, finite: st.integers(0, 10**9)),
    (pa.types.is_decimal, lambda kind, finite: st.decimals(-9999, 9999, places=2)),
]  # fmt: skip
