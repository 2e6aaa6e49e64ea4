"""The exact accumulator against rational arithmetic, and the laws of its state."""

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from motherlode.algebra.exact import ExactGram, ExactSums
from motherlode.core.errors import UsageError

SIZE = 1100  # two blocks and a bit
MAX = float(np.finfo(float).max)


def random_bits(rng: np.random.Generator) -> np.ndarray:
    values = rng.integers(0, 1 << 64, SIZE, dtype=np.uint64).view(np.float64)
    return np.where(np.isfinite(values), values, 1.0)


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "uniform": lambda rng: rng.random(SIZE),
    "normal": lambda rng: rng.standard_normal(SIZE),
    "lognormal": lambda rng: rng.lognormal(sigma=3, size=SIZE),
    "wider lognormal": lambda rng: rng.lognormal(sigma=12, size=SIZE),
    "prices": lambda rng: np.round(rng.lognormal(3, 1, SIZE), 2),
    "small integers": lambda rng: rng.integers(-1000, 1000, SIZE).astype(float),
    "large integers": lambda rng: rng.integers(0, 2**40, SIZE).astype(float),
    "offset": lambda rng: 1e9 + rng.standard_normal(SIZE),
    "one tiny": lambda rng: np.where(np.arange(SIZE) == 700, 2.0**-90, rng.random(SIZE)),
    "one huge": lambda rng: np.where(np.arange(SIZE) == 700, 1e300, rng.random(SIZE)),
    "some larger": lambda rng: np.where(rng.random(SIZE) < 0.3, 1e30, rng.random(SIZE)),
    "some tiny": lambda rng: np.where(rng.random(SIZE) < 0.3, 1e-90, rng.random(SIZE)),
    "scattered": lambda rng: rng.standard_normal(SIZE) * 2.0 ** rng.integers(-150, 150, SIZE),
    "powers of two": lambda rng: 2.0 ** rng.integers(-60, 60, SIZE),
    "just below one": lambda rng: np.full(SIZE, 1 - 2.0**-53),
    "ties": lambda rng: np.full(SIZE, -(2.0**22) + 0.5),
    "denormal": lambda rng: rng.integers(-(2**52), 2**52, SIZE) * 5e-324,
    "largest": lambda rng: np.full(SIZE, -MAX),
    "both ends": lambda rng: rng.choice([1e308, 1e-308, -1e308, 5e-324], SIZE),
    "random bits": random_bits,
    "zeros": lambda rng: rng.choice([0.0, -0.0], SIZE),
}

floats = st.floats(allow_nan=False, allow_infinity=False)


def fractions(values: Any) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def power_sum(values: Any, power: int) -> Fraction:
    scaled = [int(value * 2**1074) ** power for value in fractions(values)]
    return Fraction(sum(scaled), 2 ** (1074 * power))


def as_fractions(sums: tuple[list[int], int]) -> list[Fraction]:
    numbers, exponent = sums
    return [number * Fraction(2) ** exponent for number in numbers]


def seen(values: Any, powers: int = 2) -> ExactSums:
    state = ExactSums(1, powers)
    state.add(np.asarray(values, float))
    return state


def frozen(state: Any) -> Any:
    """Return an exported state in a form in which equal means identical bytes."""
    if isinstance(state, ExactSums | ExactGram):
        return frozen(state.export())
    if isinstance(state, dict):
        return {key: frozen(value) for key, value in state.items()}
    if isinstance(state, list):
        return [frozen(value) for value in state]
    if isinstance(state, np.ndarray):
        return state.dtype.str, state.shape, state.tobytes()
    return state


def nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def is_nearest_root(root: float, square: Fraction) -> bool:
    below, above = (Fraction(float(np.nextafter(root, to))) for to in (0.0, MAX))
    near = Fraction(float(root))
    return ((below + near) / 2) ** 2 <= square <= ((above + near) / 2) ** 2


@pytest.fixture(params=list(KINDS))
def values(request: pytest.FixtureRequest) -> np.ndarray:
    return KINDS[request.param](np.random.default_rng(7))


