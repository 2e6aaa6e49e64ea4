"""Prints a digest of each algorithm's state, for comparing one process with another."""

from __future__ import annotations

import json
import sys

from motherlode.algebra import codec
from motherlode.core.errors import MotherlodeError
from motherlode.mining import catalogue
from motherlode.runtime import run
from motherlode.testing.cases import case, deal, example, kinds
from motherlode.testing.pieces import PieceSource


def digests() -> dict[str, str]:
    found = {}
    for kind in catalogue.algorithms():
        algorithm = example(kind)
        for flavour in ("ordinary", "infinite"):
            source = PieceSource(deal(case(kinds(algorithm)[0], flavour).rows, 4))
            try:
                state = run(algorithm, source, workers=2).state
            except MotherlodeError:
                continue
            found[f"{kind.__name__} {flavour}"] = codec.digest(state)
    return found


if __name__ == "__main__":
    json.dump(digests(), sys.stdout)
