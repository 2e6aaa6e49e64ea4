"""Finding algorithms: a class ``KMeans`` lives in ``mining/<family>/kmeans.py``, and that is all.

A file's name without underscores is its class's name in lower case. Nothing is registered, and
looking a name up imports one file only. Other packages add theirs through the entry-point group
``motherlode.algorithms``.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from motherlode import mining
from motherlode.algebra.summary import Algorithm
from motherlode.core import plugins
from motherlode.core.errors import UnknownNameError

GROUP = "motherlode.algorithms"


@cache
def modules() -> dict[str, str]:
    """Return the modules that hold an algorithm, by the algorithm's name in lower case."""
    found: dict[str, str] = {}
    for family in pkgutil.iter_modules(mining.__path__, "motherlode.mining."):
        if not family.ispkg:
            continue
        package = importlib.import_module(family.name)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                found[module.name.replace("_", "")] = f"{family.name}.{module.name}"
    return found


def names() -> list[str]:
    """Return the names of all algorithms, sorted; imports their modules."""
    return sorted(kind.__name__ for kind in algorithms())


def algorithms() -> list[type[Algorithm]]:
    """Return all algorithms, sorted by family and name; imports their modules."""
    own = [kind for key in sorted(modules(), key=modules().__getitem__) if (kind := _own(key))]
    return own + [plugins.load(GROUP, name, kind="algorithm") for name in plugins.names(GROUP)]


def algorithm(name: str) -> type[Algorithm]:
    """Return the algorithm of a name; case and underscores do not matter.

    Raises
    ------
    UnknownNameError
        If there is none; the nearest name is suggested.
    """
    key = name.replace("_", "").replace("-", "").lower()
    kind = _own(key)
    if kind is not None:
        return kind
    if name in plugins.names(GROUP):
        return plugins.load(GROUP, name, kind="algorithm")  # type: ignore[no-any-return]
    near = difflib.get_close_matches(key, modules(), n=1, cutoff=0.6)
    like = _own(near[0]) if near else None
    hint = f"did you mean {like.__name__!r}?" if like else "see `motherlode algorithms`"
    raise UnknownNameError("algorithm", name, hint=hint)


def family(kind: type[Algorithm]) -> str:
    """Return the family that an algorithm belongs to, or the package it comes from."""
    parts = kind.__module__.split(".")
    return parts[2] if parts[:2] == ["motherlode", "mining"] else parts[0]


def _own(key: str) -> type[Algorithm] | None:
    module = modules().get(key)
    if module is None:
        return None
    for name, value in vars(importlib.import_module(module)).items():
        if name.lower() == key and isinstance(value, type) and issubclass(value, Algorithm):
            return value
    return None
