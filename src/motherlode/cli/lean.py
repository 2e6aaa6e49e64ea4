"""A quick start: a process that is the command line's own can do without pandas.

Arrow imports pandas, where it is installed, as soon as a list becomes an array, which takes longer
than all else that a small job does. Nothing here hands a pandas frame to Arrow or takes one from
it, so in a process that runs one command Arrow is told that there is none. A program that imports
this package keeps its pandas.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

own_process = False
"""Whether this process was started for one command."""


class _Absent(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=fullname)
        return None


def start(engine: str = "local") -> None:
    """Prepare for mining; other engines than the embedded one may want pandas themselves."""
    if not own_process or "pandas" in sys.modules or not engine.startswith("local"):
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        import pyarrow as pa

        pa.array([0])  # Arrow looks for pandas once
    finally:
        sys.meta_path.remove(absent)
