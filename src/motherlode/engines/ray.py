"""Ray: splits are folded by actors on its nodes; large states merge in its object store."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from motherlode.core.errors import EngineError
from motherlode.data import Dataset
from motherlode.data.source import Split
from motherlode.engines import ray_crew, ray_session
from motherlode.engines.ray_crew import Crew, Member
from motherlode.engines.ray_shift import Job, Shift
from motherlode.runtime import remote
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.remote import Shipped
from motherlode.runtime.task import Report, Task

LIGHT_BYTES = 1 << 20
"""States that hold no more come home at once; others stay and are merged where they are."""
INLINE_BYTES = 64 << 10
"""What a pass asks goes along with each chunk while it is no larger."""
TICK_SECONDS = 1.0
GRACE_SECONDS = 1.0
"""How long abandoned work may take to end before its worker is killed."""


class RayEngine(Engine):
    """Folds splits on a Ray cluster.

    Parameters
    ----------
    url : str
        ``ray://host:10001`` (a cluster by its client port), ``auto`` or ``ray-auto`` (the
        cluster this machine belongs to, or that RAY_ADDRESS names), ``ray-local`` or
        ``ray-local[2]`` (a cluster of this process's own). Where this process is connected to
        Ray already, that connection is used, and stays open.
    workers : int, optional
        Number of workers; by default one a processor of the cluster.
    patience : float
        Seconds to wait for the first worker to start.
    **options
        Passed to ``ray.init``, as ``runtime_env``.

    Notes
    -----
    The nodes need the package and its dependencies, and must be able to read the sources under
    the same URLs. A worker keeps decoded rows between passes; the memory limit holds for each
    machine.
    """

    def __init__(
        self,
        url: str = "ray-local",
        *,
        workers: int | None = None,
        patience: float = 60.0,
        **options: Any,
    ) -> None:
        self._ray, self._own = ray_session.connect(url, workers, options)
        self._workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._patience = patience
        self._crew = Crew(self._ray, self._workers, LIGHT_BYTES)
        self._merge = self._ray.remote(num_cpus=0, num_returns=2, max_retries=3)(ray_crew.merge)
        self._held: _Held | None = None
        try:
            self._crew.muster(patience)
            self._require_members()
        except BaseException:
            self.close()
            raise

    @property
    def parallelism(self) -> int:
        return self._workers

    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        held = self._hold(task.dataset)
        order: Any = remote.order(task, held.key, self._sharing)
        if len(order.work) > INLINE_BYTES:
            order = self._ray.put(order)
        chunks = remote.chunks(splits, self._workers)
        shift = Shift(chunks, held.places, self._crew.members)
        try:
            while not shift.over:
                self._crew.muster(0.0)
                self._hand_out(shift, held, order)
                if not shift.under_way:
                    self._crew.muster(self._patience)
                    self._require_members()
                    continue
                ready, _ = self._ray.wait(list(shift.under_way), timeout=TICK_SECONDS)
                if not ready:
                    self._hand_out_again(shift, held, order)
                for reference in ready:
                    if reference in shift.under_way:
                        job = shift.under_way[reference]
                        yield from self._settled(shift, job, task, order, report)
        finally:
            self._abandon(shift)

    def _hand_out(self, shift: Shift, held: _Held, order: Any) -> None:
        for member in self._crew.members:
            while chunk := shift.next(member):
                self._start(shift, chunk, member, held, order)

    def _hand_out_again(self, shift: Shift, held: _Held, order: Any) -> None:
        """Give what is late to a worker that has nothing to do."""
        idle = [member for member in self._crew.members if not member.load]
        late = shift.late()
        for member, job in zip(idle, late, strict=False):
            self._start(shift, job.splits, member, held, order)

    def _start(
        self, shift: Shift, chunk: list[Split], member: Member, held: _Held, order: Any
    ) -> None:
        fold = member.actor.fold.options(num_returns=2)
        home, away = fold.remote(order, [held.reference], chunk)
        shift.begin(Job(chunk, home, away, member))

    def _settled(
        self, shift: Shift, job: Job, task: Task, order: Any, report: Report
    ) -> Iterator[Done | Failed]:
        """Yield what became of a chunk, or of a merge, that has ended."""
        try:
            found, more = self._ray.get(job.home)
            if job.member is None and more:
                found = found + self._ray.get(job.away)
        except self._ray.exceptions.RayError as error:
            yield from self._lost(shift, job, error, order)
            return
        if not shift.end(job):
            return
        yield from _told(found, task, report)
        self._gather(shift, job, order, more=more)

    def _gather(self, shift: Shift, job: Job, order: Any, *, more: bool) -> None:
        if gathered := shift.gather(job, more=more):
            home, away = self._merge.remote(order, *(each.away for each in gathered))
            splits = [split for each in gathered for split in each.splits]
            shift.begin(Job(splits, home, away))

    def _lost(self, shift: Shift, job: Job, error: Exception, order: Any) -> Iterator[Failed]:
        """Blame the chunk that a dead worker was at; what it had ahead is handed out again."""
        member = job.member
        jobs = [job] if member is None else shift.jobs_of(member)
        if member is not None:
            self._crew.dismiss(member)
        for position, each in enumerate(jobs):
            if position:
                shift.put_back(each)
            elif shift.end(each, lost=True):
                self._gather(shift, each, order, more=False)
                worker = "Ray" if member is None else member.name
                failure = ray_session.lost(error, worker)
                failure.__cause__ = error
                yield from (Failed(split.number, failure, worker) for split in each.splits)

    def _abandon(self, shift: Shift) -> None:
        jobs = list(shift.under_way.values())
        if not jobs:
            return
        for job in jobs:
            self._ray.cancel(job.home, force=False)
        references = [job.home for job in jobs]
        _, busy = self._ray.wait(references, num_returns=len(jobs), timeout=GRACE_SECONDS)
        for job in jobs:
            shift.end(job, lost=True)
            if job.member is not None and job.home in busy:
                self._crew.dismiss(job.member)

    def _hold(self, dataset: Dataset) -> _Held:
        if self._held is None or self._held.dataset is not dataset:
            remote.check_ships(dataset)
            reference = self._ray.put(dataset)
            self._held = _Held(dataset, uuid.uuid4().hex, reference)
        return self._held

    @property
    def _sharing(self) -> int:
        hosts = Counter(member.name.split("/")[0] for member in self._crew.members)
        return max(hosts.values(), default=1)

    def _require_members(self) -> None:
        if not self._crew.members:
            raise EngineError(
                f"no Ray worker started within {self._patience:g} s",
                "has the cluster free processors? `patience` waits longer",
            )

    def close(self) -> None:
        if self._ray.is_initialized():
            self._crew.close()
            if self._own:
                self._ray.shutdown()
        self._held = None


@dataclass
class _Held:
    """A dataset in the object store, and which worker has kept which rows of it."""

    dataset: Dataset
    key: str
    reference: Any
    places: dict[int, Member] = field(default_factory=dict)


def _told(found: list[Shipped], task: Task, report: Report) -> Iterator[Done | Failed]:
    for shipped in found:
        outcome = shipped.outcome(task)
        if isinstance(outcome, Done):
            report(outcome.part.tally.read, outcome.part.tally.nbytes)
        yield outcome
