"""A Ray dataset as a source: its blocks are the splits, and stay in the object store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import EngineError, UsageError
from motherlode.data import Dataset
from motherlode.data.plain import plain_batch, plain_schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split


def from_ray(rows: Any) -> Dataset:
    """Describe the rows of a Ray dataset, to be mined where they are.

    Parameters
    ----------
    rows : ray.data.Dataset
        Materialised now; its blocks stay in Ray's object store while the result is used.

    Returns
    -------
    Dataset
        Its splits are the blocks, in the dataset's order. Engines other than Ray fetch them.
    """
    if not hasattr(rows, "to_arrow_refs"):
        raise UsageError(f"from_ray takes a ray.data.Dataset, got {type(rows).__name__}")
    return Dataset(RaySource(rows))


class RaySource(Source):
    """The blocks of a dataset.

    Parameters
    ----------
    rows : ray.data.Dataset
        What holds them.
    """

    def __init__(self, rows: Any) -> None:
        import ray

        self.references = rows.materialize().to_arrow_refs()
        if not self.references:
            raise UsageError("the Ray dataset has no blocks", "it must have rows")
        look = ray.remote(num_cpus=0)(_look)
        seen = ray.get([look.remote(reference) for reference in self.references])
        schema: pa.Schema = next((schema for schema, count, _ in seen if count), seen[0][0])
        self._schema = Schema(plain_schema(schema))
        location = f"ray:{uuid.uuid4().hex}"
        self._splits = tuple(
            Split(number, location, number, number + 1, "whole", rows=count, nbytes=nbytes)
            for number, (_, count, nbytes) in enumerate(seen)
        )

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def splits(self) -> Sequence[Split]:
        return self._splits

    @property
    def portable(self) -> bool:
        return False

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        import ray

        try:
            table = ray.get(self.references[split.number])
        except ray.exceptions.RayError as error:
            raise EngineError(
                f"block {split.number} of the Ray dataset is lost", "make the dataset again"
            ) from error
        if not table.num_rows:
            return
        names = self.schema.names if request.columns is None else list(request.columns)
        start = 0
        for piece in table.select(names).combine_chunks().to_batches():
            rows = plain_batch(piece.replace_schema_metadata(None))
            yield Batch(rows, split=split.number, start=start)
            start += rows.num_rows


def _look(table: pa.Table) -> tuple[pa.Schema, int, int]:
    return table.schema, table.num_rows, table.nbytes
