"""Small, awkward data for any algorithm, found from what the algorithm accepts.

A *kind* of rows is a schema: numbers, text, baskets, labelled matrices, edges, … . A *flavour* is
what makes the rows awkward: none of them, one, all equal, all null, cancelling sums, infinities.
Every kind comes in every flavour, derived from the column types alone.

An algorithm need not say which kind it mines: the kinds that its ``prepare`` accepts are tried.
Where that misleads, one line in the class settles it: ``takes = "baskets"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from motherlode.algebra.summary import Algorithm, Context, Summary
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MotherlodeError, UnknownNameError
from motherlode.testing.rows import FLAVOURS, rows_of

_FLOATS = [("x", pa.float64()), ("y", pa.float64()), ("z", pa.float32())]
_INTEGERS = [("n", pa.int64()), ("flag", pa.bool_())]

KINDS: dict[str, Schema] = {
    "numbers": Schema(pa.schema([*_FLOATS, *_INTEGERS])),
    "text": Schema(pa.schema([("text", pa.string())])),
    "baskets": Schema(pa.schema([("items", pa.list_(pa.int64()))])),
    "named_baskets": Schema(pa.schema([("items", pa.list_(pa.string()))])),
    "edges": Schema(pa.schema([("source", pa.int64()), ("target", pa.int64())])),
    "ratings": Schema(
        pa.schema([("user", pa.int64()), ("item", pa.int64()), ("rating", pa.float64())])
    ),
    "events": Schema(
        pa.schema(
            [
                ("time", pa.timestamp("us")),
                ("key", pa.dictionary(pa.int32(), pa.string())),
                ("value", pa.float64()),
            ]
        )
    ),
    "labelled": Schema(pa.schema([]), n_features=3, has_target=True),
    "labelled_sparse": Schema(pa.schema([]), n_features=4, sparse=True, has_target=True),
    "counts": Schema(pa.schema([]), n_features=3, has_target=True),
    "counts_sparse": Schema(pa.schema([]), n_features=4, sparse=True, has_target=True),
    "matrix": Schema(pa.schema([]), n_features=3),
    "sparse": Schema(pa.schema([]), n_features=4, sparse=True),
    "table": Schema(
        pa.schema(
            [
                *_FLOATS,
                *_INTEGERS,
                ("word", pa.string()),
                ("city", pa.dictionary(pa.int32(), pa.string())),
                ("items", pa.list_(pa.int64())),
                ("time", pa.timestamp("us")),
                ("price", pa.decimal128(9, 2)),
                ("label", pa.string()),
            ]
        )
    ),
}
"""The kinds of rows: what an algorithm may name in ``takes``."""


@dataclass(frozen=True, slots=True)
class Case:
    """Some rows under a name.

    Parameters
    ----------
    name : str
        ``kind/flavour``, as ``numbers/extreme``.
    rows : Batch
        All of them in one batch.
    """

    name: str
    rows: Batch

    @property
    def essential(self) -> bool:
        """Whether an algorithm of this kind must take these rows."""
        return self.name.endswith("/ordinary")

    def __str__(self) -> str:
        return self.name


def case(kind: str, flavour: str = "ordinary", *, seed: int = 0) -> Case:
    """Return one fixed case.

    Examples
    --------
    >>> case("numbers", "equal").rows.column("n").to_pylist()
    [3, 3, 3, 3, 3, 3, 3]
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of rows", kind, KINDS)
    if flavour not in FLAVOURS:
        raise UnknownNameError("flavour of rows", flavour, FLAVOURS)
    counts = kind.startswith("counts")
    return Case(f"{kind}/{flavour}", rows_of(KINDS[kind], flavour, seed=seed, counts=counts))


def fixed(kind: str) -> list[Case]:
    """Return a kind's rows in every flavour."""
    return [case(kind, flavour) for flavour in FLAVOURS]


