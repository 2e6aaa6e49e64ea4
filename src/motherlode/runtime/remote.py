"""What engines run in other processes: fold a few splits, merge a few parts, hand back bytes.

Engines that ship work to workers of their own call these functions there. The rows' description
travels once and is kept by the worker, with the rows that it decoded, under a key; each pass then
sends no more than its summary. Parts travel as codec documents; errors travel as themselves where
they can, with the worker's traceback as cause.
"""

from __future__ import annotations

import math
import os
import platform
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import cloudpickle

from motherlode.algebra.summary import Summary
from motherlode.algebra.tree import Node
from motherlode.core.errors import (
    DataError,
    EngineError,
    MemoryLimitError,
    MotherlodeError,
    UsageError,
)
from motherlode.data import Dataset
from motherlode.data.quarantine import Tolerance
from motherlode.data.source import Split
from motherlode.runtime.cache import Cache
from motherlode.runtime.driver import Tree
from motherlode.runtime.engine import Done, Failed
from motherlode.runtime.part import Part
from motherlode.runtime.task import Task

ENDLESS = 1 << 62
"""Leaves of a tree whose true number only the driver knows."""
CHUNK_BYTES = 256 << 20
"""Splits are folded in one go while they hold no more than this together."""
CHUNKS = 8
"""Chunks a worker gets in a pass, if the splits allow."""
HELD_BYTES = 1 << 30
"""Rows held by the driver are sent along if they take no more."""
FAN = 3
"""Levels of the tree that are merged by workers at a time: eight nodes become one."""

Load = Callable[[], Dataset]


class RemoteTraceback(Exception):
    """The traceback of an exception that was raised in another process, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a pass asks of the workers.

    Parameters
    ----------
    dataset : str
        Key under which a worker keeps the dataset.
    work : bytes
        Summary and tolerance, cloudpickled.
    cache_bytes : int
        What a worker may keep of the decoded rows.
    """

    dataset: str
    work: bytes
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class Shipped:
    """The outcome of a node or a split, as it travels.

    Parameters
    ----------
    node : tuple of (int, int)
        Level and rank in the merge tree.
    document : bytes or None
        The part, if it is complete.
    error : bytes or None
        The exception, if it failed: cloudpickled, with its traceback.
    worker : str
        Host and process.
    seconds : float
        How long it took.
    attempts : int
        How often the engine itself began it.
    """

    node: tuple[int, int]
    document: bytes | None
    error: bytes | None
    worker: str
    seconds: float
    attempts: int = 1

    @property
    def nbytes(self) -> int:
        return len(self.document or b"")

    def outcome(self, task: Task) -> Done | Failed:
        """Return what the driver is told."""
        if self.document is not None:
            part = Part.from_bytes(task.summary, self.document)
            return Done(Node(*self.node), part, self.worker, self.seconds, self.attempts)
        assert self.error is not None
        return Failed(self.node[1], _unpacked(self.error, self.worker), self.worker)


def versions() -> tuple[str, str]:
    """Return the versions that driver and workers must share: of Python and of this package."""
    return ".".join(platform.python_version_tuple()[:2]), version("motherlode")


def check_versions(found: Sequence[tuple[str, str]], advice: str) -> None:
    """Raise :class:`EngineError` if a worker has other versions than this process."""
    mine = versions()
    for theirs in found:
        for name, here, there in zip(("Python", "motherlode"), mine, theirs, strict=True):
            if here != there:
                raise EngineError(
                    f"workers have {name} {there}, the driver has {name} {here}", advice
                )


