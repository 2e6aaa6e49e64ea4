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
    """A node of the merge tree whose part is complete; usually a leaf.

    ``attempts`` is how often the engine itself had it folded until that came about.
    """

    node: Node
    part: Part
    worker: str
    seconds: float
    attempts: int = 1


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


def name_of(url: str) -> str:
    """Return the name under which the engine of a URL is registered."""
    return url.split("://")[0].split("[")[0]


def engine(url: Any = "local", **options: Any) -> Engine:
    """Return the engine that a URL names.

    Parameters
    ----------
    url : str, Engine or object
        ``"local"``, ``"local[4]"``, ``"spark://host:7077"``; an engine is returned as it is. An
        object of a cluster's own library, as a ``SparkSession``, is handed to the engine that is
        registered under the name of its package.
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
        package = type(url).__module__.partition(".")[0]
        if package not in plugins.names(GROUP):
            raise UsageError(f"an engine is a URL as 'local', got {url!r}")
        return plugins.load(GROUP, package, kind="engine")(url, **options)  # type: ignore[no-any-return]
    factory: Callable[..., Engine] = plugins.load(GROUP, name_of(url), kind="engine")
    return factory(url, **options)
