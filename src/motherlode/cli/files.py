"""``motherlode fs``: look at, copy and print files wherever jobs can read them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from motherlode.cli import show, values

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(no_args_is_help=True, help="List, copy and print files in any store.")

CHUNK = 8 << 20

Place = Annotated[str, typer.Argument(metavar="URL", help="A file or folder: path or URL.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="K=V", help="Option of the store, as endpoint_url=…."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Draw no progress.")]


@app.command("ls")
def list_(
    place: Annotated[str, typer.Argument(metavar="URL", help="A folder, or a file.")] = ".",
    option: Options = None,
) -> None:
    """List a folder: size and name, folders with a slash at their end."""
    for location, size in _entries(place, _options(option)):
        shown = "-" if size is None else f"{size:,}"
        print(f"{shown:>15}  {show.clean(location)}{'/' if size is None else ''}")


@app.command("cp")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A file: path or URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A file, or a folder ending in /.")],
    option: Options = None,
    quiet: Quiet = False,
) -> None:
    """Copy a file; the copy is there as a whole, or not at all."""
    from motherlode.data.files.storage import is_remote, storage
    from motherlode.jobs.files import check_writable, replacing

    options = _options(option)
    name = source.rstrip("/").rpartition("/")[2]
    to = _target(target, name, options)
    check_writable(to, "copy")
    where, place = storage(source, options)
    if not is_remote(place):
        place = str(Path(place).expanduser().absolute())
    file = where.stat(place)
    with ExitStack() as opened:
        tell = opened.enter_context(_progress(name, file.size, not quiet))
        out = opened.enter_context(replacing(to))
        for piece in _pieces(where, file):
            out.write(piece)
            tell(len(piece))
    show.note(f"wrote {to} ({show.size(file.size)})")


@app.command("cat")
def cat(place: Place, option: Options = None) -> None:
    """Print a file as it is stored; of a folder, its files one after another."""
    from motherlode.data.files.storage import storage

    where, asked = storage(place, _options(option))
    out: BinaryIO = sys.stdout.buffer
    for file in where.find(asked):
        for piece in _pieces(where, file):
            out.write(piece)
    out.flush()


def _pieces(where: Any, file: Any) -> Iterator[bytes]:
    """Yield the content of a file; one that ends too soon has been changed."""
    from motherlode.core.errors import SourceChangedError
    from motherlode.data.files.storage import translated

    with translated(file.location, planning=True), where.open(file.location) as reader:
        at = 0
        while at < file.size:
            piece = reader.read_at(at, min(CHUNK, file.size - at))
            if not piece:
                break
            at += len(piece)
            yield piece
    if where.stat(file.location).version != file.version or at != file.size:
        raise SourceChangedError(f"{file.location} changed while it was read", "try again")


def _entries(place: str, options: dict[str, Any]) -> list[tuple[str, int | None]]:
    from motherlode.data.files.remote import RemoteStorage
    from motherlode.data.files.storage import is_remote, translated

    if is_remote(place):
        return RemoteStorage(place, options).entries(place)
    path = Path(place.removeprefix("file://")).expanduser()
    with translated(str(path)):
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        return [(str(each), None if each.is_dir() else each.lstat().st_size) for each in found]


def _target(target: str, name: str, options: dict[str, Any]) -> Any:
    from motherlode.data.files.publish import Url
    from motherlode.data.files.storage import is_remote

    if is_remote(target):
        return Url(target + name if target.endswith("/") else target, options)
    path = Path(target.removeprefix("file://")).expanduser()
    return path / name if target.endswith("/") or path.is_dir() else path


@contextmanager
def _progress(name: str, size: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    if not wanted or not sys.stderr.isatty():
        yield lambda nbytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    console = Console(stderr=True)
    with Progress(
        "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        console=console, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task(name.replace("[", "\\["), total=size)
        yield lambda nbytes: progress.update(task, advance=nbytes)


def _options(option: list[str] | None) -> dict[str, Any]:
    return {n: values.literal(t) for n, t in values.pairs(option or [], "--option").items()}
