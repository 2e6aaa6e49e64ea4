"""A connection to a Ray cluster: opened by its URL, and its failures put into words."""

from __future__ import annotations

import logging
import os
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from motherlode.core.errors import EngineError, MissingExtraError, UnknownNameError, UsageError

ADVICE = (
    "install the same versions on all nodes, or ship an environment with runtime_env; "
    "see docs/engines.md"
)
URLS = ["ray://host:10001", "auto", "ray-auto", "ray-local[2]"]
KNOCK_SECONDS = 5.0
"""How long a cluster may take to answer its door."""


def connect(url: str, workers: int | None, options: dict[str, Any]) -> tuple[Any, bool]:
    """Return the module ``ray`` connected, and whether it was connected here.

    Raises
    ------
    MissingExtraError, UsageError
        If there is no Ray, or the URL cannot be used.
    EngineError
        If the cluster cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray") from error
    settings = _settings(url, workers)
    if ray.is_initialized():
        return ray, False
    if url.startswith("ray://"):
        _knock(url)
    # Ray warns of what its next version will do about accelerators; there are none here.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(**settings, **options)
    except Exception as error:
        raise EngineError(
            f"cannot reach Ray at {url}: {reason(error)}",
            "is the cluster running, and is this the right address and port?",
        ) from error
    return ray, True


def reason(error: BaseException) -> str:
    """Return the line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]


def lost(error: BaseException, worker: str) -> EngineError:
    """Return the failure of a worker in words."""
    text = str(error)
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        return EngineError(f"the nodes have no package {missing[1]!r}", ADVICE)
    if type(error).__name__ == "OutOfMemoryError" or "running low on memory" in text:
        return EngineError(f"Ray killed the worker {worker} to save memory", reason(error))
    return EngineError(
        f"the Ray worker {worker} was lost ({type(error).__name__})", "it or its node died"
    )


def _settings(url: str, workers: int | None) -> dict[str, Any]:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    match = re.fullmatch(r"ray-local(?:\[(\d+)\])?", url)
    if match:
        if match[1] and workers not in (None, int(match[1])):
            raise UsageError(f"{url!r} says {match[1]} workers, workers={workers} another number")
        cpus = int(match[1]) if match[1] else workers
        return quiet | {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    if url in ("auto", "ray-auto"):
        return quiet | {"address": "auto"}
    if re.fullmatch(r"ray://[\w.-]+:\d+", url):
        return {"address": url, "log_to_driver": False}
    raise UnknownNameError("engine URL", url, hint=f"as {', '.join(URLS)}")


def _knock(url: str) -> None:
    """Try the door of a cluster; Ray itself tries for half a minute before it says so."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port or 10001), KNOCK_SECONDS).close()
    except OSError as error:
        raise EngineError(
            f"cannot reach a Ray cluster at {url}: {error}",
            "is it running, and is this its client port (--ray-client-server-port)?",
        ) from error
