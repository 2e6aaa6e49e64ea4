"""Constraints on parameters, as data: they validate, document, and make invalid cases for tests."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from motherlode.core.errors import ParameterError


class Constraint(Protocol):
    """A set of values that a parameter may take."""

    def accepts(self, value: Any) -> bool: ...
    def invalid(self) -> Sequence[Any]:
        """Values that must be refused, for tests."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Integer:
    """A whole number between two bounds, both included."""

    low: int | None = None
    high: int | None = None

    def accepts(self, value: Any) -> bool:
        return (
            isinstance(value, numbers.Integral)
            and not isinstance(value, bool)
            and (self.low is None or int(value) >= self.low)
            and (self.high is None or int(value) <= self.high)
        )

    def invalid(self) -> Sequence[Any]:
        cases: list[Any] = ["three", 2.5]
        if self.low is not None:
            cases.append(self.low - 1)
        if self.high is not None:
            cases.append(self.high + 1)
        return cases

    def __str__(self) -> str:
        return "a whole number" + _bounds(self.low, self.high, "[", "]")


@dataclass(frozen=True)
class Real:
    """A number between two bounds; ``closed`` says which of them are included."""

    low: float | None = None
    high: float | None = None
    closed: str = "both"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return False
        number = float(value)
        if math.isnan(number):
            return False
        above = self.low is None or (
            number >= self.low if self.closed in ("both", "left") else number > self.low
        )
        below = self.high is None or (
            number <= self.high if self.closed in ("both", "right") else number < self.high
        )
        return above and below

    def invalid(self) -> Sequence[Any]:
        cases: list[Any] = ["many", math.nan]
        if self.low is not None:
            cases.append(self.low - 1.0 if self.closed in ("both", "left") else self.low)
        if self.high is not None:
            cases.append(self.high + 1.0 if self.closed in ("both", "right") else self.high)
        return cases

    def __str__(self) -> str:
        left = "[" if self.closed in ("both", "left") else "("
        right = "]" if self.closed in ("both", "right") else ")"
        return "a number" + _bounds(self.low, self.high, left, right)


@dataclass(frozen=True)
class Choice:
    """One of a few fixed values."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str | int | bool) and value in self.values

    def invalid(self) -> Sequence[Any]:
        return ["no such choice"]

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(value) for value in self.values)


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def invalid(self) -> Sequence[Any]:
        return ["yes", 2]

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Text:
    """A string."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def invalid(self) -> Sequence[Any]:
        return [3.5]

    def __str__(self) -> str:
        return "a string"


@dataclass(frozen=True)
class Sequenced:
    """A list or tuple whose items each satisfy a constraint; a bare item is not a list."""

    item: Constraint
    least: int = 1

    def accepts(self, value: Any) -> bool:
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str | bytes)
            and len(value) >= self.least
            and all(self.item.accepts(each) for each in value)
        )

    def invalid(self) -> Sequence[Any]:
        return [7, *([case] for case in self.item.invalid())]

    def __str__(self) -> str:
        return f"a list, each item {self.item}"


@dataclass(frozen=True)
class Nothing:
    """None, for a parameter that may be left out."""

    def accepts(self, value: Any) -> bool:
        return value is None

    def invalid(self) -> Sequence[Any]:
        return []

    def __str__(self) -> str:
        return "nothing"


@dataclass(frozen=True, init=False)
class AnyOf:
    """Any of several constraints."""

    options: tuple[Constraint, ...]

    def __init__(self, *options: Constraint) -> None:
        object.__setattr__(self, "options", options)

    def accepts(self, value: Any) -> bool:
        return any(option.accepts(value) for option in self.options)

    def invalid(self) -> Sequence[Any]:
        return [
            case for option in self.options for case in option.invalid() if not self.accepts(case)
        ]

    def __str__(self) -> str:
        return " or ".join(str(option) for option in self.options)


def column_names() -> Constraint:
    """Return the constraint for a list of column names, or None for all that suit."""
    return AnyOf(Sequenced(Text()), Nothing())


def check_parameters(
    owner: str, constraints: Mapping[str, Constraint], values: Mapping[str, Any]
) -> None:
    """Raise :class:`ParameterError` for the first value that its constraint refuses."""
    for name, constraint in constraints.items():
        if name in values and not constraint.accepts(values[name]):
            raise ParameterError(
                f"{owner}: parameter {name!r} must be {constraint}, got {values[name]!r}"
            )


def _bounds(low: float | None, high: float | None, left: str, right: str) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f" of at least {low}" if left == "[" else f" above {low}"
    if low is None:
        return f" of at most {high}" if right == "]" else f" below {high}"
    return f" in {left}{low}, {high}{right}"
