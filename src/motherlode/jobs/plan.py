"""The plan of a job: everything that was asked, checked and made ready before a row is read."""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import motherlode
from motherlode.algebra.summary import Algorithm, Summary, build
from motherlode.core import plugins, settings
from motherlode.core.errors import JobError, SourceChangedError, UsageError
from motherlode.data import Dataset, dataset
from motherlode.data.quarantine import Tolerance
from motherlode.jobs.files import check_writable
from motherlode.jobs.output import check_output
from motherlode.jobs.spec import JobSpec, absolute
from motherlode.mining import catalogue
from motherlode.runtime import engine

if TYPE_CHECKING:
    import polars as pl

    from motherlode.runtime.engine import Engine


@dataclass
class Plan:
    """A job that is known to be possible, as far as can be told without reading the rows.

    Parameters
    ----------
    algorithm : Algorithm
        What is run, a group-by included.
    data : Dataset
        What is mined.
    tolerance : Tolerance
        How many unreadable records are let through.
    on : str or Engine
        Where it runs: a URL, not opened yet, or an engine that is open and stays so.
    workers, memory
        As given.
    asked : dict
        All that the answer depends on beside the rows, in words: what a resumed job must share.
    spec : JobSpec or None
        The request as a file could hold it, if one can.
    """

    algorithm: Algorithm
    data: Dataset
    tolerance: Tolerance
    on: str | Engine
    workers: int | None
    memory: str | int | None
    asked: dict[str, Any]
    spec: JobSpec | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """The algorithm's parameters as they are when nothing is said."""
        parameters = inspect.signature(type(inner_of(self.algorithm)).__init__).parameters
        return {name: _said(each.default) for name, each in parameters.items()}

    @property
    def facts(self) -> dict[str, Any]:
        """What a job's first journal entry tells."""
        return {
            "version": motherlode.__version__,
            "asked": self.asked,
            "code": code_digest(self.algorithm),
            "fingerprint": self.data.fingerprint,
            "files": _files(self.data),
            "splits": len(self.data.splits),
            "spec": None if self.spec is None else self.spec.plain(),
        }

    def check_resumable(self, job: str, header: Mapping[str, Any]) -> None:
        """Refuse to go on with a job whose data, request or algorithm are not what they were.

        Raises
        ------
        SourceChangedError
            If a file changed, is gone or came since.
        JobError
            If something else was asked, or the algorithm's code is another.
        """
        for name in dict.fromkeys([*header["asked"], *self.asked]):
            before, now = header["asked"].get(name), self.asked.get(name)
            if before != now:
                raise JobError(
                    f"job {job} was started with {name} = {before}, not {now}",
                    f"ask for the same, or remove it: motherlode jobs rm {job}",
                )
        if header["code"] != code_digest(self.algorithm):
            raise JobError(
                f"the code of {self.asked['algorithm']} changed since job {job} was started",
                "its states may not fit any more; mine anew",
            )
        if header["fingerprint"] != self.data.fingerprint:
            raise SourceChangedError(
                f"{_difference(dict(header['files']), dict(_files(self.data)))} "
                f"since job {job} was started",
                "its states are of other rows; mine anew",
            )


