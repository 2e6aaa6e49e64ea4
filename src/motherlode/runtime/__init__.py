"""The runtime: one driver for every engine: passes, merge tree, retries, accounting, resuming."""

from motherlode.runtime.result import Result
from motherlode.runtime.run import run

__all__ = ["Result", "run"]
