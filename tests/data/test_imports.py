"""What reading loads: a small job must not wait for libraries it does not use."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.reading import written

HEAVY = ("numba", "scipy", "sklearn", "pandas", "fsspec")


def loaded(program, *arguments):
    """Return which heavy libraries a program loads."""
    check = f"\nimport sys; print([m for m in {(*HEAVY, 'polars')!r} if m in sys.modules])"
    command = [sys.executable, "-c", program + check, *map(str, arguments)]
    return eval(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_the_data_plane_alone_is_light():
    assert loaded("import motherlode.data") == []


READ = """
import sys
from motherlode.data import dataset
for path in sys.argv[1:]:
    data = dataset(path)
    for split in data.splits:
        for batch in data.batches(split):
            assert len(batch)
"""


def test_reading_files_loads_nothing_heavy(tmp_path):
    content = b"a,s\n1,x\n2,y\n"
    pq.write_table(pa.table({"a": [1, 2], "s": ["x", "y"]}), tmp_path / "a.parquet")
    written(tmp_path / "b.csv.gz", gzip.compress(content))
    paths = [written(tmp_path / name, content) for name in ("a.csv", "a.txt", "a.basket")]
    assert loaded(READ, tmp_path / "a.parquet", tmp_path / "b.csv.gz", *paths) == []
    assert loaded(READ, written(tmp_path / "a.jsonl", b'{"a": 1, "s": "x"}\n')) == ["polars"]