def plan(
    source: Any,
    algorithm: Algorithm | str,
    *,
    params: Mapping[str, Any] | None = None,
    where: pl.Expr | str | None = None,
    columns: Sequence[str] | str | None = None,
    group_by: Sequence[str] | str | None = None,
    on: str | Engine = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    max_bad: int | float | Tolerance | None = None,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Plan:
    """Check a request completely, reading no more than the columns of the data.

    Raises
    ------
    UsageError
        If anything about it is wrong.
    DataError
        If the data are not what they are said to be.
    """
    chosen = _algorithm(algorithm, params or {})
    settings.memory(memory)
    settings.workers(workers)
    tolerance = tolerated(max_bad)
    named = (columns,) if isinstance(columns, str) else columns
    keys = (group_by,) if isinstance(group_by, str) else group_by
    chosen.validate()
    wanted = named if named is None or keys is None else tuple(dict.fromkeys([*named, *keys]))
    data = dataset(source, format=format, columns=wanted, where=where, **(options or {}))
    asked = {
        "algorithm": type(chosen).__name__,
        "parameters": {name: _said(value) for name, value in chosen.parameters().items()},
        "source": _places(source) if data.portable else None,
        "format": format,
        "options": {name: _said_of(name, value) for name, value in (options or {}).items()},
        "where": None if where is None else str(where),
        "columns": None if named is None else list(named),
        "group_by": None if keys is None else list(keys),
    }
    ready = chosen if keys is None else grouped(chosen, tuple(keys), named)
    ready.plan().prepare(data.schema)
    _check_engine(on, workers)
    made = Plan(ready, data, tolerance, on, workers, memory, asked)
    if isinstance(on, str) and (where is None or isinstance(where, str)):
        made.spec = _as_spec(made, chosen, options or {}, max_bad)
    return made


def plan_of(spec: JobSpec) -> Plan:
    """Check a specification completely, its outputs included; see :func:`plan`."""
    output, report = spec.path("output"), spec.path("report")
    if output is not None:
        check_output(output, spec.output_format)
    elif spec.output_format is not None:
        raise UsageError("output_format is given but no output", "add output = …")
    if report is not None:
        from motherlode.jobs.report import check_report

        check_report(report)
    for name in ("save_state", "quarantine"):
        path = spec.path(name)
        if path is not None:
            check_writable(path, name.replace("_", " "))
    ready = plan(
        list(spec.source) if len(spec.source) > 1 else spec.source[0],
        spec.algorithm,
        params=spec.params,
        where=spec.where,
        columns=spec.columns,
        group_by=spec.group_by,
        on=spec.engine,
        workers=spec.workers,
        memory=spec.memory,
        max_bad=spec.max_bad,
        format=spec.format,
        options=spec.options,
    )
    if spec.save_state is not None and not isinstance(ready.algorithm.plan(), Summary):
        raise UsageError(
            f"{spec.algorithm} reads the rows more than once and leaves no state to merge",
            "leave the state out",
        )
    ready.spec = spec
    return ready


def tolerated(max_bad: int | float | Tolerance | None) -> Tolerance:
    """Return the tolerance for a number of bad records, or a share of the rows below 1."""
    if max_bad is None:
        return Tolerance()
    if isinstance(max_bad, Tolerance):
        return max_bad
    if isinstance(max_bad, bool) or not isinstance(max_bad, int | float) or not max_bad >= 0:
        raise UsageError(f"max_bad must be a number of records or a share, got {max_bad!r}")
    if isinstance(max_bad, int):
        return Tolerance(fraction=1.0, records=max_bad, floor=max_bad)
    if max_bad >= 1:
        raise UsageError(f"max_bad as a share must be below 1, got {max_bad!r}")
    return Tolerance(fraction=max_bad, records=2**62, floor=0)


def grouped(
    algorithm: Algorithm, keys: tuple[str, ...], columns: Sequence[str] | None
) -> Algorithm:
    """Return the algorithm with an answer for each key.

    Raises
    ------
    UsageError
        If it takes more than one pass.
    """
    from motherlode.algebra.keyed import GroupBy

    inner = algorithm.plan()
    if not isinstance(inner, Summary):
        raise UsageError(
            f"{type(algorithm).__name__} reads the rows more than once and cannot be grouped",
            "filter to one group with where, or choose an algorithm of one pass",
        )
    if columns is not None and getattr(inner, "columns", ()) is None:
        inner = copy.copy(inner)
        inner.columns = list(columns)  # type: ignore[attr-defined]
    return GroupBy(keys[0] if len(keys) == 1 else list(keys), inner)


def code_digest(algorithm: Algorithm) -> str:
    """Return a digest of the code of an algorithm: its file, or its whole family if it is ours."""
    kind = type(inner_of(algorithm))
    try:
        path = Path(inspect.getsourcefile(kind) or "")
        own = kind.__module__.startswith("motherlode.")
        files = sorted(path.parent.glob("*.py")) if own else [path]
        code = b"\0".join(file.read_bytes() for file in files)
    except (TypeError, OSError):
        return ""
    return hashlib.blake2b(code, digest_size=8).hexdigest()


def inner_of(algorithm: Algorithm) -> Algorithm:
    """Return the algorithm that the user named: of a group-by, the one inside."""
    inner = getattr(algorithm, "summary", None)
    return inner if isinstance(inner, Algorithm) else algorithm


def _as_spec(
    plan: Plan,
    algorithm: Algorithm,
    options: Mapping[str, Any],
    max_bad: int | float | Tolerance | None,
) -> JobSpec | None:
    """Return the specification of a request from Python, if files and plain values say it all."""
    asked = plan.asked
    plain = asked["parameters"] == algorithm.parameters() and asked["options"] == dict(options)
    try:
        known = catalogue.algorithm(asked["algorithm"]) is type(algorithm)
    except UsageError:
        known = False
    if asked["source"] is None or not plain or not known or isinstance(max_bad, Tolerance):
        return None
    values = {
        **{name: asked[name] for name in ("algorithm", "source", "format", "where", "columns")},
        "group_by": asked["group_by"],
        "params": asked["parameters"],
        "options": asked["options"],
        "engine": plan.on,
        "workers": plan.workers,
        "memory": plan.memory,
        "max_bad": max_bad,
    }
    return JobSpec.of(values, Path("/"), "the request")


def _check_engine(on: str | Engine, workers: int | None) -> None:
    """Refuse a wrong engine without starting a cluster; the embedded one costs nothing to make."""
    if isinstance(on, str) and not on.startswith("local"):
        plugins.load(engine.GROUP, engine.name_of(on), kind="engine")
    elif not isinstance(on, engine.Engine):
        engine.engine(on, workers=workers).close()


def _algorithm(algorithm: Algorithm | str, params: Mapping[str, Any]) -> Algorithm:
    if isinstance(algorithm, str):
        return build(catalogue.algorithm(algorithm), params)
    if isinstance(algorithm, type) and issubclass(algorithm, Algorithm):
        return build(algorithm, params)
    if not isinstance(algorithm, Algorithm):
        raise UsageError(f"an algorithm is expected, as WordCount(), got {algorithm!r}")
    return algorithm


def _places(source: Any) -> str | list[str] | None:
    """Return the files of a source by their absolute names; None for data in memory."""
    if isinstance(source, str | Path):
        return absolute(str(source), Path.cwd())
    if isinstance(source, list | tuple) and all(isinstance(each, str | Path) for each in source):
        return [absolute(str(each), Path.cwd()) for each in source]
    return None


def _said_of(option: str, value: Any) -> Any:
    """Return an option's value in words; what opens a store may be secret and is not told."""
    return sorted(value) if option == "storage_options" else _said(value)


def _said(value: Any) -> Any:
    """Return a value in JSON's types, words for what those cannot hold."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _said(each) for key, each in value.items()}
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _files(data: Dataset) -> list[list[str]]:
    versions = {split.location: split.version for split in data.splits}
    return [[location, version] for location, version in versions.items()]


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    for location, version in before.items():
        if location not in now:
            return f"{location} is gone"
        if now[location] != version:
            return f"{location} changed"
    for location in now:
        if location not in before:
            return f"{location} was added"
    return "the data changed"
