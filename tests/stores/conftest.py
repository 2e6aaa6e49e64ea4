"""Stores that the tests of this folder share; each is started once and stopped by its id."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.servers import Hdfs, absent, hdfs_cluster, s3_server

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for package in ("moto", "s3fs"):
        if importlib.util.find_spec(package) is None:
            absent(f"S3 needs the package {package}, which is not installed")
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def s3(
    s3_address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of an empty bucket, with the environment set as AWS has it."""
    import s3fs

    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_address}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    bucket = f"t{abs(hash(request.node.nodeid)):x}"
    files.mkdir(bucket)
    yield f"s3://{bucket}"
    files.invalidate_cache()
    files.rm(bucket, recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def hdfs_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    if importlib.util.find_spec("hdfs_native") is None:
        absent("HDFS needs the package hdfs-native, which is not installed")
    with hdfs_cluster(tmp_path_factory.mktemp("hdfs")) as cluster:
        yield cluster


@pytest.fixture
def hdfs(hdfs_servers: Hdfs, request: pytest.FixtureRequest) -> str:
    """The URL of an empty folder."""
    return f"{hdfs_servers.url}/t{abs(hash(request.node.nodeid)):x}"


@pytest.fixture(params=["s3", "hdfs"])
def lake(request: pytest.FixtureRequest) -> str:
    """The URL of an empty folder, in either store."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    from tests.jobs.small import text_file

    return text_file(tmp_path / "words.txt", lines=4_000)
