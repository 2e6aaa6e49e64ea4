"""Arrow IPC: files and streams, also known as Feather version 2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import DataError
from motherlode.data.files.format import Format, Layout, Opened, Piece
from motherlode.data.files.storage import File, Storage, translated
from motherlode.data.formats.parquet import agreed, fitted
from motherlode.data.plain import plain_schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

SPLIT_BYTES = 64 << 20
BATCH_ROWS = 65_536
MAGIC = b"ARROW1"


class Arrow(Format):
    """Arrow IPC files and streams (Feather version 2 is the former) with one schema.

    A file is cut into runs of record batches; a stream is one piece. Both are read by position,
    not mapped into memory, so that resident memory is what is in use.
    """

    name: ClassVar[str] = "arrow"
    extensions: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc", ".arrows")

    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        schemas: list[pa.Schema] = []
        pieces: list[Piece] = []
        for number, (file, kind) in enumerate(zip(files, compressions, strict=True)):
            if kind:
                raise DataError(f"{file.location} is compressed as a whole", "decompress it first")
            with translated(file.location, planning=True), storage.open(file.location) as reader:
                is_file = reader.read_at(0, len(MAGIC)) == MAGIC
                with _opened(reader.arrow(), is_file) as source:
                    schemas.append(plain_schema(source.schema))
                    batches = source.num_record_batches if is_file else 0
            pieces += _pieces(number, file, batches, is_file, split_bytes or SPLIT_BYTES)
        schema = schemas[0]
        for file, other in zip(files[1:], schemas[1:], strict=True):
            schema = agreed(schema, other, file, files[0], missing="error")
        return Layout(Schema(schema), tuple(pieces))

    def read(
        self, opened: Opened, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Iterator[Batch]:
        schema = layout.schema.columns
        names = schema.names if request.columns is None else list(request.columns)
        wanted = pa.schema([schema.field(name) for name in names])
        is_file = opened.split.unit == "batches"
        with _opened(opened.reader.arrow(), is_file) as source:
            inside = [source.schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=inside or [0], use_threads=False)
        with _opened(opened.reader.arrow(), is_file, options) as source:
            span = range(opened.split.start, opened.split.stop)
            whole = (source.get_batch(n) for n in span) if is_file else source
            for batch in whole:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    part = batch.slice(start, BATCH_ROWS)
                    yield Batch(fitted(part, wanted) if names else empty_columns(part.num_rows))


def _opened(handle: pa.NativeFile, is_file: bool, options: Any = None) -> Any:
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(handle, options=options)


def _pieces(
    number: int, file: File, batches: int, is_file: bool, split_bytes: int
) -> Iterator[Piece]:
    """Cut a file into runs of record batches, which are taken to be of one size."""
    if not is_file:
        yield Piece(number, 0, file.size, "whole", nbytes=file.size)
        return
    run = max(1, split_bytes * batches // max(file.size, 1))
    for start in range(0, batches, run):
        stop = min(start + run, batches)
        yield Piece(number, start, stop, "batches", nbytes=file.size * (stop - start) // batches)
