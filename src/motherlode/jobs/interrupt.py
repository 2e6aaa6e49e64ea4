"""Stopping cleanly: Ctrl-C and SIGTERM, held back while something is being made durable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class Stopped(KeyboardInterrupt):
    """A journalled job was stopped; what it had finished is kept.

    Parameters
    ----------
    job : str
        Its id, for resuming.
    """

    def __init__(self, job: str) -> None:
        super().__init__(f"stopped; go on with: motherlode jobs resume {job}")
        self.job = job


class Interrupts:
    """While active, SIGINT and SIGTERM raise KeyboardInterrupt, but never in a shielded block.

    Elsewhere than in the main thread, signals cannot be taken over, and it does nothing.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let the block end before a signal that came meanwhile takes effect."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self._pending and not self._shields:
            self._pending = False
            raise KeyboardInterrupt

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._shields:
            self._pending = True
        else:
            raise KeyboardInterrupt
