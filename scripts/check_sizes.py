"""List what grew beyond a readable size, and fail unless `sizes.toml` says why it may.

A file counts its lines, a function its lines without the docstring, a class its public methods and
a folder its modules without `__init__.py`.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LIMITS = {
    "files": (400, "lines"),
    "functions": (50, "lines"),
    "classes": (15, "public methods"),
    "folders": (12, "modules"),
}
ROOT = Path(__file__).resolve().parent.parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Size(NamedTuple):
    """How large one file, function, class or folder is."""

    kind: str
    name: str
    total: int


def function_lines(node: Function) -> int:
    """Lines from `def` to the last statement, without those of the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def public_methods(node: ast.ClassDef) -> int:
    """Public names a class defines as methods or properties; overloads and setters count once."""
    names = {item.name for item in node.body if isinstance(item, Function)}
    return sum(not name.startswith("_") for name in names)


def definitions(node: ast.AST, prefix: str) -> Iterator[Size]:
    """Sizes of the functions and classes below a node, nested ones included."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | Function):
            yield from definitions(child, prefix)
            continue
        name = f"{prefix}{child.name}"
        if isinstance(child, ast.ClassDef):
            yield Size("classes", name, public_methods(child))
        else:
            yield Size("functions", name, function_lines(child))
        yield from definitions(child, f"{name}.")


def measure(source: Path) -> Iterator[Size]:
    """Sizes of everything in the packages below `source`, in order of path."""
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source).as_posix()
        text = path.read_text(encoding="utf-8")
        yield Size("files", name, len(text.splitlines()))
        yield from definitions(ast.parse(text, filename=name), f"{name}:")
        if path.name == "__init__.py":
            modules = sum(module.name != "__init__.py" for module in path.parent.glob("*.py"))
            yield Size("folders", Path(name).parent.as_posix(), modules)


def problems(sizes: list[Size], allowed: dict[str, dict[str, str]]) -> Iterator[str]:
    """Sentences about what is too large without a reason, and about reasons nothing needs."""
    large = [size for size in sizes if size.total > LIMITS[size.kind][0]]
    for size in large:
        limit, unit = LIMITS[size.kind]
        if not allowed.get(size.kind, {}).get(size.name, "").strip():
            yield f"{size.name}: {size.total} {unit}, at most {limit} without a reason"
    needed = {(size.kind, size.name) for size in large}
    for kind, entries in allowed.items():
        for name in entries:
            if kind not in LIMITS:
                yield f"[{kind}]: unknown, choose from {', '.join(LIMITS)}"
            elif (kind, name) not in needed:
                yield f"{name}: listed under [{kind}] but small enough or gone; remove the entry"


def main() -> int:
    """Print the problems, one a line; the exit status is 1 when there are any."""
    allowed = tomllib.loads((ROOT / "scripts" / "sizes.toml").read_text(encoding="utf-8"))
    sizes = list(measure(ROOT / "src"))
    found = list(problems(sizes, allowed))
    for problem in found:
        print(problem)
    if found:
        print("hint: divide it, or give the reason in scripts/sizes.toml")
        return 1
    files = sum(size.kind == "files" for size in sizes)
    print(f"Sizes: {files} files, all within bounds or with a reason")
    return 0


if __name__ == "__main__":
    sys.exit(main())
