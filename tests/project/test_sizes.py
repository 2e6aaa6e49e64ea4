import ast
from pathlib import Path

import pytest

from scripts.check_sizes import Size, function_lines, measure, problems, public_methods


def parse(text: str):
    return ast.parse(text).body[0]


def test_a_docstring_does_not_count_towards_a_function():
    assert function_lines(parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n')) == 2


def test_overloads_setters_and_private_methods_do_not_count_towards_a_class():
    methods = ["a", "a", "_b", "__init__", "c"]
    text = "class C:\n" + "".join(f"    def {name}(self): ...\n" for name in methods)
    assert public_methods(parse(text)) == 2


def test_everything_in_a_package_is_measured(tmp_path: Path):
    package = tmp_path / "rock"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ore.py").write_text("class Ore:\n    def mine(self):\n        return 1\n")
    assert set(measure(tmp_path)) == {
        Size("folders", "rock", 1),
        Size("files", "rock/__init__.py", 0),
        Size("files", "rock/ore.py", 3),
        Size("classes", "rock/ore.py:Ore", 1),
        Size("functions", "rock/ore.py:Ore.mine", 2),
    }


@pytest.mark.parametrize(
    ("count", "allowed", "complaint"),
    [
        (401, {}, "401 lines"),
        (401, {"files": {"a.py": " "}}, "401 lines"),
        (401, {"files": {"a.py": "one table"}}, None),
        (400, {}, None),
        (400, {"files": {"a.py": "one table"}}, "remove the entry"),
        (400, {"filse": {"a.py": "one table"}}, "unknown"),
    ],
)
def test_what_is_too_large_needs_a_reason_and_a_reason_needs_it(count, allowed, complaint):
    found = list(problems([Size("files", "a.py", count)], allowed))
    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1
        assert complaint in found[0]
