"""The options that every job takes, on the command line and from a configuration file."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from motherlode.core.errors import DataError, UnknownNameError, UsageError

RUNNERS = {
    "inline": "local[1]",
    "local": "local",
    "spark": "spark-local[*]",
    "ray": "ray-local",
}
"""Engine of each runner, unless ``--engine`` or the configuration names another."""

SETTINGS = ("engine", "workers", "memory", "scratch", "partitions")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, "--help lists the options")


def runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that every job takes."""
    parser.add_argument("args", nargs="*", metavar="INPUT", help="files; standard input if none")
    group = parser.add_argument_group("running")
    group.add_argument("-r", "--runner", choices=sorted(RUNNERS), default=None,
                       help="where to run: inline (default), local, spark or ray")  # fmt: skip
    group.add_argument("-o", "--output-dir", default=None, help="write part files into this folder")
    group.add_argument("--cat-output", dest="cat_output", action="store_true", default=None)
    group.add_argument("--no-output", "--no-cat-output", dest="cat_output", action="store_false",
                       help="do not print the output")  # fmt: skip
    group.add_argument("-c", "--conf-path", default=None, help="configuration file (TOML)")
    group.add_argument("--engine", default=None, help="engine URL, as spark://host:7077")
    group.add_argument("--workers", type=int, default=None)
    group.add_argument("--memory", default=None, help="memory limit, as 2GB")
    group.add_argument("--partitions", type=int, default=None, help="reducers of each step")
    group.add_argument("--scratch", default=None, help="folder that all workers can reach")
    group.add_argument("-q", "--quiet", action="store_true", help="print no counters")
    group.add_argument("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return how the job is to run: options first, then the configuration, then defaults.

    The configuration is a TOML file with a table for each runner::

        [runners.spark]
        engine = "spark://host:7077"
        scratch = "/mnt/shared"
    """
    runner = options.runner or "inline"
    chosen: dict[str, Any] = {"engine": RUNNERS[runner]}
    if options.conf_path:
        chosen.update(_configured(Path(options.conf_path), runner))
    given = {name: getattr(options, name) for name in SETTINGS}
    chosen.update({name: value for name, value in given.items() if value is not None})
    if chosen["engine"] == RUNNERS["inline"]:
        chosen.pop("workers", None)  # there is one, this process
    return chosen


def _configured(path: Path, runner: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    for name in document:
        if name != "runners":
            raise UnknownNameError("table in the configuration", name, ["runners"])
    table: dict[str, Any] = document.get("runners", {}).get(runner, {})
    for name in table:
        if name not in SETTINGS:
            raise UnknownNameError(f"setting of runner {runner}", name, SETTINGS)
    return table
