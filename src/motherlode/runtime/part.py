"""A part: the state of some splits, with the account of their rows and what it covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from motherlode.algebra import codec
from motherlode.algebra.summary import Summary
from motherlode.core.errors import OverlapError, StateError
from motherlode.data.quarantine import BadRecord
from motherlode.data.source import Tally


@dataclass(slots=True)
class Part:
    """What folding some splits gave.

    Parameters
    ----------
    state : object
        The summary's state.
    covers : frozenset of str
        Identities of the splits in it; two parts that share one are never merged.
    tally : Tally
        The account of the rows.
    bad : list of BadRecord
        The unreadable records, ordered by file and offset.
    """

    state: Any
    covers: frozenset[str]
    tally: Tally = field(default_factory=Tally)
    bad: list[BadRecord] = field(default_factory=list)

    def to_bytes(self, summary: Summary[Any, Any]) -> bytes:
        """Return the part as a codec document."""
        tally = self.tally
        return codec.encode(
            {
                "state": summary.export(self.state),
                "covers": sorted(self.covers),
                "tally": [tally.read, tally.used, tally.filtered, tally.quarantined, tally.nbytes],
                "bad": [[b.location, b.offset, b.reason, b.raw] for b in sorted(self.bad)],
            }
        )

    @classmethod
    def from_bytes(cls, summary: Summary[Any, Any], document: bytes) -> Part:
        """Return the part that :meth:`to_bytes` wrote."""
        return cls.from_plain(summary, codec.decode(document))

    @classmethod
    def from_plain(cls, summary: Summary[Any, Any], plain: Any) -> Part:
        """Return the part from the decoded document."""
        try:
            return cls(
                summary.load(plain["state"]),
                frozenset(plain["covers"]),
                Tally(*plain["tally"]),
                [BadRecord(*record) for record in plain["bad"]],
            )
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise StateError(
                f"the state does not fit {type(summary).__name__}",
                "it was made by another algorithm or with other parameters",
            ) from error


def merge_parts(summary: Summary[Any, Any], left: Part, right: Part) -> Part:
    """Merge two parts; consumes ``left``, never touches ``right``.

    Raises
    ------
    OverlapError
        If both cover the same split: its rows would be counted twice.
    """
    shared = left.covers & right.covers
    if shared:
        raise OverlapError(
            f"both states hold {len(shared)} of the same pieces of data",
            "merging them would count those rows twice",
        )
    tally = Tally()
    tally.add(left.tally)
    tally.add(right.tally)
    return Part(
        summary.merge(left.state, right.state),
        left.covers | right.covers,
        tally,
        left.bad + right.bad,
    )


def subtract_parts(summary: Summary[Any, Any], whole: Part, part: Part) -> Part:
    """Return ``whole`` without the rows of ``part``; consumes ``whole``.

    The part need not have been one of the whole's splits (a file of the rows to forget is
    enough), so what the whole covers stays as it is.
    """
    tally = Tally()
    tally.add(whole.tally)
    tally.used -= part.tally.used
    tally.read -= part.tally.used
    return Part(summary.subtract(whole.state, part.state), whole.covers, tally, list(whole.bad))
