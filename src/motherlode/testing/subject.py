"""What a law is tried on: a prepared summary with rows, and when two of its states are equal."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from motherlode.algebra import codec, reference
from motherlode.algebra.summary import Algorithm, Context, Iterative, Summary
from motherlode.core.batch import Batch
from motherlode.core.errors import MotherlodeError
from motherlode.testing.cases import Case, cases, cut, example
from motherlode.testing.sameness import close, difference

PASSES = 3
"""How many passes of an iteration are tried on each case."""

ENDLESS = 5_000
"""An iteration that is not done after so many passes never will be."""


class LawError(AssertionError):
    """A law does not hold; the message names the algorithm, the case and the difference."""


@dataclass
class Subject:
    """A prepared summary and rows to try it on.

    Parameters
    ----------
    name : str
        For messages.
    summary : Summary
        Prepared for the rows.
    rows : Batch
        All rows, in one batch.
    algorithm : Algorithm or None
        What the summary is the whole plan of; None for a pass of an iteration.
    """

    name: str
    summary: Summary[Any, Any]
    rows: Batch
    algorithm: Algorithm | None = None
    pieces: list[Batch] = field(init=False)

    def __post_init__(self) -> None:
        self.pieces = cut(self.rows, _bounds(len(self.rows), self.name))

    def __str__(self) -> str:
        return self.name

    @property
    def grade(self) -> str:
        return self.summary.traits.grade

    def state(self, *pieces: Batch) -> Any:
        """Return a fresh state of these pieces, one update each."""
        state = self.summary.zero()
        for piece in pieces:
            state = self.summary.update(state, piece)
        return state

    def merged(self, *pieces: Batch) -> Any:
        """Return the states of these pieces merged from left to right."""
        state = self.state(pieces[0])
        for piece in pieces[1:]:
            state = self.summary.merge(state, self.state(piece))
        return state

    def tree(self, pieces: Sequence[Batch]) -> Any:
        """Return the state that the reference fold gives for these splits."""
        return reference.fold(self.summary, readers(pieces))

    def document(self, state: Any) -> bytes:
        """Return the canonical bytes of a state."""
        return codec.encode(self.summary.export(state))

    def identical(self, got: Any, wanted: Any, what: str) -> None:
        """Raise unless two states are the same to the bit."""
        self.same_document(self.document(got), self.document(wanted), what)

    def same_document(self, got: bytes, wanted: bytes, what: str) -> None:
        """Raise unless two documents are the same; tells the first difference."""
        if got != wanted:
            where = difference(codec.decode(got), codec.decode(wanted))
            raise LawError(f"{self.name}: {what}: {where}")

    def equal(self, got: Any, wanted: Any, what: str) -> None:
        """Raise unless two states of the same rows are equal as far as the grade says.

        Exact states are the same to the bit. Ordered ones may differ where the order of
        additions shows, see :mod:`motherlode.testing.sameness`. Of bounded ones only the answers
        are compared, by the law of the grade.
        """
        if self.grade == "exact":
            self.identical(got, wanted, what)
        elif self.grade == "ordered":
            left, right = self.summary.export(got), self.summary.export(wanted)
            if not close(left, right):
                raise LawError(f"{self.name}: {what}: {difference(left, right)}")


def subjects(algorithm: Algorithm, given: Sequence[Case] | None = None) -> list[Subject]:
    """Return what the laws of summaries are tried on: a subject a case, and a pass.

    A case that the algorithm refuses with a clear error is left out, if it is not an essential
    one.

    Parameters
    ----------
    algorithm : Algorithm
        With its parameters.
    given : sequence of Case, optional
        The rows; found by :func:`motherlode.testing.cases.cases` by default.
    """
    found: list[Subject] = []
    for case in cases(algorithm) if given is None else given:
        try:
            found.extend(_of_case(algorithm, case))
        except MotherlodeError:
            if case.essential:
                raise
    return found


def instance(algorithm: Algorithm | type[Algorithm]) -> Algorithm:
    """Return an algorithm made with its example parameters; an instance as it is."""
    return example(algorithm) if isinstance(algorithm, type) else algorithm


def _of_case(algorithm: Algorithm, case: Case) -> Iterator[Subject]:
    rows = case.rows
    name = f"{algorithm!r} on {case}"
    ready = algorithm.plan().prepare(rows.schema)
    if isinstance(ready, Summary):
        subject = Subject(name, ready, rows, algorithm)
        state = subject.state(rows)
        try:
            ready.finish(state)
        except MotherlodeError:
            raise
        except Exception:
            pass  # for the law `answering` to find
        yield subject
        return
    for number, (step, _) in enumerate(steps(ready, rows)):
        if number == PASSES:
            return
        step.finish(step.fold([rows]))
        yield Subject(f"{name}, pass {number + 1}", step, rows)


def steps(ready: Iterative[Any, Any], rows: Batch) -> Iterator[tuple[Summary[Any, Any], Any]]:
    """Yield each pass's summary with the model before it, mining the rows in one piece."""
    model = ready.start(Context(rows.schema, len(rows)))
    while not ready.done(model):
        step = ready.pass_(model).prepare(rows.schema)
        yield step, model
        model = ready.advance(model, step.finish(reference.fold(step, readers([rows]))))


