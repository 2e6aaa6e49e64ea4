"""Printing: tables and facts, drawn on a terminal and plain in a pipe."""

from __future__ import annotations

import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from motherlode.jobs.execute import Outcome

ROWS = 20
"""Rows of a table that are printed."""

ITEMS = 12
"""Items of a list that are printed in a cell."""


def table(answer: pa.Table, rows: int = ROWS) -> None:
    """Print the first rows of a table, and how many more there are."""
    from motherlode.core.batch import is_numeric

    shown = answer.slice(0, rows)
    body = zip(*(column.to_pylist() for column in shown.columns), strict=True)
    grid(answer.column_names, body, right=[is_numeric(kind) for kind in answer.schema.types])
    more = answer.num_rows - shown.num_rows
    if more > 0:
        print(f"… and {more:,} more rows")


def grid(
    heads: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[bool] = (),
    fold: bool = False,
) -> None:
    """Print rows under heads.

    What is wider than the terminal is turned on its side: a line a column, as many rows side by
    side as there is room for. Or, with ``fold``, the last column is folded.
    """
    lines = [[clean(head) for head in heads]]
    lines += [[cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        _print(lines, right)
        return
    room = shutil.get_terminal_size().columns
    if fold:
        _print(_folded(lines, room), right)
        return
    lines = [[_cut(text, max(20, room // 2)) for text in line] for line in lines]
    if sum(_widths(lines)) + 2 * (len(heads) - 1) <= room:
        _print(lines, right)
        return
    first, *rest = lines
    while rest:
        count = 1
        while count < len(rest) and _side(first, rest[: count + 1]) <= room:
            count += 1
        _print(
            [list(column) for column in zip(first, *rest[:count], strict=True)],
            [False] + [True] * count,
        )
        rest = rest[count:]
        if rest:
            print()


def _folded(lines: list[list[str]], room: int) -> list[list[str]]:
    """Fold the texts of the last column so that they fit beside the others."""
    widths = _widths(lines)
    room -= sum(widths[:-1]) + 2 * (len(widths) - 1)
    if room < 20 or widths[-1] <= room:
        return lines
    folded = []
    for *others, text in lines:
        first, *more = textwrap.wrap(text, room) or [""]
        folded.append([*others, first])
        folded += [[*("" for _ in others), part] for part in more]
    return folded


def _print(lines: list[list[str]], right: Sequence[bool]) -> None:
    widths = _widths(lines)
    for number, line in enumerate(lines):
        parts = []
        for place, (text, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - _width(text))
            parts.append(space + text if place < len(right) and right[place] else text + space)
        said = "  ".join(parts).rstrip()
        print(said if number else bold(said))


def _widths(lines: list[list[str]]) -> list[int]:
    return [max(_width(text) for text in column) for column in zip(*lines, strict=True)]


def _side(first: list[str], rest: list[list[str]]) -> int:
    """Return the width of rows that stand side by side, their heads before them."""
    return sum(max(map(_width, line)) + 2 for line in (first, *rest)) - 2


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def facts(entries: Mapping[str, Any]) -> None:
    """Print names with their values; those without a value are left out."""
    kept = {name: value for name, value in entries.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in kept), default=0)
    for name, value in kept.items():
        print(f"{name:<{width}}  {clean(str(value))}")


def bold(text: str) -> str:
    """Return text in bold type where stdout is a terminal."""
    return f"\x1b[1m{text}\x1b[0m" if _styled() else text


def dim(text: str) -> str:
    """Return text in faint type where stdout is a terminal."""
    return f"\x1b[2m{text}\x1b[0m" if _styled() else text


def _styled() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def note(text: str) -> None:
    """Print a remark on stderr."""
    print(clean(text), file=sys.stderr)


def account(outcome: Outcome) -> str:
    """Return the account of the rows and the time they took, in one line."""
    result = outcome.result
    rows = result.rows
    parts = [f"{rows.used:,} used"]
    if rows.filtered:
        parts.append(f"{rows.filtered:,} filtered")
    if rows.quarantined:
        parts.append(f"{rows.quarantined:,} unreadable")
    passes = "1 pass" if result.passes == 1 else f"{result.passes} passes"
    return f"{rows.read:,} rows read: {', '.join(parts)}; {passes}, {outcome.seconds:.2f} s"


def cell(value: Any) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        more = ["…"] if len(value) > ITEMS else []
        return ", ".join([*(cell(each) for each in value[:ITEMS]), *more])
    if isinstance(value, dict):
        return ", ".join(f"{clean(str(k))}: {cell(v)}" for k, v in value.items())
    if isinstance(value, bytes):
        return clean(value[:64].decode(errors="backslashreplace"))
    text = str(value)
    return clean(text if len(text) <= 200 else text[:199] + "…")


def clean(text: str) -> str:
    """Return text without anything that a terminal would take as a command."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def size(nbytes: int) -> str:
    """Return a number of bytes for people."""
    amount = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
