"""Steps: what is done to each batch of a dataset between reading and mining."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from motherlode.core.batch import Batch
from motherlode.core.errors import DataError, MotherlodeError, UsageError, UserFunctionError
from motherlode.data import expressions
from motherlode.data.digests import function_digest
from motherlode.data.plain import from_numpy, no_rows

if TYPE_CHECKING:
    import polars as pl

BatchFunction = Callable[["pl.DataFrame"], "pl.DataFrame"]


class Step(ABC):
    """One thing done to each batch."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return f"the step {type(self).__name__}"

    @property
    def runs_python(self) -> bool:
        """Whether it runs Python code for the rows, which holds the interpreter lock."""
        return False

    @property
    @abstractmethod
    def text(self) -> str:
        """What it does, for the fingerprint: equal texts, equal steps."""

    @abstractmethod
    def schema(self, before: pa.Schema) -> pa.Schema:
        """Return the columns after the step; raises where it does not suit those before it."""

    @abstractmethod
    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        """Return the columns needed before the step for those wanted after it."""

    @abstractmethod
    def narrowed(self, wanted: Sequence[str]) -> Step:
        """Return the step without what is not wanted after it."""

    @abstractmethod
    def apply(self, batch: Batch) -> Batch:
        """Return the batch after the step."""


@dataclass(frozen=True)
class Filter(Step):
    """Keep the rows for which an expression is true."""

    expression: pl.Expr

    @property
    def runs_python(self) -> bool:
        return expressions.runs_python(self.expression)

    @property
    def text(self) -> str:
        return f"filter {expressions.digest(self.expression)}"

    def schema(self, before: pa.Schema) -> pa.Schema:
        import polars as pl

        expressions.require_rowwise(self.expression)
        result = _dry_run([self.expression], before)
        if result.width != 1 or result.dtypes[0] not in (pl.Boolean, pl.Null):
            raise UsageError(
                f"a filter must be true or false for each row; {self.expression} is not",
                "write for instance pl.col('price') > 10",
            )
        return before

    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        own = expressions.roots(self.expression, before)
        return [name for name in before if name in wanted or name in own]

    def narrowed(self, wanted: Sequence[str]) -> Step:
        return self

    def apply(self, batch: Batch) -> Batch:
        import polars as pl

        columns = batch.columns
        if batch.features is not None:
            columns = feature_columns(batch, self.expression.meta.root_names())
        reads = expressions.roots(self.expression, columns.schema.names)
        told = expressions.evaluate([self.expression], columns, reads).to_series()
        mask = told.cast(pl.Boolean).fill_null(False)
        if mask.all():
            return batch
        aside = (batch.features, batch.target, batch.weights)
        if any(each is not None for each in aside) or not batch.columns.num_columns:
            return batch.take(np.flatnonzero(mask.to_numpy()))
        return replace(batch, columns=batch.columns.filter(mask.to_arrow()), _matrices={})


@dataclass(frozen=True)
class Compute(Step):
    """Compute columns by expressions; ``keep`` says whether the others stay."""

    expressions: tuple[pl.Expr, ...]
    keep: bool

    @property
    def runs_python(self) -> bool:
        return any(expressions.runs_python(e) for e in self.expressions)

    @property
    def text(self) -> str:
        what = "with_columns" if self.keep else "select"
        return " ".join([what, *(expressions.digest(e) for e in self.expressions)])

    def schema(self, before: pa.Schema) -> pa.Schema:
        for expression in self.expressions:
            expressions.require_rowwise(expression)
        result = expressions.to_arrow(_dry_run(self.expressions, before)).schema
        fields = {f.name: f for f in before} if self.keep else {}
        fields.update({f.name: f for f in result})
        for name in self._copied & set(before.names):
            fields[name] = before.field(name)
        return pa.schema(list(fields.values()))

    @cached_property
    def _copied(self) -> set[str]:
        """Names of the columns that are handed on as they are."""
        return {e.meta.output_name() for e in self.expressions if e.meta.is_column()}

    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        step = self.narrowed(wanted)
        assert isinstance(step, Compute)
        own = {name for e in step.expressions for name in expressions.roots(e, before)}
        if self.keep:
            made = {_output(e) for e in self.expressions}
            own |= {name for name in wanted if name not in made}
        return [name for name in before if name in own]

    def narrowed(self, wanted: Sequence[str]) -> Step:
        kept = (e for e in self.expressions if _output(e) is None or _output(e) in wanted)
        return Compute(tuple(kept), self.keep)

    def apply(self, batch: Batch) -> Batch:
        columns = batch.columns
        names = columns.schema.names
        arrays = dict(zip(names, columns.columns, strict=True)) if self.keep else {}
        computed = [e for e in self.expressions if not e.meta.is_column()]
        made: dict[str, pa.Array] = {}
        if computed:
            reads = {name for e in computed for name in expressions.roots(e, names)}
            frame = expressions.evaluate(computed, columns, [n for n in names if n in reads])
            result = expressions.to_arrow(frame)
            made = dict(zip(result.schema.names, result.columns, strict=True))
        for expression in self.expressions:
            name = _output(expression)
            if expression.meta.is_column():
                arrays[str(name)] = columns.column(names.index(str(name)))
            elif name is not None:
                arrays[name] = made[name]
            else:
                arrays.update(made)
        if not arrays:
            return replace(batch, columns=columns.select([]), _matrices={})
        after = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
        return replace(batch, columns=after, _matrices={})


