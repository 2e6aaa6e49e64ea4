"""The specification of a job: what is mined, how, and where the answer goes, as data.

A file in TOML or JSON has one key for each flag of ``motherlode mine``::

    source = "sales/*.csv"
    algorithm = "FrequentItemsets"
    where = "country = 'de'"
    output = "itemsets.parquet"

    [params]
    min_support = 0.01

    [options]
    delimiter = ";"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from motherlode.core.errors import UnknownNameError, UsageError
from motherlode.core.parameters import (
    AnyOf,
    Constraint,
    Integer,
    Nothing,
    Real,
    Sequenced,
    Text,
    check_parameters,
)

if TYPE_CHECKING:
    from motherlode.data.files.publish import Url


class _Table:
    """A table of names and values."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)

    def invalid(self) -> list[Any]:
        return ["k=3"]

    def __str__(self) -> str:
        return "a table of names and values"


_TEXTS: Constraint = AnyOf(Text(), Sequenced(Text()))
_PERHAPS_TEXT: Constraint = AnyOf(Text(), Nothing())
_PERHAPS_TEXTS: Constraint = AnyOf(Text(), Sequenced(Text()), Nothing())

CONSTRAINTS: Mapping[str, Constraint] = {
    "source": _TEXTS,
    "algorithm": Text(),
    "params": _Table(),
    "format": _PERHAPS_TEXT,
    "options": _Table(),
    "where": _PERHAPS_TEXT,
    "columns": _PERHAPS_TEXTS,
    "group_by": _PERHAPS_TEXTS,
    "engine": Text(),
    "workers": AnyOf(Integer(1), Nothing()),
    "memory": AnyOf(Text(), Integer(1), Nothing()),
    "max_bad": AnyOf(Integer(0), Real(0, 1), Nothing()),
    "output": _PERHAPS_TEXT,
    "output_format": _PERHAPS_TEXT,
    "report": _PERHAPS_TEXT,
    "save_state": _PERHAPS_TEXT,
    "quarantine": _PERHAPS_TEXT,
    "name": _PERHAPS_TEXT,
}

PATHS = ("output", "report", "save_state", "quarantine")


@dataclass(frozen=True)
class JobSpec:
    """What a job is to do.

    Parameters
    ----------
    source : tuple of str
        Files, globs, folders or URLs.
    algorithm : str
        Name of the algorithm.
    params : dict
        Its parameters.
    format, options
        How the source is read; by default as its ending says.
    where : str or None
        SQL expression; only rows for which it is true are mined.
    columns : tuple of str or None
        Columns to use; all by default.
    group_by : tuple of str or None
        One answer for each of their values.
    engine, workers, memory
        Where and with what; the answer does not depend on it.
    max_bad : int, float or None
        Unreadable records tolerated: a number, or a share of the rows below 1.
    output, output_format, report, save_state, quarantine : str or None
        Files to write: the table and its format, the page, the state, the unreadable records.
    name : str or None
        Names the job: to run it again while it is unfinished resumes it.
    """

    source: tuple[str, ...]
    algorithm: str
    params: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str | None = None
    columns: tuple[str, ...] | None = None
    group_by: tuple[str, ...] | None = None
    engine: str = "local"
    workers: int | None = None
    memory: str | int | None = None
    max_bad: int | float | None = None
    output: str | None = None
    output_format: str | None = None
    report: str | None = None
    save_state: str | None = None
    quarantine: str | None = None
    name: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], base: Path, owner: str) -> Self:
        """Return the specification that a table of values gives.

        Parameters
        ----------
        values : mapping
            As read from a file, or as given by flags; None stands for what is left out.
        base : Path
            Folder that relative paths start from.
        owner : str
            What the values come from, for errors.

        Raises
        ------
        UsageError
            For an unknown, missing or ill-typed key.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise UnknownNameError(f"key in {owner}", name, known)
        given = {name: value for name, value in values.items() if value is not None}
        for name in ("source", "algorithm"):
            if not given.get(name):
                raise UsageError(f"{owner} does not say the {name}", f"add {name} = …")
        check_parameters(owner, CONSTRAINTS, given)
        for name in ("source", "columns", "group_by"):
            if name in given:
                one = given[name]
                given[name] = (one,) if isinstance(one, str) else tuple(one)
        given["source"] = tuple(absolute(place, base) for place in given["source"])
        for name in PATHS:
            if name in given:
                given[name] = absolute(given[name], base)
        return cls(**given)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a specification; relative paths in it start from the file's folder.

        Raises
        ------
        UsageError
            If there is no such file, or it is not valid.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UsageError(f"there is no file {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        try:
            values = json.loads(text) if kind == "JSON" else tomllib.loads(text)
        except ValueError as error:
            raise UsageError(f"{path} is not valid {kind}: {error}") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path} must hold an object with the keys of a job")
        return cls.of(values, path.resolve().parent, path.name)

    def plain(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON can hold it."""
        shown = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or value == {} or value == each.default:
                continue
            shown[each.name] = list(value) if isinstance(value, tuple) else value
        return shown

    def path(self, name: str) -> Path | Url | None:
        """Return one of the paths to be written; a store's options are the source's."""
        from motherlode.data.files.publish import Url
        from motherlode.data.files.storage import is_remote

        value = getattr(self, name)
        if value is None or not is_remote(value):
            return None if value is None else Path(value.removeprefix("file://"))
        scheme = value.partition("://")[0]
        same = any(place.startswith(f"{scheme}://") for place in self.source)
        return Url(value, self.options.get("storage_options") or {} if same else {})


def absolute(place: str, base: Path) -> str:
    """Return a path as it is from the root; URLs are left as they are."""
    if "://" in place:
        return place
    return str(base / Path(place).expanduser())
