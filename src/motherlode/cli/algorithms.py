"""``motherlode algorithms``: what there is, and what each takes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from motherlode.cli import show

if TYPE_CHECKING:
    from motherlode.algebra.summary import Algorithm

app = typer.Typer()


@app.command("algorithms")
def algorithms(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Tell all about this one.")
    ] = None,
) -> None:
    """List the algorithms, or tell all about one."""
    from motherlode.mining import catalogue

    if name is None:
        _list(catalogue.algorithms())
    else:
        _tell(catalogue.algorithm(name))


def _list(kinds: list[type[Algorithm]]) -> None:
    from motherlode.mining.catalogue import family

    rows = []
    before = ""
    for kind in kinds:
        traits = kind.traits
        own = family(kind)
        rows.append(
            (
                "" if own == before else own.replace("_", " "),
                kind.__name__,
                traits.grade,
                traits.passes.split(",")[0],
                "yes" if traits.invertible else "",
                traits.summary,
            )
        )
        before = own
    heads = ("family", "algorithm", "grade", "passes", "forgets", "what for")
    show.grid(heads, rows, fold=True)
    show.note(f"{len(kinds)} algorithms; tell all about one: motherlode algorithms NAME")


def _tell(kind: type[Algorithm]) -> None:
    traits = kind.traits
    print(f"{kind.__name__}\n")
    print(inspect.getdoc(kind) or traits.summary)
    print()
    parameters = inspect.signature(kind.__init__).parameters
    rows = []
    for name in kind.parameter_names():
        default = parameters[name].default
        shown = "" if default is inspect.Parameter.empty else repr(default)
        rows.append((name, shown, str(kind.constraints.get(name, ""))))
    if rows:
        show.grid(("parameter", "default", "takes"), rows, fold=True)
        print()
    show.facts(
        {
            "grade": f"{traits.grade} ({traits.eps})" if traits.eps else traits.grade,
            "passes": traits.passes,
            "forgets rows": "yes" if traits.invertible else "no",
            "on a stream": traits.streamable,
            "state": traits.state_size,
            "reference": traits.reference,
        }
    )
