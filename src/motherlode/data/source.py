"""The contract of a source: what rows there are, in which pieces, and how a piece is read."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.core.batch import Batch, Schema
from motherlode.data.quarantine import Quarantine

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Split:
    """A piece of a source that can be read again anywhere.

    Splits follow from the data alone, never from the number of workers or the memory at hand, so
    that results do not depend on those.

    Parameters
    ----------
    number : int
        Place in the plan; states are merged in this order.
    location : str
        The file's URL, or a name for data in memory.
    start, stop : int
        Half-open range in ``unit``.
    unit : {'bytes', 'rows', 'row_groups', 'whole'}
        What ``start`` and ``stop`` count.
    version : str
        Size and modification stamp (or digest) of the file when the plan was made; a reader
        that finds another one raises :class:`~motherlode.core.errors.SourceChangedError`.
    partition : tuple of (str, value)
        Hive partition columns of the file.
    rows : int or None
        Number of rows, where known without reading.
    nbytes : int
        Bytes to be read, for progress; an estimate is enough.
    """

    number: int
    location: str
    start: int
    stop: int
    unit: str
    version: str = ""
    partition: tuple[tuple[str, Any], ...] = ()
    rows: int | None = None
    nbytes: int = 0

    @property
    def identity(self) -> str:
        """Stable name of the rows themselves: the same piece of the same file version."""
        text = f"{self.location}\0{self.unit}\0{self.start}\0{self.stop}\0{self.version}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader is asked for beside the split.

    Parameters
    ----------
    columns : tuple of str or None
        Columns wanted, in this order; None for all.
    where : polars.Expr or None
        Rows wanted. A reader may use it to skip what cannot match (row groups by their
        statistics, files by their partition); the caller filters the rows again.
    """

    columns: tuple[str, ...] | None = None
    where: pl.Expr | None = None


class Source(ABC):
    """Where rows come from."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """Columns of the rows, known before reading them all."""

    @property
    @abstractmethod
    def splits(self) -> Sequence[Split]:
        """The plan: all pieces, in order."""

    @property
    def columns(self) -> pa.Schema:
        """The columns that steps see: the named ones, and x0, x1, … of a dense feature block.

        Labels beside the block are the column ``y``.
        """
        known = self.schema
        fields = list(known.columns)
        if known.n_features is not None and not known.sparse:
            fields += [pa.field(f"x{n}", pa.float64()) for n in range(known.n_features)]
        if known.has_target:
            fields.append(pa.field("y", pa.float64()))
        return pa.schema(fields)

    @property
    def fingerprint(self) -> str:
        """Digest of what is to be read: changes when a file does."""
        joined = "".join(split.identity for split in self.splits)
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    @abstractmethod
    def read(self, split: Split, request: Request, quarantine: Quarantine) -> Iterator[Batch]:
        """Yield the rows of a split in batches whose borders follow from the split alone.

        Unreadable records go to ``quarantine``, are not in the batches, and are counted by it;
        rows skipped because ``request.where`` cannot match them are told to
        ``quarantine.skipped``. ``Batch.split`` is ``split.number``; ``Batch.start`` counts the
        rows before it in the split.
        """

    @property
    def portable(self) -> bool:
        """Whether another process can read the splits without the rows being shipped to it."""
        return True


@dataclass(slots=True)
class Tally:
    """The account of the rows: read = used + filtered + quarantined, always.

    Parameters
    ----------
    read, used, filtered, quarantined : int
        Rows read from the source; rows that updated the state; rows left out by the user's own
        filter; rows that were unreadable.
    nbytes : int
        Bytes read.
    """

    read: int = 0
    used: int = 0
    filtered: int = 0
    quarantined: int = 0
    nbytes: int = 0

    def add(self, other: Tally) -> None:
        self.read += other.read
        self.used += other.used
        self.filtered += other.filtered
        self.quarantined += other.quarantined
        self.nbytes += other.nbytes

    @property
    def balanced(self) -> bool:
        return self.read == self.used + self.filtered + self.quarantined
