"""Values given as text on the command line, made into what they mean."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motherlode.core.errors import UsageError

if TYPE_CHECKING:
    from motherlode.core.parameters import Constraint


def pairs(texts: Sequence[str], flag: str) -> dict[str, str]:
    """Return the names and texts of ``name=text`` arguments.

    Raises
    ------
    UsageError
        If one has no equals sign, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{flag} wants name=value, got {text!r}")
        if name in found:
            raise UsageError(f"{flag} {name} is given twice")
        found[name] = value
    return found


def literal(text: str) -> Any:
    """Return the TOML value that a text is, or the text itself."""
    if "\n" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def fitted(texts: Mapping[str, str], constraints: Mapping[str, Constraint]) -> dict[str, Any]:
    """Return parameters as their constraints want them.

    A text is taken as a TOML value (``3``, ``0.5``, ``true``, ``[1, 2]``) if the constraint
    accepts that, else as a string, or, with commas (``a,b``), as a list if it accepts a list.
    What fits nothing is returned as TOML has it, for the constraint to complain about.
    """
    return {name: _fit(text, constraints.get(name)) for name, text in texts.items()}


def names(text: str | None) -> list[str] | None:
    """Return the names of a list with commas."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def number(text: str | None) -> int | float | None:
    """Return a count, or a share with a decimal point or a percent sign."""
    if text is None:
        return None
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise UsageError(f"--max-bad wants a number or a share as 1%, got {text!r}") from None


def _fit(text: str, constraint: Constraint | None) -> Any:
    value = literal(text)
    if constraint is None:
        return value
    items = [part.strip() for part in text.split(",")]
    lists = [[literal(item) for item in items], items]
    if value != text:
        candidates = [value, text, *lists]
    else:
        candidates = [*lists, text] if len(items) > 1 else [text, *lists]
    for candidate in candidates:
        if constraint.accepts(candidate):
            return candidate
    return None if text in ("none", "null") and constraint.accepts(None) else value
