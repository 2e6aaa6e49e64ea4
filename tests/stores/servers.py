"""Real stores on this machine: moto's S3 server, and HDFS from the jars that Maven Central has."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

HADOOP = "3.4.1"
CACHE = Path(
    os.environ.get("MOTHERLODE_TEST_CACHE", Path.home() / ".cache" / "motherlode-tests")
).joinpath(f"hadoop-{HADOOP}")
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>motherlode.tests</groupId><artifactId>hdfs</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>"""
DEPENDENCY = (
    "<dependency><groupId>org.apache.hadoop</groupId><artifactId>{}</artifactId>"
    f"<version>{HADOOP}</version></dependency>"
)
MAIN = "org.apache.hadoop.hdfs.server."
LOGGING = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%p %c{1}: %m%n
"""


def absent(reason: str) -> None:
    """Skip on a user's machine; fail where continuous integration should have it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait(
    ready: Callable[[], Any], process: subprocess.Popen[bytes], log: Path, seconds: float = 60
) -> None:
    """Wait until a server answers; its log is shown if it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with suppress(Exception):
            if ready():
                return
        time.sleep(0.1)
    raise AssertionError(f"the server does not answer:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Give the address of an S3 store."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "moto.log"
    code = "import sys; from moto.server import main; main(sys.argv[1:])"
    command = [sys.executable, "-W", "ignore", "-c", code, "-H", "127.0.0.1", "-p", str(port)]
    with started(command, log) as process:
        wait(lambda: urllib.request.urlopen(url, timeout=5), process, log)
        yield url


class Hdfs:
    """A namenode and two datanodes."""

    def __init__(self, folder: Path, jars: Path) -> None:
        self.folder = folder
        self.jars = jars
        self.port = free_port()
        self.web = free_port()
        self.url = f"hdfs://127.0.0.1:{self.port}"
        self.datanodes: list[subprocess.Popen[bytes]] = []

    def configure(self, name: str) -> Path:
        """Write the configuration of one server."""
        conf = self.folder / name
        for pages in ("hdfs", "datanode"):  # the servers insist on a place for theirs
            (conf / "webapps" / pages).mkdir(parents=True)
        settings = {
            "fs.defaultFS": self.url,
            "hadoop.tmp.dir": str(conf / "tmp"),
            "dfs.namenode.http-address": f"127.0.0.1:{self.web}",
            "dfs.namenode.name.dir": f"file://{self.folder}/names",
            "dfs.datanode.data.dir": f"file://{conf}/blocks",
            "dfs.datanode.address": "127.0.0.1:0",
            "dfs.datanode.http.address": "127.0.0.1:0",
            "dfs.datanode.ipc.address": "127.0.0.1:0",
            "dfs.replication": "2",
            "dfs.blocksize": str(4 << 20),
            "dfs.namenode.fs-limits.min-block-size": "1024",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.safemode.extension": "0",
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "1000",
        }
        pairs = "".join(
            f"<property><name>{k}</name><value>{v}</value></property>" for k, v in settings.items()
        )
        (conf / "log4j.properties").write_text(LOGGING)
        for file in ("core-site.xml", "hdfs-site.xml"):
            (conf / file).write_text(f"<configuration>{pairs}</configuration>")
        return conf

    def command(self, conf: Path, main: str, *args: str) -> list[str]:
        path = f"{conf}:{self.jars}/*"
        return ["java", "-Xmx192m", "-XX:TieredStopAtLevel=1", "-cp", path, MAIN + main, *args]

    def alive(self) -> int:
        """Return how many datanodes the namenode holds to be alive."""
        import json

        bean = "Hadoop:service=NameNode,name=FSNamesystemState"
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.web}/jmx?qry={bean}", timeout=5
        ) as told:
            return int(json.load(told)["beans"][0]["NumLiveDataNodes"])


@contextmanager
def hdfs_cluster(folder: Path) -> Iterator[Hdfs]:
    """Start a namenode and two datanodes."""
    hdfs = Hdfs(folder, hadoop_jars())
    conf, log = hdfs.configure("namenode"), folder / "namenode.log"
    format_ = hdfs.command(conf, "namenode.NameNode", "-format", "-force", "-nonInteractive")
    done = subprocess.run(format_, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    with started(hdfs.command(conf, "namenode.NameNode"), log) as namenode:
        logs = [folder / f"datanode-{number}.log" for number in (1, 2)]
        commands = [hdfs.command(hdfs.configure(log.stem), "datanode.DataNode") for log in logs]
        with started(commands[0], logs[0]) as first, started(commands[1], logs[1]) as second:
            hdfs.datanodes = [first, second]
            wait(lambda: hdfs.alive() == 2, namenode, log)
            yield hdfs


def hadoop_jars() -> Path:
    """Return the folder with Hadoop's jars; continuous integration fetches them."""
    if shutil.which("java") is None:
        absent("HDFS needs Java, which is not installed")
    jars = CACHE / "jars"
    if (CACHE / "complete").exists():
        return jars
    if not os.environ.get("CI"):
        pytest.skip(f"Hadoop's jars are not in {jars}; CI=true fetches them")
    if shutil.which("mvn") is None:
        absent("Hadoop's jars are fetched with Maven (mvn), which is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    names = ("hadoop-common", "hadoop-hdfs", "hadoop-hdfs-client")
    (CACHE / "pom.xml").write_text(POM.format("".join(DEPENDENCY.format(name) for name in names)))
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(CACHE / "pom.xml"), *goal], capture_output=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-3000:]
    (CACHE / "complete").touch()
    return jars
