"""Sources in memory: matrices and tables, cut into row ranges and handed on without copying."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import Batch, Schema, empty_columns
from motherlode.core.errors import UsageError
from motherlode.data.digests import array_digest, table_digest
from motherlode.data.plain import from_numpy, plain_array, plain_batch, plain_schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split

SPLIT_BYTES = 16 << 20
"""A split holds about this many bytes, within the next two bounds."""
LEAST_ROWS = 1_024
MOST_ROWS = 131_072


class MemorySource(Source):
    """Rows held by this process; cut into splits by their number and width alone."""

    location: str
    rows: int

    def __init__(self, kind: str, rows: int, row_bytes: float, split_rows: int | None) -> None:
        # Two arrays of one shape are different rows, and the same array mined twice as two
        # datasets is meant twice: so the identity is the dataset's, not the content's.
        self.location = f"memory:{kind}:{uuid.uuid4().hex}"
        self.rows = rows
        self.row_bytes = row_bytes
        self.split_rows = split_rows or _split_rows(row_bytes)

    @cached_property
    def _splits(self) -> tuple[Split, ...]:
        starts = range(0, self.rows, self.split_rows)
        stops = [min(start + self.split_rows, self.rows) for start in starts]
        return tuple(
            Split(
                number,
                self.location,
                start,
                stop,
                "rows",
                rows=stop - start,
                nbytes=int((stop - start) * self.row_bytes),
            )
            for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
        )

    @property
    def splits(self) -> Sequence[Split]:
        return self._splits

    @property
    def portable(self) -> bool:
        return False


class MatrixSource(MemorySource):
    """A dense or CSR matrix, with labels and weights beside it.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features) or scipy sparse matrix
        Float32 and float64 matrices in C order are used as they are; others are converted once.
    target : array-like of shape (n_rows,), optional
        Labels.
    weights : array-like of shape (n_rows,), optional
        Row weights.
    split_rows : int, optional
        Rows in a split; about 16 MB of them by default.
    """

    def __init__(
        self, features: Any, target: Any = None, weights: Any = None, split_rows: int | None = None
    ) -> None:
        block: Any = (
            dense_block(features) if isinstance(features, np.ndarray) else csr_block(features)
        )
        self.features = block
        rows, width = block.shape
        self.target = None if target is None else _beside("y", np.asarray(target), rows)
        self.weights: NDArray[np.float64] | None = None
        if weights is not None:
            self.weights = _beside("weights", np.asarray(weights, dtype=np.float64), rows)
        sparse = not isinstance(block, np.ndarray)
        held = sum(part.nbytes for part in ((block.data, block.indices) if sparse else (block,)))
        super().__init__("matrix", rows, held / max(rows, 1), split_rows)
        self._schema = Schema(pa.schema([]), width, sparse, self.target is not None)

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def columns(self) -> pa.Schema:
        known = self._schema
        kind = pa.from_numpy_dtype(self.features.dtype)
        names = [] if known.sparse else [f"x{n}" for n in range(known.n_features or 0)]
        fields = [pa.field(name, kind) for name in names]
        if self.target is not None:
            fields.append(pa.field("y", from_numpy(self.target[:0]).type))
        if self.weights is not None:
            fields.append(pa.field("weight", pa.float64()))
        return pa.schema(fields)

    @property
    def fingerprint(self) -> str:
        block: Any = self.features
        parts = (block.data, block.indices, block.indptr) if self._schema.sparse else (block,)
        return array_digest(*parts, self.target, self.weights)

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        rows = slice(split.start, split.stop)
        yield Batch(
            empty_columns(split.stop - split.start),
            row_range(self.features, split.start, split.stop),
            None if self.target is None else self.target[rows],
            None if self.weights is None else self.weights[rows],
            split.number,
        )


class TableSource(MemorySource):
    """An Arrow table.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    split_rows : int, optional
        Rows in a split; about 16 MB of them by default.
    """

    def __init__(self, table: pa.Table, split_rows: int | None = None) -> None:
        names = table.schema.names
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(
                f"column {min(twice)!r} is there twice", "rename columns so that names are unique"
            )
        self.table = table
        self._schema = Schema(plain_schema(table.schema))
        rows = table.num_rows
        super().__init__("table", rows, table.nbytes / max(rows, 1), split_rows)

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def fingerprint(self) -> str:
        whole = self.table
        return table_digest(
            pa.table([plain_array(c.combine_chunks()) for c in whole.columns], whole.schema.names)
        )

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        start = 0
        for columns in self._batches(split, request.columns):
            yield Batch(columns, split=split.number, start=start)
            start += columns.num_rows

    def _batches(self, split: Split, names: tuple[str, ...] | None) -> Iterator[pa.RecordBatch]:
        table = self.table.slice(split.start, split.stop - split.start)
        if names is not None:
            table = table.select(list(names))
        if table.num_columns == 0:
            yield empty_columns(split.stop - split.start)
            return
        if table.num_rows < LEAST_ROWS * max(c.num_chunks for c in table.columns):
            table = table.combine_chunks()
        for piece in table.to_batches():
            yield plain_batch(piece.replace_schema_metadata(None))


def dense_block(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return a matrix C-contiguous in float32 or float64; the same one where it is that."""
    if matrix.ndim != 2:
        raise UsageError(
            f"a matrix must have two dimensions, got shape {matrix.shape}",
            "reshape one feature to (n, 1)",
        )
    if matrix.dtype.kind not in "biuf":
        raise UsageError(
            f"a matrix must hold numbers, got {matrix.dtype}", "pass mixed columns as a table"
        )
    kind = matrix.dtype if matrix.dtype in (np.float32, np.float64) else np.float64
    return np.ascontiguousarray(matrix, dtype=kind)


def row_range(block: Any, start: int, stop: int) -> Any:
    """Return consecutive rows of a block without copying them."""
    if isinstance(block, np.ndarray):
        return block[start:stop]
    # Slices of CSR arrays are copies, and so are views from which one is made.
    bounds = block.indptr[start : stop + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    rows = type(block)((stop - start, block.shape[1]), dtype=block.dtype)
    rows.data, rows.indices = block.data[first:last], block.indices[first:last]
    rows.indptr = bounds - bounds[0]
    return rows


def csr_block(matrix: Any) -> Any:
    """Return a SciPy sparse matrix as a canonical CSR array of floats."""
    import scipy.sparse

    block = scipy.sparse.csr_array(matrix)
    if block.dtype not in (np.float32, np.float64):
        block = block.astype(np.float64)
    if not block.has_canonical_format:
        if block.data is matrix.data:
            block = block.copy()
        block.sum_duplicates()
    return block


def _beside(name: str, array: NDArray[Any], rows: int) -> NDArray[Any]:
    if array.shape != (rows,):
        raise UsageError(f"{name} must have shape ({rows},), got {array.shape}")
    return array


def _split_rows(row_bytes: float) -> int:
    rows = int(SPLIT_BYTES / max(row_bytes, 1.0))
    return max(LEAST_ROWS, min(MOST_ROWS, 1 << max(rows, 1).bit_length() - 1))
