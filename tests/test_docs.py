"""The documentation is true: its examples run, its tables are what the code declares."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import motherlode
from scripts import docs

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules():
    found = pkgutil.walk_packages(motherlode.__path__, "motherlode.", onerror=lambda name: None)
    return sorted(
        name for _, name, _ in found if not any(part.startswith("_") for part in name.split("."))
    )


def examples(page):
    """The page's Python blocks with the lines on which they start."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start(1)].count("\n"), m[1]) for m in BLOCK.finditer(text)]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if examples(page)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    """In order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, code in examples(page):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.testmod(module, optionflags=flags)
    assert not failed


@pytest.mark.parametrize("kind", docs.algorithms(), ids=lambda kind: kind.__name__)
def test_an_algorithm_has_a_page_with_an_example(kind):
    page = ROOT / "docs" / "algorithms" / docs.page_name(kind)
    assert page.exists(), f"docs/algorithms/{page.name} is missing"
    code = [block for _, block in examples(page)]
    assert any(kind.__name__ in block for block in code), "no example that runs"
    assert any("assert" in block for block in code), "no example that asserts what it claims"


def test_there_is_no_page_without_an_algorithm():
    pages = {page.name for page in (ROOT / "docs" / "algorithms").glob("*.md")}
    assert pages - {"README.md"} <= {docs.page_name(kind) for kind in docs.algorithms()} | {
        "cross_validate.md",
        "group_by.md",
        "product.md",
    }


def test_the_tables_are_up_to_date():
    assert docs.stale(ROOT) == [], "run: make docs"


def links(page):
    """The places that a page links to within the project."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [target for target in targets if "://" not in target]


def test_links_between_pages_lead_somewhere():
    missing = [
        f"{page.relative_to(ROOT)} links to {target}"
        for page in PAGES
        for target in links(page)
        if not (page.parent / target).exists()
    ]
    assert missing == []


class TestTheScript:
    def test_the_table_is_put_between_the_markers(self):
        before = f"top\n{docs.BEGIN}\nold\n{docs.END}\nend\n"
        assert docs.with_table(before, "| new |\n") == (
            f"top\n{docs.BEGIN}\n| new |\n{docs.END}\nend\n"
        )

    @pytest.mark.parametrize(
        "text", ["", docs.BEGIN, docs.END + docs.BEGIN, (docs.BEGIN + docs.END) * 2]
    )
    def test_a_readme_without_markers_is_refused(self, text):
        with pytest.raises(ValueError, match="once each"):
            docs.with_table(text, "")

    def test_tables_tell_every_algorithm(self):
        kinds = docs.algorithms()
        for text in (docs.short_table(kinds), docs.full_table(kinds)):
            lines = text.splitlines()
            assert len(lines) == len(kinds) + 2
            assert len({line.count("|") for line in lines}) == 1

    def test_what_is_stale_is_told(self, tmp_path):
        (tmp_path / "docs" / "algorithms").mkdir(parents=True)
        readme = tmp_path / "README.md"
        readme.write_text(f"{docs.BEGIN}\n{docs.END}\n")
        assert len(docs.stale(tmp_path)) == 2
        for path, text in docs.generated(tmp_path).items():
            path.write_text(text)
        assert docs.stale(tmp_path) == []
        readme.write_text(readme.read_text().replace("exact", "approximate", 1))
        assert docs.stale(tmp_path) == [readme]
