"""The fixed merge tree: which states are merged with which, decided by split numbers alone.

Node ``(level, rank)`` covers the leaves ``[rank << level, (rank + 1) << level)``. It is the
merge of its two children, or its left child alone where the right one covers no leaf. The tree
depends on the number of leaves only, so every engine and every order of completion gives the
same sequence of merges.
"""

from __future__ import annotations

from typing import NamedTuple


class Node(NamedTuple):
    """A node of the tree; level 0 are the leaves."""

    level: int
    rank: int

    @property
    def first(self) -> int:
        """First leaf under the node."""
        return self.rank << self.level

    @property
    def parent(self) -> Node:
        return Node(self.level + 1, self.rank >> 1)

    @property
    def sibling(self) -> Node:
        return Node(self.level, self.rank ^ 1)

    def leaves(self, count: int) -> range:
        """Leaves under the node in a tree of so many leaves."""
        return range(min(self.first, count), min((self.rank + 1) << self.level, count))


def root(count: int) -> Node:
    """Return the root of the tree with so many leaves (at least one)."""
    return Node(max(count - 1, 0).bit_length(), 0)


def climb(node: Node, count: int) -> Node:
    """Return the highest ancestor whose state is this node's alone, having no right sibling."""
    top = root(count)
    while node != top and node.rank % 2 == 0 and node.sibling.first >= count:
        node = node.parent
    return node
