"""What Spark's executors run: folding chunks of splits, merging siblings of the fixed tree.

A task takes all that it is given, whatever happens: a Python worker that leaves input behind is not
used again, and what it kept is lost.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pyarrow as pa

from motherlode.data.source import Split
from motherlode.engines.spark_source import SparkSource
from motherlode.runtime import remote
from motherlode.runtime.remote import Order, Shipped

Chunks = list[list[Split]]


def merged(made: Any, order: Order, chunks: Chunks) -> Any:
    """Merge what folding made, eight siblings at a time, until few nodes are left."""
    level = max(map(len, chunks)).bit_length() - 1
    count = len(chunks)
    while count > 1 << remote.FAN:
        level += remote.FAN
        count = len({chunk[0].number >> level for chunk in chunks})
        made = made.keyBy(_ancestor(level)).groupByKey(count).mapPartitions(_merger(order))
    return made


def probe(_: Any) -> list[tuple[str, tuple[str, str]]]:
    """Return host and versions of the worker that runs this."""
    return [(socket.gethostname(), remote.versions())]


def folder(order: Order, payload: Any) -> Callable[[Iterator[list[Split]]], Iterator[Shipped]]:
    """Return what folds the chunks of a partition; ``payload`` is the dataset's broadcast."""

    def fold(chunks: Iterator[list[Split]]) -> Iterator[Shipped]:
        for chunk in chunks:
            yield from remote.fold_chunk(
                order, lambda: cloudpickle.loads(payload.value), chunk, _attempts()
            )

    return fold


def frame_folder(
    order: Order, payload: Any, wanted: dict[int, Split]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what folds a partition of a DataFrame, if its number is wanted."""

    def fold(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        split = wanted.get(TaskContext.get().partitionId())
        if split is not None:
            SparkSource.fed = batches
            found = remote.fold_chunk(
                order, lambda: cloudpickle.loads(payload.value), [split], _attempts()
            )
            outcome = pa.array([cloudpickle.dumps(found)], pa.binary())
            yield pa.record_batch([outcome], ["outcome"])
        for _ in batches:
            pass

    return fold


def _attempts() -> int:
    from pyspark import TaskContext

    return 1 + int(TaskContext.get().attemptNumber())


def _ancestor(level: int) -> Callable[[Shipped], int]:
    return lambda shipped: (shipped.node[1] << shipped.node[0]) >> level


def _merger(order: Order) -> Callable[[Iterator[Any]], Iterator[Shipped]]:
    def merge(groups: Iterator[Any]) -> Iterator[Shipped]:
        for _, group in groups:
            yield from remote.merge_chunk(order, list(group))

    return merge
