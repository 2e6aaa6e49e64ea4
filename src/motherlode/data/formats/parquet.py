"""Parquet: runs of row groups, decoded a few thousand rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import DataError
from motherlode.core.parameters import Choice, Constraint
from motherlode.data.files.format import Format, Layout, Opened, Piece
from motherlode.data.files.hive import Partition
from motherlode.data.files.pruning import Bounds, skippable
from motherlode.data.files.storage import File, Reader, Storage, translated
from motherlode.data.plain import plain_batch, plain_schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request

if TYPE_CHECKING:
    import pyarrow.parquet as pq

SPLIT_BYTES = 64 << 20
"""Uncompressed bytes of the row groups in a split, at least one."""
BATCH_ROWS = 65_536
BATCH_BYTES = 4 << 20
"""Bytes of a batch of numbers; a wide table has fewer rows in one."""
PAGE_BYTES = 1 << 18
"""Bytes of a column read at a time; else Arrow holds the whole column of a row group."""


class Parquet(Format):
    """Parquet files with one schema.

    All footers are read for the plan, so conflicting types are found before anything is mined.
    Only the columns needed are read, and row groups that a leading filter cannot match by their
    statistics are skipped; their rows count as filtered.

    Parameters
    ----------
    missing : {'error', 'null'}
        What becomes of a column that a later file does not have.
    """

    name: ClassVar[str] = "parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".pq", ".parq")
    constraints: ClassVar[dict[str, Constraint]] = {"missing": Choice(("error", "null"))}

    def __init__(self, missing: str = "error") -> None:
        self.missing = missing

    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        footers = [_footer(file, storage) for file in files]
        schema = footers[0][1]
        for file, (_, other) in zip(files[1:], footers[1:], strict=True):
            schema = agreed(schema, other, file, files[0], self.missing)
        pieces: list[Piece] = []
        for number, (footer, _) in enumerate(footers):
            pieces += _pieces(number, footer, split_bytes or SPLIT_BYTES)
        return Layout(Schema(plain_schema(schema)), tuple(pieces))

    def read(
        self, opened: Opened, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Iterator[Batch]:
        import pyarrow.parquet as pq

        split = opened.split
        footer = _metadata(opened.file, opened.reader)
        groups = list(range(split.start, split.stop))
        schema = layout.schema.columns
        if request.where is not None:
            skip = _skippable(footer, groups, request.where, schema, split.partition)
            quarantine.skipped += sum(footer.row_group(g).num_rows for g in skip)
            groups = [g for g in groups if g not in skip]
        names = schema.names if request.columns is None else list(request.columns)
        if not names:
            counts = [footer.row_group(group).num_rows for group in groups]
            yield from (Batch(empty_columns(count)) for count in counts)
            return
        wanted = pa.schema([schema.field(name) for name in names])
        rows = max(1_024, min(BATCH_ROWS, BATCH_BYTES // (8 * len(names))))
        remote = opened.reader.remote
        buffered = 0 if remote else PAGE_BYTES
        with pq.ParquetFile(
            opened.reader.arrow(), metadata=footer, pre_buffer=remote, buffer_size=buffered
        ) as file:
            # A dot would be taken as a path into a struct.
            inside = None if any("." in name for name in names) else names
            for group in groups:
                for columns in file.iter_batches(rows, [group], inside, use_threads=False):
                    yield Batch(fitted(columns, wanted))


def agreed(schema: pa.Schema, other: pa.Schema, file: File, first: File, missing: str) -> pa.Schema:
    """Return the columns of the first files, widened where the next one has wider types.

    Raises
    ------
    DataError
        If it lacks a column, unless ``missing`` is ``"null"``, or has one of another type.
    """
    for name in schema.names:
        if name not in other.names and missing == "error":
            raise DataError(
                f"{file.location} has no column {name!r}, which {first.location} has",
                "rewrite it, or mine them as two datasets (Parquet also takes missing='null')",
            )
    fields = []
    for field in schema:
        kind = field.type
        if field.name in other.names:
            found = other.field(field.name).type
            wider = _wider(kind, found)
            if wider is None:
                raise DataError(
                    f"column {field.name!r} is {found} in {file.location} "
                    f"but {kind} in {first.location}",
                    "rewrite one of them, or mine them as two datasets",
                )
            kind = wider
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def _footer(file: File, storage: Storage) -> tuple[Any, pa.Schema]:
    with translated(file.location, planning=True):
        if file.size == 0:
            raise DataError(f"{file.location} is empty", "a Parquet file has at least a footer")
        with storage.open(file.location) as reader:
            footer = _metadata(file, reader)
        schema = plain_schema(footer.schema.to_arrow_schema())
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise DataError(f"{file.location} has the column {twice[0]!r} twice", "rename one of them")
    return footer, schema


_footers: dict[tuple[str, str], Any] = {}
"""Footers by file and version: a file of many row groups has one that is slow to parse."""
FOOTERS_KEPT = 256


def _metadata(file: File, reader: Reader) -> pq.FileMetaData:
    key = (file.location, file.version)
    known = _footers.get(key)
    if known is None:
        import pyarrow.parquet as pq

        known = pq.read_metadata(reader.arrow())
        if len(_footers) >= FOOTERS_KEPT:
            _footers.clear()
        _footers[key] = known
    return known


def _pieces(number: int, footer: pq.FileMetaData, split_bytes: int) -> Iterator[Piece]:
    start = rows = nbytes = 0
    for group in range(footer.num_row_groups):
        facts = footer.row_group(group)
        rows += facts.num_rows
        nbytes += facts.total_byte_size
        if nbytes >= split_bytes or group + 1 == footer.num_row_groups:
            yield Piece(number, start, group + 1, "row_groups", rows, nbytes)
            start, rows, nbytes = group + 1, 0, 0


def _skippable(
    footer: pq.FileMetaData,
    groups: Sequence[int],
    where: Any,
    schema: pa.Schema,
    partition: Partition,
) -> set[int]:
    rows = [footer.row_group(group).num_rows for group in groups]
    bounds = [_bounds(footer.row_group(group), schema) for group in groups]
    for name, value in partition:
        kind = pa.int64() if isinstance(value, int) else pa.string()
        schema = schema.append(pa.field(name, kind))
        for count, known in zip(rows, bounds, strict=True):
            known[name] = (value, value, count if value is None else 0)
    told = skippable(where, schema, bounds, rows)
    return {group for group, skip in zip(groups, told, strict=True) if skip}


def _bounds(group: pq.RowGroupMetaData, schema: pa.Schema) -> dict[str, Bounds]:
    found: dict[str, Bounds] = {}
    for number in range(group.num_columns):
        column = group.column(number)
        known = column.statistics
        name = column.path_in_schema
        if name not in schema.names or known is None or not known.has_min_max:
            continue
        greatest = known.max
        if isinstance(greatest, float):
            # Statistics leave NaN out, but a filter takes it as greater than every number.
            greatest = None
        nulls = known.null_count if known.has_null_count else None
        if nulls is not None and not (isinstance(known.min, float) and math.isnan(known.min)):
            found[name] = (known.min, greatest, nulls)
    return found


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both without loss, or None."""
    types = pa.types
    if one.equals(other):
        return one
    if types.is_dictionary(one) or types.is_dictionary(other):
        plain = [t.value_type if types.is_dictionary(t) else t for t in (one, other)]
        return plain[0] if plain[0].equals(plain[1]) else None
    if types.is_signed_integer(one) and types.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    if types.is_unsigned_integer(one) and types.is_unsigned_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    if types.is_floating(one) and types.is_floating(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    return None


def fitted(columns: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """Return the columns in the order and types wanted; those that are missing null."""
    columns = plain_batch(columns)
    if columns.schema.equals(wanted):
        return columns
    arrays = []
    for field in wanted:
        if field.name not in columns.schema.names:
            arrays.append(pa.nulls(columns.num_rows, field.type))
            continue
        array = columns.column(field.name)
        arrays.append(array if array.type.equals(field.type) else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)
