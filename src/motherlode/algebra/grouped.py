"""The states of many groups at once: what a group-by keeps of each summary."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.algebra.summary import Summary
from motherlode.core.batch import Batch

G = TypeVar("G")
Codes = NDArray[np.int64]


class Grouped(Generic[G]):
    """The states of many groups at once, numbered 0, 1, …, as arrays rather than one by one.

    A summary whose states can be kept so has a method ``grouped()`` that returns one of these;
    group-bys then have no Python code a group. Like a summary's, a state may be consumed where
    it comes first, and only there.
    """

    def zero(self) -> G:
        """Return the state of no groups."""
        raise NotImplementedError

    def update(self, state: G, codes: Codes, groups: int, batch: Batch) -> G:
        """Return the state of ``groups`` groups after these rows; row i is of ``codes[i]``."""
        raise NotImplementedError

    def merge(self, left: G, right: G, codes: Codes, groups: int) -> G:
        """Return the state of ``groups`` groups; right's group i is left's ``codes[i]``."""
        raise NotImplementedError

    def subtract(self, whole: G, part: G, codes: Codes) -> G:
        """Return the state without the rows of ``part``, whose group i is ``codes[i]``."""
        raise NotImplementedError

    def take(self, state: G, groups: Codes) -> G:
        """Return a fresh state of these groups, each at most once, in this order."""
        raise NotImplementedError

    def compact(self, state: G) -> G:
        """Return an equivalent, smaller state."""
        return state

    def finish(self, state: G) -> tuple[pa.Table, Codes]:
        """Return the answers of all groups as one table, and each row's group."""
        raise NotImplementedError

    def export(self, state: G) -> Any:
        """Return the state as plain data in canonical form."""
        raise NotImplementedError

    def load(self, exported: Any) -> G:
        """Return a state from what ``export`` gave."""
        raise NotImplementedError


class Separate(Grouped[list[Any]]):
    """The states of any summary, one object a group; practical for some thousands of groups."""

    def __init__(self, summary: Summary[Any, Any]) -> None:
        self.summary = summary

    def zero(self) -> list[Any]:
        return []

    def update(self, state: list[Any], codes: Codes, groups: int, batch: Batch) -> list[Any]:
        state.extend(self.summary.zero() for _ in range(groups - len(state)))
        order = np.argsort(codes, kind="stable")
        rows = batch.take(order)
        present, starts = np.unique(codes[order], return_index=True)
        stops = [*starts[1:].tolist(), len(order)]
        for group, start, stop in zip(present.tolist(), starts.tolist(), stops, strict=True):
            state[group] = self.summary.update(state[group], rows.slice(start, stop - start))
        return state

    def merge(self, left: list[Any], right: list[Any], codes: Codes, groups: int) -> list[Any]:
        left.extend(self.summary.zero() for _ in range(groups - len(left)))
        for group, other in zip(codes.tolist(), right, strict=True):
            left[group] = self.summary.merge(left[group], other)
        return left

    def subtract(self, whole: list[Any], part: list[Any], codes: Codes) -> list[Any]:
        for group, other in zip(codes.tolist(), part, strict=True):
            whole[group] = self.summary.subtract(whole[group], other)
        return whole

    def take(self, state: list[Any], groups: Codes) -> list[Any]:
        merge, zero = self.summary.merge, self.summary.zero
        return [merge(zero(), state[group]) for group in groups.tolist()]

    def compact(self, state: list[Any]) -> list[Any]:
        return [self.summary.compact(each) for each in state]

    def finish(self, state: list[Any]) -> tuple[pa.Table, Codes]:
        answer = self.summary.table
        tables = [answer(self.summary.finish(each)) for each in state]
        if not tables:
            empty = answer(self.summary.finish(self.summary.zero()))
            return empty.slice(0, 0), np.zeros(0, np.int64)
        owners = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
        return pa.concat_tables(tables, promote_options="permissive"), owners

    def export(self, state: list[Any]) -> list[Any]:
        return [self.summary.export(each) for each in state]

    def load(self, exported: list[Any]) -> list[Any]:
        return [self.summary.load(each) for each in exported]
