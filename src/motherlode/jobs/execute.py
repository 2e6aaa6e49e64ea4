"""Carrying a plan out: with a journal, so that it can be stopped and resumed, or without."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from motherlode.algebra.tree import root
from motherlode.core import settings
from motherlode.core.errors import EngineError, Interrupted, JobError, MotherlodeError
from motherlode.core.events import (
    Event,
    Listener,
    PassFinished,
    PassStarted,
    Progressed,
    SplitFailed,
    SplitFinished,
    silent,
)
from motherlode.jobs.checkpoint import Checkpoints
from motherlode.jobs.interrupt import Interrupts, Stopped
from motherlode.jobs.journal import Journal
from motherlode.jobs.output import write_quarantine, write_table
from motherlode.jobs.plan import Plan
from motherlode.jobs.progress import Clock, both
from motherlode.jobs.store import ENDED, Job
from motherlode.runtime import Result, run
from motherlode.runtime.engine import engine
from motherlode.runtime.keeper import Keeper

QUARANTINE_SHOWN = 1_000
"""Unreadable records that the journal names; all of them go to ``--quarantine``."""


@dataclass
class Outcome:
    """What a job gave, and how it went.

    Parameters
    ----------
    plan : Plan
        What was asked.
    result : Result
        The answer.
    clock : Clock
        How the passes went.
    seconds : float
        From the first row to the answer.
    place : str
        The engine and its number of workers, in words.
    job : Job or None
        Where it was journalled.
    """

    plan: Plan
    result: Result
    clock: Clock
    seconds: float
    place: str
    job: Job | None = None


Deliver = Callable[[Outcome], None]


def execute(
    plan: Plan,
    job: Job | None = None,
    listener: Listener = silent,
    deliver: Deliver | None = None,
) -> Outcome:
    """Carry a plan out.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    job : Job, optional
        Journals it; a job that was begun before is resumed.
    listener : callable
        Is told the events.
    deliver : callable, optional
        Writes the answer; the job is done when this has returned.

    Raises
    ------
    SourceChangedError, JobError
        If the job cannot be resumed, or its files cannot be written.
    Stopped
        Upon Ctrl-C or SIGTERM, for a job with a journal.
    """
    deliver = deliver or write_outputs
    if job is None:
        outcome = _run(plan, listener, None)
        deliver(outcome)
        return outcome
    with job.hold() as log, Interrupts() as interrupts:
        if job.status in ENDED:
            raise JobError(f"job {job.id} is {job.status}", f"motherlode jobs show {job.id}")
        plan.check_resumable(job.id, job.header)
        keeper = Checkpoints(job.states, log, interrupts.shield)
        log.append({"event": "started", "pid": os.getpid(), "memory": settings.memory(plan.memory)})
        with _settled(job, log, keeper):
            outcome = _run(plan, both(_Recorder(job, log), listener), keeper)
            outcome.job = job
            with _kept(outcome, keeper):
                deliver(outcome)
                with interrupts.shield():
                    _finish(outcome, job, log)
    return outcome


def write_outputs(outcome: Outcome) -> None:
    """Write what the specification names: table, state, unreadable records, page."""
    spec, result = outcome.plan.spec, outcome.result
    if spec is None:
        return
    output, state = spec.path("output"), spec.path("save_state")
    quarantine, report = spec.path("quarantine"), spec.path("report")
    if output is not None:
        write_table(result.table, output, spec.output_format)
    if state is not None:
        from motherlode.jobs.state_file import save_state

        save_state(outcome, state)
    if quarantine is not None:
        write_quarantine(result.quarantine, quarantine)
    if report is not None:
        from motherlode.jobs.report import write_report

        write_report(outcome, report)


def _run(plan: Plan, listener: Listener, keeper: Keeper | None) -> Outcome:
    clock = Clock()
    began = time.perf_counter()
    own = isinstance(plan.on, str)
    opened = engine(plan.on, workers=plan.workers) if own else engine(plan.on)
    with opened if own else nullcontext(opened):
        count = opened.parallelism
        place = f"{type(opened).__name__} with {count} {'worker' if count == 1 else 'workers'}"
        result = run(
            plan.algorithm,
            plan.data,
            on=opened,
            memory=plan.memory,
            tolerance=plan.tolerance,
            listener=both(clock, listener),
            keeper=keeper,
        )
    return Outcome(plan, result, clock, time.perf_counter() - began, place)


@contextmanager
def _kept(outcome: Outcome, keeper: Checkpoints) -> Iterator[None]:
    """Keep the whole state if the answer cannot be written, so that no row is read again."""
    try:
        yield
    except BaseException:
        result, count = outcome.result, len(outcome.plan.data.splits)
        if result.summary is not None and result.part is not None and count:
            with suppress(MotherlodeError):
                keeper.keep(0, {root(count): result.part.to_bytes(result.summary)})
        raise


@contextmanager
def _settled(job: Job, log: Journal, keeper: Checkpoints) -> Iterator[None]:
    """Journal how the block ended, keeping what was finished when it did not end well."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as stop:
        if job.wants_cancel:
            log.append({"event": "cancelled"}, durable=True)
            job.drop_states()
            raise Interrupted(f"job {job.id} was cancelled") from stop
        keeper.flush()
        log.append({"event": "stopped"}, durable=True)
        raise Stopped(job.id) from stop
    except Exception as error:
        with suppress(MotherlodeError):
            keeper.flush()
        with suppress(MotherlodeError):
            said = str(error) if isinstance(error, MotherlodeError) else repr(error)
            log.append({"event": "failed", "error": said}, durable=True)
        if isinstance(error, JobError | EngineError):
            again = f"motherlode jobs resume {job.id}"
            error.hint = f"{error.hint}, then: {again}" if error.hint else again
        raise


