"""Decoded batches kept between passes, within a share of the memory limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from motherlode.core.batch import Batch
from motherlode.data import Dataset
from motherlode.data.quarantine import BadRecord, Quarantine
from motherlode.data.source import Split, Tally

Key = tuple[int, tuple[str, ...] | None]


@dataclass(slots=True)
class _Kept:
    batches: list[Batch]
    bad: list[BadRecord]
    tally: Tally


@dataclass(slots=True)
class Cache:
    """Batches by split; what does not fit is read again at the next pass.

    Parameters
    ----------
    limit : int
        Bytes that the kept batches may take, with the matrices that learners build of them.
    """

    limit: int
    held: int = 0
    _kept: dict[Key, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def batches(
        self,
        dataset: Dataset,
        split: Split,
        needs: tuple[str, ...] | None,
        quarantine: Quarantine,
        tally: Tally,
    ) -> Iterator[Batch]:
        """Yield the batches of a split from memory, or read and keep them."""
        kept = self._kept.get((split.number, needs))
        if kept is None:
            yield from self._read(dataset, split, needs, quarantine, tally)
            return
        tally.add(kept.tally)
        quarantine.records.extend(kept.bad)
        yield from kept.batches

    def _read(
        self,
        dataset: Dataset,
        split: Split,
        needs: tuple[str, ...] | None,
        quarantine: Quarantine,
        tally: Tally,
    ) -> Iterator[Batch]:
        batches: list[Batch] | None = []
        taken = 0
        try:
            for batch in dataset.batches(split, needs, quarantine, tally):
                size = 2 * batch.nbytes
                if batches is not None and self._reserve(size):
                    taken += size
                    batches.append(batch)
                else:
                    batches = None
                    self._release(taken)
                    taken = 0
                yield batch
            if batches is not None:
                account = Tally()
                account.add(tally)
                self._kept[split.number, needs] = _Kept(batches, list(quarantine.records), account)
                taken = 0
        finally:
            self._release(taken)

    def _reserve(self, size: int) -> bool:
        with self._lock:
            if self.held + size > self.limit:
                return False
            self.held += size
            return True

    def _release(self, size: int) -> None:
        with self._lock:
            self.held -= size
