"""The one tree of errors.

Every error says what went wrong, what was got, and what to do about it. Exceptions of other
libraries are translated where they arise, with the original kept as ``__cause__``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class MotherlodeError(Exception):
    """Root of all errors raised on purpose by this package.

    Parameters
    ----------
    message : str
        What went wrong and what was got, in one line.
    hint : str, optional
        What the user can do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle leaves the cause out, but what a worker raised should come home whole.
        return _restored, (type(self), self.args, dict(self.__dict__), self.__cause__)


def _restored(
    kind: type[MotherlodeError],
    args: tuple[Any, ...],
    attributes: dict[str, Any],
    cause: BaseException | None,
) -> MotherlodeError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    error.__cause__ = cause
    return error


class UsageError(MotherlodeError, ValueError):
    """The request itself is wrong; raised before any data is read."""


class ParameterError(UsageError):
    """A parameter has a value that its algorithm does not take."""


class UnknownNameError(UsageError):
    """A name (algorithm, column, format, parameter, engine) is not known.

    Parameters
    ----------
    kind : str
        What sort of name it is, in the user's words.
    name : str
        What was asked for.
    known : iterable of str
        What there is; the nearest is suggested.
    hint : str, optional
        Overrides the suggestion.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(f"unknown {kind} {name!r}", hint or suggest(name, known))
        self.kind = kind
        self.name = name


class DataError(MotherlodeError):
    """The data cannot be read as what it was said to be."""


class SourceChangedError(DataError):
    """A source changed while, or since, it was read by this job."""


class QuarantineError(DataError):
    """More records were unreadable than the job tolerates."""


class StateError(MotherlodeError):
    """A stored state cannot be used: wrong version, damaged, or of another algorithm."""


class OverlapError(StateError):
    """Two states cover the same rows; merging them would count those rows twice."""


class EngineError(MotherlodeError):
    """The engine could not carry out the work."""


class UserFunctionError(MotherlodeError):
    """A function supplied by the user raised; the original exception is the cause."""


class MemoryLimitError(MotherlodeError):
    """The work cannot be done within the memory limit."""


class MissingExtraError(MotherlodeError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed",
            f"install it with: pip install 'motherlode[{extra}]'",
        )


class JobError(MotherlodeError):
    """A job cannot be found, resumed or written."""


class Interrupted(MotherlodeError):
    """The job was stopped on request; what was finished is kept."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of the known names, or lists a few of them."""
    names = sorted(set(known))
    if not names:
        return ""
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(names[:8])
    return f"there is {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
