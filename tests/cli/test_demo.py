import hashlib
import re
from pathlib import Path

import pytest

from motherlode.cli import shop
from tests.cli.test_mine import run


@pytest.fixture(autouse=True)
def small_shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOTHERLODE_HOME", str(tmp_path / "home"))
    for name, value in (("EVENTS", 40_000), ("ROW_GROUP", 1_000), ("CUSTOMERS", 2_000)):
        monkeypatch.setattr(shop, name, value)


def test_the_story_is_told_to_the_end(tmp_path: Path) -> None:
    done = run("demo", "--folder", tmp_path / "shop")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    told = done.stdout
    assert "\x1b" not in told
    chapters = re.findall(r"^(\d+)\. ", told, flags=re.M)
    assert chapters == [str(number + 1) for number in range(len(chapters))]
    assert "200,000 rows read: 199,993 used, 7 unreadable" in told
    assert "parmesan, pasta, tomatoes" in told
    assert "the process ended by signal 9" in told
    kept, splits = re.findall(r"(\d+) of (\d+) splits were kept", told)[0]
    assert 0 < int(kept) < int(splits)
    digests = re.findall(r"^digest, \w+: +(\w+)$", told, flags=re.M)
    assert len(digests) == 2
    assert digests[0] == digests[1]
    page = re.findall(r"^open (.+)$", told, flags=re.M)[0]
    assert Path(page).read_text().startswith("<!doctype html>")


def test_the_shop_is_the_same_every_time(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shop.write_shop(tmp_path / name)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])
    assert digests[0] == digests[1]


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run("demo", "--folder", tmp_path)
    assert done.exit_code == 2
    assert "is not empty" in done.stderr