def order(task: Task, key: str, sharing: int) -> Order:
    """Return what a pass asks; ``sharing`` workers are on one machine and share its memory.

    Raises
    ------
    UsageError
        If the summary holds something that cannot be shipped.
    """
    work = pack((task.summary, task.tolerance), type(task.summary).__name__)
    return Order(key, work, task.cache_bytes // max(1, sharing))


def pack(thing: Any, name: str) -> bytes:
    """Return something as it is shipped.

    Raises
    ------
    UsageError
        If it holds something that cannot be, as an open file or a lock.
    """
    try:
        return cloudpickle.dumps(thing)  # type: ignore[no-any-return]
    except Exception as error:
        raise UsageError(
            f"{name} cannot be sent to other processes: {error}",
            "it may hold an open file, a lock or a connection: open that inside the function",
        ) from error


def check_ships(dataset: Dataset) -> None:
    """Make sure that a dataset can be shipped, before it is.

    Raises
    ------
    UsageError
        If one of its steps cannot be; the error names it.
    MemoryLimitError
        If the rows are held by this process and are too many to be sent along.
    """
    held = 0 if dataset.portable else sum(split.nbytes for split in dataset.splits)
    if held > HELD_BYTES:
        raise MemoryLimitError(
            f"{held / 1e9:.1f} GB of rows are held by this process, too much to send to workers",
            "write them to Parquet files that the workers can read, and mine those",
        )
    for step in dataset.steps:
        pack(step, getattr(step, "name", type(step).__name__))


def chunks(splits: Sequence[Split], workers: int) -> list[list[Split]]:
    """Group splits into whole nodes of the tree that are folded in one go.

    A node is as large as gives each worker some, and no larger than ``CHUNK_BYTES``: what is
    under way when a worker dies is folded again.
    """
    mean = max(1, sum(split.nbytes for split in splits) // max(1, len(splits)))
    crowd = math.ceil(math.log2(max(1, len(splits) / (workers * CHUNKS))))
    level = min(crowd, int(math.log2(max(1, CHUNK_BYTES / mean))))
    return list(_groups(splits, level))


def fold_chunk(
    order: Order, load: Load, splits: Sequence[Split], attempts: int = 1
) -> list[Shipped]:
    """Fold splits one after another, merging siblings; return nodes and failures.

    An error that trying again does not mend ends the job, so nothing is folded after it.
    """
    task = _task(order, load)
    tree = Tree(task.summary, ENDLESS)
    failures = []
    first = time.perf_counter()
    for split in splits:
        began = time.perf_counter()
        try:
            part = task(split)
        except Exception as error:
            took = time.perf_counter() - began
            failures.append(Shipped((0, split.number), None, _packed(error), here(), took))
            if not isinstance(error, EngineError | OSError):
                break
        else:
            tree.place(Node(0, split.number), part)
    return _shipped(task.summary, tree, time.perf_counter() - first, attempts) + failures


def merge_chunk(order: Order, shipped: Sequence[Shipped]) -> list[Shipped]:
    """Merge the nodes that are siblings; failures pass through."""
    summary, _ = _work(order)
    tree = Tree(summary, ENDLESS)
    for each in sorted(shipped, key=lambda each: each.node[1] << each.node[0]):
        if each.document is not None:
            tree.place(Node(*each.node), Part.from_bytes(summary, each.document))
    failures = [each for each in shipped if each.document is None]
    attempts = max((each.attempts for each in shipped), default=1)
    return _shipped(summary, tree, sum(each.seconds for each in shipped), attempts) + failures


def _shipped(
    summary: Summary[Any, Any], tree: Tree, seconds: float, attempts: int
) -> list[Shipped]:
    return [
        Shipped((node.level, node.rank), part.to_bytes(summary), None, here(), seconds, attempts)
        for node, part in sorted(tree.waiting.items())
    ]


def _groups(splits: Sequence[Split], level: int) -> Iterator[list[Split]]:
    group: list[Split] = []
    for split in splits:
        if group and group[0].number >> level != split.number >> level:
            yield group
            group = []
        group.append(split)
    if group:
        yield group


@dataclass(slots=True)
class _Kept:
    """What a worker process keeps between chunks and passes."""

    dataset: Dataset
    cache: Cache | None = None


_kept: dict[str, _Kept] = {}
_works: dict[bytes, tuple[Summary[Any, Any], Tolerance]] = {}


def _task(order: Order, load: Load) -> Task:
    kept = _kept.get(order.dataset)
    if kept is None:
        _kept.clear()
        kept = _kept[order.dataset] = _Kept(load())
    if order.cache_bytes and kept.cache is None:
        kept.cache = Cache(order.cache_bytes)
    summary, tolerance = _work(order)
    return Task(summary, kept.dataset, tolerance, kept.cache if order.cache_bytes else None)


def _work(order: Order) -> tuple[Summary[Any, Any], Tolerance]:
    work = _works.get(order.work)
    if work is None:
        _works.clear()
        work = _works[order.work] = cloudpickle.loads(order.work)
    return work


def here() -> str:
    """Return the name of this process: host and number."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _packed(error: Exception) -> bytes:
    text = "".join(traceback.format_exception(error))
    document = _pickled((error, error.__cause__, text))
    if document is None and isinstance(error, MotherlodeError):
        error.__cause__ = None
        document = _pickled((error, None, text))
    if document is None:
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        document = cloudpickle.dumps((MotherlodeError(f"{kind}: {error}"), None, text))
    return document


def _pickled(thing: Any) -> bytes | None:
    """Return something pickled, or None if it does not come out of that whole."""
    try:
        document: bytes = cloudpickle.dumps(thing)
        cloudpickle.loads(document)
    except Exception:
        return None
    return document


def _unpacked(document: bytes, worker: str) -> BaseException:
    error: BaseException
    error, cause, text = cloudpickle.loads(document)
    remote = RemoteTraceback(f"on {worker}:\n{text}")
    if isinstance(error, DataError):
        error.hint += f" (seen by {worker}; all workers must see the same files as the driver)"
    if cause is not None:
        cause.__cause__ = remote
    error.__cause__ = cause or remote
    return error
