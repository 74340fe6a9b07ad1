# SPDX-License-Identifier: Apache-2.0
"""Bars, verdicts and exit codes of the project's own figures."""

import pytest

from benchmarks.figure import (
    Figure,
    Verdict,
    exit_code,
    figure_from_count,
    figure_from_estimate,
    judge,
)
from insight_edge.bench.verdict import MIN_ROUNDS


def figure(low: float, high: float, bar: float | None) -> Figure:
    return figure_from_estimate(
        ((low + high) / 2, low, high),
        name="overhead",
        case="alone",
        compared=("a", "b"),
        rounds=MIN_ROUNDS,
        bar=bar,
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.9, 1.9, "WITHIN"),
        (0.9, 2.0, "WITHIN"),
        (1.9, 2.1, "NOISY"),
        (2.0, 2.1, "NOISY"),
        (2.1, 2.2, "OVER"),
    ],
)
def test_verdict_follows_the_side_the_interval_lies_on(
    low: float, high: float, expected: Verdict
) -> None:
    assert judge(low, high, 2.0, MIN_ROUNDS) == expected


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (3.0, 4.0)])
def test_verdict_is_noisy_when_there_are_too_few_rounds(low: float, high: float) -> None:
    assert judge(low, high, 2.0, MIN_ROUNDS - 1) == "NOISY"


def test_figure_without_a_bar_has_no_verdict() -> None:
    assert figure(3.0, 4.0, None).verdict is None


@pytest.mark.parametrize(("count", "expected"), [(0, "WITHIN"), (1, "OVER")])
def test_count_is_over_from_the_first(count: int, expected: Verdict) -> None:
    counted = figure_from_count(count, name="swap", case="", counted="calls dropped", total=9)
    assert counted.verdict == expected
    assert (counted.value.low, counted.value.high) == (count, count)


def test_exit_code_puts_an_exceeded_bar_before_a_doubtful_one() -> None:
    within, over, noisy = figure(0.1, 0.2, 1.0), figure(1.1, 1.2, 1.0), figure(0.9, 1.1, 1.0)
    shown = figure(5.0, 6.0, None)
    assert exit_code([]) == 0
    assert exit_code([within, shown]) == 0
    assert exit_code([within, noisy]) == 3
    assert exit_code([noisy, over, within]) == 1
