"""The dataset: a source with the steps taken on its batches, described but not yet read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MotherlodeError, UsageError, UserFunctionError
from motherlode.data import expressions
from motherlode.data.blame import culprit, shown
from motherlode.data.plain import plain_schema
from motherlode.data.quarantine import Quarantine, Tolerance
from motherlode.data.source import Request, Source, Split, Tally
from motherlode.data.steps import (
    BatchFunction,
    Compute,
    Drop,
    Filter,
    MapBatches,
    NameFeatures,
    Step,
)

if TYPE_CHECKING:
    import polars as pl


class Dataset:
    """Rows described, not yet read: a source, and the steps taken on each of its batches.

    A dataset is never changed; each step gives a new one. Steps are checked against the columns
    when they are added, and carried out batch by batch when the rows are read, wherever that is.
    They work row by row, so the answer does not depend on how the data are cut; an expression
    that looks at other rows (a mean, a shift) is refused.

    Columns that nobody needs are not read, and row groups and files that a leading ``filter``
    cannot match are skipped; the rows in them count as read and filtered.

    Parameters
    ----------
    source : Source
        Where the rows come from.
    steps : sequence of Step
        What is done to each batch.

    Examples
    --------
    >>> import polars as pl
    >>> from motherlode.data import dataset
    >>> sales = dataset(pl.DataFrame({"item": ["tea", "rum", "tea"], "price": [3.0, 20.0, 4.0]}))
    >>> cheap = sales.filter(pl.col("price") < 10).with_columns(net=pl.col("price") / 2)
    >>> cheap.to_polars()["net"].to_list()
    [1.5, 2.0]
    """

    def __init__(self, source: Source, steps: Sequence[Step] = ()) -> None:
        self.source = source
        self.steps = tuple(steps)
        self._schemas: list[pa.Schema] | None = None
        self._plans: dict[tuple[str, ...] | None, _Plan] = {}

    @property
    def schema(self) -> Schema:
        """The columns after the last step."""
        known = self.source.schema
        columns = self._columns()[-1]
        if known.n_features is None or any(not isinstance(s, Filter) for s in self.steps):
            return Schema(columns)
        return known

    @property
    def splits(self) -> Sequence[Split]:
        """The pieces in which the rows are read, in order; as the source plans them."""
        return self.source.splits

    @property
    def fingerprint(self) -> str:
        """Digest of what is read and what is done to it; changes when a file or a step does."""
        parts = [self.source.fingerprint, *(step.text for step in self.steps)]
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def runs_python(self) -> bool:
        """Whether a step runs Python code for the rows, so that workers should be processes."""
        return any(step.runs_python for step in self.steps)

    @property
    def portable(self) -> bool:
        """Whether another process can read the splits without the rows being shipped to it."""
        return self.source.portable

    def filter(self, condition: pl.Expr | str) -> Dataset:
        """Keep the rows for which a Polars expression, or an SQL expression as text, is true."""
        return self._then(Filter(expressions.parse(condition, sql=True)))

    def select(self, *columns: str | pl.Expr, **named: pl.Expr) -> Dataset:
        """Keep these columns, in this order: names, or expressions that compute them."""
        return self._compute(columns, named, keep=False)

    def with_columns(self, *columns: pl.Expr, **named: pl.Expr) -> Dataset:
        """Add columns, or put new ones in the place of those of the same name."""
        return self._compute(columns, named, keep=True)

    def drop(self, *names: str) -> Dataset:
        """Leave columns out."""
        ready = self._named()
        Schema(ready._columns()[-1]).require(*names)
        return ready._then(Drop(names))

    def map_batches(
        self, function: BatchFunction, schema: Any = None, *, python: bool = False
    ) -> Dataset:
        """Hand each batch to a function of your own.

        Parameters
        ----------
        function : callable
            From Polars frame to Polars frame. It may leave out rows, which then count as filtered,
            but not add any: a row makes at most one row, so that the account always adds up
            (make a list column instead). How many rows it gets at a time is the plan's affair: it
            must not look across rows.
        schema : pyarrow.Schema or dict, optional
            Columns it returns; left out, it is called once with a frame without rows.
        python : bool
            Whether it spends its time in Python code, so that workers should be processes.
        """
        if not callable(function):
            raise UsageError(f"map_batches takes a function, got {function!r}")
        declared = None if schema is None else plain_schema(pa.schema(schema))
        return self._named()._then(MapBatches(function, declared, python))

    def batches(
        self,
        split: Split,
        needs: tuple[str, ...] | None = None,
        quarantine: Quarantine | None = None,
        tally: Tally | None = None,
    ) -> Iterator[Batch]:
        """Read one split and yield its batches after the steps.

        Parameters
        ----------
        split : Split
            One of :attr:`splits`.
        needs : tuple of str or None
            Columns wanted, in this order; None for all.
        quarantine : Quarantine, optional
            Gets the unreadable records.
        tally : Tally, optional
            Is brought up to date with each batch: read = used + filtered + quarantined.

        Yields
        ------
        Batch
            At least one row each; ``start`` counts the rows yielded before it.
        """
        quarantine = Quarantine() if quarantine is None else quarantine
        account = _Account(Tally() if tally is None else tally, quarantine, split)
        plan = self._plan(needs)
        position = 0
        for batch in self.source.read(split, Request(plan.columns, plan.where), quarantine):
            rows = len(batch)
            for step in plan.steps:
                batch = _applied(step, batch, split, rows)
            if plan.order is not None and batch.columns.schema.names != list(plan.order):
                batch = replace(batch, columns=batch.columns.select(list(plan.order)))
            account.settle(rows, len(batch))
            if len(batch):
                yield replace(batch, split=split.number, start=position)
                position += len(batch)
        account.close()

    def head(self, n: int = 10) -> pa.Table:
        """Return the first rows as a table, reading no more batches than needed."""
        taken: list[pa.RecordBatch] = []
        for batch in self._all(Tolerance(fraction=1.0)):
            taken.append(batch.slice(0, n))
            n -= len(taken[-1])
            if n <= 0:
                break
        return self._table(taken)

    def to_arrow(self, tolerance: Tolerance | None = None) -> pa.Table:
        """Return all rows as one table, in the order of the splits.

        Raises
        ------
        QuarantineError
            If more records are unreadable than the tolerance allows.
        """
        return self._table(list(self._all(tolerance)))

    def to_polars(self, tolerance: Tolerance | None = None) -> pl.DataFrame:
        """Return all rows as a Polars frame; as :meth:`to_arrow`."""
        import polars as pl

        frame = pl.from_arrow(self.to_arrow(tolerance))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def count(self, tolerance: Tolerance | None = None) -> int:
        """Return the number of rows; without reading them where the source knows it."""
        known = [split.rows for split in self.splits]
        if None not in known and not any(isinstance(s, Filter | MapBatches) for s in self.steps):
            return sum(rows or 0 for rows in known)
        return sum(len(batch) for batch in self._read_all((), tolerance))

    def __repr__(self) -> str:
        schema = self.schema
        names = [f"{f.name}: {f.type}" for f in schema.columns]
        if schema.n_features is not None:
            names.append(f"{schema.n_features} features")
        return f"Dataset({', '.join(names)}; {len(self.splits)} splits)"

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "steps": self.steps, "_schemas": self._columns()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _plans={})

    def _then(self, step: Step) -> Dataset:
        before = self._columns()
        after = Dataset(self.source, (*self.steps, step))
        after._schemas = [*before, step.schema(before[-1])]
        return after

    def _compute(
        self, columns: Sequence[str | pl.Expr], named: dict[str, pl.Expr], *, keep: bool
    ) -> Dataset:
        flat = [each for c in columns for each in (c if isinstance(c, list | tuple) else (c,))]
        parsed = [expressions.parse(c) for c in flat]
        parsed += [expressions.parse(e).alias(name) for name, e in named.items()]
        return self._named()._then(Compute(tuple(parsed), keep))

    def _named(self) -> Dataset:
        """Return the dataset with its feature block, if it has one, turned into columns."""
        known = self.schema
        if known.n_features is None:
            return self
        if known.sparse:
            raise UsageError(
                "a sparse matrix has no columns to compute with",
                "compute them before making the matrix",
            )
        return self._then(NameFeatures(tuple(self._columns()[-1].names)))

    def _columns(self) -> list[pa.Schema]:
        """Return the columns before the first step and after each; features by their names."""
        if self._schemas is None:
            schemas = [self.source.columns]
            for step in self.steps:
                schemas.append(step.schema(schemas[-1]))
            self._schemas = schemas
        return self._schemas

    def _plan(self, needs: tuple[str, ...] | None) -> _Plan:
        plan = self._plans.get(needs)
        if plan is None:
            plan = self._plans[needs] = _plan(self, needs)
        return plan

    def _all(self, tolerance: Tolerance | None = None) -> Iterator[pa.RecordBatch]:
        data = self._named()
        for batch in data._read_all(None, tolerance):
            yield batch.columns

    def _read_all(
        self, needs: tuple[str, ...] | None, tolerance: Tolerance | None
    ) -> Iterator[Batch]:
        tolerance = tolerance or Tolerance()
        quarantine = Quarantine(tolerance)
        tally = Tally()
        for split in self.splits:
            yield from self.batches(split, needs, quarantine, tally)
        tolerance.check(tally.read, quarantine.records, tally.quarantined)

    def _table(self, batches: list[pa.RecordBatch]) -> pa.Table:
        return pa.Table.from_batches(batches, schema=self._columns()[-1])


def columns_read(data: Dataset, needs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the names of the source's columns that are read for those needed; None for all."""
    return data._plan(needs).columns


