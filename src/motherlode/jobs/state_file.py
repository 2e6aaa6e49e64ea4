"""State files: a summary's state that can be shown, merged with others, and subtracted.

A file is one document of the state codec: it executes nothing when it is read. It holds the
algorithm's name and parameters, the columns it was prepared for, which pieces of data it covers,
the account of their rows, and the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from motherlode.algebra import codec
from motherlode.algebra.summary import Algorithm, Summary, build
from motherlode.core.batch import Schema
from motherlode.core.errors import JobError, StateError, UsageError
from motherlode.data.files.publish import Url
from motherlode.jobs.files import write_file
from motherlode.mining import catalogue
from motherlode.runtime import Result
from motherlode.runtime.part import Part, merge_parts, subtract_parts

if TYPE_CHECKING:
    from motherlode.jobs.execute import Outcome

KIND = "motherlode state"


@dataclass
class SavedState:
    """A state with all it takes to go on with it.

    Parameters
    ----------
    algorithm : Algorithm
        What was asked for, a group-by included.
    schema : Schema
        Columns of the rows it was made from.
    request : dict
        What the answer depends on beside the rows: algorithm, parameters, filter and so on.
    part : Part
        The state, what it covers and the account of the rows.
    """

    algorithm: Algorithm
    schema: Schema
    request: dict[str, Any]
    part: Part

    @property
    def summary(self) -> Summary[Any, Any]:
        """The summary that the state belongs to, prepared."""
        return _prepared(self.algorithm, self.schema)

    def result(self) -> Result:
        """Return the answer that the state gives."""
        summary, part = self.summary, self.part
        value = self.algorithm.conclude(summary.finish(part.state))
        return Result(self.algorithm, value, part.tally, part.bad, 1, summary, part)

    def merge(self, other: SavedState) -> SavedState:
        """Return the state of the rows of both.

        Raises
        ------
        StateError
            If they were not made by the same algorithm with the same parameters.
        OverlapError
            If both cover the same piece of data.
        """
        self._check_same(other)
        part = merge_parts(self.summary, self.part, other.part)
        return SavedState(self.algorithm, self.schema, self.request, part)

    def subtract(self, other: SavedState) -> SavedState:
        """Return the state as if the rows of the other had never been seen.

        Raises
        ------
        StateError
            If they were not made alike, or the rows are not in this state.
        MotherlodeError
            If the algorithm cannot forget.
        """
        self._check_same(other, filters=False)
        part = subtract_parts(self.summary, self.part, other.part)
        return SavedState(self.algorithm, self.schema, self.request, part)

    def _check_same(self, other: SavedState, *, filters: bool = True) -> None:
        for name in dict.fromkeys([*self.request, *other.request]):
            mine, theirs = self.request.get(name), other.request.get(name)
            if mine != theirs and (filters or name != "where"):
                raise StateError(
                    f"the states differ in {name}: {mine!r} and {theirs!r}",
                    "only states of one algorithm with the same parameters go together",
                )
        mine, theirs = self._read(), other._read()
        if mine != theirs:
            raise StateError(
                f"the states were made from different columns: {_shown(mine)} and {_shown(theirs)}",
                "read both with the same options and column types",
            )

    def _read(self) -> tuple[Any, ...]:
        """Return the columns that the summary reads, and the form of a feature block."""
        needs = self.summary.needs()
        columns = [f for f in self.schema.columns if needs is None or f.name in needs]
        block = (self.schema.n_features, self.schema.sparse, self.schema.has_target)
        return (*((f.name, str(f.type)) for f in columns), block)


def save_state(outcome: Outcome, path: Path | Url) -> None:
    """Write the state that a job ended with."""
    plan, part = outcome.plan, outcome.result.part
    if part is None:
        raise UsageError(f"{plan.asked['algorithm']} leaves no state that could be merged")
    names = ("algorithm", "parameters", "columns", "group_by", "where")
    request = {name: plan.asked[name] for name in names}
    write_state(SavedState(plan.algorithm, plan.data.schema, request, part), path)


def write_state(state: SavedState, path: Path | Url) -> None:
    """Write a state file in place of what was there."""
    part, schema = state.part, state.schema
    document = codec.encode(
        {
            "kind": KIND,
            "version": 1,
            "request": state.request,
            "schema": {
                "columns": schema.columns.remove_metadata().serialize().to_pybytes(),
                "n_features": schema.n_features,
                "sparse": schema.sparse,
                "has_target": schema.has_target,
            },
            "part": codec.decode(part.to_bytes(state.summary)),
        }
    )
    write_file(path, document)


def read_state(path: Path) -> SavedState:
    """Read a state file.

    Raises
    ------
    UsageError
        If there is no such file.
    StateError
        If it is not a state file, damaged, or of an algorithm that is not there.
    """
    try:
        document = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}") from error
    try:
        plain = codec.decode(document)
        if not isinstance(plain, dict) or plain.get("kind") != KIND:
            raise StateError("it is a state of another kind", "write one with --save-state")
        request, kept = plain["request"], plain["schema"]
        columns = pa.ipc.read_schema(pa.py_buffer(kept["columns"]))
        schema = Schema(columns, kept["n_features"], kept["sparse"], kept["has_target"])
        algorithm = _algorithm(request)
        part = Part.from_plain(_prepared(algorithm, schema), plain["part"])
    except (StateError, UsageError) as error:
        raise StateError(f"{path}: {error.message}", error.hint) from error
    except (KeyError, TypeError, pa.ArrowException) as error:
        raise StateError(f"{path} is not a state file", "write one with --save-state") from error
    return SavedState(algorithm, schema, request, part)


def _algorithm(request: dict[str, Any]) -> Algorithm:
    from motherlode.jobs.plan import grouped

    algorithm = build(catalogue.algorithm(request["algorithm"]), request["parameters"])
    if request["group_by"] is None:
        return algorithm
    return grouped(algorithm, tuple(request["group_by"]), request["columns"])


def _prepared(algorithm: Algorithm, schema: Schema) -> Summary[Any, Any]:
    summary = algorithm.plan()
    if not isinstance(summary, Summary):
        raise StateError(f"{type(algorithm).__name__} has no state that could be merged")
    return summary.prepare(schema)


def _shown(columns: tuple[Any, ...]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in columns[:-1]) or "no named ones"
