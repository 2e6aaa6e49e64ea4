"""The page: escaped HTML, styles, Plotly and data in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import motherlode
from motherlode.algebra.summary import Chart
from motherlode.core.batch import is_numeric
from motherlode.core.errors import MissingExtraError
from motherlode.data.files.publish import Url
from motherlode.jobs.files import check_writable, write_file
from motherlode.jobs.output import plain_json
from motherlode.jobs.plan import inner_of
from motherlode.jobs.report.charts import Figure, figure

if TYPE_CHECKING:
    from motherlode.jobs.execute import Outcome
    from motherlode.runtime import Result

ROWS = 200
"""Rows of the answer that are shown."""

BAD = 50
"""Unreadable records that are shown."""

GRADES = {
    "exact": "the same to the last bit however the rows are cut, ordered and spread",
    "ordered": "the same to the last bit for the same files, on any engine and number of workers",
    "bounded": "within a declared error",
}


def check_report(path: Path | Url) -> None:
    """Raise if a report could not be written there.

    Raises
    ------
    MissingExtraError
        If Plotly is not installed.
    UsageError
        If the path cannot be written.
    """
    _plotly()
    check_writable(path, "report")


def write_report(outcome: Outcome, path: Path | Url) -> None:
    """Write the page of a job in place of what is at ``path``."""
    write_file(path, page(outcome).encode(errors="replace"))


def page(outcome: Outcome) -> str:
    """Return the page of a job."""
    result, asked = outcome.result, outcome.plan.asked
    shown = drawing(result)
    places = [str(s) for s in _listed(asked["source"])]
    by = f" by {', '.join(asked['group_by'])}" if asked["group_by"] else ""
    title = f"{asked['algorithm']} of {_brief(places)}{by}"
    scripts = [_plotly(), _asset("page.js")] if shown else []
    style = _asset("page.css")
    parts = [
        f"<h2>What was asked</h2>{_request(outcome, places)}",
        f"<h2>The account</h2>{_account(result)}",
        _chart(shown, asked["algorithm"]),
        f"<h2>The answer</h2>{_answer(result.table)}",
        f"<h2>How it went</h2>{_timing(outcome)}",
        _quarantine(result),
    ]
    sections = "".join(f"<section>{part}</section>\n" for part in parts if part)
    made = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    lead = html.escape(inner_of(result.algorithm).traits.summary)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><h1>{html.escape(title)}</h1><p class="lead">{lead}</p></header>\n'
        f"<main>\n{sections}</main>\n"
        f"<footer>Made by motherlode {motherlode.__version__} on {html.escape(made)}. "
        "This page loads nothing from anywhere.</footer>\n"
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )


def drawing(result: Result) -> Figure | None:
    """Return the chart of an answer, by the algorithm's trait; None if it has none."""
    prepared = result.summary if result.summary is not None else result.algorithm
    chart = getattr(prepared, "chart", None) or result.algorithm.chart
    keys = getattr(result.algorithm, "keys", None)
    if chart is not None:
        return figure(result.table, chart)
    if keys is None or not hasattr(result.algorithm, "summary"):
        return None
    return _of_groups(result.table, [keys] if isinstance(keys, str) else list(keys), prepared)


def _of_groups(table: pa.Table, keys: list[str], grouped: Any) -> Figure | None:
    """Draw the answers of a group-by as bars: the groups, and what the inner chart says."""
    inner = getattr(getattr(grouped, "summary", None), "chart", None)
    numbers = [
        name for name in table.column_names if name not in keys and is_numeric(table[name].type)
    ]
    if not numbers:
        return None
    height = inner.y if inner is not None and inner.y in numbers else numbers[0]
    rows = table.slice(0, 40)
    named = list(keys)
    if inner is not None and inner.x in table.column_names and len(set(_texts(rows, inner.x))) > 1:
        named.append(inner.x)
    groups = [" · ".join(parts) for parts in zip(*(_texts(rows, n) for n in named), strict=True)]
    name = " · ".join(named)
    return figure(pa.table({name: groups, height: rows[height]}), Chart("bar", name, height))


def _texts(rows: pa.Table, name: str) -> list[str]:
    return ["(null)" if v is None else str(plain_json(v)) for v in rows[name].to_pylist()]


def _request(outcome: Outcome, places: list[str]) -> str:
    asked, result = outcome.plan.asked, outcome.result
    traits = result.algorithm.traits
    parameters = [
        f"{name} = {value!r}"
        for name, value in asked["parameters"].items()
        if value != outcome.plan.defaults.get(name)
    ]
    grade = f"{traits.grade}: {GRADES.get(traits.grade, '')}"
    facts = {
        "source": ", ".join(places[:5]) + (f" and {len(places) - 5} more" if places[5:] else ""),
        "format": asked["format"],
        "options": ", ".join(f"{name} = {value!r}" for name, value in asked["options"].items()),
        "where": asked["where"],
        "columns": ", ".join(asked["columns"] or ()),
        "group by": ", ".join(asked["group_by"] or ()),
        "algorithm": asked["algorithm"],
        "parameters": ", ".join(parameters) or "all as by default",
        "grade": f"{grade} ({traits.eps})" if traits.eps else grade,
        "state digest": result.digest,
        "reference": inner_of(result.algorithm).traits.reference,
        "job": outcome.job.id if outcome.job is not None else "",
    }
    rows = [
        f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in facts.items()
        if value
    ]
    return f"<dl>{''.join(rows)}</dl>"


