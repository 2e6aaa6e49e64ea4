"""The lazy facade: every name leads somewhere, and importing it loads nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import motherlode as ml
from motherlode.mining import catalogue


@pytest.mark.parametrize("name", sorted(ml._HOMES))
def test_every_name_leads_somewhere(name):
    assert getattr(ml, name) is not None


def test_read_describes_a_source(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n2\n")
    assert ml.read(path).count() == 2


def test_errors_are_a_module():
    with pytest.raises(ml.errors.UsageError):
        ml.mine([["a"]], "NoSuchAlgorithm")


@pytest.mark.parametrize("kind", catalogue.algorithms(), ids=lambda kind: kind.__name__)
def test_every_algorithm_is_there_by_name(kind):
    assert getattr(ml, kind.__name__) is kind


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'KMeans'"):
        _ = ml.KMean
    with pytest.raises(AttributeError, match="no attribute 'mnie'"):
        _ = ml.mnie


def test_importing_it_loads_nothing():
    code = (
        "import sys, motherlode; "
        "heavy = {'numpy', 'pyarrow', 'polars', 'numba', 'sklearn', 'typer', 'rich'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
