"""What a filter cannot match, told from the least and greatest values of the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.data.plain import no_rows

if TYPE_CHECKING:
    import polars as pl

Bounds = tuple[Any, Any, int]
"""Least value, greatest value, number of nulls."""


def cannot_match(
    where: pl.Expr | None, schema: pa.Schema, values: Sequence[tuple[str, Any]]
) -> bool:
    """Tell whether no row that has these values in these columns can satisfy a filter."""
    if where is None or not values:
        return False
    known = {name: (value, value, int(value is None)) for name, value in values}
    if not known.keys() & set(where.meta.root_names()):
        return False
    return bool(skippable(where, schema, [known], [1])[0])


def skippable(
    where: pl.Expr, schema: pa.Schema, bounds: Sequence[Mapping[str, Bounds]], rows: Sequence[int]
) -> NDArray[np.bool_]:
    """Tell which groups of rows a filter cannot match.

    Parameters
    ----------
    where : polars.Expr
        The filter.
    schema : pyarrow.Schema
        Types of the columns.
    bounds : sequence of mapping
        For each group the bounds of the columns; a column that is missing may hold anything.
    rows : sequence of int
        Rows in each group.

    Returns
    -------
    ndarray of bool
        True only where it is certain that no row of the group matches.
    """
    import polars as pl

    nothing = np.zeros(len(rows), dtype=bool)
    if where.meta.has_multiple_outputs():
        return nothing
    try:
        names = sorted(set(where.meta.root_names()))
        read = pa.schema([schema.field(name) for name in names])
        kinds = pl.DataFrame(pl.from_arrow(no_rows(read))).schema
        # Polars' own rewriting of a filter into one over statistics: what its readers use.
        test = where._skip_batch_predicate(dict(kinds))
        if test is None:
            return nothing
        frame = _statistics(names, kinds, bounds, rows)
        told = frame.with_columns(test.alias("skip"))["skip"]
        return np.asarray(told.fill_null(False).to_numpy(), dtype=bool)
    except (pl.exceptions.PolarsError, AttributeError, KeyError, TypeError, ValueError):
        return nothing


def _statistics(
    names: Sequence[str],
    kinds: Mapping[str, pl.DataType],
    bounds: Sequence[Mapping[str, Bounds]],
    rows: Sequence[int],
) -> pl.DataFrame:
    import polars as pl

    unknown: Bounds = (None, None, 0)
    columns: dict[str, pl.Series] = {"len": pl.Series(list(rows), dtype=pl.UInt32)}
    for name in names:
        found = [group.get(name, unknown) for group in bounds]
        # Unknown bounds are null, and a null count of none would say "all rows have a value".
        nulls = [b[2] if name in group else None for b, group in zip(found, bounds, strict=True)]
        columns[f"{name}_min"] = pl.Series([b[0] for b in found], dtype=kinds[name])
        columns[f"{name}_max"] = pl.Series([b[1] for b in found], dtype=kinds[name])
        columns[f"{name}_nc"] = pl.Series(nulls, dtype=pl.UInt32)
    return pl.DataFrame(columns)
