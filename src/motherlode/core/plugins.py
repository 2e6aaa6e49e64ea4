"""Plugins: named objects found through entry points, the package's own among them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from motherlode.core.errors import MissingExtraError, UnknownNameError


@cache
def _group(group: str) -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=group)}


def names(group: str) -> list[str]:
    """Return the names registered in an entry-point group, sorted."""
    return sorted(_group(group))


def load(group: str, name: str, *, kind: str) -> Any:
    """Return the object registered under a name.

    Parameters
    ----------
    group : str
        Entry-point group, as ``motherlode.engines``.
    name : str
        Name within the group.
    kind : str
        What it is in the user's words, for the error.

    Raises
    ------
    UnknownNameError
        If nothing has that name.
    MissingExtraError
        If the plugin's client library is not installed.
    """
    point = _group(group).get(name)
    if point is None:
        raise UnknownNameError(kind, name, names(group))
    try:
        return point.load()
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or name, name) from error