def _finish(outcome: Outcome, job: Job, log: Journal) -> None:
    """Keep table and account, then say that the job is done, then drop the states."""
    result = outcome.result
    rows = result.rows
    try:
        table = result.table
    except MotherlodeError:  # several tables that do not go together
        table = None
    if table is not None:
        write_table(table, job.result, private=True)
    log.append(
        {
            "event": "done",
            "rows": {
                "read": rows.read,
                "used": rows.used,
                "filtered": rows.filtered,
                "quarantined": rows.quarantined,
                "bytes": rows.nbytes,
            },
            "passes": result.passes,
            "engine": outcome.place,
            "seconds": round(outcome.seconds, 3),
            "digest": result.digest,
            "table": None if table is None else {"rows": table.num_rows, "file": job.result.name},
            "quarantine": [[b.location, b.offset, b.reason] for b in result.quarantine][
                :QUARANTINE_SHOWN
            ],
        },
        durable=True,
    )
    job.drop_states()


@dataclass
class _Recorder:
    """Writes events to the journal, and looks now and then whether the job was cancelled."""

    job: Job
    log: Journal
    number: int = 0
    looked: float = field(default_factory=time.monotonic)

    def __call__(self, event: Event) -> None:
        if isinstance(event, PassStarted):
            self.number = event.number
            self._append("pass", splits=event.splits, kept=event.done)
        elif isinstance(event, SplitFinished):
            facts = {"split": event.number, "rows": event.rows}
            facts |= {"splits": event.splits} if event.splits > 1 else {}
            self._append("split", **facts, seconds=round(event.seconds, 4), worker=event.worker)
        elif isinstance(event, SplitFailed):
            facts = {"split": event.number, "attempt": event.attempt}
            self._append("retry", **facts, reason=event.reason, worker=event.worker)
        elif isinstance(event, PassFinished):
            self._append("passed", rows=event.rows, seconds=round(event.seconds, 4))
        elif isinstance(event, Progressed):
            now = time.monotonic()
            if now - self.looked > 0.2:
                self.looked = now
                if self.job.wants_cancel:
                    raise Interrupted("cancelled")

    def _append(self, event: str, **facts: Any) -> None:
        self.log.append({"event": event, "pass": self.number, **facts})
