"""Real clusters for tests: their processes are started on free ports and stopped by their number.

A user's machine without Java, PySpark or Ray skips what needs them; continuous integration does
not (``CI`` is set there).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from motherlode.data.source import Split
from motherlode.runtime.engine import Done, Engine, Failed
from motherlode.runtime.task import Report, Task

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0


def require(package: str) -> None:
    """Skip the test where a cluster's package, or its Java, is missing; in CI fail."""
    reason = ""
    if find_spec(package) is None:
        reason = f"{package} is not installed (make clusters)"
    elif package == "pyspark" and shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        reason = "there is no Java"
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as listening:
        listening.bind((host, 0))
        return int(listening.getsockname()[1])


def wait_for(done: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not done():
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.1)


class Processes:
    """Processes that a cluster consists of, with their logs in one folder."""

    def __init__(self, environment: dict[str, str]) -> None:
        # A socket's path is at most 107 characters, so not below pytest's folders.
        self.folder = Path(tempfile.mkdtemp(prefix="mlc-"))
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str | Path) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(
                [str(word) for word in command],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            process.terminate()
        for process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        wait_for(lambda: not list(self.left()), f"{list(self.left())} to end", 20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def left(self) -> Iterator[int]:
        """Processes that still belong to the cluster: those which name its folder."""
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(self.folder).encode() in place.read_bytes():
                    yield int(place.parent.name)


class SparkCluster:
    """A standalone master and two workers of one core each."""

    def __init__(self) -> None:
        import pyspark

        self.home = Path(pyspark.__file__).parent
        self.port, self.page = free_port(), free_port()
        self.url = f"spark://127.0.0.1:{self.port}"
        self.processes = Processes(
            {
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_HOME": str(self.home),
                "PYSPARK_PYTHON": sys.executable,
            }
        )
        self._made = 0
        self._class("master", "master.Master", "--port", self.port, "--webui-port", self.page)
        wait_for(lambda: self._workers() is not None, "the Spark master")
        for _ in range(2):
            self.add_worker()
        wait_for(lambda: self._workers() == 2, "two Spark workers")

    @property
    def settings(self) -> dict[str, str]:
        """What a session on it is made with."""
        return {
            "spark.cores.max": "2",
            "spark.executor.memory": "512m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": str(self.processes.folder),
            "spark.sql.warehouse.dir": str(self.processes.folder / "warehouse"),
            "spark.sql.shuffle.partitions": "3",
            "spark.executorEnv.PYTHONPATH": str(ROOT),
        }

    def add_worker(self) -> None:
        self._made += 1
        place = self.processes.folder / f"work-{self._made}"
        self._class(
            f"worker-{self._made}", "worker.Worker", "--cores", 1, "--memory", "1g",
            "--work-dir", place, "--port", free_port(), "--webui-port", free_port(), self.url,
        )  # fmt: skip

    def mend(self) -> None:
        """Put new workers in the place of dead ones."""
        running = self.processes.running
        for name in [name for name, process in running.items() if process.poll() is not None]:
            del running[name]
            self.add_worker()
        wait_for(lambda: (self._workers() or 0) >= 2, "two Spark workers")

    def _class(self, name: str, kind: str, *options: object) -> None:
        script = self.home / "bin" / "spark-class"
        words = [str(option) for option in ("--host", "127.0.0.1", *options)]
        self.processes.start(name, script, f"org.apache.spark.deploy.{kind}", *words)

    def _workers(self) -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/json/", timeout=5) as page:
                return int(json.load(page)["aliveworkers"])
        except OSError:
            return None


class RayCluster:
    """Two nodes of one processor each on two addresses of this machine."""

    def __init__(self) -> None:
        self.port, self.client_port = free_port("127.0.0.2"), free_port("127.0.0.2")
        self.address = f"127.0.0.2:{self.port}"
        self.url, self.options = "auto", {"_node_ip_address": "127.0.0.2"}
        self.environment = {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "RAY_ADDRESS": self.address,
        }
        self.processes = Processes(
            {k: v for k, v in self.environment.items() if k != "RAY_ADDRESS"}
        )
        self._made = 0
        self._node(
            "head", "--head", "--node-ip-address=127.0.0.2", f"--port={self.port}",
            f"--ray-client-server-port={self.client_port}", "--include-dashboard=false",
            f"--temp-dir={self.processes.folder}",
        )  # fmt: skip
        wait_for(lambda: "Ray runtime started" in self.processes.log("head"), "the Ray head")
        self.add_node()

    def add_node(self) -> None:
        self._made += 1
        name = f"node-{self._made}"
        self._node(name, "--node-ip-address=127.0.0.3", f"--address={self.address}")
        wait_for(lambda: "Ray runtime started" in self.processes.log(name), "a Ray node")

    def mend(self) -> None:
        """Put a new node in the place of a dead one."""
        import ray

        running = self.processes.running
        for name in [name for name, process in running.items() if process.poll() is not None]:
            del running[name]
            self.add_node()
        wait_for(lambda: sum(node["Alive"] for node in ray.nodes()) == 2, "two Ray nodes")

    def _node(self, name: str, *options: str) -> None:
        start = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block")
        store = f"--object-store-memory={100 << 20}"
        self.processes.start(name, *start, "--num-cpus=1", store, "--disable-usage-stats", *options)


class Borrowed(Engine):
    """An engine that others go on using when its borrower closes it."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner

    @property
    def parallelism(self) -> int:
        return self.inner.parallelism

    def fold(self, task: Task, splits: Sequence[Split], report: Report) -> Iterator[Done | Failed]:
        return self.inner.fold(task, splits, report)

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[SparkCluster]:
    """A Spark cluster."""
    require("pyspark")
    cluster = SparkCluster()
    try:
        yield cluster
    finally:
        cluster.processes.stop()


@pytest.fixture(scope="session")
def _spark_engine(spark_cluster: SparkCluster) -> Iterator[Engine]:
    from motherlode.engines.spark import SparkEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        with SparkEngine(spark_cluster.url, conf=spark_cluster.settings) as engine:
            jvm = engine.session.sparkContext._gateway
            yield engine
        stop_java(jvm)


@pytest.fixture
def spark(_spark_engine: Engine, spark_cluster: SparkCluster) -> Iterator[Engine]:
    """A SparkEngine on the cluster; what the test killed is replaced."""
    yield _spark_engine
    spark_cluster.mend()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """A Ray cluster."""
    require("ray")
    cluster = RayCluster()
    try:
        yield cluster
    finally:
        cluster.processes.stop()


@pytest.fixture(scope="session")
def _ray_engine(ray_cluster: RayCluster) -> Iterator[Engine]:
    from motherlode.engines.ray import RayEngine

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_cluster.environment.items():
            patch.setenv(name, value)
        with RayEngine(ray_cluster.url, **ray_cluster.options) as engine:
            yield engine


@pytest.fixture
def ray(_ray_engine: Engine, ray_cluster: RayCluster) -> Iterator[Engine]:
    """A RayEngine on the cluster with both its workers; a node that the test killed is replaced."""
    crew = _ray_engine._crew  # type: ignore[attr-defined]

    def complete() -> bool:
        crew.muster(0.0)
        return len(crew.members) == 2

    wait_for(complete, "two Ray workers")
    yield _ray_engine
    ray_cluster.mend()


def stop_java(gateway: object) -> None:
    """End the Java process of this process's session, which otherwise lives as long as this."""
    from pyspark import SparkContext

    process = gateway.proc  # type: ignore[attr-defined]
    gateway.shutdown()  # type: ignore[attr-defined]
    process.stdin.close()
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    SparkContext._gateway = SparkContext._jvm = None
