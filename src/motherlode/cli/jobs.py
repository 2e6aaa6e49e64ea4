"""``motherlode jobs``: what ran and runs; resuming, stopping and deleting it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motherlode.cli import mine, show

if TYPE_CHECKING:
    from motherlode.jobs.journal import Entry
    from motherlode.jobs.store import Job

app = typer.Typer(no_args_is_help=True, help="List, show, resume, cancel and delete jobs.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, its beginning or end, or 'latest'.")]


@app.command("list")
def list_() -> None:
    """List the jobs, newest last."""
    from motherlode.jobs.store import JobStore

    store = JobStore()
    jobs = store.jobs()
    if not jobs:
        show.note(f"there are no jobs in {store.folder}")
        return
    rows = []
    for job in jobs:
        if job.damaged:
            rows.append((job.id, "damaged", "", "", "", show.size(job.nbytes), ""))
            continue
        header = job.header
        done = _last(job.entries, "done") or {}
        rows.append(
            (
                job.id,
                job.status,
                f"{_splits(job.entries)}/{header['splits']}",
                f"{done['rows']['read']:,}" if done else "",
                f"{done['seconds']:.1f} s" if done else "",
                show.size(job.nbytes),
                _brief(header["asked"]["source"]),
            )
        )
    heads = ("job", "status", "splits", "rows", "time", "size", "source")
    show.grid(heads, rows, right=(False, False, True, True, True, True, False), fold=True)


@app.command("show")
def show_(id: Id) -> None:
    """Show what a job was asked, how it went, and its answer."""
    job = _open(id)
    header, entries = job.header, job.entries
    done = _last(entries, "done")
    failed = _last(entries, "failed")
    asked = {name: value for name, value in header["asked"].items() if value not in (None, {}, [])}
    holder = job.holder()
    show.facts(
        {
            "job": job.id,
            "status": job.status + (f", process {holder[1]} on {holder[0]}" if holder else ""),
            "begun": _when(header),
            **{name.replace("_", " "): _said(value) for name, value in asked.items()},
            "attempts": sum(entry["event"] == "started" for entry in entries),
            "splits": f"{_splits(entries)} of {header['splits']} in the last pass",
            "retries": sum(entry["event"] == "retry" for entry in entries) or None,
            "error": failed["error"] if failed and job.status == "failed" else None,
            **(_ending(done) if done else {}),
            "folder": job.folder,
        }
    )
    if done:
        print()
        _answer(job)
    elif job.status not in ("running", "cancelled"):
        show.note(f"go on with: motherlode jobs resume {job.id}")


@app.command("resume")
def resume(id: Id, as_json: mine.AsJson = False, quiet: mine.Quiet = False) -> None:
    """Go on with a job that was stopped, failed or broke off."""
    mine.resume(_open(id), as_json=as_json, quiet=quiet)


@app.command("cancel")
def cancel(id: Id) -> None:
    """Stop a job for good; its kept states are dropped."""
    from motherlode.jobs.store import JobStore

    job = _open(id)
    JobStore().cancel(job)
    show.note(f"cancelled {job.id}")


@app.command("rm")
def remove(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of jobs.")] = None,
    finished: Annotated[bool, typer.Option("--finished", help="All that are done.")] = False,
) -> None:
    """Delete jobs with their journals and kept results."""
    from motherlode.core.errors import UsageError
    from motherlode.jobs.store import ENDED, JobStore

    store = JobStore()
    jobs = [store.open(id) for id in ids or []]
    if finished:
        jobs += [job for job in store.jobs() if job.status in ENDED]
    elif not jobs:
        raise UsageError("which jobs?", "name them, or give --finished")
    for job in jobs:
        store.remove(job)
    show.note(f"deleted {len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}")


def _open(id: str) -> Job:
    from motherlode.jobs.store import JobStore

    return JobStore().open(id)


def _answer(job: Job) -> None:
    import pyarrow as pa

    if job.result.exists():
        with pa.memory_map(str(job.result)) as file:
            show.table(pa.ipc.open_file(file).read_all())


def _ending(done: Entry) -> dict[str, Any]:
    rows = done["rows"]
    parts = ", ".join(f"{rows[n]:,} {n}" for n in ("used", "filtered", "quarantined") if rows[n])
    return {
        "rows": f"{rows['read']:,} read: {parts}" if parts else f"{rows['read']:,} read",
        "passes": done["passes"],
        "engine": done["engine"],
        "seconds": done["seconds"],
        "digest": done["digest"],
        "unreadable": [f"{place} at byte {at}: {why}" for place, at, why in done["quarantine"]][:5],
    }


def _splits(entries: list[Entry]) -> int:
    """Splits finished in the last pass, those kept from before included."""
    count = 0
    for entry in entries:
        if entry["event"] == "pass":
            count = entry["kept"]
        elif entry["event"] == "split":
            count += entry.get("splits", 1)
    return count


def _last(entries: list[Entry], event: str) -> Entry | None:
    from motherlode.jobs.journal import last

    return last(entries, event)


def _when(entry: Entry) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["at"]))


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {each!r}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _brief(source: Any) -> str:
    if source is None:
        return "(memory)"
    places = [source] if isinstance(source, str) else source
    first = str(places[0]).rstrip("/").rsplit("/", 1)[-1]
    return first if len(places) == 1 else f"{first} and {len(places) - 1} more"
