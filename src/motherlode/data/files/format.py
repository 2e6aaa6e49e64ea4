"""The contract of a file format: how files are planned into pieces, and a piece is read."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from motherlode.core import plugins
from motherlode.core.batch import Batch, Schema
from motherlode.core.errors import MissingExtraError, ParameterError, UnknownNameError, UsageError
from motherlode.core.parameters import Constraint, check_parameters
from motherlode.data.files.compression import stem
from motherlode.data.files.storage import File, Reader, Storage
from motherlode.data.quarantine import Quarantine
from motherlode.data.source import Request, Split

GROUP = "motherlode.formats"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, before it has its number in the plan; fields as those of a split."""

    file: int
    start: int
    stop: int
    unit: str
    rows: int | None = None
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan of a set of files.

    Parameters
    ----------
    schema : Schema
        Columns in the files, without those of the folders' names.
    pieces : tuple of Piece
        In the order of the files.
    facts : object
        Anything else the format found out and needs for reading.
    """

    schema: Schema
    pieces: tuple[Piece, ...]
    facts: Any = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A split's file, open for reading.

    Parameters
    ----------
    file : File
        As planned.
    reader : Reader
        Reads it.
    compression : str
        How it is compressed, or an empty string.
    split : Split
        What is to be read of it.
    number : int
        Its place among the files that were planned.
    """

    file: File
    reader: Reader
    compression: str
    split: Split
    number: int


class Format(ABC):
    """How records stand in a file.

    Formats are found through the entry-point group ``motherlode.formats``. The constructor takes
    the options by name, stores them unchanged, and states their ``constraints``.
    """

    name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]] = ()
    constraints: ClassVar[Mapping[str, Constraint]] = {}

    @abstractmethod
    def plan(
        self,
        files: Sequence[File],
        storage: Storage,
        compressions: Sequence[str],
        split_bytes: int | None,
    ) -> Layout:
        """Look at the files, and cut them into pieces by their content alone."""

    @abstractmethod
    def read(
        self, opened: Opened, layout: Layout, request: Request, quarantine: Quarantine
    ) -> Iterator[Batch]:
        """Yield the rows of a split; numbers and folder columns are added by the caller.

        ``request.columns`` names only columns that are in the files.
        """

    def options(self) -> dict[str, Any]:
        """Return the options with their values."""
        return {name: getattr(self, name) for name in option_names(type(self))}


def option_names(kind: type[Format]) -> list[str]:
    """Names of the options that a format takes."""
    return [p for p in inspect.signature(kind.__init__).parameters if p != "self"]


def build(name: str, options: Mapping[str, Any]) -> Format:
    """Return a format by its name, with options.

    Raises
    ------
    UnknownNameError
        If there is no such format or option.
    ParameterError
        If an option has a value that the format does not take.
    """
    kind: type[Format] = plugins.load(GROUP, name, kind="format")
    known = option_names(kind)
    for option in options:
        if option not in known:
            raise UnknownNameError(
                f"option of format {name}", option, [*known, "compression", "split_bytes"]
            )
    check_parameters(f"format {name}", kind.constraints, options)
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"format {name}: {error}") from error


def format_of(location: str) -> str:
    """Return the name of the format that a file's extension says.

    Raises
    ------
    UsageError
        If it says none that is known.
    """
    name = stem(location).rpartition("/")[2].lower()
    known = extensions()
    for extension, kind in sorted(known.items(), key=lambda item: -len(item[0])):
        if name.endswith(extension):
            return kind
    dot = name.rfind(".")
    if dot <= 0:
        shown = ", ".join(plugins.names(GROUP))
        raise UsageError(f"{location!r} has no extension", f"say format=, one of {shown}")
    unknown = UnknownNameError("extension", name[dot:], known)
    raise UsageError(
        f"cannot tell the format of {location!r}: {unknown.message}",
        f"say format=, one of {', '.join(plugins.names(GROUP))}; {unknown.hint}",
    )


def extensions() -> dict[str, str]:
    """Return the names of the formats by extension."""
    found = {}
    for name in plugins.names(GROUP):
        try:
            kind: type[Format] = plugins.load(GROUP, name, kind="format")
        except MissingExtraError:
            continue
        found.update(dict.fromkeys(kind.extensions, name))
    return found
