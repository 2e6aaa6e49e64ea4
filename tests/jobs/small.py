"""Small data and algorithms that the tests of jobs share."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from motherlode.algebra.summary import Context, Iterative, Summary, Traits
from motherlode.core.batch import Batch, Schema
from motherlode.core.parameters import Constraint, Integer


def text_file(path: Path, lines: int = 2_000, seed: int = 7) -> Path:
    """Write lines of a few words, the same for the same seed."""
    chance = random.Random(seed)
    words = [f"w{number}" for number in range(500)]
    with open(path, "w") as file:
        for _ in range(lines):
            file.write(" ".join(chance.choices(words, k=3)) + "\n")
    return path


class Lengths(Summary[dict[str, Any], pa.Table]):
    """How often each length of a line occurs; order of merging does not matter."""

    traits: ClassVar[Traits] = Traits("exact", "lengths of lines", invertible=True)
    constraints: ClassVar[Mapping[str, Constraint]] = {"scale": Integer(1)}

    def __init__(self, scale: int = 1) -> None:
        self.scale = scale

    def zero(self) -> dict[str, Any]:
        return {}

    def update(self, state: dict[str, Any], batch: Batch) -> dict[str, Any]:
        for text in batch.column("text").to_pylist():
            key = str(len(text) * self.scale)
            state[key] = state.get(key, 0) + 1
        return state

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        for key, count in right.items():
            left[key] = left.get(key, 0) + count
        return left

    def finish(self, state: dict[str, Any]) -> pa.Table:
        keys = sorted(state)
        return pa.table({"length": keys, "count": [state[key] for key in keys]})


class Drift(Iterative[dict[str, Any], pa.Table]):
    """Passes whose floats depend on every split, on their order, and on the pass before."""

    traits: ClassVar[Traits] = Traits("ordered", "a model that drifts", passes="k")
    constraints: ClassVar[Mapping[str, Constraint]] = {"passes": Integer(1)}

    def __init__(self, passes: int = 4) -> None:
        self.passes = passes

    def start(self, context: Context) -> dict[str, Any]:
        return {"done": 0, "x": 1e9 / context.memory}

    def pass_(self, model: dict[str, Any]) -> Summary[Any, Any]:
        return _Sum(model["x"])

    def advance(self, model: dict[str, Any], result: float) -> dict[str, Any]:
        return {"done": model["done"] + 1, "x": (model["x"] * 3.7 + result) % 1.0}

    def done(self, model: dict[str, Any]) -> bool:
        return bool(model["done"] >= self.passes)

    def table(self, value: Any) -> pa.Table:
        return pa.table({"x": [value["x"]]})


class _Sum(Summary[float, float]):
    traits: ClassVar[Traits] = Traits("ordered", "a plain float sum")

    def __init__(self, x: float = 0.0) -> None:
        self.x = x

    def prepare(self, schema: Schema) -> _Sum:
        schema.require("text")
        return self

    def zero(self) -> float:
        return 0.0

    def update(self, state: float, batch: Batch) -> float:
        for text in batch.column("text").to_pylist():
            state += (len(text) * self.x) % 0.37
        return state

    def merge(self, left: float, right: float) -> float:
        return left * 0.999 + right

    def finish(self, state: float) -> float:
        return state
