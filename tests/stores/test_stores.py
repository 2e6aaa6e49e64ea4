"""What holds for every store: read like a local file, write whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import motherlode as ml
from motherlode.core.errors import DataError, JobError, SourceChangedError, UsageError
from motherlode.data import dataset
from motherlode.data.files.publish import Url, check_new_folder, new_folder
from motherlode.data.files.remote import RemoteStorage
from motherlode.mapreduce.job import MRJob
from tests.cli.test_mine import run
from tests.stores.conftest import KEYS
from tests.stores.servers import Hdfs, free_port, started, wait

TABLE = pa.table({"n": list(range(5_000)), "city": ["Bonn", "Ulm"] * 2_500})


def put(url: str, data: bytes) -> str:
    with Url(url).replacing() as file:
        file.write(data)
    return url


def fail_to_write(url: str, size: int) -> None:
    with Url(url).replacing() as file:
        file.write(b"n" * size)
        raise ZeroDivisionError


def names(place: str) -> list[str]:
    return [url.rpartition("/")[2] for url, _ in RemoteStorage(place, {}).entries(place)]


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "jsonl", "arrow"])
def test_a_format_reads_as_it_does_locally(lake: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(TABLE, path, row_group_size=1_000)
    elif kind == "arrow":
        with pa.ipc.new_file(path, TABLE.schema) as writer:
            writer.write_table(TABLE)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    else:
        pyarrow.csv.write_csv(TABLE, tmp_path / "t.csv")
        if kind == "csv.gz":
            path.write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    url = put(f"{lake}/t.{kind}", path.read_bytes())
    here, there = dataset(path, split_bytes=7_001), dataset(url, split_bytes=7_001)
    assert len(there.splits) == len(here.splits)
    assert there.to_arrow().equals(here.to_arrow())
    assert ml.mine(url, ml.Describe()).digest == ml.mine(path, ml.Describe()).digest


def test_folders_globs_and_partitions(lake: str) -> None:
    for year in (2023, 2024):
        put(f"{lake}/sales/year={year}/a.csv", b"n\n1\n2\n")
    put(f"{lake}/sales/_marker", b"")
    for place in ("sales", "sales/*/*.csv"):
        data = dataset(f"{lake}/{place}")
        assert data.to_arrow().sort_by([("year", "ascending")])["year"].to_pylist() == (
            [2023] * 2 + [2024] * 2
        )


def test_a_changed_file_is_refused(lake: str) -> None:
    url = put(f"{lake}/a.txt", b"one\n")
    data = dataset(url)
    split = data.splits[0]
    time.sleep(0.01)
    put(url, b"two\n")
    with pytest.raises(SourceChangedError, match="changed since"):
        list(data.batches(split))


def test_what_is_missing_is_named_with_what_is_near(lake: str) -> None:
    put(f"{lake}/january.csv", b"n\n1\n")
    with pytest.raises(DataError, match=r"there is no file .*did you mean '.*/january\.csv'"):
        dataset(f"{lake}/januray.csv")
    with pytest.raises(DataError, match="no file matches"):
        dataset(f"{lake}/*.parquet")


def test_a_failed_write_leaves_what_was_there(lake: str) -> None:
    url = put(f"{lake}/a.txt", b"old\n")
    for place, size in ((url, 30_000_000), (f"{lake}/b.txt", 3)):
        with pytest.raises(ZeroDivisionError):
            fail_to_write(place, size)
    assert names(lake) == ["a.txt"]
    assert RemoteStorage(url, {}).open(url).read_at(0, 9) == b"old\n"


def test_of_two_who_write_a_new_file_one_wins(lake: str) -> None:
    url = f"{lake}/new"

    def both() -> None:
        with Url(url).replacing(new=True) as first:
            first.write(b"first")
            with Url(url).replacing(new=True) as second:
                second.write(b"second")

    with pytest.raises(JobError, match="cannot write"):
        both()
    assert RemoteStorage(url, {}).open(url).read_at(0, 9) == b"second"
    assert names(lake) == ["new"]


class TestFolders:
    def fill(self, place: str, text: bytes = b"one\n") -> None:
        with new_folder(place) as folder:
            for number in range(3):
                with folder.file(f"part-{number:05d}") as file:
                    file.write(text)

    def fail(self, place: str) -> None:
        with new_folder(place) as folder:
            with folder.file("part-00000") as file:
                file.write(b"one\n")
            raise ZeroDivisionError

    def overtake(self, place: str) -> None:
        with new_folder(place) as slow:
            with slow.file("part-00000") as file:
                file.write(b"slow\n")
            self.fill(place, b"fast\n")

    def test_a_whole_one_is_read(self, lake: str) -> None:
        check_new_folder(f"{lake}/out")
        self.fill(f"{lake}/out")
        data = dataset(f"{lake}/out", format="text")
        assert data.to_arrow()["text"].to_pylist() == ["one"] * 3
        with pytest.raises(UsageError, match="exists already"):
            check_new_folder(f"{lake}/out")

    def test_a_failed_one_is_not_there(self, lake: str) -> None:
        put(f"{lake}/other.txt", b"")
        with pytest.raises(ZeroDivisionError):
            self.fail(f"{lake}/out")
        with pytest.raises(DataError):
            dataset(f"{lake}/out", format="text")
        check_new_folder(f"{lake}/out")
        self.fill(f"{lake}/out", b"again\n")
        assert dataset(f"{lake}/out", format="text").count() == 3

    def test_of_two_writers_one_wins_whole(self, lake: str) -> None:
        with pytest.raises(JobError, match="cannot write"):
            self.overtake(f"{lake}/out")
        data = dataset(f"{lake}/out", format="text")
        assert data.to_arrow()["text"].to_pylist() == ["fast"] * 3

    def test_a_writer_killed_half_way_leaves_nothing_that_can_be_read(self, lake: str) -> None:
        code = (
            "import sys, time\n"
            "from motherlode.data.files.publish import new_folder\n"
            "with new_folder(sys.argv[1]) as folder:\n"
            "    with folder.file('part-00000') as file:\n"
            "        file.write(b'half\\n')\n"
            "    print('half', flush=True)\n"
            "    time.sleep(60)\n"
        )
        command = [sys.executable, "-c", code, f"{lake}/out"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"half\n"
            writer.send_signal(signal.SIGKILL)
        with pytest.raises(DataError, match=r"is not finished|there is no file"):
            dataset(f"{lake}/out", format="text")
        check_new_folder(f"{lake}/out")
        self.fill(f"{lake}/out", b"whole\n")
        assert dataset(f"{lake}/out", format="text").to_arrow()["text"].to_pylist() == ["whole"] * 3


def test_what_a_manifest_lists_must_be_there(s3: str) -> None:
    TestFolders().fill(f"{s3}/out")
    part = next(name for name in names(f"{s3}/out") if name.startswith("part-00001"))
    put(f"{s3}/out/{part}", b"cut")
    with pytest.raises(DataError, match=r"damaged: part-00001\S* should have 4 bytes, not 3"):
        dataset(f"{s3}/out", format="text")


class Words(MRJob):
    def mapper(self, _, line):  # type: ignore[no-untyped-def]
        for word in line.split():
            yield word, 1

    def reducer(self, word, counts):  # type: ignore[no-untyped-def]
        yield word, sum(counts)


def test_a_map_reduce_job_writes_a_folder(lake: str, words: Path) -> None:
    job = Words(args=[str(words), "-r", "inline", "-o", f"{lake}/out"])
    with job.make_runner() as runner:
        runner.run()
        lines = b"".join(runner.cat_output()).decode().splitlines()
    assert dataset(f"{lake}/out", format="text").to_arrow()["text"].to_pylist() == lines
    assert len(lines) == 500
    with pytest.raises(UsageError, match="exists already"):
        job.make_runner()


def test_a_bucket_that_is_not_there_is_named_with_what_is_near(s3: str) -> None:
    near = s3[:-1]
    with pytest.raises(DataError, match=f"there is no bucket .*did you mean '{s3[5:]}'"):
        dataset(f"{near}/a.csv")
    with pytest.raises(JobError, match="bucket does not exist; make the bucket"):
        put(f"{near}/a.csv", b"")


def test_wrong_credentials_and_options(
    s3: str, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put(f"{s3}/a.csv", b"n\n1\n")
    keys = {"endpoint_url": s3_address, "key": "testing", "secret": "testing"}
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert dataset(url, storage_options=keys).count() == 1
    with pytest.raises(UsageError, match=r"s3 options: .*endpoint"):
        dataset(url, storage_options={"endpoint": s3_address})
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DataError, match=r"no permission to read .*AWS_ACCESS_KEY_ID"):
        dataset(url, storage_options={"endpoint_url": s3_address})


def test_a_store_that_cannot_be_reached(s3: str) -> None:
    port = free_port()
    settings = {"connect_timeout": 1, "retries": {"max_attempts": 0}}
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "config_kwargs": settings}
    with pytest.raises(DataError, match=r"cannot reach 's3://.*check its address"):
        dataset(f"{s3}/a.csv", storage_options=options)


def test_a_namenode_that_cannot_be_reached(hdfs: str) -> None:
    with pytest.raises(DataError, match=r"cannot reach .*no namenode answers at 127.0.0.1:"):
        dataset(f"hdfs://127.0.0.1:{free_port()}/a.csv")
    with pytest.raises(UsageError, match=r"hdfs://nowhere cannot be used.*HADOOP_CONF_DIR"):
        dataset("hdfs://nowhere/a.csv")


def test_a_file_on_the_web(s3: str, s3_address: str, tmp_path: Path) -> None:
    put(f"{s3}/a.csv", b"n\n1\n2\n")
    web = s3.replace("s3://", f"{s3_address}/")
    assert dataset(f"{web}/a.csv", split_bytes=2).to_arrow()["n"].to_pylist() == [1, 2]
    with pytest.raises(DataError, match="there is no file"):
        dataset(f"{web}/b.csv")
    with pytest.raises(UsageError, match="nothing can be written to web servers"):
        Url(f"{web}/c.csv").check("output")


def test_a_web_server_that_sends_whole_files_only(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    port, log = free_port(), tmp_path / "log"
    serve = ["-m", "http.server", str(port), "-b", "127.0.0.1", "-d", str(tmp_path)]
    url = f"http://127.0.0.1:{port}"
    with started([sys.executable, *serve], log) as server:
        wait(lambda: urllib.request.urlopen(url, timeout=5), server, log)
        with pytest.raises(DataError, match="sends whole files only; download"):
            dataset(f"{url}/a.csv", split_bytes=2).to_arrow()


def mined(*args: Any) -> dict[str, Any]:
    done = run("mine", *args, "--json", "--no-journal")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


def round_trip(lake: str, words: Path, between: Any = lambda: None) -> None:
    """Upload, mine and write back; then the same once more after ``between``."""
    local = mined("WordCount", words)
    assert run("fs", "cp", words, f"{lake}/in/words.txt").exit_code == 0
    for attempt in ("before", "after"):
        out, state = f"{lake}/{attempt}.parquet", f"{lake}/{attempt}.state"
        outputs = ("--output", out, "--save-state", state, "--report", f"{lake}/{attempt}.html")
        there = mined("WordCount", f"{lake}/in", *outputs)
        assert there["digest"] == local["digest"]
        copied = words.with_name("copy.parquet")
        assert run("fs", "cp", out, copied).exit_code == 0
        assert pq.read_table(copied).to_pylist() == local["result"]
        between()


def test_upload_mine_and_write_back_on_s3(s3: str, words: Path) -> None:
    round_trip(s3, words)


def test_the_command_line_lists_prints_and_copies(lake: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello\n")
    assert f"wrote {lake}/x/a.txt" in run("fs", "cp", path, f"{lake}/x/").stderr
    assert run("fs", "cat", f"{lake}/x/a.txt").stdout == "hello\n"
    listed = run("fs", "ls", f"{lake}/x").stdout.splitlines()
    assert [line.split() for line in listed] == [["6", f"{lake}/x/a.txt"]]
    assert run("fs", "ls", lake).stdout.split() == ["-", f"{lake}/x/"]
    assert run("fs", "cp", f"{lake}/x/a.txt", f"{lake}/b.txt").exit_code == 0
    assert run("fs", "cat", lake).stdout == "hello\nhello\n"
    missing = run("fs", "cat", f"{lake}/x/b.txt")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith(f"error: there is no file '{lake}/x/b.txt'; did you mean")


@pytest.mark.slow
def test_upload_mine_and_write_back_on_hdfs_with_a_datanode_killed(
    hdfs: str, hdfs_servers: Hdfs, words: Path
) -> None:
    """Must stay the last test: from here on there is one datanode."""

    def kill() -> None:
        hdfs_servers.datanodes[0].kill()
        hdfs_servers.datanodes[0].wait()

    round_trip(hdfs, words, kill)
