"""Listeners to a job's events: bars on a terminal, and the clock that reports quote."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from motherlode.core.events import (
    Event,
    Listener,
    PassFinished,
    PassStarted,
    Progressed,
    SplitFailed,
    SplitFinished,
    silent,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def both(*listeners: Listener) -> Listener:
    """Return a listener that passes events on to several."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


@dataclass
class Pass:
    """One pass over the rows, as it went."""

    number: int
    splits: int
    kept: int
    rows: int = 0
    nbytes: int = 0
    seconds: float = 0.0
    retries: int = 0


@dataclass
class Clock:
    """Takes down how the passes went."""

    passes: list[Pass] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, PassStarted):
                self.passes.append(Pass(event.number, event.splits, event.done))
            elif isinstance(event, Progressed):
                self.passes[-1].nbytes += event.nbytes
            elif isinstance(event, SplitFailed):
                self.passes[-1].retries += 1
            elif isinstance(event, PassFinished):
                self.passes[-1].rows = event.rows
                self.passes[-1].seconds = event.seconds


@contextmanager
def bars(show: bool | None) -> Iterator[Listener]:
    """Give a listener that draws progress on stderr.

    Parameters
    ----------
    show : bool or None
        Whether to draw; None where stderr is a terminal.
    """
    if show is False or (show is None and not sys.stderr.isatty()):
        yield silent
        return
    drawn = _Bars()
    with drawn.progress:
        yield drawn


class _Bars:
    """One line that is drawn anew: the pass, its splits, rows a second, bytes, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[splits]}"),
            TextColumn("{task.fields[rows]}"),
            TextColumn("{task.fields[size]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=8,
        )
        self._lock = threading.Lock()
        self._task: TaskID | None = None
        self._rows = 0
        self._bytes = 0
        self._done = 0
        self._splits = 0
        self._began = 0.0

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, PassStarted):
                self._start(event)
            elif isinstance(event, Progressed):
                self._rows += event.rows
                self._bytes += event.nbytes
                self._draw()
            elif isinstance(event, SplitFinished):
                self._done += event.splits
                self._draw()
            elif isinstance(event, SplitFailed):
                self.progress.console.print(
                    f"split {event.number}: {event.reason}; trying again",
                    markup=False,
                    highlight=False,
                )

    def _start(self, event: PassStarted) -> None:
        self._rows = self._bytes = 0
        self._done, self._splits = event.done, event.splits
        self._began = self.progress.get_time()
        kept = event.nbytes * event.done // event.splits if event.splits else 0
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._task = self.progress.add_task(
            f"pass {event.number + 1}", total=max(event.nbytes, 1), completed=kept,
            splits="", rows="", size="",
        )  # fmt: skip
        self._kept = kept
        self._draw()

    def _draw(self) -> None:
        if self._task is None:
            return
        seconds = max(self.progress.get_time() - self._began, 1e-3)
        self.progress.update(
            self._task,
            completed=self._kept + self._bytes,
            splits=f"{self._done:,}/{self._splits:,} splits",
            rows=f"{self._rows:,} rows, {_short(self._rows / seconds)}/s",
            size=f"{_short(self._bytes)}B",
        )


def _short(number: float) -> str:
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.0f}{unit}" if number >= 10 or not unit else f"{number:.1f}{unit}"
        number /= 1000
    return f"{number:.1f}T"
