"""The slow, obvious fold that fixes the meaning: every engine must give its answer.

One row at a time is not the meaning; one batch at a time in split order, merged by the fixed
tree, is. Nothing here is concurrent, cached or clever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from motherlode.algebra.summary import Context, Iterative, Summary
from motherlode.core.batch import Batch, Schema

Pieces = Sequence[Callable[[], Iterable[Batch]]]


def fold(summary: Summary[Any, Any], pieces: Pieces) -> Any:
    """Return the state of a prepared summary over pieces, each a way to read its batches."""

    def state_of(first: int, last: int) -> Any:
        if last - first == 1:
            return summary.fold(pieces[first]())
        half = 1 << ((last - first - 1).bit_length() - 1)
        return summary.merge(state_of(first, first + half), state_of(first + half, last))

    return state_of(0, len(pieces)) if pieces else summary.zero()


def mine(algorithm: Summary[Any, Any] | Iterative[Any, Any], schema: Schema, pieces: Pieces) -> Any:
    """Return the answer of a summary or an iterative algorithm over pieces."""
    ready = algorithm.prepare(schema)
    if isinstance(ready, Summary):
        return ready.finish(fold(ready, pieces))
    model = ready.start(Context(schema))
    while not ready.done(model):
        step = ready.pass_(model).prepare(schema)
        model = ready.advance(model, step.finish(fold(step, pieces)))
    return ready.finish(model)
