"""Real files give the numbers that others found in them."""

from __future__ import annotations

import polars as pl
import pyarrow.compute as pc
import pytest

from motherlode.data import dataset
from tests.data.reading import read


def test_wikipedia_edits(shared_data):
    data = dataset(shared_data("wikiticker/wikiticker-2015-09-12-sampled.json.gz"))
    frame = data.to_polars()
    assert frame.height == data.count() == 39_244
    assert (frame["added"].sum(), frame["deleted"].sum()) == (9_385_573, 394_298)
    assert (frame["page"].n_unique(), frame["user"].n_unique()) == (35_143, 10_531)
    english = data.filter(pl.col("channel") == "#en.wikipedia")
    assert english.count() == 11_549


def test_nasa_requests(shared_data):
    july = dataset(shared_data("http-logs/nasa_19950701.tsv")).to_polars()
    counts = dict(july["response"].value_counts().iter_rows())
    assert counts == {200: 9_012, 304: 531, 302: 408, 404: 48}
    assert july["host"].n_unique() == 936
    august = dataset(shared_data("http-logs/nasa_19950801.tsv"), columns=["host"]).to_polars()
    assert (august.height, august["host"].n_unique()) == (9_999, 853)


def test_apache_requests(shared_data):
    data = dataset(shared_data("http-logs/apache_logs"), format="combined", split_bytes=100_000)
    found = read(data)
    assert (found.tally.used, found.tally.quarantined) == (10_000, 0)
    frame = data.to_polars()
    counts = dict(frame["status"].value_counts().iter_rows())
    assert {k: counts[k] for k in (200, 304, 404, 301, 206)} == {
        **{200: 9_126, 304: 445, 404: 213},
        **{301: 164, 206: 45},
    }
    top = frame["host"].value_counts(sort=True)
    assert (top.height, *top.row(0)) == (1_753, "66.249.73.135", 482)
    assert str(frame["time"].min()) == "2015-05-17 10:05:00+00:00"


@pytest.mark.slow
def test_network_connections(shared_data):
    path = shared_data("kddcup99/kddcup.data_10_percent.gz")
    data = dataset(path, format="csv", header=False)
    assert len(data.schema.names) == 42
    labels = data.select("c41").to_polars()["c41"]
    assert (len(labels), labels.n_unique()) == (494_021, 23)


@pytest.mark.parametrize(
    ("name", "format", "rows"),
    [
        ("fimi/chess.dat", None, 3_196),
        ("fimi/retail.dat", None, 88_162),
        ("groceries/groceries.csv", "basket", 9_835),
        ("sequences/SIGN.txt", "spmf", 730),
        ("sequences/BMS1.txt", "spmf", 59_601),
        ("sms-spam/SMSSpamCollection", "text", 5_574),
    ],
)
@pytest.mark.parametrize("split_bytes", [None, 100_003])
def test_every_record_is_a_row(shared_data, name, format, rows, split_bytes):
    found = read(dataset(shared_data(name), format=format, split_bytes=split_bytes))
    assert (found.tally.used, found.tally.quarantined) == (rows, 0)


def test_groceries(shared_data):
    table = dataset(shared_data("groceries/groceries.csv"), format="basket").to_arrow()
    items = pc.value_counts(pc.list_flatten(table["items"].combine_chunks())).to_pylist()
    counts = {row["values"]: row["counts"] for row in items}
    assert len(counts) == 169
    assert (counts["whole milk"], counts["rolls/buns"]) == (2_513, 1_809)


def test_messages(shared_data):
    data = dataset(
        *[shared_data("sms-spam/SMSSpamCollection")],
        **{"format": "tsv", "header": False, "names": ["label", "message"]},
    )
    assert data.filter(pl.col("label") == "spam").count() == 747
    assert data.count() == 5_574


@pytest.mark.parametrize(
    ("name", "rows"),
    [("adult/adult-train.csv", 32_561), ("electricity/elec.csv", 45_312)],
)
def test_tables_cut_into_many_splits_are_the_same(shared_data, name, rows):
    header = "elec" in name
    whole = dataset(shared_data(name), header=header).to_polars()
    cut = dataset(shared_data(name), header=header, split_bytes=200_000)
    assert whole.height == rows
    assert len(cut.splits) > 10
    assert cut.to_polars().equals(whole)
