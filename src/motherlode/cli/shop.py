"""The data of the demo: a web shop that never was, the same for every run.

Written down to be found again by mining: bundles of goods that go together, four kinds of
customers, countries that spend differently, and a few broken lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

EVENTS = 2_000_000
ROW_GROUP = 1 << 16
CUSTOMERS = 40_000
BASKETS = 60_000
RETURNS = 200_000
BROKEN = 7

COUNTRIES = ("de", "fr", "it", "nl", "pl", "se")
GOODS = (
    "apples", "bananas", "beans", "beer", "bread", "butter", "candles", "cheese", "chocolate",
    "coffee", "cream", "eggs", "flour", "garlic", "honey", "jam", "juice", "lemons", "lentils",
    "milk", "mushrooms", "mustard", "nappies", "noodles", "nuts", "oats", "oil", "olives",
    "onions", "oranges", "paper", "parmesan", "pasta", "peas", "pepper", "plums", "potatoes",
    "rice", "salt", "shampoo", "soap", "spinach", "sugar", "tea", "tofu", "tomatoes", "vinegar",
    "water", "wine", "yoghurt",
)  # fmt: skip
BUNDLES = (
    (("pasta", "tomatoes", "parmesan"), 0.06),
    (("tea", "lemons", "honey"), 0.05),
    (("bread", "butter", "jam"), 0.05),
    (("nappies", "beer"), 0.03),
    (("flour", "eggs", "sugar", "milk"), 0.03),
)


def write_shop(folder: Path) -> None:
    """Write all files of the shop into a folder."""
    chance = np.random.default_rng(2026)
    _write_events(folder / "events.parquet", chance)
    _write_baskets(folder / "baskets.parquet", chance)
    _write_returns(folder / "returns.csv", chance)
    _write_texts(folder / "manual.txt")


def _write_events(path: Path, chance: np.random.Generator) -> None:
    import pyarrow.parquet as pq

    kind = chance.choice(4, CUSTOMERS, p=(0.55, 0.25, 0.15, 0.05))
    activity = np.array([6.0, 40.0, 90.0, 60.0])[kind] * chance.lognormal(0, 0.3, CUSTOMERS)
    customer = chance.choice(CUSTOMERS, EVENTS, p=activity / activity.sum())
    country = chance.choice(6, CUSTOMERS, p=(0.3, 0.22, 0.18, 0.12, 0.1, 0.08))[customer]
    action = chance.choice(3, EVENTS, p=(0.8, 0.13, 0.07))
    spends = np.array([12.0, 25.0, 18.0, 140.0])[kind][customer] * (1 + country / 10)
    amount = np.round(spends * chance.lognormal(0, 0.5, EVENTS), 2)
    start = np.datetime64("2026-01-01T00:00:00")
    when = start + np.sort(chance.integers(0, 90 * 86_400, EVENTS)).astype("timedelta64[s]")
    table = pa.table(
        {
            "time": pa.array(when),
            "customer": pa.array(customer, pa.int32()),
            "country": _named(COUNTRIES, country),
            "device": _named(("phone", "laptop", "tablet"), chance.choice(3, EVENTS)),
            "action": _named(("view", "cart", "buy"), action),
            "amount": pa.array(amount, mask=action != 2),
        }
    )
    pq.write_table(table, path, row_group_size=ROW_GROUP)


def _write_baskets(path: Path, chance: np.random.Generator) -> None:
    import pyarrow.parquet as pq

    liked = chance.permutation(1 / np.arange(4, 4 + len(GOODS)))
    held = chance.random((BASKETS, len(GOODS))) < 2.5 * liked / liked.sum()
    for goods, share in BUNDLES:
        rows = chance.random(BASKETS) < share
        for name in goods:
            held[rows, GOODS.index(name)] |= chance.random(int(rows.sum())) < 0.9
    basket, item = np.nonzero(held)
    offsets = np.searchsorted(basket, np.arange(BASKETS + 1)).astype(np.int32)
    items = pa.ListArray.from_arrays(pa.array(offsets), pa.array(GOODS).take(pa.array(item)))
    pq.write_table(pa.table({"items": items}), path)


def _write_returns(path: Path, chance: np.random.Generator) -> None:
    days = chance.integers(1, 29, RETURNS)
    prices = np.round(chance.lognormal(3, 0.8, RETURNS), 2)
    why = np.array(["broken", "late", "wrong size", "regret"])[chance.choice(4, RETURNS)]
    lines = [
        f"{n},2026-02-{day:02},{reason},{price}"
        for n, (day, reason, price) in enumerate(zip(days, why, prices.tolist(), strict=True))
    ]
    for place in chance.choice(RETURNS, BROKEN, replace=False):
        lines[place] = lines[place].rsplit(",", 1)[0]
    path.write_text("number,day,reason,price\n" + "\n".join(lines) + "\n")


def _write_texts(path: Path) -> None:
    """Write the topics of the Python manual, which ship with Python."""
    from pydoc_data.topics import topics

    path.write_text("\n".join(topics[name] for name in sorted(topics)), encoding="utf-8")


def _named(names: tuple[str, ...], codes: NDArray[Any]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(names))
