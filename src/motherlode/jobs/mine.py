"""The one entry from Python: mine a source with an algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from motherlode.algebra.summary import Algorithm
from motherlode.core.errors import UsageError
from motherlode.jobs.execute import execute
from motherlode.jobs.plan import Plan, plan
from motherlode.jobs.progress import bars
from motherlode.jobs.store import Job, JobStore

if TYPE_CHECKING:
    import polars as pl

    from motherlode.data.quarantine import Tolerance
    from motherlode.runtime import Result
    from motherlode.runtime.engine import Engine


def mine(
    source: Any,
    algorithm: Algorithm | str,
    *,
    where: pl.Expr | str | None = None,
    columns: Sequence[str] | str | None = None,
    group_by: Sequence[str] | str | None = None,
    on: str | Engine = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    max_bad: int | float | Tolerance | None = None,
    progress: bool | None = None,
    job: str | bool | None = None,
    format: str | None = None,
    **options: Any,
) -> Result:
    """Mine a source with an algorithm.

    Parameters
    ----------
    source : object
        A path, URL, glob or folder, or a list of them; an array, a frame, an Arrow table, a list
        of baskets, texts or dicts; a :class:`~motherlode.data.Dataset`.
    algorithm : Algorithm or str
        What is looked for, as ``WordCount(top=10)``; a name takes the default parameters.
    where : polars.Expr or str, optional
        Rows to use; text is an SQL expression as ``"price > 10 AND country = 'de'"``.
    columns : sequence of str, optional
        Columns to use; all by default.
    group_by : str or sequence of str, optional
        Columns for each of whose values, jointly, there is an answer of its own.
    on : str or Engine
        Where to run: ``"local"``, or the URL of a cluster. The answer does not depend on it.
    workers : int, optional
        Number of workers; all processors by default. Nor on this.
    memory : str or int, optional
        Memory limit as ``"2GB"``; half of the machine by default. Nor on this.
    max_bad : int, float or Tolerance, optional
        Unreadable records tolerated: a number, or a share of the rows below 1. By default one
        in a hundred and at most 1,000, and 10 in any case.
    progress : bool, optional
        Whether to draw progress on stderr; by default if it is a terminal.
    job : str or bool, optional
        A name, or True, keeps a journal and finished states, so that a killed job can be
        resumed: by calling this again with the same name and request.
    format : str, optional
        How files are read; by default as their ending says.
    **options
        Options of the format, as ``delimiter=";"``.

    Returns
    -------
    Result
        The answer with its table, and the account of the rows.

    Raises
    ------
    UsageError
        If the request is wrong; no row has been read then.
    DataError
        If the data cannot be read.
    JobError
        If the job cannot be written, or was begun with another request.

    Examples
    --------
    >>> import motherlode as ml
    >>> sales = {"city": ["Bonn", "Ulm", "Bonn"], "price": [3, 4, 5]}
    >>> ml.mine(sales, ml.Count(), group_by="city").table.to_pylist()
    [{'city': 'Bonn', 'count': 2}, {'city': 'Ulm', 'count': 1}]
    """
    ready = plan(
        source,
        algorithm,
        where=where,
        columns=columns,
        group_by=group_by,
        on=on,
        workers=workers,
        memory=memory,
        max_bad=max_bad,
        format=format,
        options=options,
    )
    journalled = None if job is None or job is False else job_for(ready, job)
    with bars(progress) as listener:
        return execute(ready, journalled, listener).result


def job_for(plan: Plan, job: str | bool) -> Job:
    """Return the unfinished job of a name, to be resumed, or a new one."""
    store = JobStore()
    if job is True:
        return store.create(plan.asked["algorithm"], plan.facts)
    if not isinstance(job, str) or not job.strip():
        raise UsageError(f"job must be a name, or True, got {job!r}")
    begun = store.unfinished(job)
    return store.create(job, {**plan.facts, "named": True}) if begun is None else begun
