"""The embedded engine: threads where kernels release the interpreter lock, else processes."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from functools import lru_cache
from typing import Any

from motherlode.algebra.tree import Node
from motherlode.core import settings
from motherlode.core.errors import EngineError, MotherlodeError, UnknownNameError, UsageError
from motherlode.data.source import Split
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.part import Part
from motherlode.runtime.task import Report, Task

AHEAD = 1
"""Splits started beyond one a worker, so that none waits while the driver merges."""

Outcome = tuple[Part, str, float]


class LocalEngine(Engine):
    """Folds splits on this machine.

    Parameters
    ----------
    url : str
        ``"local"`` or ``"local[N]"``.
    workers : int, optional
        Number of workers, unless the URL says; all processors by default.

    Notes
    -----
    Work in Python functions goes to processes, if the rows can be read there (files can, data
    held in memory cannot); everything else to threads. While threads work, BLAS is limited so
    that the cores are not oversubscribed.
    """

    def __init__(self, url: str = "local", *, workers: int | None = None) -> None:
        match = re.fullmatch(r"local(?:\[(\d+)\])?", url)
        if not match:
            raise UnknownNameError("engine URL", url, ["local", "local[2]"])
        if match[1] and workers not in (None, int(match[1])):
            raise UsageError(f"{url!r} says {match[1]} workers, workers={workers} another number")
        self._workers = settings.workers(int(match[1]) if match[1] else workers)
        self._threads: ThreadPoolExecutor | None = None

    @property
    def parallelism(self) -> int:
        return self._workers

    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        if task.holds_interpreter and task.dataset.portable and self._workers > 1:
            return self._in_processes(task, splits, report)
        return self._in_threads(task, splits, report)

    def _in_threads(
        self, task: Task, splits: Sequence[Split], report: Report
    ) -> Iterator[Done | Failed]:
        if self._workers == 1 or len(splits) == 1:
            yield from self._inline(task, splits, report)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="worker")
        pool = self._threads

        def submit(split: Split) -> Future[Outcome]:
            return pool.submit(_timed, task, split, report)

        with _blas_limit(self._workers):
            yield from self._windowed(submit, splits, task)

    def _inline(
        self, task: Task, splits: Sequence[Split], report: Report
    ) -> Iterator[Done | Failed]:
        for split in splits:
            try:
                part, worker, seconds = _timed(task, split, report)
            except Exception as error:
                yield Failed(split.number, error, threading.current_thread().name)
            else:
                yield Done(Node(0, split.number), part, worker, seconds)

    def _in_processes(
        self, task: Task, splits: Sequence[Split], report: Report
    ) -> Iterator[Done | Failed]:
        import cloudpickle
        from loky import get_reusable_executor

        payload = cloudpickle.dumps(task.shipped())
        pool: Executor = get_reusable_executor(self._workers, timeout=60)

        def submit(split: Split) -> Future[Any]:
            return pool.submit(_remote, payload, split)

        for outcome in self._windowed(submit, splits, task):
            if isinstance(outcome, Done):
                part = Part.from_bytes(task.summary, outcome.part)  # type: ignore[arg-type]
                report(part.tally.read, part.tally.nbytes)
                outcome = Done(outcome.node, part, outcome.worker, outcome.seconds)
            yield outcome

    def _windowed(
        self, submit: Callable[[Split], Future[Any]], splits: Sequence[Split], task: Task
    ) -> Iterator[Done | Failed]:
        """Keep a few splits under way; start the next as an outcome is taken."""
        waiting = iter(splits)
        under_way: dict[Future[Any], Split] = {}
        try:
            while True:
                while len(under_way) < self._workers + AHEAD:
                    split = next(waiting, None)
                    if split is None:
                        break
                    try:
                        under_way[submit(split)] = split
                    except BrokenExecutor as error:
                        yield _lost(split, error)
                if not under_way:
                    return
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in sorted(finished, key=lambda f: under_way[f].number):
                    yield self._outcome(under_way.pop(future), future)
        finally:
            if under_way:
                if task.stop is not None:
                    task.stop.set()
                for future in under_way:
                    future.cancel()
                wait(under_way)

    def _outcome(self, split: Split, future: Future[Any]) -> Done | Failed:
        try:
            outcome = future.result()
        except BrokenExecutor as error:
            return _lost(split, error)
        except Exception as error:
            return Failed(split.number, error, "local")
        if isinstance(outcome, Failed):
            return outcome
        part, worker, seconds = outcome
        return Done(Node(0, split.number), part, worker, seconds)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None


def _timed(task: Task, split: Split, report: Report) -> Outcome:
    began = time.perf_counter()
    part = task(split, report)
    return part, threading.current_thread().name, time.perf_counter() - began


_last: tuple[bytes, Task] | None = None


def _remote(payload: bytes, split: Split) -> tuple[bytes, str, float] | Failed:
    """Fold a split in a worker process; the unpacked task is kept for the next one."""
    global _last
    import cloudpickle

    worker = f"process {os.getpid()}"
    began = time.perf_counter()
    try:
        if _last is None or _last[0] != payload:
            _last = (payload, cloudpickle.loads(payload))
        task = _last[1]
        document = task(split).to_bytes(task.summary)
    except Exception as error:
        return Failed(split.number, _portable(error), worker)
    return document, worker, time.perf_counter() - began


def _portable(error: Exception) -> Exception:
    """Return an error that can be carried to another process, with its cause where that can."""
    import cloudpickle

    for _ in range(2):
        try:
            cloudpickle.loads(cloudpickle.dumps(error))
            return error
        except Exception:
            error.__cause__ = None
    return MotherlodeError(
        f"{type(error).__name__} in a worker process: {error}",
        "the exception itself cannot be pickled; workers=1 shows it whole",
    )


def _lost(split: Split, cause: Exception) -> Failed:
    lost = EngineError("a worker process died", "it may have run out of memory")
    lost.__cause__ = cause
    return Failed(split.number, lost, "process")


def _blas_limit(workers: int) -> Any:
    """Return a context in which each BLAS call of a worker uses its share of the processors."""
    share = max(1, settings.workers() // workers)
    return _libraries(len(sys.modules)).limit(limits=share, user_api="blas")


@lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:
    """Return the libraries with threads of their own; looked for again as modules are imported.

    That takes 2 ms, as long as a short pass.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
