import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from motherlode.algebra.summary import Chart
from motherlode.jobs.execute import execute
from motherlode.jobs.plan import plan
from motherlode.jobs.report import write_report
from motherlode.jobs.report.charts import figure, labels
from motherlode.jobs.report.page import ROWS, page

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"><svg onload=alert('x')>",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "<a href='https://example.org'>click</a>",
    "\u2028\ud7ff",
]


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its tags and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "td":
            self.cells[-1] += data
        if self._in == "script":
            self.scripts.append(data)


def of(source: Any, algorithm: Any, **more: Any) -> str:
    return page(execute(plan(source, algorithm, **more)))


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return of({HOSTILE[1]: HOSTILE * 2}, "ValueCounts")


def test_hostile_strings_stay_text(hostile_page: str) -> None:
    read = Page(hostile_page)
    names = {name for name, _ in read.tags}
    assert not names & {"img", "a", "iframe", "object", "link"}
    assert sum(name == "script" for name, _ in read.tags) == 3
    assert all(not key.startswith("on") for _, attrs in read.tags for key in attrs)
    for text in HOSTILE:
        assert text in read.cells


def test_labels_of_the_chart_are_escaped_for_plotly_too(hostile_page: str) -> None:
    data = json.loads(Page(hostile_page).scripts[0])
    shown = data["data"][0]["y"]
    assert len(shown) == len(HOSTILE)
    assert not any("<" in text for text in shown)
    assert "<" not in data["layout"]["yaxis"]["title"]["text"]


def test_nothing_is_loaded_from_anywhere(hostile_page: str) -> None:
    read = Page(hostile_page)
    assert not any({"src", "href"} & attrs.keys() for _, attrs in read.tags)
    policy = next(
        attrs["content"]
        for _, attrs in read.tags
        if "content-security-policy" in str(attrs).lower()
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy
    assert "url(" not in re.sub(r"<script>.*?</script>", "", hostile_page, flags=re.S)


def test_the_policy_lets_exactly_our_scripts_run(hostile_page: str) -> None:
    import base64
    import hashlib

    scripts = re.findall(r"<script>(.*?)</script>\n", hostile_page, flags=re.S)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in hostile_page


def test_what_is_told(tmp_path: Path) -> None:
    rows = [f"v{number}" for number in range(ROWS + 50)] + ["leave"] * 3
    text = of({"name": rows}, "ValueCounts", where="name <> 'leave'")
    read = Page(text)
    assert "<title>ValueCounts of data in memory</title>" in text
    assert f'aria-label="Of {ROWS + 53} rows: {ROWS + 50} used, 3 filtered, 0 quarantined"' in text
    assert f"{ROWS + 50} rows, the first {ROWS} of them shown" in text
    assert sum(cell.startswith("v") for cell in read.cells) == ROWS
    assert "name &lt;&gt; &#x27;leave&#x27;" in text
    assert "1 pass over the rows" in text
    assert ("html", {"lang": "en"}) in read.tags


def test_unreadable_records_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"good\n<b>bad\xff\xfe</b>\ngood\n")
    text = of(path, "Count")
    assert "1 record could not be read" in text
    cells = Page(text).cells
    assert any(r"<b>bad\xff\xfe</b>" in cell for cell in cells)
    assert "5" in cells


def test_a_page_without_a_chart_holds_no_script() -> None:
    text = of({"x": [1, 2]}, "Count")
    assert "script-src 'none'" in text
    assert len(text) < 20_000


def test_it_is_written_whole(tmp_path: Path) -> None:
    outcome = execute(plan({"x": ["a", "b"]}, "ValueCounts"))
    write_report(outcome, tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text()
    assert written.startswith("<!doctype html>")
    assert written.endswith("</html>\n")


def test_groups_are_drawn_with_their_keys() -> None:
    sales = {"city": ["Bonn", "Ulm", "Bonn", None], "price": [3.0, 4.0, 5.0, 1.0]}
    text = of(sales, "Moments", columns=["price"], group_by="city")
    data = json.loads(Page(text).scripts[0])["data"][0]
    assert data["y"] == ["Bonn", "Ulm", "(null)"]
    assert data["x"] == [4.0, 4.0, 1.0]
    assert "<title>Moments of data in memory by city</title>" in text


@pytest.mark.parametrize("kind", ["bar", "histogram", "heatmap", "scatter", "line", "box"])
def test_every_kind_of_chart_is_plain_data(kind: str) -> None:
    table = pa.table(
        {
            "name": ["a", "b", None, "<i>"],
            "x": [1.0, 2.0, float("nan"), 4.0],
            "y": [1, None, 3, -4],
            "group": ["g", "h", "g", "h"],
        }
    )
    for chart in (
        Chart(kind, "x", "y"),
        Chart(kind, "name", "y"),
        Chart(kind, "x", "y", color="group", size="x"),
        Chart(kind, "x", "name"),
    ):
        drawn = figure(table, chart)
        if drawn is not None:
            text = json.dumps(drawn, allow_nan=False).replace("<br>", "")
            assert "<" not in text
            assert drawn["data"][0]["type"] in ("bar", "heatmap", "scatter", "box")
    assert figure(table, Chart(kind, "no", "such")) is None
    assert figure(table.slice(0, 0), Chart(kind, "x", "y")) is None


def test_a_heatmap_has_a_row_a_name_and_a_column_a_number() -> None:
    table = pa.table({"column": ["a", "b"], "a": [1.0, -0.5], "b": [-0.5, 1.0]})
    drawn = figure(table, Chart("heatmap", "", "column"))
    assert drawn is not None
    grid = drawn["data"][0]
    assert (grid["x"], grid["y"]) == (["a", "b"], ["a", "b"])
    assert grid["z"] == [[1.0, -0.5], [-0.5, 1.0]]
    assert grid["zmid"] == 0


def test_bars_of_a_histogram_reach_from_low_to_high() -> None:
    table = pa.table({"low": [0.0, 1.0], "high": [1.0, 4.0], "count": [5, 7]})
    drawn = figure(table, Chart("histogram", "low", "count"))
    assert drawn is not None
    assert drawn["data"][0]["x"] == [0.5, 2.5]
    assert drawn["data"][0]["width"] == [1.0, 3.0]


def test_points_tell_what_they_are_and_are_divided_by_colour() -> None:
    table = pa.table(
        {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0], "n": [1, 2, 3], "of": ["a", "b", "a"]}
    )
    drawn = figure(table, Chart("scatter", "x", "y", color="of", size="n"))
    assert drawn is not None
    first, second = drawn["data"]
    assert (first["name"], first["x"], first["marker"]["size"]) == ("a", [1.0, 3.0], [1, 3])
    assert (second["name"], second["hovertext"]) == ("b", ["of: b"])


def test_a_box_is_drawn_from_five_numbers() -> None:
    table = pa.table(
        {"column": ["a"], "min": [0.0], "q25": [1.0], "median": [2.0], "q75": [3.0], "max": [9.0]}
    )
    drawn = figure(table, Chart("box", "column", "median"))
    assert drawn is not None
    assert drawn["data"][0]["q1"] == [1.0]
    assert drawn["data"][0]["upperfence"] == [9.0]


def test_equal_and_shortened_labels_stay_apart() -> None:
    shown = labels(["x" * 100 + "1", "x" * 100 + "2", None, ["a", "b"], 3])
    assert len(set(shown)) == 5
    assert shown[2:] == ["(null)", "a, b", "3"]
