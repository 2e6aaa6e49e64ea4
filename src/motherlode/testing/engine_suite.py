"""What every engine must do, executable; published for your own engines.

An engine is tried through a factory, a function from a number of workers to an open engine::

    @pytest.mark.parametrize("check", checks(), ids=str)
    def test_my_engine(check):
        check(lambda workers: MyEngine(workers))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from motherlode.algebra import codec, reference
from motherlode.algebra.summary import Algorithm, Iterative
from motherlode.core.batch import Batch
from motherlode.core.errors import MotherlodeError, UserFunctionError
from motherlode.core.events import Event, SplitFinished
from motherlode.data import Dataset
from motherlode.data.quarantine import Tolerance
from motherlode.mining import catalogue
from motherlode.mining.statistics.count import Count
from motherlode.runtime import Result, run
from motherlode.runtime.engine import Engine
from motherlode.runtime.task import Task
from motherlode.testing.cases import Case, case, deal, example, kinds
from motherlode.testing.faults import Fail, Fault, FaultyEngine, Late, Lose, Shuffle, Twice
from motherlode.testing.pieces import PieceSource
from motherlode.testing.subject import LawError, final_model, readers

Factory = Callable[[int], Engine]

TROUBLE: tuple[Fault, ...] = (
    Fail(1, tries=2), Lose(0), Lose(3, tries=2), Twice(2), Twice(4), Late(1), Shuffle(11),
)  # fmt: skip
"""Something happens to each of five splits."""


@dataclass(frozen=True)
class Check:
    """One check of an engine; call it with a factory."""

    function: Callable[[Factory], None]

    def __call__(self, factory: Factory) -> None:
        self.function(factory)

    def __str__(self) -> str:
        return self.function.__name__


def checks() -> list[Check]:
    """Return all checks."""
    return [*map(Check, CHECKS)]


def same_as_reference(engine: Engine, algorithm: Algorithm, case: Case, *, splits: int) -> None:
    """Mine a case on an engine and compare with the reference fold, bit for bit.

    A case that the algorithm refuses must be refused by the engine too.

    Raises
    ------
    LawError
        If the states, or the final models, differ, or the rows do not add up.
    """
    pieces = deal(case.rows, splits)
    name = f"{algorithm!r} on {case} in {splits} splits by {engine.parallelism} workers"
    try:
        wanted = _of_reference(algorithm, pieces)
    except MotherlodeError:
        try:
            _mined(engine, algorithm, pieces)
        except MotherlodeError:
            return
        raise LawError(f"{name}: there is an answer, but the reference refuses") from None
    result = _mined(engine, algorithm, pieces)
    if codec.encode(result.state) != wanted:
        raise LawError(f"{name}: the answer is not the reference's")
    if not (result.rows.balanced and result.rows.used == len(case.rows)):
        raise LawError(f"{name}: {len(case.rows)} rows, counted as {result.rows}")


def every_algorithm(factory: Factory) -> None:
    """Every algorithm that can be found gives the reference's answer, on any number of workers.

    Catches merging in the order of completion, and what does not travel to the workers.
    """
    for workers in (1, 4):
        with factory(workers) as engine:
            for kind in catalogue.algorithms():
                algorithm, rows = _tried(kind.__name__)
                same_as_reference(engine, algorithm, rows, splits=7)


def through_trouble(factory: Factory) -> None:
    """Every algorithm gives the reference's answer although splits fail, get lost or come twice.

    Catches an engine that cannot be asked again for some of the splits.
    """
    with FaultyEngine(factory(2), TROUBLE) as engine:
        for kind in catalogue.algorithms():
            engine.tries.clear()
            algorithm, rows = _tried(kind.__name__)
            same_as_reference(engine, algorithm, rows, splits=5)


def one_outcome_a_split(factory: Factory) -> None:
    """Each split that was asked for has exactly one outcome, and may be asked for again.

    Catches lost and doubled outcomes, and an engine that folds the splits it was not asked for.
    """
    data = Dataset(PieceSource(deal(case("numbers").rows, 6)))
    task = Task(Count(), data, Tolerance())
    with factory(2) as engine:
        for asked in ([0, 1, 2, 3, 4, 5], [3], [5, 1], []):
            outcomes = engine.fold(task, [data.splits[n] for n in asked], lambda rows, size: None)
            covered = sorted(
                leaf
                for done in outcomes
                for leaf in done.node.leaves(6)  # type: ignore[union-attr]
            )
            if covered != sorted(asked):
                raise LawError(f"asked for the splits {asked}, got {covered}")


def stops_early(factory: Factory) -> None:
    """An iterator that is closed before its end leaves an engine that can be used.

    Catches work that goes on, and workers that wait for a consumer who has gone.
    """
    data = Dataset(PieceSource(deal(case("numbers", "many").rows, 40)))
    with factory(2) as engine:
        outcomes = engine.fold(
            Task(Count(), data, Tolerance()), data.splits, lambda rows, size: None
        )
        list(islice(outcomes, 2))
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()
        same_as_reference(engine, Count(), case("numbers"), splits=4)


def tells_progress(factory: Factory) -> None:
    """The rows reported add up to the rows read, and each split is told once, by whom.

    Catches progress bars that stop short or run past the end.
    """
    events: list[Event] = []
    rows = case("numbers", "many").rows
    with factory(2) as engine:
        run(Count(), PieceSource(deal(rows, 6), size=64), on=engine, listener=events.append)
    finished = [event for event in events if isinstance(event, SplitFinished)]
    told = sum(
        getattr(event, "rows", 0) for event in events if type(event).__name__ == "Progressed"
    )
    if told != len(rows) or sorted(event.number for event in finished) != list(range(6)):
        raise LawError(f"{told} of {len(rows)} rows and the splits {finished} were told")
    if not all(event.worker for event in finished):
        raise LawError("a split is told without its worker")


def quarantines(factory: Factory) -> None:
    """Unreadable records are counted and kept, in the order of the files, once.

    Catches an engine that loses what comes beside the state.
    """
    source = PieceSource(deal(case("numbers").rows, 5), bad={1: 2, 3: 1})
    with FaultyEngine(factory(2), TROUBLE) as engine:
        result = run(Count(), source, on=engine)
    places = [(record.location, record.offset) for record in result.quarantine]
    if places != [("piece:1", 0), ("piece:1", 1), ("piece:3", 0)] or result.rows.read != 43:
        raise LawError(f"three bad records became {places}, the account {result.rows}")


def users_errors(factory: Factory) -> None:
    """An exception of a function of the user's comes home with its cause, and is not retried.

    Catches errors that arrive as text, or as the engine's own after many tries.
    """

    def wrong(frame: Any) -> Any:
        if frame.height:
            raise ZeroDivisionError("by script")
        return frame

    data = Dataset(PieceSource(deal(case("numbers").rows, 4), ships=True))
    for python in (False, True):
        with FaultyEngine(factory(2), []) as engine:
            try:
                run(Count(), data.map_batches(wrong, python=python), on=engine)
            except UserFunctionError as error:
                causes = [type(cause) for cause in _causes(error)]
                if ZeroDivisionError not in causes:
                    raise LawError(f"the causes of {error} are {causes}") from error
            else:
                raise LawError("the error of a function was swallowed")
            if max(engine.tries.values()) > 1:
                raise LawError("what cannot succeed was tried again")


def users_functions(factory: Factory) -> None:
    """Functions of the user's run, lambdas too, wherever the engine carries them.

    Catches closures that do not travel.
    """
    rows = case("numbers", "many").rows
    limit = 4
    data = Dataset(PieceSource(deal(rows, 6), ships=True))
    smaller = data.map_batches(lambda frame: frame.filter(frame["n"] < limit), python=True)
    with factory(2) as engine:
        result = run(Count(), smaller, on=engine)
    wanted = sum(n < limit for n in rows.column("n").to_pylist())
    account = result.rows
    if (account.used, account.filtered) != (wanted, len(rows) - wanted) or not account.balanced:
        raise LawError(f"{wanted} of {len(rows)} rows are below {limit}, counted as {account}")


CHECKS = (
    one_outcome_a_split, stops_early, tells_progress, quarantines, users_errors, users_functions,
    every_algorithm, through_trouble,
)  # fmt: skip


@cache
def _tried(name: str) -> tuple[Algorithm, Case]:
    """Return an algorithm with rows that suit it."""
    algorithm = example(catalogue.algorithm(name))
    return algorithm, case(kinds(algorithm)[0])


def _causes(error: BaseException) -> Iterator[BaseException]:
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def _mined(engine: Engine, algorithm: Algorithm, pieces: list[Batch]) -> Result:
    return run(algorithm, PieceSource(pieces, size=11), on=engine, memory="64MB")


def _of_reference(algorithm: Algorithm, pieces: list[Batch]) -> bytes:
    """Return the state, or the final model, that the reference gives."""
    ready = algorithm.plan().prepare(pieces[0].schema)
    if isinstance(ready, Iterative):
        return codec.encode(final_model(ready, pieces))
    return codec.encode(ready.export(reference.fold(ready, readers(pieces))))