class _Plan:
    """How one set of wanted columns is read: what from the source, then which steps."""

    def __init__(
        self,
        columns: tuple[str, ...] | None,
        where: pl.Expr | None,
        steps: tuple[Step, ...],
        order: tuple[str, ...] | None,
    ) -> None:
        self.columns = columns
        self.where = where
        self.steps = steps
        self.order = order


def _plan(data: Dataset, needs: tuple[str, ...] | None) -> _Plan:
    schemas = data._columns()
    where = _leading_filter(data.steps)
    known = data.source.schema
    if data.schema.n_features is not None:
        return _Plan(None, where, data.steps, None)
    if needs is not None:
        Schema(schemas[-1]).require(*needs)
    order = tuple(schemas[-1].names) if needs is None else needs
    wanted: list[str] = list(order)
    steps: list[Step] = []
    for step, before in zip(reversed(data.steps), reversed(schemas[:-1]), strict=True):
        steps.append(step.narrowed(wanted))
        wanted = step.reads(wanted, before.names)
    columns = None if known.n_features is not None else tuple(wanted)
    return _Plan(columns, where, tuple(reversed(steps)), order)


def _leading_filter(steps: Sequence[Step]) -> pl.Expr | None:
    """Return the conjunction of the filters before any computing step."""
    where: pl.Expr | None = None
    for step in steps:
        if not isinstance(step, Filter):
            if isinstance(step, Drop):
                continue
            break
        if not step.runs_python:
            where = step.expression if where is None else where & step.expression
    return where


