import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from motherlode.algebra.tree import Node
from tests.jobs.small import text_file

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 20


def durable(entries: list[dict[str, Any]], number: int, splits: int) -> set[int]:
    """Splits of a pass that the states named in a journal cover; all, if a later model is."""
    covered: set[int] = set()
    for entry in entries:
        if entry["event"] == "model" and entry["passes"] > number:
            return set(range(splits))
        if entry["event"] == "state" and entry["pass"] == number:
            covered |= set(Node(entry["level"], entry["rank"]).leaves(splits))
    return covered


def read(entries: list[dict[str, Any]]) -> dict[int, list[int]]:
    """Splits that were read, by pass."""
    found: dict[int, list[int]] = {}
    for entry in entries:
        if entry["event"] == "split":
            found.setdefault(entry["pass"], []).append(entry["split"])
    return found


def test_a_driver_killed_at_random_moments_is_resumed_to_the_bit_identical_result(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("MOTHERLODE_TEST_SEED", random.SystemRandom().randrange(2**32)))
    source = text_file(tmp_path / "lines.txt", lines=15_000)
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.killed", str(source), str(TRIALS), str(seed)],
        cwd=ROOT,
        env={**os.environ, "MOTHERLODE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"MOTHERLODE_TEST_SEED={seed}")
    print(done.stderr)
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    whole = {line["algorithm"]: line["whole"] for line in lines if "whole" in line}
    trials = [line for line in lines if "kills" in line]
    assert len(trials) == TRIALS
    spared = []
    for trial in trials:
        assert trial["digest"] == whole[trial["algorithm"]], trial["kills"]
        entries = trial["entries"]
        splits = entries[0]["splits"]
        assert splits > 50
        assert entries[-1]["event"] == "done"
        if trial["before"]:
            spared.append(check_only_the_rest_was_read(entries, trial["before"], splits))
    print(f"splits spared: {spared}")
    assert sum(count > 0 for count in spared) >= TRIALS // 4


def check_only_the_rest_was_read(entries: list[dict[str, Any]], before: int, splits: int) -> int:
    """Judge the last attempt; return the number of splits that it did not have to read."""
    old, new = entries[:before], entries[before:]
    spared = 0
    for number in {entry["pass"] for entry in new if entry["event"] == "pass"}:
        kept = durable(old, number, splits)
        again = read(new).get(number, [])
        assert sorted(again) == sorted(set(range(splits)) - kept)
        spared += len(kept)
    return spared
