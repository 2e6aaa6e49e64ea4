"""The laws about an algorithm as a whole: parameters, preparing, shipping, passes and engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cloudpickle
import pyarrow as pa

from motherlode.algebra import codec, reference
from motherlode.algebra.summary import Algorithm, Context, Iterative, Summary
from motherlode.core.errors import MotherlodeError, ParameterError, UnknownNameError
from motherlode.engines.local import LocalEngine
from motherlode.testing.cases import Case
from motherlode.testing.engine_suite import TROUBLE, same_as_reference
from motherlode.testing.faults import FaultyEngine, Shuffle
from motherlode.testing.subject import LawError, Trial, final_model, readers, steps

MISSING = "no_such_column"
GRADES = ("exact", "ordered", "bounded")
STREAMABLE = ("exact", "online", "refit")


def traits_told(trial: Trial) -> None:
    """The traits say what is there.

    Catches an algorithm declared invertible without ``subtract``, or the other way round, a
    sketch without a bound, and a missing line for the tables of algorithms.
    """
    algorithm = trial.algorithm
    traits = algorithm.traits
    name = type(algorithm).__name__
    if traits.grade not in GRADES or traits.streamable not in STREAMABLE or not traits.summary:
        raise LawError(f"{name}: its traits are not filled in: {traits}")
    if traits.grade == "bounded" and not traits.eps:
        raise LawError(f"{name}: declared bounded, but eps does not say by what")
    plan = algorithm.plan()
    if isinstance(plan, Summary):
        overridden = type(plan).subtract is not Summary.subtract
        if traits.invertible and not overridden:
            raise LawError(f"{name}: declared invertible, but has no subtract")
        if traits.passes != "1":
            raise LawError(f"{name}: one summary, but passes={traits.passes!r}")


def parameters_kept(trial: Trial) -> None:
    """Parameters are stored unchanged under their own names, and preparing leaves them so.

    Catches constructors that convert, copy or default their parameters, so that ``repr``,
    ``clone`` and a job's spec would tell something else than what the user wrote, and a
    ``prepare`` that resolves columns in place.
    """
    algorithm = trial.algorithm
    given = algorithm.parameters()
    again = type(algorithm)(**given)
    for name, value in given.items():
        if getattr(again, name) is not value:
            raise LawError(f"{algorithm!r}: parameter {name} is not stored as it was given")
    plan = again.plan()
    before = {owner: dict(vars(owner)) for owner in (again, plan)}
    for case in trial.cases:
        plan.prepare(case.rows.schema)
    for owner, attributes in before.items():
        if dict(vars(owner)) != attributes:
            raise LawError(f"{algorithm!r}: prepare() changed {type(owner).__name__} in place")


def parameters_checked(trial: Trial) -> None:
    """Each value that a constraint rules out is refused before any row is read.

    Catches a parameter that is never looked at until it fails, deep in a job, and constraints
    of parameters that do not exist.
    """
    algorithm = trial.algorithm
    schema = trial.cases[0].rows.schema
    known = algorithm.parameters()
    for name, constraint in algorithm.constraints.items():
        if name not in known:
            raise LawError(f"{algorithm!r}: constraint of an unknown parameter {name!r}")
        for value in constraint.invalid():
            bad = type(algorithm)(**{**known, name: value})
            _refused(bad, schema, f"{name}={value!r}", ParameterError)
    unchecked = [name for name in known if name not in algorithm.constraints]
    if unchecked and algorithm.constraints:
        raise LawError(f"{algorithm!r}: parameters without a constraint: {', '.join(unchecked)}")


def columns_checked(trial: Trial) -> None:
    """A column that is not there is refused by name before any row is read.

    Catches a ``prepare`` that does not look its columns up.
    """
    algorithm = trial.algorithm
    schema = trial.cases[0].rows.schema
    for name, value in algorithm.parameters().items():
        named = name in ("column", "columns") or (
            isinstance(value, str) and value in schema.columns.names
        )
        constraint = algorithm.constraints.get(name)
        if not named or constraint is None:
            continue
        for wrong in (MISSING, [MISSING], (MISSING,)):
            if constraint.accepts(wrong):
                bad = type(algorithm)(**{**algorithm.parameters(), name: wrong})
                _refused(bad, schema, f"{name}={wrong!r}", UnknownNameError)


def _refused(algorithm: Algorithm, schema: Any, what: str, wanted: type[Exception]) -> None:
    try:
        algorithm.plan().prepare(schema)
    except wanted:
        return
    except Exception as error:
        raise LawError(
            f"{type(algorithm).__name__}({what}) raises {type(error).__name__} "
            f"instead of {wanted.__name__}: {error}"
        ) from error
    raise LawError(f"{type(algorithm).__name__} is prepared with {what}: {wanted.__name__} is due")


def preparing_again(trial: Trial) -> None:
    """Preparing what is prepared changes nothing, nor does preparing it for other rows.

    Catches column choices narrowed a second time, and schemas kept on the class.
    """
    plan = trial.algorithm.plan()
    ready = [(case, plan.prepare(case.rows.schema)) for case in trial.cases]
    for case, prepared in ready:
        try:
            once = _outcome(prepared, case)
        except MotherlodeError:
            continue
        if _outcome(prepared.prepare(case.rows.schema), case) != once:
            raise LawError(f"{trial.algorithm!r} on {case}: prepared twice, it counts differently")


def shipping(trial: Trial) -> None:
    """A prepared algorithm works the same in another process.

    Catches locks, open files, caches and lambdas' surroundings that do not travel, and what is
    left out of the pickle.
    """
    for subject in trial.subjects:
        travelled = cloudpickle.loads(cloudpickle.dumps(subject.summary))
        there = travelled.update(travelled.zero(), subject.rows)
        subject.same_document(
            codec.encode(travelled.export(there)),
            subject.document(subject.state(subject.rows)),
            "folded after travelling to another process",
        )


def models(trial: Trial) -> None:
    """The model between passes is a checkpoint: plain data from which the passes go on.

    Catches models that the codec cannot write, what an iteration keeps on itself instead, and
    passes that write into the model.
    """
    for case, ready in _iterations(trial):
        rows = case.rows
        path = list(steps(ready, rows))
        final = codec.encode(final_model(ready, [rows]))
        for step, model in path[:: max(1, len(path) // 4)]:
            before = codec.encode(model)
            step.finish(reference.fold(step, readers([rows])))
            ready.done(model)
            _finish(ready, model)
            if codec.encode(model) != before:
                raise LawError(f"{trial.algorithm!r} on {case}: a pass changed its model")
            resumed = final_model(ready, [rows], codec.decode(before))
            if codec.encode(resumed) != final:
                raise LawError(f"{trial.algorithm!r} on {case}: resumed, it ends elsewhere")


def passes_answer(trial: Trial) -> None:
    """An iteration comes to an end, and there is an answer and a table of it, or a clear refusal.

    Catches passes without end on constant or empty rows, and a crash where nothing was found.
    """
    for case in trial.cases:
        algorithm = type(trial.algorithm)(**trial.algorithm.parameters())
        ready = algorithm.plan().prepare(case.rows.schema)
        if not isinstance(ready, Iterative):
            return
        try:
            value = algorithm.conclude(ready.finish(final_model(ready, [case.rows])))
            table = algorithm.table(value)
        except MotherlodeError:
            if case.essential:
                raise
            continue
        if not isinstance(table, pa.Table):
            raise LawError(f"{algorithm!r} on {case}: table() gave {type(table).__name__}")
        table.validate(full=True)


def same_on_any_workers(trial: Trial) -> None:
    """The same splits give the same bits on 1, 2 and 7 workers, in any order of completion.

    Catches states shared between threads, seeds drawn a worker, kernels that race, and what
    depends on the memory or on what the reader put in one batch.
    """
    for case in _tried_on_engines(trial):
        for workers, order in ((1, 3), (2, 1), (7, 2)):
            with FaultyEngine(LocalEngine(workers=workers), [Shuffle(order)]) as engine:
                same_as_reference(engine, trial.algorithm, case, splits=9)


def retries_once(trial: Trial) -> None:
    """A split that is tried again, or arrives twice, counts once.

    Catches what an algorithm keeps on itself while it updates, and a state that is carried over
    from a failed try.
    """
    for case in _tried_on_engines(trial):
        with FaultyEngine(LocalEngine(workers=2), TROUBLE) as engine:
            same_as_reference(engine, trial.algorithm, case, splits=5)


PROMISES = (
    traits_told, parameters_kept, parameters_checked, columns_checked, preparing_again, shipping,
    models, passes_answer, same_on_any_workers, retries_once,
)  # fmt: skip


def _tried_on_engines(trial: Trial) -> list[Case]:
    """Return a friendly and an awkward case; runs through an engine take a while."""
    return [case for case in trial.cases if case.name.endswith(("/ordinary", "/infinite"))][:2]


def _outcome(prepared: Any, case: Case) -> bytes:
    """Return the state, or the model after one pass."""
    rows = case.rows
    if isinstance(prepared, Summary):
        return codec.encode(prepared.export(prepared.update(prepared.zero(), rows)))
    model = prepared.start(Context(rows.schema, len(rows)))
    step = prepared.pass_(model).prepare(rows.schema)
    return codec.encode(prepared.advance(model, step.finish(step.update(step.zero(), rows))))


def _finish(ready: Iterative[Any, Any], model: Any) -> None:
    try:
        ready.finish(model)
    except MotherlodeError:
        return


def _iterations(trial: Trial) -> Iterator[tuple[Case, Iterative[Any, Any]]]:
    for case in trial.cases:
        ready = trial.algorithm.plan().prepare(case.rows.schema)
        if isinstance(ready, Iterative) and case.essential:
            yield case, ready
