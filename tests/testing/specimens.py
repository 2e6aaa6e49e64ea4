"""Small lawful algorithms, slow and obvious, of which the tests make unlawful mutants."""

from __future__ import annotations

import copy
import math
from collections import Counter
from fractions import Fraction
from typing import ClassVar

import pyarrow as pa

from motherlode.algebra.summary import Iterative, Summary, Traits
from motherlode.core.errors import DataError, UsageError
from motherlode.core.parameters import AnyOf, Integer, Nothing, Text


class Histogram(Summary):
    """How often each whole number occurs in a column, as a state that is changed in place."""

    traits = Traits("exact", "numbers counted", invertible=True, state_size="distinct values")
    constraints: ClassVar = {"column": AnyOf(Text(), Nothing()), "least": Integer(1)}
    takes = "numbers"

    def __init__(self, column=None, least=1):
        self.column = column
        self.least = least

    def prepare(self, schema):
        super().prepare(schema)
        ready = copy.copy(self)
        whole = [f.name for f in schema.columns if pa.types.is_integer(f.type)]
        if self.column is None and not whole:
            raise UsageError("Histogram: no column holds whole numbers")
        ready.column_ = whole[0] if self.column is None else self.column
        schema.require(ready.column_)
        return ready

    def needs(self):
        return (self.column_,)

    def zero(self):
        return {"rows": 0, "nulls": 0, "counts": Counter()}

    def update(self, state, batch):
        values = batch.column(self.column_).to_pylist()
        state["rows"] += len(values)
        state["nulls"] += values.count(None)
        state["counts"].update(v for v in values if v is not None)
        return state

    def merge(self, left, right):
        left["rows"] += right["rows"]
        left["nulls"] += right["nulls"]
        left["counts"].update(right["counts"])
        return left

    def subtract(self, whole, part):
        whole["rows"] -= part["rows"]
        whole["nulls"] -= part["nulls"]
        whole["counts"].subtract(part["counts"])
        whole["counts"] = Counter({v: n for v, n in whole["counts"].items() if n})
        return whole

    def finish(self, state):
        kept = sorted((v, n) for v, n in state["counts"].items() if n >= self.least)
        values, counts = zip(*kept, strict=True) if kept else ((), ())
        return pa.table(
            {"value": pa.array(values, pa.int64()), "count": pa.array(counts, pa.int64())}
        )

    def export(self, state):
        counts = [[value, count] for value, count in sorted(state["counts"].items())]
        return {"rows": state["rows"], "nulls": state["nulls"], "counts": counts}

    def load(self, exported):
        counts = Counter(dict(exported["counts"]))
        return {"rows": exported["rows"], "nulls": exported["nulls"], "counts": counts}


class Variance(Summary):
    """Mean and variance of a column in rational numbers; rows without a finite number are left."""

    traits = Traits("exact", "mean and variance", invertible=True)
    takes = "numbers"

    def zero(self):
        return (0, Fraction(0), Fraction(0))

    def update(self, state, batch):
        values, valid = batch.numbers("x")
        kept = values.tolist() if valid is None else values[valid].tolist()
        count, total, squares = state
        for value in kept:
            if math.isfinite(value):
                count += 1
                total += Fraction(value)
                squares += Fraction(value) ** 2
        return (count, total, squares)

    def merge(self, left, right):
        return tuple(a + b for a, b in zip(left, right, strict=True))

    def subtract(self, whole, part):
        return tuple(a - b for a, b in zip(whole, part, strict=True))

    def finish(self, state):
        count, total, squares = state
        mean = total / count if count else None
        variance = squares / count - mean**2 if count else None
        return pa.table({"mean": [_float(mean)], "variance": [_float(variance)]})

    def export(self, state):
        count, *sums = state
        return [count, *([s.numerator, s.denominator] for s in sums)]

    def load(self, exported):
        count, *sums = exported
        return (count, *(Fraction(*s) for s in sums))


def _float(value):
    try:
        return None if value is None else float(value)
    except OverflowError:
        return math.inf


class Median(Iterative):
    """The lower median of whole numbers by bisection: a pass a bit."""

    traits = Traits("exact", "median by bisection", passes="k")
    takes = "numbers"

    def start(self, context):
        context.schema.require("n")
        return {"low": -(2**63), "high": 2**63 - 1, "passes": 0}

    def pass_(self, model):
        return Below((model["low"] + model["high"]) // 2)

    def advance(self, model, result):
        middle = (model["low"] + model["high"]) // 2
        below, rows = result
        passes = model["passes"] + 1
        if 2 * below >= rows:
            return {"low": model["low"], "high": middle, "passes": passes}
        return {"low": middle + 1, "high": model["high"], "passes": passes}

    def done(self, model):
        return model["low"] == model["high"]

    def finish(self, model):
        return pa.table({"median": [model["low"]]})


class Below(Summary):
    """How many values are not above a bound, and how many there are."""

    traits = Traits("exact", "values up to a bound", invertible=True)

    def __init__(self, bound):
        self.bound = bound

    def needs(self):
        return ("n",)

    def zero(self):
        return [0, 0]

    def update(self, state, batch):
        values = batch.column("n").drop_null().to_pylist()
        return [state[0] + sum(v <= self.bound for v in values), state[1] + len(values)]

    def merge(self, left, right):
        return [left[0] + right[0], left[1] + right[1]]

    def subtract(self, whole, part):
        return [whole[0] - part[0], whole[1] - part[1]]

    def finish(self, state):
        return tuple(state)


class Shares(Summary):
    """The share of positive cells of a feature block, a column each; refuses NaN."""

    traits = Traits("exact", "share of positive cells", invertible=True)
    takes = "matrix"

    def zero(self):
        return (0, 0)

    def update(self, state, batch):
        block = batch.matrix(dense=True)
        if (block != block).any():
            raise DataError("the matrix holds NaN", "fill it")
        return (state[0] + int((block > 0).sum()), state[1] + block.size)

    def merge(self, left, right):
        return (left[0] + right[0], left[1] + right[1])

    def subtract(self, whole, part):
        return (whole[0] - part[0], whole[1] - part[1])

    def finish(self, state):
        return pa.table({"share": [state[0] / state[1] if state[1] else None]})
