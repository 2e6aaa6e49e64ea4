"""``motherlode mine``, ``run`` and ``describe``: a job from flags or from a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motherlode.cli import lean, show, values

if TYPE_CHECKING:
    from motherlode.jobs.execute import Outcome
    from motherlode.jobs.plan import Plan
    from motherlode.jobs.spec import JobSpec
    from motherlode.jobs.store import Job

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Files, globs, folders or URLs.")
]
Where = Annotated[str | None, typer.Option(metavar="SQL", help='Rows to mine, as "price > 10".')]
Columns = Annotated[str | None, typer.Option(metavar="A,B", help="Columns to use; all by default.")]
GroupBy = Annotated[
    str | None, typer.Option(metavar="A,B", help="An answer for each value of these columns.")
]
Format = Annotated[
    str | None, typer.Option(metavar="NAME", help="How files are read, if their ending is silent.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="K=V", help="Option of the format, as delimiter=';'."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="K=V", help="Parameter of the algorithm, as top=10."),
]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Memory limit, as 2GB; half of the machine's.")
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="Number of workers; all processors by default.")
]
EngineUrl = Annotated[str, typer.Option("--engine", metavar="URL", help="Where to run.")]
Output = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Write the table: .parquet .arrow .csv .json .jsonl"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Report = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write a page with the picture (.html).")
]
SaveState = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the state, to be merged later.")
]
Quarantine = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the unreadable records (.jsonl).")
]
MaxBad = Annotated[
    str | None,
    typer.Option(metavar="N", help="Unreadable records tolerated: a number, or a share as 1%."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no table, account or progress.")]
NoJournal = Annotated[bool, typer.Option("--no-journal", help="Keep nothing for resuming.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the top of the command line."""
    app.command("mine")(mine)
    app.command("run")(run)
    app.command("describe")(describe)


def mine(
    algorithm: Annotated[
        str, typer.Argument(metavar="ALGORITHM", help="See `motherlode algorithms`.")
    ],
    source: Sources,
    param: Params = None,
    columns: Columns = None,
    where: Where = None,
    group_by: GroupBy = None,
    format: Format = None,
    option: Options = None,
    memory: Memory = None,
    workers: Workers = None,
    engine: EngineUrl = "local",
    output: Output = None,
    as_json: AsJson = False,
    report: Report = None,
    save_state: SaveState = None,
    quarantine: Quarantine = None,
    max_bad: MaxBad = None,
    quiet: Quiet = False,
    no_journal: NoJournal = False,
) -> None:
    """Mine data with an algorithm."""
    lean.start(engine)
    from motherlode.mining import catalogue

    texts = values.pairs(param or [], "--param")
    params = values.fitted(texts, catalogue.algorithm(algorithm).constraints) if texts else {}
    options = {n: values.literal(t) for n, t in values.pairs(option or [], "--option").items()}
    given = {
        "algorithm": algorithm,
        "source": source,
        "params": params,
        "columns": values.names(columns),
        "where": where,
        "group_by": values.names(group_by),
        "format": format,
        "options": options,
        "memory": memory,
        "workers": workers,
        "engine": engine,
        "output": output,
        "report": report,
        "save_state": save_state,
        "quarantine": quarantine,
        "max_bad": values.number(max_bad),
    }
    carry_out(_spec(given), as_json=as_json, quiet=quiet, journal=not no_journal)


def run(
    job: Annotated[
        Path, typer.Argument(metavar="JOB", help="A file in TOML or JSON that describes the job.")
    ],
    as_json: AsJson = False,
    quiet: Quiet = False,
    no_journal: NoJournal = False,
) -> None:
    """Run the job that a file describes."""
    from motherlode.jobs.spec import JobSpec

    spec = JobSpec.from_file(job)
    lean.start(spec.engine)
    carry_out(spec, as_json=as_json, quiet=quiet, journal=not no_journal)


