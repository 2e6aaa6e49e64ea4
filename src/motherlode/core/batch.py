"""The batch: a few thousand rows in columns, the unit that every summary is updated with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from motherlode.core.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Schema:
    """What is known of a dataset's rows before any is read.

    Parameters
    ----------
    columns : pyarrow.Schema
        The named columns.
    n_features : int or None
        Width of the feature block, where the data came as a matrix.
    sparse : bool
        Whether that block is a CSR matrix.
    has_target : bool
        Whether labels came beside the matrix.
    """

    columns: pa.Schema
    n_features: int | None = None
    sparse: bool = False
    has_target: bool = False

    @property
    def names(self) -> list[str]:
        return list(self.columns.names)

    def require(self, *names: str) -> None:
        """Raise :class:`UnknownNameError` for the first name that is not a column."""
        for name in names:
            if name not in self.columns.names:
                raise UnknownNameError("column", name, self.columns.names)

    def numeric(self) -> list[str]:
        """Names of the columns that hold numbers (integers, floats, decimals, booleans)."""
        return [f.name for f in self.columns if is_numeric(f.type)]

    def text(self) -> list[str]:
        """Names of the columns that hold strings."""
        return [f.name for f in self.columns if is_text(f.type)]

    def type(self, name: str) -> pa.DataType:
        self.require(name)
        return self.columns.field(name).type


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in columns, and, where the data came as a matrix, a feature block beside them.

    A batch is never changed: summaries may keep views of it but must not write to them.

    Parameters
    ----------
    columns : pyarrow.RecordBatch
        The named columns; none where the rows came as a bare matrix.
    features : ndarray of shape (n_rows, n_features), scipy.sparse.csr_array or None
        Feature block, C-contiguous float32 or float64, or CSR.
    target : ndarray of shape (n_rows,) or None
        Labels that came beside the matrix.
    weights : ndarray of shape (n_rows,) or None
        Row weights, float64.
    split : int
        Number of the split these rows belong to.
    start : int
        Position of the first row within its split.
    """

    columns: pa.RecordBatch
    features: Any = None
    target: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    split: int = 0
    start: int = 0
    _matrices: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        if self.features is not None:
            return int(self.features.shape[0])
        return int(self.columns.num_rows)

    @property
    def nbytes(self) -> int:
        """Bytes held by the rows."""
        total = int(self.columns.nbytes)
        if self.features is not None:
            block = self.features
            total += int(block.nbytes if isinstance(block, np.ndarray) else block.data.nbytes)
        return total

    @property
    def schema(self) -> Schema:
        block = self.features
        return Schema(
            self.columns.schema,
            None if block is None else int(block.shape[1]),
            block is not None and not isinstance(block, np.ndarray),
            self.target is not None,
        )

    def column(self, name: str) -> pa.Array:
        """Return one column; dictionaries are decoded.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        """
        index = self.columns.schema.get_field_index(name)
        if index < 0:
            raise UnknownNameError("column", name, self.columns.schema.names)
        array = self.columns.column(index)
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def numbers(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Return a column as float64 and, where it holds nulls, a mask of the valid rows.

        Integers beyond 2**53 are rounded to the nearest float64, as NumPy does.
        """
        return to_float64(self.column(name), name)

    def matrix(
        self, columns: tuple[str, ...] | None = None, *, dense: bool = False
    ) -> NDArray[np.float64] | Any:
        """Return rows as a matrix: the feature block, or the named columns side by side.

        Parameters
        ----------
        columns : tuple of str or None
            Columns to stack, in this order. None takes the feature block, or, where there is
            none, every numeric column.
        dense : bool
            Whether a CSR block is made dense.

        Returns
        -------
        ndarray of shape (n_rows, n_features), C-contiguous, or csr_array
            Nulls are NaN. The matrix is kept with the batch, so a second pass over a cached
            batch does not build it again.
        """
        if self.features is not None and columns is None:
            if dense and not isinstance(self.features, np.ndarray):
                return self.features.toarray()
            return self.features
        names = tuple(self.schema.numeric()) if columns is None else columns
        kept = self._matrices.get(names)
        if kept is None:
            kept = np.empty((len(self), len(names)), dtype=np.float64)
            for position, name in enumerate(names):
                values, valid = self.numbers(name)
                kept[:, position] = values
                if valid is not None:
                    kept[~valid, position] = np.nan
            self._matrices[names] = kept
        return kept

    def frame(self) -> pl.DataFrame:
        """Return the columns as a Polars frame, without copying where the types allow."""
        import polars as pl

        if self.columns.num_columns == 0:
            return pl.DataFrame()
        frame = pl.from_arrow(self.columns)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def slice(self, start: int, length: int) -> Batch:
        """Return a view of some consecutive rows."""
        stop = start + length
        return replace(
            self,
            columns=self.columns.slice(start, length),
            features=None if self.features is None else self.features[start:stop],
            target=None if self.target is None else self.target[start:stop],
            weights=None if self.weights is None else self.weights[start:stop],
            start=self.start + start,
            _matrices={},
        )

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """Return the rows at the given positions, in that order."""
        columns = self.columns
        if columns.num_columns:
            columns = columns.take(pa.array(rows))
        elif self.features is None:
            columns = empty_columns(len(rows))
        return replace(
            self,
            columns=columns,
            features=None if self.features is None else self.features[rows],
            target=None if self.target is None else self.target[rows],
            weights=None if self.weights is None else self.weights[rows],
            _matrices={},
        )


def empty_columns(rows: int) -> pa.RecordBatch:
    """Return a record batch that has rows but no columns."""
    struct = pa.Array.from_buffers(pa.struct([]), rows, [None])
    return pa.RecordBatch.from_struct_array(struct)


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether values of this type can be taken as numbers."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Tell whether values of this type are strings, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def to_float64(
    array: pa.Array, name: str = "values"
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Return an Arrow array as float64 and a validity mask (None where nothing is null)."""
    if not is_numeric(array.type):
        raise DataError(
            f"column {name!r} holds {array.type}, not numbers",
            "leave it out with columns=[...] or cast it with with_columns",
        )
    if pa.types.is_boolean(array.type) or pa.types.is_decimal(array.type):
        array = pc.cast(array, pa.int8() if pa.types.is_boolean(array.type) else pa.float64())
    valid = None
    if array.null_count:
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        array = pc.fill_null(array, pa.scalar(0, pa.int8()).cast(array.type))
    values = array.to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64), valid
