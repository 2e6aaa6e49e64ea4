"""One pass on a crew: which chunks wait, are under way and done. Pure: it starts nothing."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from motherlode.data.source import Split
from motherlode.engines.ray_crew import Member
from motherlode.runtime import remote

AHEAD = 2
"""Chunks that a worker has at a time, so that it does not wait for the next."""
LATE_SECONDS = 15.0
"""A chunk that takes longer, and four times as long as most, is given to an idle worker too."""


@dataclass(eq=False)
class Job:
    """A chunk that a worker folds, or, without a worker, the merge of some.

    Parameters
    ----------
    splits : list of Split
        What it covers.
    home, away : ray.ObjectRef
        What comes to the driver, and what stays where it was made.
    member : Member or None
        Who folds it.
    """

    splits: list[Split]
    home: Any
    away: Any
    member: Member | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> tuple[int, bool]:
        return self.splits[0].number, self.member is None


class Shift:
    """The work of one pass.

    Parameters
    ----------
    chunks : sequence of list of Split
        What is to be folded.
    places : dict of int to Member
        Who folded the chunk of a first split in the pass before; is brought up to date.
    members : sequence of Member
        Who is there.
    """

    def __init__(
        self,
        chunks: Sequence[list[Split]],
        places: dict[int, Member],
        members: Sequence[Member],
    ) -> None:
        self.under_way: dict[Any, Job] = {}
        self._places = places
        self._waiting = {chunk[0].number: chunk for chunk in chunks}
        self._own: dict[Member, deque[int]] = {member: deque() for member in members}
        self._free: deque[int] = deque()
        for number in self._waiting:
            owner = places.get(number)
            (self._free if owner is None else self._own.get(owner, self._free)).append(number)
        self._done: set[tuple[int, bool]] = set()
        self._seconds: list[float] = []
        self._level = max(map(len, chunks), default=1).bit_length() - 1 + remote.FAN
        self._expected = Counter(number >> self._level for number in self._waiting)
        self._gathered: dict[int, list[Job]] = {}

    @property
    def over(self) -> bool:
        """Whether all is done, but for doubles that were slower."""
        return not self._waiting and all(job.key in self._done for job in self.under_way.values())

    def next(self, member: Member) -> list[Split] | None:
        """Return the next chunk for a worker: one it had before, a new one, or, idle, another's."""
        if member.load >= AHEAD:
            return None
        queues = [self._own.get(member, self._free), self._free]
        if not member.load:
            queues += sorted(self._own.values(), key=len, reverse=True)
        for queue in queues:
            while queue:
                chunk = self._waiting.pop(queue.popleft(), None)
                if chunk is not None:
                    return chunk
        return None

    def put_back(self, job: Job) -> None:
        """Take off a job that its worker had not begun, and let its chunk be folded by another."""
        if self._off(job) and not self._doubled(job):
            number = job.key[0]
            self._waiting[number] = job.splits
            self._free.append(number)

    def begin(self, job: Job) -> None:
        if job.member is not None:
            job.member.load += 1
        self.under_way[job.home] = job

    def end(self, job: Job, *, lost: bool = False) -> bool:
        """Take a job off; tell whether that counts, or its double has been or may be faster."""
        if not self._off(job) or (lost and self._doubled(job)):
            return False
        self._done.add(job.key)
        if not lost:
            self._seconds.append(time.monotonic() - job.began)
            if job.member is not None:
                self._places[job.key[0]] = job.member
        return True

    def _off(self, job: Job) -> bool:
        """Take a job off; tell whether it was under way and its chunk is not done."""
        if self.under_way.pop(job.home, None) is None:
            return False
        if job.member is not None:
            job.member.load -= 1
        return job.key not in self._done

    def _doubled(self, job: Job) -> bool:
        return any(job.key == other.key for other in self.under_way.values())

    def jobs_of(self, member: Member) -> list[Job]:
        """Jobs of a worker, the one that it is at first."""
        return [job for job in self.under_way.values() if job.member is member]

    def late(self) -> list[Job]:
        """Jobs that take too long and have no double, the oldest first."""
        if self._waiting:
            return []
        limit = max(LATE_SECONDS, 4 * statistics.median(self._seconds or [0.0]))
        copies = Counter(job.key for job in self.under_way.values())
        return [
            job
            for job in self.under_way.values()
            if job.member is not None
            and copies[job.key] == 1
            and job.key not in self._done
            and time.monotonic() - job.began > limit
        ]

    def gather(self, job: Job, *, more: bool) -> list[Job]:
        """Return the jobs whose states are to be merged now that this one has ended, if any."""
        if job.member is None:
            return []
        group = job.splits[0].number >> self._level
        if more:
            self._gathered.setdefault(group, []).append(job)
        else:
            self._expected[group] -= 1
        gathered = self._gathered.get(group, [])
        return gathered if len(gathered) == self._expected[group] else []
