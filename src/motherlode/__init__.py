"""Mine any data, at any size, once or for ever, and get the same answer.

Names are imported when they are first used, so that ``import motherlode`` costs nothing:
``ml.mine``, ``ml.read``, ``ml.GroupBy`` and every algorithm (``ml.WordCount``, ``ml.KMeans``, …).
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "mine": "motherlode.jobs.mine",
    "read": "motherlode.data:dataset",
    "Dataset": "motherlode.data",
    "engine": "motherlode.runtime.engine",
    "shuffle": "motherlode.runtime.shuffle",
    "join": "motherlode.runtime.join",
    "map_reduce": "motherlode.mapreduce",
    "MRJob": "motherlode.mapreduce",
    "MRStep": "motherlode.mapreduce",
    "from_ray": "motherlode.engines.ray_source",
    "from_spark": "motherlode.engines.spark_source",
    "Result": "motherlode.runtime",
    "Tolerance": "motherlode.data.quarantine",
    "GroupBy": "motherlode.algebra.keyed",
    "Product": "motherlode.algebra.combine",
    "Mapped": "motherlode.algebra.combine",
    "Summary": "motherlode.algebra.summary",
    "Iterative": "motherlode.algebra.summary",
    "Traits": "motherlode.algebra.summary",
    "Chart": "motherlode.algebra.summary",
    "Batch": "motherlode.core.batch",
    "Schema": "motherlode.core.batch",
    "errors": "motherlode.core.errors:",
    "cross_validate": "motherlode.mining.validation.cross_validate",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home, _, attribute = _HOMES[name].partition(":")
        module = importlib.import_module(home)
        whole = ":" in _HOMES[name] and not attribute
        value = module if whole else getattr(module, attribute or name)
    elif name[:1].isupper():
        from motherlode.core.errors import UnknownNameError
        from motherlode.mining import catalogue

        try:
            value = catalogue.algorithm(name)
        except UnknownNameError as error:
            raise AttributeError(f"motherlode has no {name!r}; {error.hint}") from error
    else:
        raise AttributeError(f"module 'motherlode' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from motherlode.mining import catalogue

    return sorted([*globals(), *_HOMES, *catalogue.names()])