def describe(
    source: Sources,
    columns: Columns = None,
    where: Where = None,
    group_by: GroupBy = None,
    format: Format = None,
    option: Options = None,
    memory: Memory = None,
    workers: Workers = None,
    output: Output = None,
    as_json: AsJson = False,
    report: Report = None,
    max_bad: MaxBad = None,
    quiet: Quiet = False,
) -> None:
    """Describe every column: type, nulls, distinct values, moments."""
    lean.start()
    given = {
        "algorithm": "Describe",
        "source": source,
        "columns": values.names(columns),
        "where": where,
        "group_by": values.names(group_by),
        "format": format,
        "options": {
            n: values.literal(t) for n, t in values.pairs(option or [], "--option").items()
        },
        "memory": memory,
        "workers": workers,
        "output": output,
        "report": report,
        "max_bad": values.number(max_bad),
    }
    carry_out(_spec(given), as_json=as_json, quiet=quiet, journal=True)


def resume(job: Job, *, as_json: bool = False, quiet: bool = False, rows: int = show.ROWS) -> None:
    """Go on with a job and print its answer."""
    from motherlode.core.errors import JobError
    from motherlode.jobs.plan import plan_of
    from motherlode.jobs.spec import JobSpec
    from motherlode.jobs.store import ENDED

    if job.status in ENDED:
        raise JobError(f"job {job.id} is {job.status}", f"motherlode jobs show {job.id}")
    kept = job.header["spec"]
    if kept is None:
        raise JobError(
            f"job {job.id} was started from Python, with objects that no file describes",
            f"call mine() again there with job={job.header['name']!r}",
        )
    spec = JobSpec.of(kept, Path("/"), f"job {job.id}")
    lean.start(spec.engine)
    _execute(plan_of(spec), job, as_json=as_json, quiet=quiet, rows=rows)


def carry_out(
    spec: JobSpec,
    *,
    as_json: bool = False,
    quiet: bool = False,
    journal: bool = True,
    rows: int = show.ROWS,
) -> Outcome:
    """Carry a specification out and print what it gave."""
    from motherlode.jobs.mine import job_for
    from motherlode.jobs.plan import plan_of

    plan = plan_of(spec)
    job = job_for(plan, spec.name or True) if journal else None
    return _execute(plan, job, as_json=as_json, quiet=quiet, rows=rows)


def _spec(given: dict[str, Any]) -> JobSpec:
    from motherlode.jobs.spec import JobSpec

    return JobSpec.of(given, Path.cwd(), "the command line")


def _execute(plan: Plan, job: Job | None, *, as_json: bool, quiet: bool, rows: int) -> Outcome:
    from motherlode.jobs.execute import execute
    from motherlode.jobs.progress import bars

    with bars(False if quiet else None) as listener:
        outcome = execute(plan, job, listener)
    _print(outcome, as_json=as_json, quiet=quiet, rows=rows)
    return outcome


def _print(outcome: Outcome, *, as_json: bool, quiet: bool, rows: int) -> None:
    """Print the answer on stdout, and what is to be said of it on stderr."""
    from motherlode.jobs.files import size_of

    result, spec = outcome.result, outcome.plan.spec
    if as_json:
        json.dump(_as_json(outcome), sys.stdout, ensure_ascii=False, allow_nan=False)
        print()
    if quiet:
        return
    if not as_json and rows and (spec is None or spec.output is None):
        show.table(result.table, rows)
    show.note(show.account(outcome))
    for name in ("output", "report", "save_state", "quarantine"):
        path = None if spec is None else spec.path(name)
        if path is not None:
            show.note(f"wrote {path} ({show.size(size_of(path))})")
    if result.quarantine and (spec is None or spec.quarantine is None):
        show.note(f"unreadable, first of {len(result.quarantine):,}: {result.quarantine[0]}")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    from motherlode.jobs.output import records

    result = outcome.result
    rows = result.rows
    return {
        "algorithm": outcome.plan.asked["algorithm"],
        "job": None if outcome.job is None else outcome.job.id,
        "rows": {
            "read": rows.read,
            "used": rows.used,
            "filtered": rows.filtered,
            "quarantined": rows.quarantined,
        },
        "passes": result.passes,
        "seconds": round(outcome.seconds, 3),
        "digest": result.digest,
        "result": records(result.table),
    }
