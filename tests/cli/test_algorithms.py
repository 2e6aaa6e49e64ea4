from motherlode.mining import catalogue
from tests.cli.test_mine import run


def test_all_are_listed_with_their_traits() -> None:
    done = run("algorithms")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    kinds = catalogue.algorithms()
    assert len(lines) == len(kinds) + 1
    for kind in kinds:
        (line,) = [line for line in lines if f" {kind.__name__} " in line]
        assert kind.traits.grade in line
        assert line.endswith(kind.traits.summary)


def test_one_is_told_with_its_parameters() -> None:
    for name in ("TopK", "topk", "top_k"):
        text = run("algorithms", name).stdout
        assert text.startswith("TopK\n")
        assert "Misra and Gries" in text
        assert "capacity" in text
        assert "a whole number of at least 1 or nothing" in text
        assert "grade         bounded" in text


def test_an_unknown_one_is_said_with_the_nearest() -> None:
    done = run("algorithms", "WordCuont")
    assert done.exit_code == 2
    assert done.stderr == "error: unknown algorithm 'WordCuont'; did you mean 'WordCount'?\n"
