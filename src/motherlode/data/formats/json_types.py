"""Which columns JSON records have and of which types, told by samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(slots=True)
class Shape:
    """What was seen in one place of the records.

    Parameters
    ----------
    counts : dict
        How often a value of each kind was there.
    fields : dict of str to Shape
        Of objects.
    items : Shape or None
        Of arrays.
    """

    counts: dict[str, int] = field(default_factory=dict)
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None

    def see(self, value: Any) -> None:
        """Take a value into account."""
        kind = _kind(value)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "object":
            for name, below in value.items():
                self.fields.setdefault(name, Shape()).see(below)
        elif kind == "array":
            self.items = self.items or Shape()
            for below in value:
                self.items.see(below)

    def type(self) -> pa.DataType:
        """Return the type for this place.

        Where kinds disagree most of the values decide, and in doubt it is a string, which
        holds any value as its text. Objects and arrays that were always empty are text, too.
        """
        counts = {kind: count for kind, count in self.counts.items() if kind != "null"}
        if counts.keys() == {"integer", "number"}:
            return pa.float64()
        if not counts:
            return pa.string()
        most = max(counts.values())
        kinds = [kind for kind, count in counts.items() if count == most]
        kind = kinds[0] if len(kinds) == 1 else "string"
        if kind in ("integer", "number"):
            return pa.float64() if "number" in counts else pa.int64()
        if kind == "object":
            below = [(name, shape.type()) for name, shape in self.fields.items()]
            return pa.struct(below) if below else pa.string()
        if kind == "array":
            return pa.list_(self.items.type() if self.items else pa.string())
        return pa.bool_() if kind == "boolean" else pa.string()


def shape_of(records: Iterable[dict[str, Any]]) -> Shape:
    """Return the shape of some records."""
    shape = Shape()
    for record in records:
        shape.see(record)
    return shape


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        # What no 64-bit integer holds is read as a float.
        return "integer" if -(2**63) <= value < 2**63 else "number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"
