"""The contract of what outlives the driver: finished nodes and models, kept as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from motherlode.algebra.tree import Node


class Keeper(Protocol):
    """Keeps what is finished, so that a killed job resumes with only the rest left to do."""

    def nodes(self, number: int) -> list[Node]:
        """Nodes kept of a pass, none under another."""
        ...

    def load(self, number: int, node: Node) -> bytes:
        """Return a kept node's part as written."""
        ...

    def due(self) -> bool:
        """Tell whether it is time to hand over what was finished since the last time.

        A keeper sees to it that keeping takes a small share of the time.
        """
        ...

    def keep(self, number: int, documents: Mapping[Node, bytes]) -> None:
        """Keep nodes durably before returning; kept nodes under them may be dropped."""
        ...

    def model(self) -> tuple[int, Any] | None:
        """Return the last kept model with the number of passes behind it."""
        ...

    def keep_model(self, number: int, model: Any, first: bytes | None) -> None:
        """Keep a model after so many passes, at once or before anything that comes later.

        Nodes of earlier passes may be dropped once it is durable. ``first`` is the account of
        the first pass, kept once; there is none before that pass.
        """
        ...

    def account(self) -> bytes | None:
        """Return the account of the first pass, if kept."""
        ...
