"""The task: what is done with one split, wherever it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from motherlode.algebra.summary import Summary
from motherlode.core.batch import Batch
from motherlode.core.errors import Interrupted
from motherlode.data import Dataset
from motherlode.data.quarantine import Quarantine, Tolerance
from motherlode.data.source import Split, Tally
from motherlode.runtime.cache import Cache
from motherlode.runtime.part import Part

Report = Callable[[int, int], None]


@dataclass(slots=True)
class Task:
    """Fold one split into a part.

    Parameters
    ----------
    summary : Summary
        Prepared for the dataset's schema.
    dataset : Dataset
        Reads the split.
    tolerance : Tolerance
        How many unreadable records are let through.
    cache : Cache or None
        Keeps decoded batches for the next pass; stays behind when the task is shipped.
    stop : threading.Event or None
        Set when the job is to stop; looked at between batches.
    cache_bytes : int
        What a cache in a worker process may hold, where the task is shipped.
    """

    summary: Summary[Any, Any]
    dataset: Dataset
    tolerance: Tolerance
    cache: Cache | None = None
    stop: threading.Event | None = None
    cache_bytes: int = 0

    @property
    def holds_interpreter(self) -> bool:
        """Whether the work is in Python code, so that workers must be processes to help."""
        return self.dataset.runs_python or self.summary.traits.python

    def __call__(self, split: Split, report: Report | None = None) -> Part:
        quarantine = Quarantine(self.tolerance)
        tally = Tally()
        state = self.summary.fold(self._watched(split, quarantine, tally, report))
        bad = sorted(quarantine.records)
        return Part(state, frozenset([split.identity]), tally, bad)

    def _watched(
        self, split: Split, quarantine: Quarantine, tally: Tally, report: Report | None
    ) -> Iterator[Batch]:
        """Yield the batches; tell of their rows once they are used, and stop when told to."""
        rows = nbytes = 0
        for batch in self._batches(split, quarantine, tally):
            if self.stop is not None and self.stop.is_set():
                raise Interrupted("stopped on request")
            yield batch
            if report is not None:
                report(tally.read - rows, tally.nbytes - nbytes)
                rows, nbytes = tally.read, tally.nbytes
        if report is not None:
            report(tally.read - rows, tally.nbytes - nbytes)

    def _batches(self, split: Split, quarantine: Quarantine, tally: Tally) -> Iterator[Batch]:
        needs = self.summary.needs()
        if self.cache is None:
            return self.dataset.batches(split, needs, quarantine, tally)
        return self.cache.batches(self.dataset, split, needs, quarantine, tally)

    def shipped(self) -> Task:
        """Return the task as it travels to another process."""
        return Task(self.summary, self.dataset, self.tolerance, cache_bytes=self.cache_bytes)