def test_import_is_light() -> None:
    code = "import sys, motherlode.algebra.exact; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("powers", [1, 2, 3, 4])
def test_sums_are_exact(values: np.ndarray, powers: int) -> None:
    grouped = ExactSums(1, powers)
    grouped.add_grouped(np.zeros(len(values), np.int32), values)
    columns = seen(values, powers)
    assert frozen(columns) == frozen(grouped)
    for power in range(1, powers + 1):
        assert as_fractions(columns.sums(power)) == [power_sum(values, power)]


def test_state_ignores_order_and_batches(values: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    whole = frozen(seen(values, 4))
    for _ in range(3):
        shuffled = rng.permutation(values)
        cuts = [0, *np.sort(rng.integers(0, SIZE, 4)), SIZE]
        parts = [seen(shuffled[a:b], 4) for a, b in pairwise(cuts)]
        state = ExactSums(1, 4)
        for k in rng.permutation(len(parts)):
            state.merge(parts[k])
        assert frozen(state) == whole
    state = ExactSums(1, 4)
    for batch in np.array_split(values, 7):
        state.add(batch)
    assert frozen(state) == whole


def test_subtract_forgets(values: np.ndarray) -> None:
    left, right = seen(values[:500], 4), seen(values[500:], 4)
    before = frozen(right)
    left_alone = frozen(left)
    state = left.merge(right)
    assert frozen(right) == before
    state.subtract(right)
    assert frozen(state) == left_alone
    assert frozen(right) == before
    state.subtract(seen(values[:500], 4))
    assert frozen(state) == frozen(ExactSums(1, 4))


@given(st.lists(floats, max_size=80), st.integers(0, 80))
def test_any_floats(numbers: list[float], cut: int) -> None:
    whole = seen(numbers, 4)
    for power in (1, 2, 3, 4):
        assert as_fractions(whole.sums(power)) == [power_sum(numbers, power)]
    split = seen(numbers[cut:], 4).merge(seen(numbers[:cut], 4))
    assert frozen(split) == frozen(whole)
    grouped = ExactSums(2, 4)
    codes = np.arange(len(numbers)) < cut
    grouped.add_grouped(codes.astype(np.int64), np.array(numbers, float))
    assert frozen(grouped.take([0]).merge(grouped.take([1]))) == frozen(whole)
    assert frozen(ExactSums.load(whole.export())) == frozen(whole)


@given(st.lists(floats, min_size=1, max_size=30))
def test_answers_are_rounded_once(numbers: list[float]) -> None:
    state, n = seen(numbers, 4), len(numbers)
    exact = fractions(numbers)
    mean = sum(exact, Fraction()) / n
    central = [sum(((x - mean) ** k for x in exact), Fraction()) / n for k in range(5)]
    assert state.sum() == nearest(mean * n)
    assert state.mean() == nearest(mean)
    assert state.variance() == nearest(central[2])
    assert np.array_equal(
        state.variance(1), [nearest(central[2] * n / (n - 1)) if n > 1 else np.nan], equal_nan=True
    )
    assert is_nearest_root(state.std()[0], central[2])
    if central[2]:
        assert state.kurtosis() == nearest(central[4] / central[2] ** 2 - 3)
        skewness = state.skewness()[0]
        assert Fraction(skewness) * central[3] >= 0
        assert is_nearest_root(abs(skewness), central[3] ** 2 / central[2] ** 3)
    else:
        assert np.isnan([*state.kurtosis(), *state.skewness()]).all()


@pytest.mark.parametrize("bias", [True, False])
def test_moments_agree_with_scipy(bias: bool) -> None:
    values = np.random.default_rng(5).lognormal(size=SIZE)
    state = seen(values, 4)
    assert state.skewness(bias)[0] == pytest.approx(stats.skew(values, bias=bias), rel=1e-12)
    for fisher in (True, False):
        theirs = stats.kurtosis(values, bias=bias, fisher=fisher)
        assert state.kurtosis(fisher, bias)[0] == pytest.approx(theirs, rel=1e-12)
    assert np.isnan(
        [*seen([1, 2], 4).skewness(False), *seen([1, 2, 4], 4).kurtosis(bias=False)]
    ).all()


def test_offset_costs_no_digits() -> None:
    values = 1e9 + np.arange(5) / 8
    state = seen(np.tile(values, 1000))
    assert state.mean() == 1e9 + 0.25
    assert state.variance() == 2 / 64


def test_huge_and_tiny_cancel() -> None:
    state = seen([1e308, 1e-308, -1e308])
    assert state.sum() == 1e-308
    state.add([1e308, 1e308])
    assert state.sum() == np.inf
    assert state.mean() == nearest(
        Fraction(state.sums(1)[0][0]) * Fraction(2) ** state.sums(1)[1] / 5
    )
    assert state.variance() == np.inf
    assert np.isfinite(state.std()).all()


def test_nothing_and_zeros() -> None:
    state = ExactSums(2, 4)
    state.add(np.empty((0, 2)))
    assert np.array_equal(state.sum(), [0, 0])
    for answer in (state.mean(), state.variance(), state.std(), state.skewness(), state.kurtosis()):
        assert np.isnan(answer).all()
    assert frozen(state) == frozen(ExactSums(2, 4))
    assert frozen(ExactSums(0).merge(ExactSums(0))) == frozen(ExactSums(0).take([]))
    total = seen([-0.0, -0.0]).sum()
    assert total == 0
    assert not np.signbit(total)


def test_nan_and_infinite_are_counted() -> None:
    columns = [[1, 2, 3], [1, np.nan, 3], [1, np.inf, 3], [1, -np.inf, 3], [np.inf, -np.inf, 3]]
    state = ExactSums(5)
    state.add(np.array(columns).T)
    counts = [[3, 0, 0, 0], [2, 1, 0, 0], [2, 0, 1, 0], [2, 0, 0, 1], [1, 0, 1, 1]]
    assert state.counts.tolist() == counts
    for answer, three in ((state.sum(), 6), (state.mean(), 2)):
        assert np.array_equal(answer, [three, np.nan, np.inf, -np.inf, np.nan], equal_nan=True)
    assert np.array_equal(np.isnan(state.variance()), [False, True, True, True, True])
    other = ExactSums(5)
    other.add(np.array([[0, np.nan, np.inf, -np.inf, np.inf]]))
    before = frozen(state)
    assert frozen(state.merge(other).subtract(other)) == before


def test_missing_values_are_left_out(values: np.ndarray) -> None:
    rng = np.random.default_rng(9)
    valid = rng.random(SIZE) < 0.7
    filled = np.where(valid, values, np.nan)
    expected = frozen(seen(values[valid]))
    state, grouped, skipped = ExactSums(), ExactSums(), ExactSums()
    state.add(filled, valid)
    grouped.add_grouped(np.zeros(SIZE, int), filled, valid)
    skipped.add_grouped(np.where(valid, 0, -1), filled)
    assert frozen(state) == frozen(grouped) == frozen(skipped) == expected


@pytest.mark.parametrize("groups", [3, 5000])
def test_groups_are_separate(groups: int) -> None:
    rng = np.random.default_rng(11)
    values = KINDS["normal"](rng) * 2.0 ** rng.integers(-40, 40, SIZE)
    values[::50] = [np.nan, np.inf] * 11
    codes = rng.integers(0, groups, SIZE).astype(np.int32)
    state = ExactSums(1, 3)
    state.resize(groups)
    state.add_grouped(codes[:600], values[:600])
    state.add_grouped(codes[600:], values[600:])
    for group in (0, *codes[:20]):
        assert frozen(state.take([group])) == frozen(seen(values[codes == group], 3))
    order = rng.permutation(groups)
    assert frozen(state.take(order).take(np.argsort(order))) == frozen(state)
    assert frozen(state.take([-1])) == frozen(ExactSums(1, 3))
    larger = ExactSums(groups, 3).merge(state)
    larger.resize(groups + 7)
    assert frozen(larger.take(np.arange(groups))) == frozen(state)
    assert not larger.counts[groups:].any()


def test_layouts_and_types() -> None:
    rng = np.random.default_rng(13)
    table = rng.standard_normal((SIZE, 3))
    table.flags.writeable = False
    expected = ExactSums(3)
    for group in range(3):
        expected.add_column(group, table[:, group])
    for same in (table, np.asfortranarray(table), table[::-1], np.repeat(table, 2, axis=1)[:, ::2]):
        state = ExactSums(3)
        state.add(same)
        assert frozen(state) == frozen(expected)
    single = table[:, 0].astype(np.float32)
    assert frozen(seen(single)) == frozen(seen(single.astype(float)))
    swapped, packed = ExactSums(), ExactSums()
    swapped.add(table[:, 0].astype(">f8"))
    packed.add(np.frombuffer(b"\0" + table[:, 0].tobytes(), np.float64, offset=1))
    assert frozen(swapped) == frozen(packed) == frozen(expected.take([0]))
    flags = ExactSums()
    flags.add([True, False, True])
    assert flags.sum() == 2


@pytest.mark.parametrize(
    "numbers",
    [
        np.array([-(2**63), 2**63 - 1, 2**53 + 1, -3, 0], np.int64),
        np.array([2**64 - 1, 2**63, 5, 0, 1], np.uint64),
        np.array([-(2**31), 2**31 - 1, 3], np.int32),
    ],
)
def test_integers_are_not_rounded(numbers: np.ndarray) -> None:
    state = ExactSums(2, 4)
    state.add(np.stack([numbers, numbers[::-1]], axis=1))
    for power in (1, 2, 3, 4):
        expected = sum(int(number) ** power for number in numbers)
        assert as_fractions(state.sums(power)) == [expected, expected]


def test_carries_wait_for_many_merges(values: np.ndarray) -> None:
    state = seen(values[:64], 4)
    once = [as_fractions(state.sums(power))[0] for power in (1, 2, 3, 4)]
    unit = seen(values[:64], 4)
    for _ in range(40):
        state.merge(state)
    for _ in range(3):
        state.add(values[:64])
    for power in (1, 2, 3, 4):
        assert as_fractions(state.sums(power)) == [(2**40 + 3) * once[power - 1]]
    for _ in range(40):
        unit.merge(unit)
    assert frozen(state.subtract(unit)) == frozen(seen(np.tile(values[:64], 3), 4))


def test_states_are_independent() -> None:
    state = seen([1.0, 2.0])
    before = frozen(state)
    exported = state.export()
    loaded, copied = ExactSums.load(exported), state.copy()
    exported["counts"][:] = 9
    exported["sums"][0]["digits"][:] = 9
    state.add([3.0])
    assert frozen(loaded) == frozen(copied) == before


def test_wrong_use_is_refused() -> None:
    state = ExactSums(2)
    for call in (
        lambda: state.add([[1.0]]),
        lambda: state.add([["a", "b"]]),
        lambda: state.add(np.ones((1, 2), complex)),
        lambda: state.add([[1.0, 2.0]], [[1, 0]]),
        lambda: state.add_column(2, [1.0]),
        lambda: state.add_grouped([0, 2], [1.0, 2.0]),
        lambda: state.add_grouped([0.5], [1.0]),
        lambda: state.add_grouped([0], [1.0, 2.0]),
        lambda: state.merge(ExactSums(3)),
        lambda: state.merge(ExactSums(2, 3)),
        lambda: state.resize(1),
        lambda: state.take([2]),
        lambda: state.skewness(),
        lambda: ExactSums(1, 5),
        lambda: ExactGram(0),
        lambda: ExactGram(2).add([[1.0]]),
        lambda: ExactGram(1).add([[2**60]]),
        lambda: ExactGram(2).merge(ExactGram(3)),
    ):
        with pytest.raises(UsageError):
            call()


GRAM_SCALES = {
    "plain": np.ones(4),
    "columns apart": np.array([1e9, 1e-9, 1, 1e-200]),
    "extreme": np.array([1e304, 1, 1e-308, -1]),
    "with zeros": np.array([0, 1.0, -0.0, 1e-3]),
}


@pytest.mark.parametrize("scales", GRAM_SCALES.values(), ids=GRAM_SCALES)
@pytest.mark.parametrize("kind", ["normal", "small integers", "scattered", "one tiny"])
def test_gram_is_exact(scales: np.ndarray, kind: str) -> None:
    rng = np.random.default_rng(17)
    rows = np.stack([KINDS[kind](rng) for _ in scales], axis=1)
    if kind == "scattered":
        scales = np.clip(scales, -1e250, 1e250)
    rows = rows * scales
    gram = ExactGram(4)
    gram.add(rows)
    exact = [fractions(column) for column in rows.T]
    assert as_fractions(gram.sums()) == [sum(column, Fraction()) for column in exact]
    pairs = [(i, j) for i in range(4) for j in range(i, 4)]
    scaled = [[int(value * 2**1074) for value in column] for column in exact]
    for (i, j), product in zip(pairs, as_fractions(gram.products()), strict=True):
        total = sum(a * b for a, b in zip(scaled[i], scaled[j], strict=True))
        assert product == Fraction(total, 2**2148)
    order = rng.permutation(SIZE)
    parts = [ExactGram(4) for _ in range(3)]
    for part, piece in zip(parts, np.array_split(rows[order], 3), strict=True):
        part.add(np.asfortranarray(piece))
    right = frozen(parts[1])
    assert frozen(parts[0].copy().merge(parts[2]).merge(parts[1])) == frozen(gram)
    assert frozen(parts[1]) == right
    assert frozen(gram.subtract(parts[2]).subtract(parts[0])) == right
    assert frozen(ExactGram.load(parts[1].export())) == right


def test_gram_leaves_out_incomplete_rows() -> None:
    rng = np.random.default_rng(19)
    rows = np.round(rng.standard_normal((SIZE, 3)), 2)
    complete = ExactGram(3)
    complete.add(rows[3:])
    holes = rows.copy()
    holes[0, 1], holes[1, 2], holes[2, 0] = np.nan, np.inf, np.nan
    holes[2, 1] = -np.inf
    gram, masked = ExactGram(3), ExactGram(3)
    gram.add(holes)
    assert gram.counts.tolist() == [SIZE - 3, 2, 1]
    masked.add(rows, np.arange(SIZE)[:, None] >= [3, 0, 1])
    assert masked.counts.tolist() == [SIZE - 3, 3, 0]
    for state in (gram, masked):
        assert np.array_equal(state.covariance(), complete.covariance())
    assert frozen(gram)["pairs"] == frozen(masked)["pairs"] == frozen(complete)["pairs"]


def test_covariance_and_correlation() -> None:
    rng = np.random.default_rng(23)
    rows = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3)) + 1e9
    gram = ExactGram(4)
    gram.add(np.column_stack([rows, np.full(300, 0.1)]))
    exact = [fractions(column) for column in rows.T]
    means = [sum(column, Fraction()) / 300 for column in exact]
    assert gram.mean().tolist() == [*map(float, means), 0.1]
    for i in range(3):
        for j in range(3):
            both = sum(
                (a - means[i]) * (b - means[j]) for a, b in zip(exact[i], exact[j], strict=True)
            )
            assert gram.covariance()[i, j] == float(both / 299)
            assert gram.covariance(0)[i, j] == float(both / 300)
    correlation = gram.correlation()
    assert correlation[:3, :3] == pytest.approx(np.corrcoef((rows - 1e9).T), rel=1e-10)
    assert np.array_equal(correlation.diagonal()[:3], np.ones(3))
    assert np.isnan(correlation[3]).all()
    assert np.isnan(ExactGram(2).covariance()).all()
    assert np.isnan(ExactGram(2).mean()).all()
