"""Charts: a result table and an algorithm's chart trait as a Plotly figure, which is plain data."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from motherlode.algebra.summary import Chart
from motherlode.core.batch import is_numeric
from motherlode.jobs.output import plain_json

Figure = dict[str, Any]

QUARTILES = (
    ("min", "q1", "median", "q3", "max"),
    ("min", "q25", "median", "q75", "max"),
    ("min", "p25", "p50", "p75", "max"),
    ("min", "25%", "50%", "75%", "max"),
    ("lower", "q1", "median", "q3", "upper"),
)
"""Names under which a table may give the five numbers of a box."""


def figure(table: pa.Table, chart: Chart) -> Figure | None:
    """Return the figure, or None where the table lacks what the chart wants.

    Text is escaped, because Plotly takes some HTML in labels.
    """
    wanted = [chart.y] if chart.kind == "heatmap" else [chart.x, chart.y]
    if chart.kind == "box" and chart.y not in table.column_names:
        wanted = [chart.x]
    if not table.num_rows or any(name not in table.column_names for name in wanted):
        return None
    rows = table.slice(0, chart.top)
    data, layout = _KINDS[chart.kind](rows, chart)
    if not data:
        return None
    return {"data": data, "layout": {**layout, "height": _height(data)}}


def labels(values: Sequence[Any]) -> list[str]:
    """Return values as escaped text for a category axis, each different from the others."""
    texts: list[str] = []
    seen: dict[str, int] = {}
    for value in values:
        plain = plain_json(value)
        if isinstance(plain, list):
            text = ", ".join(str(each) for each in plain)
        else:
            text = "(null)" if plain is None else str(plain)
        text = text if len(text) <= 60 else text[:57] + "…"
        seen[text] = seen.get(text, 0) + 1
        # Zero-width characters keep bars apart whose shortened names are the same.
        texts.append(_escaped(text) + "\u200b" * (seen[text] - 1))
    return texts


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _values(rows: pa.Table, name: str) -> list[Any]:
    return [plain_json(value) for value in rows[name].to_pylist()]


def _numeric(rows: pa.Table, name: str) -> bool:
    return is_numeric(rows.schema.field(name).type)


def _axis(name: str, **more: Any) -> Figure:
    return {"title": {"text": _escaped(name)}, "automargin": True, **more}


def _coordinates(rows: pa.Table, name: str) -> tuple[list[Any], Figure]:
    """Return a column's values with its axis: numbers and times as they are, else categories."""
    kind = rows.schema.field(name).type
    if is_numeric(kind):
        return _values(rows, name), _axis(name, autotypenumbers="strict")
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return _values(rows, name), _axis(name, type="date")
    return labels(rows[name].to_pylist()), _axis(name, type="category")


