"""Which row it was: a batch that a step cannot take is halved until one row is left."""

from __future__ import annotations

from motherlode.core.batch import Batch
from motherlode.data.steps import Step

SHOWN = 200
"""Characters of a row in an error."""


def culprit(step: Step, batch: Batch) -> int | None:
    """Return the position of a row that alone makes a step raise, None if no single one does.

    Steps work row by row, so the first half raises or the second does; all in all, the batch is
    tried about twice more.
    """
    start, stop = 0, len(batch)
    while stop - start > 1:
        middle = (start + stop) // 2
        if _raises(step, batch.slice(start, middle - start)):
            stop = middle
        else:
            start = middle
    return start if stop > start and _raises(step, batch.slice(start, 1)) else None


def shown(batch: Batch, row: int) -> str:
    """Return a row in words, cut off where it is long."""
    (values,) = batch.slice(row, 1).columns.to_pylist()
    text = repr(values)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _raises(step: Step, batch: Batch) -> bool:
    try:
        step.apply(batch)
    except Exception:
        return True
    return False