def cases(algorithm: Algorithm) -> list[Case]:
    """Return the cases for an algorithm: its first kind in every flavour, others as they come.

    Of the other kinds, those that are declared, or bring a type of column which no earlier one
    had, are tried with their ordinary rows.

    Raises
    ------
    MotherlodeError
        If it accepts no kind.
    """
    first, *others = kinds(algorithm)
    found = fixed(first)
    seen = _types(first)
    for kind in others:
        if algorithm.takes or not _types(kind) <= seen:
            found.append(case(kind))
            seen |= _types(kind)
    return found


def kinds(algorithm: Algorithm) -> list[str]:
    """Return the kinds of rows that an algorithm mines: those it declares, else those it accepts.

    Raises
    ------
    MotherlodeError
        If it accepts none.
    """
    if algorithm.takes:
        for kind in algorithm.takes.split():
            case(kind)
        return algorithm.takes.split()
    found = [kind for kind in KINDS if accepts(algorithm, case(kind).rows)]
    if not found:
        raise MotherlodeError(
            f"{type(algorithm).__name__} accepts none of the kinds of rows: {', '.join(KINDS)}",
            "name one with `takes`, or parameters that suit one with `example`",
        )
    return found


def accepts(algorithm: Algorithm, rows: Batch) -> bool:
    """Tell whether an algorithm takes these rows, trying one update."""
    try:
        ready = algorithm.plan().prepare(rows.schema)
        if not isinstance(ready, Summary):
            ready = ready.pass_(ready.start(Context(rows.schema, len(rows)))).prepare(rows.schema)
        ready.finish(ready.update(ready.zero(), rows))
    except MotherlodeError:
        return False
    return True


def example(kind: type[Algorithm]) -> Algorithm:
    """Return an instance of an algorithm, made with its example parameters."""
    try:
        return kind(**kind.example)
    except TypeError as error:
        raise MotherlodeError(
            f"{kind.__name__} cannot be made with example={dict(kind.example)!r}: {error}",
            "give the parameters that have no default in the class attribute `example`",
        ) from error


def cut(rows: Batch, bounds: Sequence[int]) -> list[Batch]:
    """Return the pieces between the bounds as splits of their own: numbered, counted from 0."""
    edges = [0, *bounds, len(rows)]
    return [
        replace(rows.slice(start, stop - start), split=number, start=0)
        for number, (start, stop) in enumerate(pairwise(edges))
    ]


def deal(rows: Batch, pieces: int) -> list[Batch]:
    """Return the rows cut into so many pieces of nearly equal size; some may be empty."""
    return cut(rows, [len(rows) * k // pieces for k in range(1, pieces)])


def batched(piece: Batch, size: int) -> Iterator[Batch]:
    """Yield a split's rows in batches of a size."""
    for start in range(0, len(piece), size):
        yield piece.slice(start, min(size, len(piece) - start))


def relaid(rows: Batch) -> Batch:
    """Return the same rows in another memory layout.

    Columns become slices of longer ones in which nulls hide values; the feature block becomes a
    view of a longer matrix.
    """
    arrays = [_relaid(array) for array in rows.columns.columns]
    block = rows.features
    if isinstance(block, np.ndarray):
        block = np.vstack([block[:0], np.ones((2, block.shape[1]), block.dtype), block])[2:]
    columns = pa.record_batch(arrays, schema=rows.columns.schema) if arrays else rows.columns
    return replace(rows, columns=columns, features=block, _matrices={})


def _types(kind: str) -> set[str]:
    schema = KINDS[kind]
    names = {str(field.type) for field in schema.columns}
    if schema.n_features is not None:
        names.add("sparse" if schema.sparse else "matrix")
    return names


def _relaid(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        values = array.fill_null(7).to_numpy(zero_copy_only=False)
        padded = np.concatenate([values[:0], np.full(3, 9, values.dtype), values])
        hidden = None
        if array.null_count:
            shown = array.is_valid().to_numpy(zero_copy_only=False)
            hidden = np.concatenate([[False] * 3, ~shown])
        return pa.array(padded, kind, mask=hidden)[3:]
    if len(array):
        return pa.concat_arrays([array.slice(0, 1), array])[1:]
    return array
