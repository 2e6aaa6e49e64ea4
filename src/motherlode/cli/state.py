"""``motherlode state``: states that were saved are shown, merged and subtracted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motherlode.cli import lean, show
from motherlode.cli.mine import AsJson

if TYPE_CHECKING:
    from motherlode.jobs.state_file import SavedState

app = typer.Typer(no_args_is_help=True, help="Show, merge and subtract saved states.")

Out = Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The state to write.")]
StateFile = Annotated[
    Path, typer.Argument(metavar="STATE", help="A file written with --save-state.")
]
Whole = Annotated[Path, typer.Argument(metavar="WHOLE", help="The state to take rows out of.")]
Part = Annotated[Path, typer.Argument(metavar="PART", help="The state of those rows.")]


@app.command("show")
def show_(state: StateFile, as_json: AsJson = False) -> None:
    """Show what a state is of, and its answer."""
    lean.start()
    import json

    from motherlode.jobs.output import records
    from motherlode.jobs.state_file import read_state

    saved = read_state(state)
    result = saved.result()
    if as_json:
        print(json.dumps(records(result.table), ensure_ascii=False, allow_nan=False))
        return
    request, rows = saved.request, saved.part.tally
    show.facts(
        {
            "algorithm": request["algorithm"],
            "parameters": ", ".join(f"{k} = {v!r}" for k, v in request["parameters"].items()),
            "where": request["where"],
            "columns": ", ".join(request["columns"] or ()),
            "group by": ", ".join(request["group_by"] or ()),
            "covers": f"{len(saved.part.covers):,} pieces of data",
            "rows": f"{rows.used:,} used of {rows.read:,} read",
            "unreadable": f"{rows.quarantined:,}" if rows.quarantined else None,
            "digest": result.digest,
        }
    )
    print()
    show.table(result.table)


@app.command("merge")
def merge(
    states: Annotated[
        list[Path], typer.Argument(metavar="STATE", help="Files written with --save-state.")
    ],
    output: Out,
) -> None:
    """Merge states of different data into one."""
    lean.start()
    from motherlode.core.errors import UsageError
    from motherlode.jobs.state_file import read_state

    if len(states) < 2:
        raise UsageError("there is nothing to merge", "name two state files or more")
    whole = read_state(states[0])
    _check(output)
    for path in states[1:]:
        whole = whole.merge(read_state(path))
    _write(whole, output)


@app.command("subtract")
def subtract(whole: Whole, part: Part, output: Out) -> None:
    """Take the rows of one state out of another."""
    lean.start()
    from motherlode.jobs.state_file import read_state

    _check(output)
    _write(read_state(whole).subtract(read_state(part)), output)


def _check(output: Path) -> None:
    from motherlode.jobs.files import check_writable

    check_writable(output, "output")


def _write(state: SavedState, path: Path) -> None:
    from motherlode.jobs.state_file import write_state

    write_state(state, path)
    show.note(f"wrote {path}: {state.part.tally.used:,} rows, {show.size(path.stat().st_size)}")
