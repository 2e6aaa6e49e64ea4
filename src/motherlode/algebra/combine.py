"""Summaries made of summaries: several at once, and one with its answer mapped."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import pyarrow as pa

from motherlode.algebra.summary import Algorithm, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import UsageError

_ORDER = ("exact", "ordered", "bounded")


def combined_traits(parts: list[Traits], summary: str) -> Traits:
    """Return what holds of summaries kept side by side: the weakest of each fact."""
    return Traits(
        grade=max((t.grade for t in parts), key=_ORDER.index),
        summary=summary,
        invertible=all(t.invertible for t in parts),
        commutative=all(t.commutative for t in parts),
        streamable="exact" if all(t.streamable == "exact" for t in parts) else "refit",
        state_size=" + ".join(dict.fromkeys(t.state_size for t in parts)),
        eps=", ".join(dict.fromkeys(t.eps for t in parts if t.eps)),
        python=any(t.python for t in parts),
    )


class Product(Summary[dict[str, Any], dict[str, Any]]):
    """Several summaries in one pass over the rows.

    Parameters
    ----------
    parts : mapping of str to Summary
        The summaries by name; the answer is a dict of theirs.

    Notes
    -----
    State: one of each part's. Grade: the weakest of the parts'. Complexity: the sum of theirs,
    but the rows are read once.
    """

    traits: ClassVar[Traits] = Traits("exact", "several summaries in one pass", invertible=True)

    def __init__(self, parts: Mapping[str, Summary[Any, Any]]) -> None:
        self.parts = parts
        if parts:
            self.traits = combined_traits(  # type: ignore[misc]
                [p.traits for p in parts.values()], "several summaries in one pass"
            )

    def validate(self) -> None:
        if not self.parts:
            raise UsageError("a product needs at least one summary", "give {'name': summary}")
        for name, part in self.parts.items():
            if not isinstance(part.plan(), Summary):
                raise UsageError(
                    f"{name!r} reads the rows more than once and cannot share one pass",
                    "mine it on its own",
                )
            part.validate()

    def prepare(self, schema: Schema) -> Self:
        super().prepare(schema)
        ready = copy.copy(self)
        ready.parts = {n: self.parts[n].plan().prepare(schema) for n in sorted(self.parts)}
        return ready

    def needs(self) -> tuple[str, ...] | None:
        wanted: dict[str, None] = {}
        for part in self.parts.values():
            names = part.needs()
            if names is None:
                return None
            wanted.update(dict.fromkeys(names))
        return tuple(wanted)

    def _each(self, call: Callable[[Summary[Any, Any], str], Any]) -> dict[str, Any]:
        return {name: call(part, name) for name, part in self.parts.items()}

    def zero(self) -> dict[str, Any]:
        return self._each(lambda part, _: part.zero())

    def update(self, state: dict[str, Any], batch: Batch) -> dict[str, Any]:
        return self._each(lambda part, n: part.update(state[n], batch))

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        return self._each(lambda part, n: part.merge(left[n], right[n]))

    def subtract(self, whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        return self._each(lambda each, n: each.subtract(whole[n], part[n]))

    def compact(self, state: dict[str, Any]) -> dict[str, Any]:
        return self._each(lambda part, n: part.compact(state[n]))

    def finish(self, state: dict[str, Any]) -> dict[str, Any]:
        return self._each(lambda part, n: part.finish(state[n]))

    def error(self, value: dict[str, Any], rows: Batch) -> float:
        """Return how far the worst of the answers is off, as a multiple of its part's bound."""
        parts = ((name, getattr(part, "error", None)) for name, part in self.parts.items())
        return max((error(value[name], rows) for name, error in parts if error), default=0.0)

    def export(self, state: dict[str, Any]) -> Any:
        return self._each(lambda part, n: part.export(state[n]))

    def load(self, exported: Any) -> dict[str, Any]:
        return self._each(lambda part, n: part.load(exported[n]))

    def table(self, value: Any) -> pa.Table:
        """Return the parts' tables joined on their first column where they share it."""
        tables = {name: part.table(value[name]) for name, part in self.parts.items()}
        if len(tables) == 1:
            return next(iter(tables.values()))
        import json

        return pa.table(
            {
                "part": list(tables),
                "result": [json.dumps(t.to_pylist(), default=str) for t in tables.values()],
            }
        )


class Mapped(Summary[Any, Any]):
    """A summary whose answer is passed through a function.

    Parameters
    ----------
    inner : Summary
        What keeps the state.
    function : callable
        Applied to the inner answer.
    """

    traits: ClassVar[Traits] = Traits("exact", "a summary with its answer mapped")

    def __init__(self, inner: Summary[Any, Any], function: Callable[[Any], Any]) -> None:
        self.inner = inner
        self.function = function
        if isinstance(inner, Algorithm):
            self.traits = inner.traits  # type: ignore[misc]

    def prepare(self, schema: Schema) -> Self:
        ready = copy.copy(self)
        ready.inner = self.inner.plan().prepare(schema)
        return ready

    def needs(self) -> tuple[str, ...] | None:
        return self.inner.needs()

    def zero(self) -> Any:
        return self.inner.zero()

    def update(self, state: Any, batch: Batch) -> Any:
        return self.inner.update(state, batch)

    def merge(self, left: Any, right: Any) -> Any:
        return self.inner.merge(left, right)

    def subtract(self, whole: Any, part: Any) -> Any:
        return self.inner.subtract(whole, part)

    def compact(self, state: Any) -> Any:
        return self.inner.compact(state)

    def finish(self, state: Any) -> Any:
        return self.function(self.inner.finish(state))

    def export(self, state: Any) -> Any:
        return self.inner.export(state)

    def load(self, exported: Any) -> Any:
        return self.inner.load(exported)

    def table(self, value: Any) -> pa.Table:
        return value if isinstance(value, pa.Table) else self.inner.table(value)
