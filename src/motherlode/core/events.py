"""Events: what a job tells while it runs. Progress bars, logs and consoles are listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events."""


@dataclass(frozen=True, slots=True)
class PassStarted(Event):
    """A pass over the rows begins; ``splits`` of them, ``done`` already kept from before."""

    number: int
    splits: int
    done: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Progressed(Event):
    """Rows and bytes read since the last such event, anywhere."""

    rows: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class SplitFinished(Event):
    """A split's state is there, or that of some from ``number`` on that were folded in one go.

    ``worker`` tells where it was made.
    """

    number: int
    rows: int
    seconds: float
    worker: str
    splits: int = 1


@dataclass(frozen=True, slots=True)
class SplitFailed(Event):
    """One split failed and is tried again (``attempt`` counts from 1)."""

    number: int
    attempt: int
    reason: str
    worker: str


@dataclass(frozen=True, slots=True)
class PassFinished(Event):
    """A pass is complete."""

    number: int
    rows: int
    seconds: float


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
