"""A Spark DataFrame as a source: its partitions are the splits, folded where they are."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import EngineError, UsageError
from motherlode.data import Dataset
from motherlode.data.plain import plain_batch, plain_schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split


def from_spark(frame: Any) -> Dataset:
    """Describe the rows of a Spark DataFrame, to be mined where they are.

    On an engine made of the frame's session the rows stay on the executors; on others each
    partition is fetched when its turn comes. A frame that is read in several passes is persisted
    by Spark meanwhile.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Evaluated when mined. How its rows are divided must not change between evaluations:
        after a shuffle, ``cache()`` it or ``repartition(n)`` it.

    Returns
    -------
    Dataset
        Its splits are the frame's partitions.
    """
    if not hasattr(frame, "mapInArrow") or not hasattr(frame, "rdd"):
        raise UsageError(f"from_spark takes a Spark DataFrame, got {type(frame).__name__}")
    return Dataset(SparkSource(frame))


class SparkSource(Source):
    """The partitions of a DataFrame.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        The rows; stays behind when the source is shipped.
    """

    fed: ClassVar[Iterator[pa.RecordBatch] | None] = None
    """In an executor: the rows of the partition that its task has been given."""

    def __init__(self, frame: Any) -> None:
        from pyspark.sql.pandas.types import to_arrow_schema

        self.frame: Any = frame
        self.location = f"spark:{uuid.uuid4().hex}"
        try:
            columns = plain_schema(to_arrow_schema(frame.schema))
        except Exception as error:
            raise UsageError(
                f"a column of the DataFrame has a type that Arrow does not have: {error}",
                "cast or drop it",
            ) from error
        self._schema = Schema(columns)

    @property
    def schema(self) -> Schema:
        return self._schema

    @cached_property
    def _splits(self) -> tuple[Split, ...]:
        count = self.frame.rdd.getNumPartitions()
        return tuple(Split(n, self.location, n, n + 1, "whole") for n in range(count))

    @property
    def splits(self) -> Sequence[Split]:
        return self._splits

    @property
    def portable(self) -> bool:
        return False

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        names = self.schema.names if request.columns is None else list(request.columns)
        start = 0
        for columns in self._fetched(split, names) if self.fed is None else self.fed:
            rows = plain_batch(columns.select(names).replace_schema_metadata(None))
            rows = rows if names else empty_columns(columns.num_rows)
            if rows.num_rows:
                yield Batch(rows, split=split.number, start=start)
                start += rows.num_rows

    def _fetched(self, split: Split, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Fetch one partition to the driver."""
        if self.frame is None:
            raise EngineError(
                "the rows of a Spark DataFrame are read by Spark only",
                "mine them on the engine of their session: on=session",
            )
        context = self.frame.sparkSession.sparkContext
        frame = self.frame.select(*names or self.schema.names[:1])
        messages = frame.mapInArrow(_messages, "message binary").rdd
        for row in context.runJob(messages, list, [split.number]):
            with pa.ipc.open_stream(row.message) as reader:
                yield from reader

    def __getstate__(self) -> dict[str, Any]:
        splits = self._splits
        return {**self.__dict__, "frame": None, "_splits": splits}


def _messages(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn record batches into rows of one column that each hold one as bytes."""
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.record_batch([pa.array([sink.getvalue().to_pybytes()], pa.binary())], ["message"])