def _account(result: Result) -> str:
    rows = result.rows
    parts = [("used", rows.used), ("filtered", rows.filtered), ("quarantined", rows.quarantined)]
    numbers = "".join(
        f"<div><b>{count:,}</b><span>"
        f'<svg class="key" viewBox="0 0 1 1" aria-hidden="true">'
        f'<rect class="{name}" width="1" height="1"/></svg>{name}</span></div>'
        for name, count in parts
    )
    bars, x = "", 0.0
    for name, count in parts:
        width = 100 * count / rows.read if rows.read else 0.0
        bars += f'<rect class="{name}" x="{x:.3f}" width="{width:.3f}" height="1"/>'
        x += width
    said = ", ".join(f"{count:,} {name}" for name, count in parts)
    return (
        f'<div class="numbers"><div><b>{rows.read:,}</b><span>rows read</span></div>{numbers}</div>'
        f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" '
        f'aria-label="Of {rows.read:,} rows: {said}">{bars}</svg>'
        '<p class="note">Rows read = used + left out by the filter + unreadable. '
        "Nothing is dropped silently.</p>"
    )


def _chart(shown: Figure | None, name: str) -> str:
    if shown is None:
        return ""
    data = json.dumps(shown, allow_nan=False).replace("<", "\\u003c")
    return (
        "<h2>The picture</h2><figure>"
        f'<div id="chart" role="img" aria-label="Chart of the answer of {html.escape(name)}; '
        'its numbers are in the table below"></div>'
        f'<script type="application/json" id="figure">{data}</script>'
        "<noscript>The picture needs JavaScript; its numbers are in the table.</noscript>"
        "</figure>"
    )


def _answer(table: pa.Table) -> str:
    rows = table.slice(0, ROWS)
    more = f", the first {ROWS} of them shown" if table.num_rows > ROWS else ""
    count = _many(table.num_rows, "row")
    columns = [(n, _right(table.schema.field(n).type)) for n in table.column_names]
    return f'<p class="note">{count}{more}.</p>' + _sheet(
        "The answer",
        columns,
        zip(*(rows[name].to_pylist() for name, _ in columns), strict=True),
    )


def _timing(outcome: Outcome) -> str:
    columns = [
        (n, True) for n in ("pass", "splits", "kept from before", "rows", "seconds", "rows/s")
    ]
    rows = []
    for each in outcome.clock.passes:
        rate = round(each.rows / each.seconds) if each.seconds else None
        rows.append(
            (each.number + 1, each.splits, each.kept, each.rows, round(each.seconds, 2), rate)
        )
    said = (
        f"{outcome.seconds:,.2f} seconds on {outcome.place}: "
        f"{_many(outcome.result.passes, 'pass', 'passes')} over the rows."
    )
    return f"<p>{html.escape(said)}</p>" + _sheet("Passes over the rows", columns, rows)


def _quarantine(result: Result) -> str:
    bad = result.quarantine
    if not bad:
        return ""
    columns = [("file", False), ("byte", True), ("reason", False), ("record", False)]
    rows = []
    for record in bad[:BAD]:
        raw = record.raw[:200].decode(errors="backslashreplace")
        rows.append((record.location, record.offset, record.reason, raw))
    more = f"; the first {BAD} are shown" if len(bad) > BAD else ""
    note = f'<p class="note">{_many(len(bad), "record")} could not be read{more}.</p>'
    return f"<h2>Unreadable records</h2>{note}{_sheet('Unreadable records', columns, rows)}"


def _sheet(name: str, columns: list[tuple[str, bool]], rows: Any) -> str:
    """Return a table in a frame that scrolls; numeric columns are set to the right."""
    marks = [' class="n"' if right else "" for _, right in columns]
    head = "".join(
        f'<th scope="col"{mark}>{html.escape(column)}</th>'
        for (column, _), mark in zip(columns, marks, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_cell(value, mark) for value, mark in zip(row, marks, strict=True))}</tr>"
        for row in rows
    )
    return (
        f'<div class="sheet" role="region" aria-label="{html.escape(name)}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any, mark: str) -> str:
    """Return one cell; ``mark`` is its class, where it has one."""
    if value is None:
        return f'<td{mark}><span class="null">null</span></td>'
    text = _text(value)
    if not mark and len(text) > 40:
        mark = ' class="long"'
    return f"<td{mark}>{html.escape(text)}</td>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(f"{v:.6g}" if isinstance(v, float) else str(plain_json(v)) for v in value)
    return str(plain_json(value))


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def _right(kind: pa.DataType) -> bool:
    return is_numeric(kind) and not pa.types.is_boolean(kind)


def _policy(scripts: list[str]) -> str:
    """Return a policy that lets only our own scripts run, and nothing be loaded."""
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _listed(source: Any) -> list[Any]:
    if source is None:
        return ["data in memory"]
    return list(source) if isinstance(source, list | tuple) else [source]


def _brief(places: list[str]) -> str:
    first = places[0].rstrip("/").rsplit("/", 1)[-1]
    return first if len(places) == 1 else f"{first} and {len(places) - 1} more"


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's script as installed; importing the package would take a while for nothing."""
    found = find_spec("plotly")
    for folder in (found and found.submodule_search_locations) or ():
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return script.read_text(encoding="utf-8")
    raise MissingExtraError("plotly", "plot")