@dataclass(frozen=True)
class Drop(Step):
    """Leave columns out."""

    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"drop {self.names!r}"

    def schema(self, before: pa.Schema) -> pa.Schema:
        return pa.schema([field for field in before if field.name not in self.names])

    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        return list(wanted)

    def narrowed(self, wanted: Sequence[str]) -> Step:
        return self

    def apply(self, batch: Batch) -> Batch:
        left = [name for name in batch.columns.schema.names if name not in self.names]
        return replace(batch, columns=batch.columns.select(left), _matrices={})


@dataclass(frozen=True)
class NameFeatures(Step):
    """Turn a dense feature block into the columns x0, x1, …, with y and weight where they are."""

    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return "name features"

    def schema(self, before: pa.Schema) -> pa.Schema:
        return before

    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        return []

    def narrowed(self, wanted: Sequence[str]) -> Step:
        return NameFeatures(tuple(wanted))

    def apply(self, batch: Batch) -> Batch:
        columns = feature_columns(batch, self.names)
        return replace(batch, columns=columns, features=None, target=None, weights=None)


@dataclass(frozen=True)
class MapBatches(Step):
    """Hand each batch to a function of the user's."""

    function: BatchFunction
    declared: pa.Schema | None
    python: bool

    @property
    def runs_python(self) -> bool:
        return self.python

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__qualname__", type(self.function).__name__))

    @property
    def text(self) -> str:
        return f"map_batches {function_digest(self.function)}"

    def schema(self, before: pa.Schema) -> pa.Schema:
        if self.declared is not None:
            return self.declared
        frame = _empty(before)
        try:
            return expressions.to_arrow(self._checked(self.function(frame))).schema
        except MotherlodeError:
            raise
        except Exception as error:
            raise UserFunctionError(
                f"{self.name} raised {type(error).__name__} for a frame without rows: {error}",
                "let it take one, or declare its columns with schema=",
            ) from error

    def reads(self, wanted: Sequence[str], before: Sequence[str]) -> list[str]:
        return list(before)

    def narrowed(self, wanted: Sequence[str]) -> Step:
        return self

    def apply(self, batch: Batch) -> Batch:
        result = self._checked(self.function(batch.frame()))
        if result.height > len(batch):
            raise DataError(
                f"{self.name} made {result.height:,} rows of {len(batch):,}",
                "map_batches may leave out rows but not add any; make a list column instead",
            )
        aside = (batch.features, batch.target, batch.weights)
        if result.height != len(batch) and any(each is not None for each in aside):
            raise DataError(
                f"{self.name} made {result.height:,} rows of {len(batch):,} that have labels or "
                "weights beside them",
                "leave out rows with filter",
            )
        columns = expressions.to_arrow(result)
        if self.declared is not None and not columns.schema.equals(self.declared):
            columns = _cast(columns, self.declared, self.name)
        return replace(batch, columns=columns, _matrices={})

    def _checked(self, result: Any) -> pl.DataFrame:
        import polars as pl

        if not isinstance(result, pl.DataFrame):
            raise DataError(
                f"{self.name} returned {type(result).__name__}, not a Polars DataFrame",
                "map_batches takes a function from frame to frame",
            )
        return result


def feature_columns(batch: Batch, names: Iterable[str]) -> pa.RecordBatch:
    """Return columns of a feature block by their names x0, x1, …, y and weight."""
    arrays: dict[str, pa.Array] = {}
    for name in names:
        if name == "y" and batch.target is not None:
            arrays[name] = from_numpy(batch.target)
        elif name == "weight" and batch.weights is not None:
            arrays[name] = from_numpy(batch.weights)
        else:
            column = batch.features[:, int(name[1:])]
            dense = column if isinstance(column, np.ndarray) else column.toarray().ravel()
            arrays[name] = from_numpy(dense)
    if not arrays:
        return batch.columns
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _output(expression: pl.Expr) -> str | None:
    """Return the name of an expression's column; None where it makes several."""
    return None if expression.meta.has_multiple_outputs() else expression.meta.output_name()


def _empty(schema: pa.Schema) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(no_rows(schema))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _dry_run(computed: Sequence[pl.Expr], schema: pa.Schema) -> pl.DataFrame:
    """Evaluate on no rows: finds unknown columns and types that do not suit."""
    names = {name for e in computed for name in expressions.roots(e, schema.names)}
    try:
        return expressions.evaluate(
            computed, no_rows(schema), [n for n in schema.names if n in names]
        )
    except DataError as error:
        raise UsageError(error.message, error.hint) from error.__cause__


def _cast(columns: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    missing = [field.name for field in schema if field.name not in columns.schema.names]
    if missing:
        raise DataError(
            f"{name} did not return the column {missing[0]!r} of its declared schema",
            f"it returned {', '.join(columns.schema.names)}",
        )
    try:
        return columns.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise DataError(f"{name} returned values outside its declared schema: {error}") from error
