"""Scripted faults around any engine: which split fails at which try, and what arrives how.

Nothing is left to chance: the same script gives the same faults, so that a failure found once is
a test for ever.

>>> from motherlode.engines.local import LocalEngine
>>> from motherlode.mining.statistics.count import Count
>>> from motherlode.runtime import run
>>> from motherlode.testing.cases import case, deal
>>> from motherlode.testing.pieces import PieceSource
>>> engine = FaultyEngine(LocalEngine(workers=2), [Fail(0, tries=2), Twice(1), Shuffle(7)])
>>> run(Count(), PieceSource(deal(case("numbers").rows, 3)), on=engine).table.to_pylist()
[{'count': 40}]
>>> engine.tries[0]
3
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from motherlode.core.errors import EngineError
from motherlode.data.source import Split
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.part import Part
from motherlode.runtime.task import Report, Task


@dataclass(frozen=True)
class Fail:
    """The split is not folded at its first tries; a worker was lost before it began."""

    split: int
    tries: int = 1
    error: type[Exception] = EngineError


@dataclass(frozen=True)
class Lose:
    """The split is folded but its part is lost at the first tries; the driver must ask again."""

    split: int
    tries: int = 1


@dataclass(frozen=True)
class Twice:
    """The split's part is handed over twice: a straggler and its double both come home."""

    split: int


@dataclass(frozen=True)
class Late:
    """The split's part comes after all others."""

    split: int


@dataclass(frozen=True)
class Shuffle:
    """The parts come in an order drawn from this seed."""

    seed: int = 0


Fault = Fail | Lose | Twice | Late | Shuffle


class FaultyEngine(Engine):
    """An engine to which scripted things happen.

    Parameters
    ----------
    inner : Engine
        Does the work.
    script : sequence of Fault
        What goes wrong.

    Attributes
    ----------
    tries : Counter of int
        How often each split was asked for.
    """

    def __init__(self, inner: Engine, script: Sequence[Fault]) -> None:
        self.inner = inner
        self.script = tuple(script)
        self.tries: Counter[int] = Counter()

    @property
    def parallelism(self) -> int:
        return self.inner.parallelism

    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        self.tries.update(split.number for split in splits)
        failing = [split for split in splits if self._fails(split.number) is not None]
        folded = [split for split in splits if split not in failing]
        for split in failing:
            yield Failed(split.number, self._error(split.number), "scripted")
        if folded:
            for outcome in self._ordered(self.inner.fold(task, folded, report)):
                yield from self._delivered(task, outcome)

    def _delivered(self, task: Task, outcome: Done | Failed) -> Iterator[Done | Failed]:
        if isinstance(outcome, Failed):
            yield outcome
            return
        leaves = outcome.node.leaves(1 << 62)
        lost = [f.split for f in self.script if isinstance(f, Lose) and self._strikes(f, leaves)]
        if lost:
            error = EngineError(f"the part of split {lost[0]} was lost")
            yield Failed(lost[0], error, "scripted")
            return
        # The driver consumes what it gets, so a double has to be another state.
        twice = any(isinstance(fault, Twice) and fault.split in leaves for fault in self.script)
        double = self._double(task, outcome) if twice else None
        yield outcome
        if double is not None:
            yield double

    def close(self) -> None:
        self.inner.close()

    def _strikes(self, fault: Fail | Lose, leaves: Container[int]) -> bool:
        return fault.split in leaves and self.tries[fault.split] <= fault.tries

    def _fails(self, number: int) -> Fail | None:
        faults = (f for f in self.script if isinstance(f, Fail) and self._strikes(f, [number]))
        return next(faults, None)

    def _error(self, number: int) -> Exception:
        fault = self._fails(number)
        assert fault is not None
        return fault.error(f"scripted failure of split {number}, try {self.tries[number]}")

    def _ordered(self, outcomes: Iterator[Done | Failed]) -> Iterator[Done | Failed]:
        late = {fault.split for fault in self.script if isinstance(fault, Late)}
        seeds = [fault.seed for fault in self.script if isinstance(fault, Shuffle)]
        if not late and not seeds:
            return outcomes
        there = sorted(outcomes, key=_number)
        for seed in seeds:
            random.Random(seed).shuffle(there)
        return iter(sorted(there, key=lambda outcome: _number(outcome) in late))

    @staticmethod
    def _double(task: Task, outcome: Done) -> Done:
        document = outcome.part.to_bytes(task.summary)
        part = Part.from_bytes(task.summary, document)
        return Done(outcome.node, part, "double", outcome.seconds)


def _number(outcome: Done | Failed) -> int:
    return outcome.number if isinstance(outcome, Failed) else outcome.node.first
