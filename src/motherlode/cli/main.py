"""The command ``motherlode``: its groups, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import motherlode
from motherlode.cli import algorithms, demo, files, jobs, lean, mine, state
from motherlode.core.errors import MotherlodeError, UsageError

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 130
"""Exit codes; 130 is what shells expect of a program that was stopped with Ctrl-C."""


class Commands(TyperGroup):
    """The top group: turns whatever is raised into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
            return value
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            _let_go_of_stdout()
            raise typer.Exit(DONE) from None
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("MOTHERLODE_DEBUG"):
                raise
            raise typer.Exit(_report(error)) from None


app = typer.Typer(
    name="motherlode",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # Rich would take half of the time that --help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 the request is wrong, 130 stopped with Ctrl-C.",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"motherlode {motherlode.__version__}")
        raise typer.Exit


@app.callback()
def motherlode_(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Mine any data, at any size, once or for ever, and get the same answer."""


mine.add_to(app)
app.add_typer(algorithms.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(state.app, name="state")
app.add_typer(files.app, name="fs")
app.add_typer(demo.app)


def main() -> None:
    """Run the command line and exit."""
    lean.own_process = True
    try:
        code = app(prog_name="motherlode", standalone_mode=False)
    except typer.TyperException as error:
        code = _report(error)
    except typer.Abort:
        code = STOPPED
    sys.exit(code if isinstance(code, int) else DONE)


def _report(error: BaseException) -> int:
    """Print an error as one line on stderr and return the exit code it stands for."""
    if isinstance(error, KeyboardInterrupt):
        _say(str(error) or "stopped", "")
        return STOPPED
    if isinstance(error, MotherlodeError):
        _say("error: " + error.message, error.hint)
        return USAGE if isinstance(error, UsageError) else FAILED
    if isinstance(error, typer.TyperException):
        return _misused(error)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _say(f"error: unexpected {said}", "set MOTHERLODE_DEBUG=1 to see where")
    return FAILED


def _misused(error: typer.TyperException) -> int:
    """Print what is wrong with the flags; a command without any is shown its help."""
    message = error.format_message()
    if "\n" in message:
        print(message)
        return USAGE
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "motherlode"
    said = message[:1].lower() + message[1:].rstrip(".")
    _say(f"error: {said}", f"see {command} --help")
    return error.exit_code


def _say(message: str, hint: str) -> None:
    line = f"{message}; {hint}" if hint else message
    print(" ".join(line.split()), file=sys.stderr)


def _let_go_of_stdout() -> None:
    """Send what is still buffered nowhere: whoever read it has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