def _bar(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    heights, up = _coordinates(rows, chart.y)
    if _numeric(rows, chart.x):
        x, axis = _coordinates(rows, chart.x)
        return [{"type": "bar", "x": x, "y": heights}], {"xaxis": axis, "yaxis": up}
    names = labels(rows[chart.x].to_pylist())
    bars = {"type": "bar", "orientation": "h", "x": heights, "y": names}
    down = _axis("", type="category", autorange="reversed")
    return [bars], {"xaxis": up, "yaxis": down}


def _histogram(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    """Draw bars without gaps; of numbers, from ``x`` to ``high`` where the table has both."""
    x, xaxis = _coordinates(rows, chart.x)
    y, yaxis = _coordinates(rows, chart.y)
    bars: Figure = {"type": "bar", "x": x, "y": y}
    if "high" in rows.column_names and _numeric(rows, chart.x) and _numeric(rows, "high"):
        bins = [(a or 0, b or 0) for a, b in zip(x, _values(rows, "high"), strict=True)]
        bars |= {"x": [(a + b) / 2 for a, b in bins], "width": [b - a for a, b in bins]}
    return [bars], {"xaxis": xaxis, "yaxis": yaxis, "bargap": 0.02}


def _heatmap(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    cells = [n for n in rows.column_names if n != chart.y and _numeric(rows, n)]
    if not cells:
        return [], {}
    z = [list(row) for row in zip(*(_values(rows, name) for name in cells), strict=True)]
    flat = [value for row in z for value in row if value is not None]
    around_zero = bool(flat) and min(flat) < 0
    grid = {
        "type": "heatmap",
        "x": labels(cells),
        "y": labels(rows[chart.y].to_pylist()),
        "z": z,
        "colorscale": "RdBu" if around_zero else "Viridis",
        "reversescale": around_zero,
        "xgap": 1,
        "ygap": 1,
    }
    if around_zero:
        grid["zmid"] = 0
    axes = {
        "xaxis": _axis("", type="category"),
        "yaxis": _axis("", type="category", autorange="reversed"),
    }
    return [grid], axes


def _scatter(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    x, xaxis = _coordinates(rows, chart.x)
    y, yaxis = _coordinates(rows, chart.y)
    marker: Figure = {"opacity": 0.8, "size": 8}
    layout = {"xaxis": xaxis, "yaxis": yaxis}
    if chart.size in rows.column_names and _numeric(rows, chart.size):
        sizes = [value or 0 for value in _values(rows, chart.size)]
        biggest = max(max(sizes), 1e-300)
        marker |= {"size": sizes, "sizemode": "area", "sizeref": 2 * biggest / 30**2, "sizemin": 3}
    points = {"mode": "markers", "marker": marker, **_told(rows)}
    if chart.color not in rows.column_names:
        return [{"type": "scatter", "x": x, "y": y, **points}], layout
    if _numeric(rows, chart.color):
        bar = {"title": {"text": _escaped(chart.color)}}
        marker |= {"color": _values(rows, chart.color), "colorscale": "Viridis", "colorbar": bar}
        return [{"type": "scatter", "x": x, "y": y, **points}], layout
    return _by_color(rows, chart, points, x, y), layout


def _told(rows: pa.Table) -> Figure:
    """Return what a point tells when it is pointed at: the columns that are not numbers."""
    names = [name for name in rows.column_names if not _numeric(rows, name)]
    if not names:
        return {}
    columns = [labels(rows[name].to_pylist()) for name in names]
    lines = [
        "<br>".join(f"{_escaped(name)}: {text}" for name, text in zip(names, row, strict=True))
        for row in zip(*columns, strict=True)
    ]
    return {"hovertext": lines}


def _line(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    x, xaxis = _coordinates(rows, chart.x)
    y, yaxis = _coordinates(rows, chart.y)
    layout = {"xaxis": xaxis, "yaxis": yaxis}
    if chart.color in rows.column_names:
        return _by_color(rows, chart, {"mode": "lines"}, x, y), layout
    return [{"type": "scatter", "mode": "lines", "x": x, "y": y}], layout


def _by_color(
    rows: pa.Table, chart: Chart, trace: Figure, x: list[Any], y: list[Any]
) -> list[Figure]:
    """Return a trace for each value of the colour column."""
    groups: dict[str, list[int]] = {}
    for position, value in enumerate(rows[chart.color].to_pylist()):
        groups.setdefault(labels([value])[0], []).append(position)
    traces = []
    for name, places in groups.items():
        own = {
            "x": [x[i] for i in places],
            "y": [y[i] for i in places],
            **{key: _at(value, places) for key, value in trace.items()},
        }
        traces.append({"type": "scatter", "name": name, **own})
    return traces


def _at(value: Any, places: list[int]) -> Any:
    """Return the part of a trace's property that belongs to some points."""
    if isinstance(value, dict):
        return {key: _at(each, places) for key, each in value.items()}
    return [value[i] for i in places] if isinstance(value, list) else value


def _box(rows: pa.Table, chart: Chart) -> tuple[list[Figure], Figure]:
    """Draw boxes of the five numbers where the table has them, else of the values of ``y``."""
    names = set(rows.column_names)
    five = next((each for each in QUARTILES if names.issuperset(each)), None)
    layout = {"xaxis": _axis("", type="category"), "yaxis": _axis(chart.y), "showlegend": False}
    if five is None:
        x = labels(rows[chart.x].to_pylist()) if chart.x in names else None
        if chart.y not in names or not _numeric(rows, chart.y):
            return [], {}
        return [{"type": "box", "x": x, "y": _values(rows, chart.y)}], layout
    low, q1, median, q3, high = (_values(rows, name) for name in five)
    boxes = {
        "type": "box", "x": labels(rows[chart.x].to_pylist()),
        "lowerfence": low, "q1": q1, "median": median, "q3": q3, "upperfence": high,
    }  # fmt: skip
    return [boxes], {**layout, "yaxis": _axis("")}


def _height(data: list[Figure]) -> int:
    """Return a height in pixels in which every named row can be read."""
    first = data[0]
    if first["type"] == "heatmap":
        return max(380, 200 + 24 * len(first["y"]))
    return max(380, 120 + 22 * len(first["y"])) if first.get("orientation") == "h" else 440


_KINDS: dict[str, Callable[[pa.Table, Chart], tuple[list[Figure], Figure]]] = {
    "bar": _bar,
    "histogram": _histogram,
    "heatmap": _heatmap,
    "scatter": _scatter,
    "line": _line,
    "box": _box,
}
