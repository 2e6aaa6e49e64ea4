"""What may be mined: any of the usual objects, turned into a dataset."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from motherlode.core.errors import DataError, UsageError
from motherlode.data.dataset import Dataset
from motherlode.data.memory import MatrixSource, TableSource
from motherlode.data.source import Source

if TYPE_CHECKING:
    import polars as pl


def dataset(
    obj: Any,
    *,
    format: str | None = None,
    columns: Sequence[str] | None = None,
    where: pl.Expr | str | None = None,
    **options: Any,
) -> Dataset:
    """Describe rows to be mined; files are listed and sampled, but not read yet.

    Parameters
    ----------
    obj : object
        A path, URL, glob or directory, or a list of them; a NumPy array or SciPy sparse matrix; a
        pandas or Polars frame; an Arrow table or record batch; a dict of columns; a list of dicts
        (rows), of lists (baskets: column ``items``) or of strings (column ``text``); a
        :class:`~motherlode.data.source.Source`; or a :class:`Dataset`.
    format : str, optional
        How files are read; by default their extension says it.
    columns : sequence of str, optional
        Columns kept.
    where : polars.Expr or str, optional
        Rows kept, as :meth:`Dataset.filter` takes it.
    **options
        For files, those of the format (``delimiter=";"``) and ``compression=``,
        ``split_bytes=`` and ``storage_options=``; for a matrix ``y=`` and ``weights=``; for
        anything in memory ``split_rows=``.

    Returns
    -------
    Dataset

    Raises
    ------
    UsageError
        If it cannot be told what the object is, or an option is unknown.
    DataError
        If files cannot be listed or are not what their format says.

    Examples
    --------
    >>> from motherlode.data import dataset
    >>> dataset([["bread", "milk"], ["bread"]]).count()
    2
    """
    data = _dataset(obj, format, options)
    if where is not None:
        data = data.filter(where)
    return data if columns is None else data.select(*columns)


def _dataset(obj: Any, format: str | None, options: dict[str, Any]) -> Dataset:
    if isinstance(obj, Dataset):
        return _without_options(obj, format, options)
    if isinstance(obj, Source):
        return _without_options(Dataset(obj), format, options)
    if isinstance(obj, str | os.PathLike):
        return _files([obj], format, options)
    if isinstance(obj, list | tuple) and _are_files(obj, format):
        return _files(obj, format, options)
    if format is not None:
        raise UsageError(f"format={format!r} is for files, got {type(obj).__name__}")
    if isinstance(obj, np.ndarray) or _comes_from(obj, "scipy"):
        return _matrix(obj, **options)
    return _table(_as_table(obj), **options)


def _files(places: Iterable[Any], format: str | None, options: dict[str, Any]) -> Dataset:
    from motherlode.data.files.source import FileSource

    return Dataset(FileSource.open([os.fspath(p) for p in places], format, **options))


def _matrix(
    obj: Any, y: Any = None, weights: Any = None, split_rows: int | None = None, **unknown: Any
) -> Dataset:
    _refuse(unknown, ("y", "weights", "split_rows"))
    if isinstance(obj, np.ndarray):
        if obj.dtype.names is not None:
            return Dataset(TableSource(pa.table({n: obj[n] for n in obj.dtype.names}), split_rows))
        if obj.ndim == 1 and obj.dtype.kind == "U":
            return Dataset(TableSource(pa.table({"text": obj.tolist()}), split_rows))
        if obj.ndim == 1:
            obj = obj.reshape(-1, 1)
    return Dataset(MatrixSource(obj, y, weights, split_rows))


def _table(table: pa.Table, split_rows: int | None = None, **unknown: Any) -> Dataset:
    _refuse(unknown, ("split_rows",))
    return Dataset(TableSource(table, split_rows))


def _as_table(obj: Any) -> pa.Table:
    if isinstance(obj, pa.Table):
        return obj
    if isinstance(obj, pa.RecordBatch):
        return pa.Table.from_batches([obj])
    if isinstance(obj, pa.RecordBatchReader):
        return obj.read_all()
    if _comes_from(obj, "polars"):
        return _from_polars(obj)
    if _comes_from(obj, "pandas"):
        return _from_pandas(obj)
    try:
        if isinstance(obj, dict):
            return pa.table(obj)
        if isinstance(obj, list | tuple) and obj:
            return _from_rows(obj)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"cannot make columns of the rows given: {error}") from error
    if hasattr(obj, "__arrow_c_stream__"):
        return pa.table(obj)
    shown = "an empty list" if isinstance(obj, list | tuple) else type(obj).__name__
    raise UsageError(
        f"cannot mine {shown}",
        "pass a path, an array, a frame, an Arrow table, or a list of baskets, texts or dicts",
    )


def _from_polars(obj: Any) -> pa.Table:
    import polars as pl

    if isinstance(obj, pl.LazyFrame):
        obj = obj.collect()
    if isinstance(obj, pl.Series):
        obj = obj.to_frame()
    return obj.to_arrow()


def _from_pandas(obj: Any) -> pa.Table:
    import pandas as pd

    if isinstance(obj, pd.Series):
        obj = obj.to_frame(name=obj.name if obj.name is not None else "0")
    if isinstance(obj.columns, pd.MultiIndex):
        raise UsageError("the frame has columns of several levels", "flatten their names first")
    if not all(isinstance(name, str) for name in obj.columns):
        obj = obj.set_axis([str(name) for name in obj.columns], axis=1)
    if not obj.columns.is_unique:
        name = obj.columns[obj.columns.duplicated()][0]
        raise UsageError(f"column {name!r} is there twice", "rename one of them")
    try:
        return pa.Table.from_pandas(obj, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"a column of the pandas frame holds values of several types: {error.args[-1]}",
            "give it one type with astype",
        ) from error


def _from_rows(rows: Sequence[Any]) -> pa.Table:
    kinds = {type(row) for row in rows}
    if kinds == {str}:
        return pa.table({"text": pa.array(rows, pa.string())})
    if kinds == {dict}:
        return pa.Table.from_pylist(list(rows))
    if kinds <= {list, tuple, set, frozenset}:
        # A set has no order of its own, and that of its hashes changes from run to run.
        lists = [sorted(r) if isinstance(r, set | frozenset) else list(r) for r in rows]
        return pa.table({"items": pa.array(lists)})
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise UsageError(
        f"cannot mine a list of {names}",
        "a list holds baskets (lists), texts (strings) or rows (dicts); numbers go into an array",
    )


def _are_files(items: Sequence[Any], format: str | None) -> bool:
    """Tell whether a list names files; strings may also be texts to be mined."""
    if not items:
        return False
    if all(isinstance(item, os.PathLike) for item in items):
        return True
    if not all(isinstance(item, str | os.PathLike) for item in items):
        return False
    if format is not None:
        return True
    from motherlode.data.files.source import looks_like_file

    like = [isinstance(item, os.PathLike) or looks_like_file(item) for item in items]
    if any(like) and not all(like):
        raise UsageError(
            f"cannot tell whether the strings are files or texts: {items[like.index(True)]!r} "
            f"looks like a file, {items[like.index(False)]!r} does not",
            "give files as pathlib.Path, or texts as a column: {'text': [...]}",
        )
    return all(like)


def _comes_from(obj: Any, package: str) -> bool:
    """Tell whether an object is of a package, without importing it."""
    if package not in sys.modules:
        return False
    return any(kind.__module__.split(".")[0] == package for kind in type(obj).__mro__)


def _without_options(data: Dataset, format: str | None, options: dict[str, Any]) -> Dataset:
    if format is not None:
        raise UsageError(f"format={format!r} is for files, got a dataset")
    _refuse(options, ())
    return data


def _refuse(unknown: dict[str, Any], known: Iterable[str]) -> None:
    from motherlode.core.errors import UnknownNameError

    for name in unknown:
        raise UnknownNameError("option", name, known)
