"""Settings that a process has once: where jobs are kept, how much memory and how many workers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from motherlode.core.errors import ParameterError

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def home() -> Path:
    """Return the folder for jobs and their journals (``MOTHERLODE_HOME``)."""
    chosen = os.environ.get("MOTHERLODE_HOME")
    if chosen:
        return Path(chosen).expanduser()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "motherlode"


def workers(count: int | None = None) -> int:
    """Return the number of workers: as asked, else the processors this process may use."""
    if count is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0)) or 1
        return os.cpu_count() or 1
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ParameterError(f"workers must be a whole number of at least 1, got {count!r}")
    return count


def memory(limit: str | int | None = None) -> int:
    """Return a memory limit in bytes.

    Parameters
    ----------
    limit : str, int or None
        ``"2GB"``, ``"512MiB"``, a number of bytes, or None for half of the machine's memory.

    Raises
    ------
    ParameterError
        If it is not a size, or below 16 MB.
    """
    if limit is None:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2
    amount = limit if isinstance(limit, int) and not isinstance(limit, bool) else _parse(limit)
    if amount < 16_000_000:
        raise ParameterError(f"memory must be at least 16MB, got {limit!r}")
    return amount


def _parse(text: object) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", str(text).lower())
    if not match or (match[3] and not match[2]):
        raise ParameterError(f"memory must be a size as '2GB' or '512MiB', got {text!r}")
    scale = (_BINARY if match[3] else _UNITS)[match[2]]
    return int(float(match[1]) * scale)
