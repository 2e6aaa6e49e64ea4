"""A step of a job: a mapper, a combiner and a reducer, each with what goes before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from motherlode.core.errors import UnknownNameError, UsageError

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Role:
    """One of mapper, combiner and reducer of a step.

    Parameters
    ----------
    kind : {'mapper', 'combiner', 'reducer'}
        Which.
    call : callable or None
        Takes a key and a value (or, but for a mapper, the values) and yields pairs.
    init, final : callable or None
        Called before the first and after the last record of a task; may yield pairs too.
    command : str or None
        A shell command that takes lines and gives lines, in the place of all these.
    pre_filter : str or None
        A shell command that lines go through first.
    raw : callable or None
        For a mapper: takes a path and a URI of a whole file and yields pairs.
    """

    kind: str
    call: Function | None = None
    init: Function | None = None
    final: Function | None = None
    command: str | None = None
    pre_filter: str | None = None
    raw: Function | None = None

    @property
    def exists(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self) if f.name != "kind")


_SUFFIXES = {"": "call", "_init": "init", "_final": "final", "_cmd": "command",
             "_pre_filter": "pre_filter", "_raw": "raw"}  # fmt: skip
NAMES = [
    kind + suffix
    for kind in ("mapper", "combiner", "reducer")
    for suffix in _SUFFIXES
    if suffix != "_raw" or kind == "mapper"
]


class MRStep:
    """One step: what is mapped, combined and reduced.

    Parameters
    ----------
    mapper, combiner, reducer : callable, optional
        ``mapper(key, value)``, ``combiner(key, values)``, ``reducer(key, values)``; generators of
        pairs.
    mapper_init, mapper_final, combiner_init, … : callable, optional
        Called before the first and after the last record of a task.
    mapper_cmd, combiner_cmd, reducer_cmd : str, optional
        Shell commands from lines to lines.
    mapper_pre_filter, … : str, optional
        Shell commands that lines go through before the function.
    mapper_raw : callable, optional
        ``mapper_raw(path, uri)``, for a whole file at a time; in the first step only.
    jobconf : dict, optional
        Accepted so that existing jobs run; no engine here reads it.
    """

    def __init__(self, *, jobconf: dict[str, Any] | None = None, **functions: Any) -> None:
        for name in functions:
            if name not in NAMES:
                raise UnknownNameError("part of a step", name, NAMES)
        self.jobconf = jobconf or {}
        given = {name: value for name, value in functions.items() if value is not None}
        self.mapper = self._role("mapper", given)
        self.combiner = self._role("combiner", given)
        self.reducer = self._role("reducer", given)
        if not (self.mapper.exists or self.combiner.exists or self.reducer.exists):
            raise UsageError("a step needs a mapper, a combiner or a reducer")

    @property
    def shuffles(self) -> bool:
        """Whether its pairs are grouped by key."""
        return self.reducer.exists or self.combiner.exists

    @staticmethod
    def _role(kind: str, given: dict[str, Any]) -> Role:
        parts = {part: given.get(kind + suffix) for suffix, part in _SUFFIXES.items()}
        role = Role(kind, **parts)
        whole = [n for n in ("call", "command", "raw") if getattr(role, n) is not None]
        if len(whole) > 1 or (role.command and (role.init or role.final or role.pre_filter)):
            raise UsageError(
                f"a step's {kind} is a function, a command or raw, not several of them",
                f"leave out all but one of {kind}, {kind}_cmd and {kind}_raw",
            )
        return role

    def __repr__(self) -> str:
        kinds = [r.kind for r in (self.mapper, self.combiner, self.reducer) if r.exists]
        return f"MRStep({', '.join(kinds)})"
