"""The contract of an engine: fold splits somewhere and hand back completed nodes of the tree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from motherlode.algebra.tree import Node
from motherlode.core import plugins
from motherlode.core.errors import UsageError
from motherlode.data.source import Split
from motherlode.runtime.part import Part
from motherlode.runtime.task import Report, Task

GROUP = "motherlode.engines"


@dataclass(frozen=True, slots=True)
class Done:
    """A node of the merge tree whose part is complete; usually a leaf."""

    node: Node
    part: Part
    worker: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A split that could not be folded this time."""

    number: int
    error: BaseException
    worker: str


class Engine(ABC):
    """Where splits are folded.

    An engine owns workers and nothing else: retries, the pass loop, merging, accounting, the
    journal and progress are the driver's. It may merge siblings of the fixed tree where they lie
    and hand back higher nodes; the driver merges what is left.
    """

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many splits are folded at the same time."""

    @abstractmethod
    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        """Fold the splits and yield what became of each, in any order.

        Exactly one outcome for each split unless the consumer stops early (closes the iterator),
        upon which work under way is abandoned. Work is started only as outcomes are taken, so
        that states do not pile up. ``report(rows, nbytes)`` may be called from any thread.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up the workers; the engine cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def engine(url: str | Engine = "local", **options: Any) -> Engine:
    """Return the engine that a URL names.

    Parameters
    ----------
    url : str or Engine
        ``"local"``, ``"local[4]"``; an engine is returned as it is.
    **options
        Passed to the engine.

    Raises
    ------
    UnknownNameError
        If no engine has that name.
    """
    if isinstance(url, Engine):
        return url
    if not isinstance(url, str):
        raise UsageError(f"an engine is a URL as 'local', got {url!r}")
    name = url.split("://")[0].split("[")[0]
    factory: Callable[..., Engine] = plugins.load(GROUP, name, kind="engine")
    return factory(url, **options)
