# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.stats.interval import median_interval, ratio_interval, wilson

Blocks = list[NDArray[np.float64]]

PER_ROUND = 20


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(
    successes: int, total: int, low: float, high: float
) -> None:
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_widens_with_confidence() -> None:
    low, high = wilson(3, 10, confidence=0.99)
    assert low < wilson(3, 10)[0] < wilson(3, 10)[1] < high


@pytest.mark.parametrize(("successes", "total"), [(-1, 3), (4, 3), (0, -1)])
def test_wilson_refuses_what_is_no_share(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, total)


def rounds(random: np.random.Generator, slowdown: NDArray[np.float64], factor: float) -> Blocks:
    """Return lognormal latencies whose rounds are slowed down as a whole."""
    return [factor * slow * random.lognormal(0, 0.05, PER_ROUND) for slow in slowdown]


def trials(count: int, per_trial: int) -> list[tuple[np.random.Generator, NDArray[np.float64]]]:
    """Return seeded generators, each with how much slower every round of its trial is."""
    seeds = np.random.SeedSequence(11).spawn(count)
    generators = [np.random.default_rng(seed) for seed in seeds]
    return [(random, random.lognormal(0, 0.3, per_trial)) for random in generators]


def share_within(intervals: Sequence[tuple[float, float, float]], truth: float) -> float:
    return float(np.mean([low <= truth <= high for _, low, high in intervals]))


@pytest.mark.parametrize(("per_trial", "least"), [(5, 0.91), (7, 0.95), (10, 0.94), (20, 0.94)])
def test_median_interval_covers_though_whole_rounds_are_disturbed(
    per_trial: int, least: float
) -> None:
    """Five rounds cannot reach 95 %: the median is beyond all of them once in sixteen times."""
    found = [
        median_interval(rounds(random, slowdown, 1.0), draws=500)
        for random, slowdown in trials(1000, per_trial)
    ]
    assert share_within(found, 1.0) >= least


def test_ratio_interval_finds_a_planted_slowdown_that_rounds_hide() -> None:
    found = []
    for random, slowdown in trials(200, 10):
        a, b = rounds(random, slowdown, 1.0), rounds(random, slowdown, 1.05)
        found.append(ratio_interval(b, a, draws=1000))
    assert share_within(found, 1.05) >= 0.94
    assert np.mean([low > 1 for _, low, _ in found]) >= 0.95


def test_ratio_interval_of_the_same_thing_includes_1() -> None:
    found = []
    for random, slowdown in trials(300, 10):
        a, b = rounds(random, slowdown, 1.0), rounds(random, slowdown, 1.0)
        found.append(ratio_interval(b, a, draws=1000))
    assert share_within(found, 1.0) >= 0.94


def test_ratio_of_a_side_to_itself_is_exactly_1() -> None:
    blocks = [np.array([3, 4, 5]), np.array([8, 9, 100])]
    assert ratio_interval(blocks, blocks) == (1.0, 1.0, 1.0)


def test_value_is_the_median_of_medians_and_inside_its_interval() -> None:
    blocks = [np.array([1, 2, 30]), np.array([4]), np.array([9, 9])]
    value, low, high = median_interval(blocks)
    assert (value, low, high) == (4.0, 2.0, 9.0)


def test_same_seed_gives_the_same_interval() -> None:
    blocks = rounds(*trials(1, 8)[0], factor=1.0)
    assert median_interval(blocks, seed=3) == median_interval(blocks, seed=3)


def test_rounds_that_do_not_pair_are_refused() -> None:
    one = [np.array([1.0])]
    for wrong in ([], [np.array([])]):
        with pytest.raises(ValueError, match="round"):
            median_interval(wrong)
    with pytest.raises(ValueError, match="blocks"):
        ratio_interval(one, one * 2)
    with pytest.raises(ValueError, match="positive"):
        ratio_interval(one, [np.array([0.0])])
