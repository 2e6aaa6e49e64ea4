"""Where unreadable records go: kept with file, offset, reason and raw bytes, and counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from motherlode.core.errors import QuarantineError


@dataclass(frozen=True, slots=True, order=True)
class BadRecord:
    """One record that could not be read.

    Parameters
    ----------
    location : str
        The file's URL.
    offset : int
        Where the record starts: bytes into the file (into the decompressed text where the file
        is compressed).
    reason : str
        What is wrong with it.
    raw : bytes
        The record as it stands in the file, at most :data:`RAW_LIMIT` bytes of it.
    """

    location: str
    offset: int
    reason: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.location} at byte {self.offset}: {self.reason}"


RAW_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many unreadable records a job takes before it stops.

    The job stops at more than ``records`` of them, or at more than ``fraction`` of the rows read;
    ``floor`` of them are let through whatever the fraction, so that a small file with a broken
    line can be mined.
    """

    fraction: float = 0.01
    records: int = 1_000
    floor: int = 10

    def allowed(self, rows: int) -> int:
        """Return how many bad records are let through among so many rows."""
        return min(self.records, max(self.floor, int(rows * self.fraction)))

    def check(self, rows: int, bad: Iterable[BadRecord], count: int) -> None:
        """Raise :class:`QuarantineError` if there are more than allowed."""
        if count > self.allowed(rows):
            first = next(iter(bad), None)
            where = f"; the first is {first}" if first else ""
            raise QuarantineError(
                f"{count:,} of {rows:,} records could not be read{where}",
                "look at the format options and column types, or raise the bound with max_bad",
            )


@dataclass(slots=True)
class Quarantine:
    """Collects the bad records of one split while it is read.

    Parameters
    ----------
    tolerance : Tolerance
        Reading stops as soon as this split alone breaks the absolute bound.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    records: list[BadRecord] = field(default_factory=list)
    skipped: int = 0

    def add(self, location: str, offset: int, reason: str, raw: bytes) -> None:
        """Put one record away.

        Raises
        ------
        QuarantineError
            If there are now more than the tolerance allows in all.
        """
        self.records.append(BadRecord(location, offset, reason, bytes(raw[:RAW_LIMIT])))
        if len(self.records) > self.tolerance.records:
            raise QuarantineError(
                f"more than {self.tolerance.records:,} records could not be read; "
                f"the first is {self.records[0]}",
                "look at the format options and column types, or raise the bound with max_bad",
            )
