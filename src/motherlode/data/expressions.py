"""Polars expressions as steps over batches: checked, then evaluated on Arrow columns."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.core.batch import empty_columns
from motherlode.core.errors import DataError, UnknownNameError, UsageError, UserFunctionError
from motherlode.data.plain import one_array, plain_array

if TYPE_CHECKING:
    import polars as pl

Expression = Any
"""A Polars expression, a column name, or a SQL expression; see :func:`parse`."""


def parse(expression: Expression, *, sql: bool = False) -> pl.Expr:
    """Return a Polars expression.

    Parameters
    ----------
    expression : polars.Expr or str
        A string is a column name, or, with ``sql``, an SQL expression such as
        ``"price > 10 AND country = 'de'"``.
    sql : bool
        How a string is meant.
    """
    import polars as pl

    if isinstance(expression, pl.Expr):
        return expression
    if not isinstance(expression, str):
        raise UsageError(
            f"an expression must be a Polars expression or a string, got {expression!r}",
            "write for instance pl.col('price') > 10",
        )
    if not sql:
        return pl.col(expression)
    try:
        return pl.sql_expr(expression)
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"not an SQL expression: {expression!r} ({error})") from error


def roots(expression: pl.Expr, available: Sequence[str]) -> list[str]:
    """Return the columns an expression reads; all of them where it selects by pattern."""
    if expression.meta.has_multiple_outputs():
        return list(available)
    names = set(expression.meta.root_names())
    for name in sorted(names):
        if name not in available:
            raise UnknownNameError("column", name, available)
    return [name for name in available if name in names]


def runs_python(expression: pl.Expr) -> bool:
    """Tell whether Python code is called for the values, which holds the interpreter lock."""
    return "python_udf" in str(expression)


def digest(expression: pl.Expr) -> str:
    """Return a digest of an expression: equal expressions, equal digests, in every process."""
    return hashlib.blake2b(expression.meta.serialize(), digest_size=16).hexdigest()


def require_rowwise(expression: pl.Expr) -> None:
    """Refuse an expression whose value in a row depends on other rows.

    It is evaluated batch by batch: an aggregate, a shift or a window would silently mean the rows
    of a batch, and so depend on how the data were cut.
    """
    import polars as pl

    try:
        form = _form(expression)
        node = next((n for n in _nodes(form) if not n.meta.is_row_separable()), None)
        keeps = form.meta.is_length_preserving() or not form.meta.root_names()
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise UsageError(
            f"cannot tell whether {expression} works row by row", "try a simpler expression"
        ) from error
    if node is not None:
        raise UsageError(
            f"the expression {expression} depends on other rows: {node}",
            "steps are taken row by row; summarise with an algorithm instead",
        )
    if not keeps:
        raise UsageError(
            f"the expression {expression} changes the number of rows",
            "use filter for leaving out rows",
        )


def _nodes(expression: pl.Expr) -> Iterable[pl.Expr]:
    yield expression
    for part in expression.meta.pop():
        yield from _nodes(part)


def _form(expression: pl.Expr) -> pl.Expr:
    """Return an expression of the same form that can be looked at without knowing the columns.

    Polars resolves selectors, Python functions and SQL operators only against columns: here a
    column stands for a selector, and a sum of the inputs for the others, which are row by row.
    """
    import polars as pl

    tree = _plain_node(json.loads(expression.meta.serialize(format="json")))
    return pl.Expr.deserialize(io.BytesIO(json.dumps(tree).encode()), format="json")


def _plain_node(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain_node(value) for value in node]
    if not isinstance(node, dict):
        return node
    if "Selector" in node:
        return {"Column": "x"}
    if "Literal" in node:
        return node
    called = node.get("AnonymousFunction") or node.get("Function")
    if called and ("AnonymousFunction" in node or "Sql" in called["function"]):
        first, *others = (_plain_node(value) for value in called["input"])
        for other in others:
            first = {"BinaryExpr": {"left": first, "op": "Plus", "right": other}}
        return first
    return {key: _plain_node(value) for key, value in node.items()}


def evaluate(
    expressions: Sequence[pl.Expr], columns: pa.RecordBatch, reads: Sequence[str]
) -> pl.DataFrame:
    """Return what some expressions give on the named columns of a batch, one row a row.

    Raises
    ------
    DataError
        If Polars refuses the values.
    """
    import polars as pl

    if reads:
        frame = pl.from_arrow(columns.select(list(reads)))
        assert isinstance(frame, pl.DataFrame)
    else:
        frame = pl.DataFrame({"": pl.zeros(columns.num_rows, eager=True)})
    try:
        result = frame.select(*expressions)
        if result.height != columns.num_rows:
            result = frame.with_columns(*expressions).select(result.columns)
    except pl.exceptions.ColumnNotFoundError as error:
        raise UnknownNameError("column", _missing(error), columns.schema.names) from error
    except pl.exceptions.PolarsError as error:
        shown = ", ".join(str(expression) for expression in expressions)
        if any(runs_python(expression) for expression in expressions):
            raise UserFunctionError(f"a Python function in {shown} raised: {error}") from error
        raise DataError(f"cannot evaluate {shown}: {error}") from error
    return result


def _missing(error: Exception) -> str:
    quoted = str(error).split('"')
    return quoted[1] if len(quoted) > 2 else str(error)


def to_arrow(frame: pl.DataFrame) -> pa.RecordBatch:
    """Return a frame as one record batch with plain types (see :mod:`motherlode.data.plain`)."""
    if frame.width == 0:
        return empty_columns(frame.height)
    table = frame.to_arrow()
    arrays = [plain_array(one_array(column)) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, names=table.schema.names)
