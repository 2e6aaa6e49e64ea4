"""A source of given pieces: each is a split, so that a test says how the rows are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from motherlode.core.batch import Batch, Schema
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Source, Split
from motherlode.testing.cases import batched


@dataclass
class PieceSource(Source):
    """Rows in memory, cut as given.

    Parameters
    ----------
    pieces : sequence of Batch
        The splits, at least one of them; :func:`motherlode.testing.cases.deal` makes some.
    size : int
        Rows in a batch.
    ships : bool
        Whether engines may send the rows to other processes.
    bad : mapping of int to int
        How many unreadable records there are behind the rows of a split, by its number.
    rows_known : bool
        Whether the plan tells the numbers of rows.

    Attributes
    ----------
    reads : Counter of int
        How often each split was read from its beginning, in this process.

    Examples
    --------
    >>> from motherlode.testing.cases import case, deal
    >>> source = PieceSource(deal(case("numbers").rows, 3))
    >>> [split.rows for split in source.splits]
    [13, 13, 14]
    """

    pieces: Sequence[Batch]
    size: int = 1 << 16
    ships: bool = False
    bad: Mapping[int, int] = field(default_factory=dict)
    rows_known: bool = True
    reads: Counter[int] = field(default_factory=Counter)

    @property
    def schema(self) -> Schema:
        return self.pieces[0].schema

    @cached_property
    def _splits(self) -> tuple[Split, ...]:
        return tuple(
            Split(
                n,
                f"piece:{n}",
                0,
                len(piece),
                "rows",
                rows=len(piece) if self.rows_known else None,
                nbytes=piece.nbytes,
            )
            for n, piece in enumerate(self.pieces)
        )

    @property
    def splits(self) -> Sequence[Split]:
        return self._splits

    @property
    def portable(self) -> bool:
        return self.ships

    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        piece = self.pieces[split.number]
        self.reads[split.number] += 1
        if request.columns is not None:
            piece = replace(piece, columns=piece.columns.select(list(request.columns)))
        for batch in batched(piece, self.size):
            yield replace(batch, split=split.number, _matrices={})
        for record in range(self.bad.get(split.number, 0)):
            quarantine.add(split.location, record, "unreadable by script", b"\xff")
