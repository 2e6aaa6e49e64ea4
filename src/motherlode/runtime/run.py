"""Run an algorithm over a dataset: the one entry to mining, for one pass or many."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import Any

from motherlode.algebra.summary import Algorithm, Context, Iterative, Summary
from motherlode.core import settings
from motherlode.core.events import Listener, silent
from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Tolerance
from motherlode.data.source import Tally
from motherlode.runtime.cache import Cache
from motherlode.runtime.driver import Driver
from motherlode.runtime.engine import Engine, engine
from motherlode.runtime.keeper import Keeper
from motherlode.runtime.part import Part
from motherlode.runtime.result import Result
from motherlode.runtime.task import Task

UNDER_WAY = 48 << 20
"""Bytes that a worker's batches take while they are read and folded; the cache leaves them room."""


def run(
    algorithm: Algorithm,
    data: Any,
    *,
    on: str | Engine = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    tolerance: Tolerance | None = None,
    listener: Listener = silent,
    keeper: Keeper | None = None,
    retries: int = 3,
) -> Result:
    """Mine a dataset.

    Parameters
    ----------
    algorithm : Algorithm
        A summary, an iterative algorithm, or an estimator.
    data : Dataset or anything that :func:`motherlode.data.dataset` takes
        What is mined.
    on : str or Engine
        Engine URL; an engine that is given open stays open.
    workers : int, optional
        Number of workers; all processors by default. The answer does not depend on it.
    memory : str or int, optional
        Memory limit as ``"2GB"``; half of the machine by default. Nor on this.
    tolerance : Tolerance, optional
        How many unreadable records are let through.
    listener : callable, optional
        Is told the events of the job.
    keeper : Keeper, optional
        Keeps what is finished, for resuming.
    retries : int
        How often a split is tried again after a failure that may pass.

    Returns
    -------
    Result
        The answer with the account of the rows.

    Raises
    ------
    UsageError
        If the request is wrong; no row has been read then.
    DataError
        If the data cannot be read.
    EngineError
        If a split failed more often than ``retries``.
    """
    limit = settings.memory(memory)
    source = dataset(data)
    ready = algorithm.plan().prepare(source.schema)
    chosen = engine(on) if isinstance(on, Engine) else engine(on, workers=workers)
    keep_open = nullcontext(chosen) if chosen is on else chosen
    with keep_open:
        driver = Driver(chosen, listener, keeper, tolerance or Tolerance(), retries)
        job = _Run(driver, source, limit)
        if isinstance(ready, Summary):
            part = job.fold(ready, 0, None)
            value = ready.finish(part.state)
            return Result(
                algorithm, algorithm.conclude(value), part.tally, part.bad, 1, ready, part
            )
        model, passes, account = job.iterate(ready)
    value = algorithm.conclude(ready.finish(model))
    return Result(algorithm, value, account.tally, account.bad, passes, model=model)


class _Run:
    """One job's passes over one dataset."""

    def __init__(self, driver: Driver, source: Dataset, memory: int) -> None:
        self.driver = driver
        self.source = source
        self.memory = memory

    def fold(self, summary: Summary[Any, Any], number: int, cache: Cache | None) -> Part:
        stop = threading.Event()
        limit = 0 if cache is None else cache.limit
        task = Task(summary, self.source, self.driver.tolerance, cache, stop, limit)
        try:
            return self.driver.fold(task, self.source.splits, number)
        except BaseException:
            stop.set()
            raise

    def iterate(self, algorithm: Iterative[Any, Any]) -> tuple[Any, int, Part]:
        """Return the final model, the number of passes, and the account of the first pass."""
        keeper = self.driver.keeper
        schema = self.source.schema
        known = [split.rows for split in self.source.splits]
        rows = None if None in known or self.source.steps else sum(r or 0 for r in known)
        number = 0
        account = Part(None, frozenset(), Tally())
        kept = keeper.model() if keeper is not None else None
        if kept is None:
            model = algorithm.start(Context(schema, rows, self.memory))
            if keeper is not None:
                # It may follow from the memory or from chance: nodes of the first pass are its own.
                keeper.keep_model(0, model, None)
        else:
            assert keeper is not None
            number, model = kept
            document = keeper.account()
            if document is not None:
                account = Part.from_bytes(_ACCOUNT, document)
        under_way = self.driver.engine.parallelism * UNDER_WAY
        cache = Cache(max(0, self.memory // 2 - under_way))
        while not algorithm.done(model):
            step = algorithm.pass_(model).prepare(schema)
            part = self.fold(step, number, cache)
            if number == 0:
                account = Part(None, frozenset(), part.tally, part.bad)
            model = algorithm.advance(model, step.finish(part.state))
            number += 1
            if keeper is not None:
                keeper.keep_model(number, model, account.to_bytes(_ACCOUNT))
        return model, number, account


class _Account(Summary[None, None]):
    """Keeps nothing: carries the account of a pass whose state is spent."""

    def export(self, state: None) -> Any:
        return None

    def load(self, exported: Any) -> None:
        return None


_ACCOUNT = _Account()
