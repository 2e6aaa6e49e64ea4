"""A session on a Spark cluster: opened by its URL, and its failures put into words."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from motherlode.core.errors import EngineError, MissingExtraError, UnknownNameError, UsageError
from motherlode.runtime import remote

ADVICE = (
    "install the same versions on the executors and name their Python with PYSPARK_PYTHON, "
    "or ship an environment with spark.archives; see docs/engines.md"
)
URLS = ["spark://host:7077", "spark-local[2]", "spark-yarn", "spark-k8s://https://host:6443"]
KNOCK_SECONDS = 5.0
"""How long a master may take to answer its door."""


class Lost(NamedTuple):
    """What is known of a Spark job that failed.

    Parameters
    ----------
    error : EngineError
        The failure in words.
    partition : int or None
        The partition that failed, where one did.
    worker : str
        Where it failed last.
    """

    error: EngineError
    partition: int | None
    worker: str


def connect(url: Any, workers: int | None, conf: dict[str, str]) -> tuple[Any, bool]:
    """Return a session, and whether it was made here.

    Raises
    ------
    MissingExtraError, UsageError
        If there is no PySpark, or the URL or session cannot be used.
    EngineError
        If the cluster cannot be reached.
    """
    try:
        from pyspark import SparkContext
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyspark", "spark") from error
    if not isinstance(url, str):
        return _usable(url), False
    master = master_of(url, workers)
    opened = SparkContext._active_spark_context
    if opened is not None:
        if opened.master != master:
            raise UsageError(
                f"this process has a Spark session on {opened.master} already, not on {master}",
                "stop that one, or pass it: a process has one at a time",
            )
        return SparkSession.builder.getOrCreate(), False
    if SparkContext._gateway is None:
        _find_java()
    _knock(master)
    settings = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "FATAL"}
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings["spark.ui.enabled"] = "false"
    elif workers is not None:
        settings["spark.cores.max"] = str(workers)
    build = SparkSession.builder.master(master).appName("motherlode")
    for name, value in (settings | conf).items():
        build = build.config(name, value)
    try:
        return build.getOrCreate(), True
    except Exception as error:
        raise EngineError(
            f"cannot start a Spark session on {master}: {reason(error)}",
            "Spark needs Java 17 or newer; is the master running and can it be reached?",
        ) from error


def master_of(url: str, workers: int | None = None) -> str:
    """Return Spark's own name for the master that an engine URL names."""
    if re.fullmatch(r"spark://[\w.-]+:\d+(,[\w.-]+:\d+)*", url):
        return url
    match = re.fullmatch(r"spark-(local(?:\[(\d+|\*)\])?|yarn|k8s://\S+)", url)
    if not match:
        raise UnknownNameError("engine URL", url, hint=f"as {', '.join(URLS)}")
    if match[1] == "local":
        return f"local[{workers or '*'}]"
    if match[2] and workers not in (None, int(match[2]) if match[2] != "*" else None):
        raise UsageError(f"{url!r} says {match[2]} workers, workers={workers} another number")
    return match[1]


def lost(error: Exception) -> Lost:
    """Say what went wrong in a Spark job."""
    text = str(error)
    failed = re.search(r"Task (\d+) in stage", text)
    where = re.search(r"\(([^()\s]+) executor (\S+)\)", text)
    worker = f"{where[1]}/executor {where[2]}" if where else "spark"
    known = _known(text)
    if known is not None:
        return Lost(known, None, worker)
    crashed = "exited unexpectedly" in text or "ExecutorLostFailure" in text
    hint = "it may have run out of memory" if crashed else "the executors' logs say more"
    what = f"a Spark worker died on {worker}" if crashed else f"Spark gave up: {reason(error)}"
    return Lost(EngineError(what, hint), int(failed[1]) if failed else None, worker)


def reason(error: Exception) -> str:
    """Return the line of an error that says something."""
    text = str(error)
    raised = re.search(r"^(?!org\.|java\.)([\w.]+(?:Error|Exception): .*)$", text, re.MULTILINE)
    if "Traceback (most recent call last)" in text and raised:
        return raised[1][:300]
    lines = [line.strip(" :") for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("An error occurred while calling")]
    return (telling or lines or [type(error).__name__])[0][:300]


def _known(text: str) -> EngineError | None:
    """Return the error for what trying again does not mend."""
    if "PYTHON_VERSION_MISMATCH" in text:
        mine = remote.versions()[0]
        return EngineError(f"the executors do not run Python {mine} as the driver does", ADVICE)
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        own = missing[1].split(".")[0] == "motherlode"
        hint = ADVICE if own else "hand it to spark.sparkContext.addPyFile, or install it there"
        return EngineError(f"the executors have no package {missing[1]!r}", hint)
    program = re.search(r'Cannot run program "([^"]+)"', text)
    if program:
        return EngineError(f"the executors cannot run {program[1]!r} as their Python", ADVICE)
    if "maxResultSize" in text:
        return EngineError(
            "the states of one Spark job are larger than the driver takes",
            "raise spark.driver.maxResultSize",
        )
    if re.search(r"stopped SparkContext|SparkContext was shut down|Connection refused", text):
        return EngineError("the Spark session is gone", "open a new one, then go on with the job")
    return None


def _usable(session: Any) -> Any:
    try:
        context = session.sparkContext
    except Exception as error:
        raise UsageError(
            f"an engine cannot be made of {type(session).__name__}: {reason(error)}",
            "a classic SparkSession is needed, not one of Spark Connect",
        ) from error
    if context._jsc is None:
        raise UsageError("the Spark session is stopped", "open a new one")
    return session


def _find_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if java is None or not os.path.exists(java):
        raise EngineError(
            f"Spark needs Java 17 or newer, and there is none {f'in {home}' if home else 'here'}",
            "install a Java runtime, or name one with JAVA_HOME",
        )


def _knock(master: str) -> None:
    """Try the door of a standalone master; Spark itself tries for a minute before it says so."""
    if not master.startswith("spark://"):
        return
    failure: OSError | None = None
    for address in master.removeprefix("spark://").split(","):
        place = urlsplit(f"//{address}")
        try:
            socket.create_connection((place.hostname, place.port or 7077), KNOCK_SECONDS).close()
            return
        except OSError as error:
            failure = error
    raise EngineError(
        f"cannot reach a Spark master at {master}: {failure}",
        "is it running, and is this the address its web page shows?",
    ) from failure
