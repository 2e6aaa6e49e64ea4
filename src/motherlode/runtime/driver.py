"""The driver: folds a dataset on an engine and merges the parts by the fixed tree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from motherlode.algebra.summary import Summary
from motherlode.algebra.tree import Node, climb, root
from motherlode.core.errors import DataError, EngineError, MotherlodeError
from motherlode.core.events import (
    Listener,
    PassFinished,
    PassStarted,
    Progressed,
    SplitFailed,
    SplitFinished,
    silent,
)
from motherlode.data.quarantine import Tolerance
from motherlode.data.source import Split
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.keeper import Keeper
from motherlode.runtime.part import Part, merge_parts
from motherlode.runtime.task import Task


@dataclass(slots=True)
class Tree:
    """The parts of one pass, merged as soon as siblings meet; pure, without threads or files.

    Parameters
    ----------
    summary : Summary
        Merges the states.
    count : int
        Number of leaves.
    """

    summary: Summary[Any, Any]
    count: int
    waiting: dict[Node, Part] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)
    kept: set[Node] = field(default_factory=set)

    def place(self, node: Node, part: Part) -> bool:
        """Put a completed node in and merge upwards; tell whether it was new.

        A node that is already covered is ignored: a split that completes twice (a straggler's
        double, a retry whose first try succeeded after all) is counted once.
        """
        leaves = node.leaves(self.count)
        if not leaves or not self.covered.isdisjoint(leaves):
            return False
        self.covered.update(leaves)
        node = climb(node, self.count)
        while (sibling := self.waiting.pop(node.sibling, None)) is not None:
            left, right = (part, sibling) if node.rank % 2 == 0 else (sibling, part)
            part = merge_parts(self.summary, left, right)
            node = climb(node.parent, self.count)
        self.waiting[node] = part
        return True

    def fresh(self) -> dict[Node, bytes]:
        """Return the nodes that wait for a sibling as documents, but for those kept already.

        There are about as many as the tree has levels, and they hold all that was placed.
        """
        nodes = {node: part for node, part in self.waiting.items() if node not in self.kept}
        self.kept.update(nodes)
        return {node: part.to_bytes(self.summary) for node, part in nodes.items()}

    @property
    def missing(self) -> list[int]:
        return [n for n in range(self.count) if n not in self.covered]

    def result(self) -> Part:
        """Return the root's part; of no leaves at all, the empty one."""
        if not self.count:
            return Part(self.summary.zero(), frozenset())
        return self.waiting[root(self.count)]


@dataclass(slots=True)
class Driver:
    """Runs passes over a dataset.

    Parameters
    ----------
    engine : Engine
        Folds the splits.
    listener : callable
        Is told the events.
    keeper : Keeper or None
        Keeps what is finished.
    tolerance : Tolerance
        How many unreadable records are let through.
    retries : int
        How often a split is tried again after a failure that may pass.
    failed : dict of str to set of int
        Which splits failed on which worker.
    """

    engine: Engine
    listener: Listener = silent
    keeper: Keeper | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    retries: int = 3
    failed: dict[str, set[int]] = field(default_factory=dict)

    def fold(self, task: Task, splits: Sequence[Split], number: int) -> Part:
        """Fold all splits of one pass into one part."""
        began = time.perf_counter()
        tree = Tree(task.summary, len(splits))
        self._restore(tree, number)
        total = sum(split.nbytes for split in splits)
        self.listener(PassStarted(number, len(splits), len(tree.covered), total))
        attempts: dict[int, int] = {}
        try:
            while missing := tree.missing:
                self._attempt(task, [splits[n] for n in missing], tree, attempts, number)
        except BaseException:
            with suppress(MotherlodeError):
                self._keep(tree, number)
            raise
        part = tree.result()
        self.tolerance.check(part.tally.read, part.bad, len(part.bad))
        if not part.tally.balanced:
            raise DataError(f"rows do not add up: {part.tally}", "please report this as a bug")
        self.listener(PassFinished(number, part.tally.used, time.perf_counter() - began))
        return part

    def _attempt(
        self,
        task: Task,
        splits: Sequence[Split],
        tree: Tree,
        attempts: dict[int, int],
        number: int,
    ) -> None:
        outcomes = self.engine.fold(task, splits, self._report)
        missing, failures = len(tree.missing), sum(attempts.values())
        try:
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    self._failed(outcome, attempts)
                else:
                    self._placed(outcome, tree, number)
        finally:
            close = getattr(outcomes, "close", None)
            if close is not None:
                close()
        if len(tree.missing) == missing and sum(attempts.values()) == failures:
            raise EngineError("the engine handed back nothing", "please report this as a bug")

    def _placed(self, outcome: Done, tree: Tree, number: int) -> None:
        rows, leaves = outcome.part.tally.read, len(outcome.node.leaves(tree.count))
        if not tree.place(outcome.node, outcome.part):
            return
        if self.keeper is not None and self.keeper.due():
            self._keep(tree, number)
        first, seconds = outcome.node.first, outcome.seconds
        if outcome.attempts > 1:
            reason = "a worker was lost, and the engine had it done again"
            self.listener(SplitFailed(first, outcome.attempts - 1, reason, outcome.worker))
        self.listener(SplitFinished(first, rows, seconds, outcome.worker, leaves))
        bad = sum(len(part.bad) for part in tree.waiting.values())
        if bad > self.tolerance.records:
            records = [record for part in tree.waiting.values() for record in part.bad]
            self.tolerance.check(sum(p.tally.read for p in tree.waiting.values()), records, bad)

    def _failed(self, outcome: Failed, attempts: dict[int, int]) -> None:
        error = outcome.error
        if isinstance(error, MotherlodeError) and not isinstance(error, EngineError):
            raise error
        attempt = attempts[outcome.number] = attempts.get(outcome.number, 0) + 1
        self.failed.setdefault(outcome.worker, set()).add(outcome.number)
        if attempt > self.retries or not isinstance(error, EngineError | OSError):
            raise self._given_up(outcome, attempt) from error
        reason = f"{type(error).__name__}: {error}"
        self.listener(SplitFailed(outcome.number, attempt, reason, outcome.worker))

    def _given_up(self, outcome: Failed, attempt: int) -> EngineError:
        """Return the error that ends the job; a worker on which others failed too is named."""
        error, worker = outcome.error, outcome.worker
        told, hint = f"{type(error).__name__}: {error}", "the original error is the cause of this"
        if isinstance(error, MotherlodeError):
            told, hint = error.message, error.hint
        others = len(self.failed[worker] - {outcome.number})
        if others and len(self.failed) > 1:
            hint = f"{others} other splits failed on {worker} too: look at that machine; {hint}"
        return EngineError(
            f"split {outcome.number} failed {attempt} times, last on {worker}: {told}", hint
        )

    def _restore(self, tree: Tree, number: int) -> None:
        if self.keeper is None:
            return
        for node in sorted(self.keeper.nodes(number), key=lambda node: node.first):
            document = self.keeper.load(number, node)
            tree.kept.add(node)
            tree.place(node, Part.from_bytes(tree.summary, document))

    def _keep(self, tree: Tree, number: int) -> None:
        if self.keeper is not None and (documents := tree.fresh()):
            self.keeper.keep(number, documents)

    def _report(self, rows: int, nbytes: int) -> None:
        if rows or nbytes:
            self.listener(Progressed(rows, nbytes))
