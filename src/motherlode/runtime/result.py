"""The result: the answer, the table of it, the state behind it and the account of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.algebra import codec
from motherlode.algebra.summary import Algorithm, Summary
from motherlode.data.plain import as_signed
from motherlode.data.quarantine import BadRecord
from motherlode.data.source import Tally
from motherlode.runtime.part import Part

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(repr=False)
class Result:
    """What mining gave.

    Parameters
    ----------
    algorithm : Algorithm
        What was asked for, with its parameters.
    value : object
        The answer: a table for most, the fitted estimator for learners.
    rows : Tally
        The account: rows read = used + filtered + quarantined.
    quarantine : list of BadRecord
        The unreadable records.
    passes : int
        How often the rows were read.
    """

    algorithm: Algorithm
    value: Any
    rows: Tally
    quarantine: list[BadRecord]
    passes: int
    summary: Summary[Any, Any] | None = field(default=None, repr=False)
    part: Part | None = field(default=None, repr=False)
    model: Any = field(default=None, repr=False)

    def __repr__(self) -> str:
        rows = self.rows
        account = f"{rows.read:,} rows read, {rows.used:,} used"
        account += f", {rows.filtered:,} filtered" if rows.filtered else ""
        account += f", {rows.quarantined:,} quarantined" if rows.quarantined else ""
        return f"{self.algorithm!r}: {account}\n{self.to_polars()}"

    def _repr_html_(self) -> str:
        return str(self.to_polars()._repr_html_())

    @cached_property
    def table(self) -> pa.Table:
        """The answer as an Arrow table."""
        return self.algorithm.table(self.value)

    def to_polars(self) -> pl.DataFrame:
        """Return the answer as a Polars frame."""
        import polars as pl

        frame = pl.from_arrow(self.table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the answer as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_spark(self, session: Any) -> Any:
        """Return the answer as a DataFrame of a Spark session.

        Types that Spark does not have become the next wider one that it has: unsigned integers
        signed ones (64 bits: decimals), dictionaries their values.
        """
        table = self.table
        columns = [as_signed(column) for column in table.columns]
        return session.createDataFrame(pa.table(columns, names=table.column_names))

    @property
    def state(self) -> Any:
        """The exported state behind the answer; for iterations the final model."""
        if self.summary is not None and self.part is not None:
            return self.summary.export(self.part.state)
        return self.model

    @cached_property
    def digest(self) -> str:
        """Digest of the state: equal for equal rows, as far as the grade says."""
        return codec.digest(self.state)
