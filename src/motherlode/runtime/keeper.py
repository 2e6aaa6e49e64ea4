"""The contract of what outlives the driver: finished nodes and models, kept as they come."""

from __future__ import annotations

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

    def keep(self, number: int, node: Node, document: bytes) -> None:
        """Keep a node durably before returning; nodes under it may be dropped."""
        ...

    def model(self) -> tuple[int, Any] | None:
        """Return the last kept model with the number of passes behind it."""
        ...

    def keep_model(self, number: int, model: Any, first: bytes) -> None:
        """Keep a model after so many passes durably; nodes of earlier passes may be dropped.

        ``first`` is the account of the first pass, kept once.
        """
        ...

    def account(self) -> bytes | None:
        """Return the account of the first pass, if kept."""
        ...
