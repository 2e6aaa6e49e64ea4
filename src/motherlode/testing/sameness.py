"""When plain data are the same but for rounding, and where they first differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from motherlode.algebra import codec

CLOSE = 1e-7
"""How far apart, relative to the largest number beside them, ``ordered`` states may be that were
merged in another order."""


def close(left: Any, right: Any) -> bool:
    """Tell whether plain data are equal but for the rounding of floats.

    Examples
    --------
    >>> close({"n": 3, "sum": 0.1 + 0.2}, {"n": 3, "sum": 0.3})
    True
    >>> close({"n": 3}, {"n": 4})
    False
    """
    if isinstance(left, pa.RecordBatch | pa.Table | pa.Array | pa.ChunkedArray):
        left, right = _python(left), _python(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return sorted(left) == sorted(right) and all(close(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(close, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=CLOSE) or left != left != right
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.shape == right.shape and left.dtype == right.dtype and _near(left, right)
    return codec.encode(left) == codec.encode(right)


def _near(left: Any, right: Any) -> bool:
    if left.dtype.kind not in "fc":
        return bool(np.array_equal(left, right))
    finite = np.abs(left[np.isfinite(left)])
    scale = float(finite.max()) if finite.size else 0.0
    with np.errstate(all="ignore"):
        return bool(np.allclose(left, right, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True))


def _python(value: Any) -> Any:
    if isinstance(value, pa.RecordBatch | pa.Table):
        return {name: value.column(name).to_pylist() for name in value.schema.names}
    return value.to_pylist()


def difference(got: Any, wanted: Any, path: str = "state") -> str:
    """Say where two plain data first differ.

    Examples
    --------
    >>> difference({"n": 3, "sum": 1.0}, {"n": 3, "sum": 2.0})
    "state['sum'] is 1.0 but should be 2.0"
    """
    got, wanted = _shown(got), _shown(wanted)
    if isinstance(got, dict) and isinstance(wanted, dict) and sorted(got) == sorted(wanted):
        pairs = [(got[key], wanted[key], f"{path}[{key!r}]") for key in sorted(got)]
    elif isinstance(got, list) and isinstance(wanted, list) and len(got) == len(wanted):
        pairs = [(a, b, f"{path}[{k}]") for k, (a, b) in enumerate(zip(got, wanted, strict=True))]
    else:
        return f"{path} is {_short(got)} but should be {_short(wanted)}"
    for left, right, where in pairs:
        if codec.encode(left) != codec.encode(right):
            return difference(left, right, where)
    return f"{path} differs in type only"


def _shown(value: Any) -> Any:
    if isinstance(value, pa.RecordBatch | pa.Table | pa.Array | pa.ChunkedArray):
        return _python(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