def final_model(ready: Iterative[Any, Any], pieces: Sequence[Batch], model: Any = None) -> Any:
    """Return the model after the last pass, going on from one or from the start."""
    schema = pieces[0].schema
    if model is None:
        model = ready.start(Context(schema, sum(map(len, pieces))))
    passes = 0
    while not ready.done(model):
        passes += 1
        if passes > ENDLESS:
            raise LawError(f"{ready!r} is not done after {ENDLESS} passes")
        step = ready.pass_(model).prepare(schema)
        model = ready.advance(model, step.finish(reference.fold(step, readers(pieces))))
    return model


def readers(pieces: Sequence[Batch]) -> list[Callable[[], list[Batch]]]:
    """Return ways to read pieces, as the reference takes them: one batch each, none if empty."""

    def reader(piece: Batch) -> Callable[[], list[Batch]]:
        return lambda: [piece] if len(piece) else []

    return [reader(piece) for piece in pieces]


def _bounds(count: int, name: str) -> list[int]:
    """Return borders that make an empty piece, one of a single row, and pieces of any size."""
    chance = random.Random(name)
    first, second = sorted(chance.randint(0, count) for _ in range(2))
    return sorted([first, first, min(first + 1, count), max(second, min(first + 1, count))])


@dataclass
class Trial:
    """An algorithm with the cases it is tried on; what the laws share is made once.

    Parameters
    ----------
    algorithm : Algorithm
        With its parameters.
    given : sequence of Case or None
        The rows; found from what the algorithm accepts where None.
    """

    algorithm: Algorithm
    given: Sequence[Case] | None = None

    def __str__(self) -> str:
        return repr(self.algorithm)

    @cached_property
    def cases(self) -> list[Case]:
        """The rows it is tried on, the ordinary ones first."""
        return list(cases(self.algorithm) if self.given is None else self.given)

    @cached_property
    def subjects(self) -> list[Subject]:
        """A prepared summary a case, and a pass."""
        return subjects(self.algorithm, self.cases)


@dataclass(frozen=True)
class Law:
    """One law.

    Parameters
    ----------
    function : callable
        Raises :class:`LawError` where the law is broken.
    whole : bool
        Whether it is about the algorithm as a whole; else it is tried on each subject.
    """

    function: Callable[[Any], None]
    whole: bool = False

    def __call__(self, trial: Trial) -> None:
        for tried in [trial] if self.whole else trial.subjects:
            try:
                self.function(tried)
            except Exception as error:
                error.add_note(f"law {self}, {tried}")
                raise

    def __str__(self) -> str:
        return self.function.__name__
