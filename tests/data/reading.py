"""Read a dataset to the end, and hold it to the law of the account."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Quarantine, Tolerance
from motherlode.data.source import Tally

LENIENT = Tolerance(fraction=1.0, records=1_000_000, floor=1_000_000)


@dataclass
class Reading:
    """What reading all splits gave."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[tuple[int, bytes]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    batches: list[Any] = field(default_factory=list)


def read(data: Dataset, needs: tuple[str, ...] | None = None) -> Reading:
    """Read every split; each batch and the account must keep their promises."""
    found = Reading()
    for split in data.splits:
        quarantine, tally = Quarantine(LENIENT), Tally()
        position = 0
        for batch in data.batches(split, needs, quarantine, tally):
            assert len(batch) > 0
            assert (batch.split, batch.start) == (split.number, position)
            position += len(batch)
            if needs is not None and batch.features is None:
                assert tuple(batch.columns.schema.names) == needs
            found.batches.append(batch)
            found.rows += batch.columns.to_pylist() if batch.features is None else []
        assert tally.balanced
        assert tally.used == position
        assert tally.quarantined == len(quarantine.records)
        assert tally.nbytes == split.nbytes
        if split.rows is not None:
            assert tally.read == split.rows
        offsets = [record.offset for record in quarantine.records]
        assert offsets == sorted(offsets)
        found.bad += [(record.offset, record.raw) for record in quarantine.records]
        found.reasons += [record.reason for record in quarantine.records]
        found.tally.add(tally)
    return found


def cut(path: Path, split_bytes: int, block_bytes: int, **options: Any) -> Dataset:
    """Return the dataset of a file cut into tiny splits and blocks."""
    data = dataset(path, split_bytes=split_bytes, **options)
    data.source.format.block_bytes = block_bytes
    return data


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
