"""Labels: classes met so far, numbered as they come and told in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motherlode.core.batch import is_text
from motherlode.core.errors import DataError, StateError, UsageError

Label = bool | int | float | str
Codes = NDArray[np.int64]

NARROW = 1 << 12
"""Integers within such a range are looked up in a table."""


@dataclass(slots=True)
class Labels:
    """The classes met so far.

    Parameters
    ----------
    kind : {'', 'bool', 'int', 'float', 'str'}
        What labels are; empty before the first.
    numbers : dict of label to int
        The classes with their numbers, in the order in which they came.
    """

    kind: str = ""
    numbers: dict[Label, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def codes(self, labels: pa.Array | NDArray[Any]) -> Codes:
        """Return the number of each label's class; new classes get the next ones.

        Raises
        ------
        DataError
            If labels are of another kind than those before, or of none that labels can be.
        """
        if not len(labels):
            return np.empty(0, np.int64)
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
            low = int(labels.min())
            if int(labels.max()) - low < NARROW:
                return self._narrow(labels, low)
        array = labels if isinstance(labels, pa.Array) else _to_arrow(labels)
        known = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        values = known.dictionary
        self._agree(_kind(values.type))
        used = np.asarray(known.indices)
        present = np.flatnonzero(np.bincount(used, minlength=len(values)))
        table = np.zeros(len(values), np.int64)
        for place, value in zip(present.tolist(), values.take(pa.array(present)), strict=True):
            table[place] = self._number(value.as_py())
        return np.asarray(table[used])

    def _narrow(self, labels: NDArray[Any], low: int) -> Codes:
        """Return the numbers of integers that lie close together."""
        self._agree("int")
        places = (labels - labels.dtype.type(low)).astype(np.int64, copy=False)
        counts = np.bincount(places)
        table = np.zeros(len(counts), np.int64)
        for place in np.flatnonzero(counts).tolist():
            table[place] = self._number(place + low)
        return np.asarray(table[places])

    def adopt(self, other: Labels) -> Codes:
        """Return the numbers of another's classes here, where they are added if they are new."""
        if other.kind:
            self._agree(other.kind)
        return np.array([self._number(label) for label in other.numbers], np.int64)

    def order(self, among: Iterable[int] | None = None) -> Codes:
        """Return the numbers of all classes, or of some, in the order of their labels."""
        labels = list(self.numbers)
        chosen = range(len(labels)) if among is None else among
        return np.array(sorted(chosen, key=labels.__getitem__), np.int64)

    def taken(self, numbers: Codes) -> Labels:
        """Return only these classes, renumbered in this order."""
        labels = list(self.numbers)
        chosen = {labels[number]: place for place, number in enumerate(numbers.tolist())}
        return Labels(self.kind if chosen else "", chosen)

    def array(self) -> NDArray[Any]:
        """Return the labels, by number."""
        kinds = {"": np.int64, "bool": np.bool_, "int": np.int64, "float": np.float64}
        return np.array(list(self.numbers), dtype=kinds.get(self.kind, np.str_))

    def export(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": list(self.numbers)}

    @classmethod
    def load(cls, exported: Any) -> Labels:
        values = exported["values"]
        return cls(exported["kind"], {value: number for number, value in enumerate(values)})

    @classmethod
    def of(cls, values: Sequence[Any] | NDArray[Any]) -> Labels:
        """Return these classes, sorted."""
        found = cls()
        found.codes(np.asarray(values))
        return found.taken(found.order())

    def _number(self, label: Label) -> int:
        return self.numbers.setdefault(label, len(self.numbers))

    def _agree(self, kind: str) -> None:
        if self.kind and kind != self.kind:
            raise DataError(
                f"labels are {kind}, those before were {self.kind}", "cast them to one type"
            )
        self.kind = kind


def _to_arrow(labels: NDArray[Any]) -> pa.Array:
    try:
        if labels.dtype.kind == "f" and np.isnan(labels).any():
            raise DataError("Input y contains NaN", "leave rows without a label out")
        array = pa.array(labels)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"labels are of several types, or of none that labels can be: {labels.dtype}",
            "cast them to one type",
        ) from error
    if array.null_count:
        raise DataError("Input y contains NaN", "leave rows without a label out")
    return array


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    if pa.types.is_floating(kind):
        return "float"
    if is_text(kind):
        return "str"
    raise UsageError(f"labels cannot be {kind}", "cast them to strings or whole numbers")


def numbers_of(part: Labels, whole: Labels) -> Codes:
    """Return the numbers of a part's classes in the whole.

    Raises
    ------
    StateError
        If the whole lacks one.
    """
    missing = [label for label in part.numbers if label not in whole.numbers]
    if missing:
        raise StateError(
            f"there are no rows of class {missing[0]!r} to forget",
            "forget only rows that were learnt",
        )
    return np.array([whole.numbers[label] for label in part.numbers], np.int64)