def _applied(step: Step, batch: Batch, split: Split, rows: int) -> Batch:
    try:
        return step.apply(batch)
    except MotherlodeError:
        raise
    except Exception as error:
        raise UserFunctionError(
            f"{step.name} raised {type(error).__name__} on split {split.number} "
            f"({split.location}, {split.unit} {split.start} to {split.stop})"
            f"{_blamed(step, batch, rows)}: {error}",
            "the original exception is the cause of this one",
        ) from error


def _blamed(step: Step, batch: Batch, rows: int) -> str:
    """Name the record that a step cannot take; by its place only if no row was left out before."""
    row = culprit(step, batch)
    if row is None:
        return ""
    said = [f"row {batch.start + row} of it"] if len(batch) == rows else []
    said += [shown(batch, row)] if batch.columns.num_columns else []
    return "".join(f", {each}" for each in said)


class _Account:
    """Brings a tally up to date while a split is read."""

    def __init__(self, tally: Tally, quarantine: Quarantine, split: Split) -> None:
        self.tally = tally
        self.quarantine = quarantine
        self.split = split
        self.bad = len(quarantine.records)
        self.skipped = quarantine.skipped
        self.nbytes = 0

    def settle(self, rows: int, used: int) -> None:
        """Count a batch, and what the reader put aside before it."""
        bad = len(self.quarantine.records) - self.bad
        skipped = self.quarantine.skipped - self.skipped
        self.bad += bad
        self.skipped += skipped
        tally = self.tally
        tally.read += rows + bad + skipped
        tally.used += used
        tally.filtered += rows - used + skipped
        tally.quarantined += bad
        if self.split.rows:
            self._advance(self.split.nbytes * rows // self.split.rows)

    def close(self) -> None:
        self.settle(0, 0)
        self._advance(self.split.nbytes - self.nbytes)

    def _advance(self, nbytes: int) -> None:
        nbytes = min(nbytes, self.split.nbytes - self.nbytes)
        self.nbytes += nbytes
        self.tally.nbytes += nbytes
