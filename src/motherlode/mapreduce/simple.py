"""MapReduce as one call: a mapper and a reducer over any dataset."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from motherlode.core.errors import UsageError
from motherlode.data import dataset
from motherlode.mapreduce.pipeline import Finished, execute
from motherlode.mapreduce.protocol import JSONProtocol, LineProtocol
from motherlode.mapreduce.step import MRStep
from motherlode.runtime.engine import Engine
from motherlode.runtime.shuffle import scratch_folder
from motherlode.runtime.spill import read_segment

Pairs = Iterable[tuple[Any, Any]]


def map_reduce(
    source: Any,
    mapper: Callable[[Any], Pairs],
    reducer: Callable[[Any, Iterator[Any]], Pairs] | None = None,
    combiner: Callable[[Any, Iterator[Any]], Pairs] | None = None,
    *,
    on: str | Engine = "local",
    partitions: int | None = None,
    scratch: str | None = None,
    **options: Any,
) -> Mapped:
    """Map the rows of a dataset to pairs, and reduce the values of each key.

    Parameters
    ----------
    source : Dataset or anything that :func:`motherlode.data.dataset` takes
        The rows. A file of text gives its lines, a dataset of one column its values, any other a
        dict a row.
    mapper : callable
        Takes a row and yields pairs.
    reducer, combiner : callable, optional
        Takes a key and an iterator over its values and yields pairs. The values of a key are
        streamed, however many there are.
    on, partitions, scratch, **options
        Engine, number of reducers, folder for spilled rows that all workers can reach, and what
        :func:`motherlode.runtime.run` takes beside them.

    Returns
    -------
    Mapped
        The pairs; iterate over it. Keys and values have been through JSON: tuples in values come
        back as lists, keys that were tuples as tuples.

    Examples
    --------
    >>> from motherlode.mapreduce import map_reduce
    >>> def mapper(line):
    ...     for word in line.split():
    ...         yield word, 1
    >>> def reducer(word, counts):
    ...     yield word, sum(counts)
    >>> dict(map_reduce(["to be or", "not to be"], mapper, reducer, on="local[1]"))
    {'be': 2, 'not': 1, 'or': 1, 'to': 2}
    """
    for name, function in (("mapper", mapper), ("reducer", reducer), ("combiner", combiner)):
        if function is not None and not callable(function):
            raise UsageError(f"the {name} must be a function, got {function!r}")
    if not callable(mapper):
        raise UsageError("the mapper must be a function, got None")
    data = dataset(source)
    folder = scratch_folder(scratch)
    made = Mapped(folder)
    made.finished = execute(
        _Functions(mapper, reducer, combiner), data, folder, partitions, on=on, **options
    )
    return made


class Mapped:
    """The pairs that :func:`map_reduce` made; they lie on disk until this object goes."""

    finished: Finished

    def __init__(self, folder: str) -> None:
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        read = JSONProtocol().read
        for segment in self.finished.lines:
            for block in read_segment(segment):
                for line in block.column(0).to_pylist():
                    key, value = read(line)
                    yield _hashable(key), value


class _Functions:
    """Plain functions in the place of a job."""

    def __init__(self, mapper: Any, reducer: Any, combiner: Any) -> None:
        self.functions = (mapper, reducer, combiner)
        self.counters: dict[str, dict[str, int]] = {}

    def steps(self) -> list[MRStep]:
        mapper, reducer, combiner = self.functions
        return [MRStep(mapper=lambda _, row: mapper(row), reducer=reducer, combiner=combiner)]

    def sort_values(self) -> bool:
        return False

    def protocol(self, kind: str) -> LineProtocol:
        return _Row() if kind == "input" else JSONProtocol()

    def for_task(self) -> Self:
        return self


class _Row:
    """Rows as they are, without a key."""

    def read(self, line: Any) -> tuple[None, Any]:
        return None, line

    def write(self, key: Any, value: Any) -> bytes:
        raise NotImplementedError


def _hashable(key: Any) -> Any:
    return tuple(_hashable(each) for each in key) if isinstance(key, list) else key
