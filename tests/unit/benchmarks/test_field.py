# SPDX-License-Identifier: Apache-2.0
"""Figures beside the engines' own benchmark programs: when ours says what theirs say."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.field_rivals import NOT_HERE, Asked, Rival, run
from benchmarks.field_spread import judge_outside, judge_variation, outside, variation
from benchmarks.figure import exit_code, figure_not_taken
from benchmarks.screen import interval_text, value_text
from insight_edge.errors import MeasurementError

RUNS = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=12)


def test_a_median_within_the_spread_is_within_however_wide_its_interval_is() -> None:
    found = outside([1.9, 2.0, 2.0, 2.0, 2.6], [1.99, 2.01], rounding=0.0)
    assert found[:2] == (0.0, 0.0)
    assert judge_outside(found, 10) == "WITHIN"


def test_a_median_that_may_lie_on_either_side_is_noisy_and_one_that_cannot_is_over() -> None:
    noisy = outside([1.9, 2.1, 2.1, 2.1, 2.1], [1.8, 2.0], rounding=0.0)
    assert noisy[0] == pytest.approx(5.0)
    assert judge_outside(noisy, 10) == "NOISY"
    over = outside([2.2, 2.2, 2.21, 2.22, 2.2], [1.8, 2.0], rounding=0.0)
    assert judge_outside(over, 10) == "OVER"
    assert judge_outside(over, 4) == "NOISY", "most of ours were not VALID"
    assert over[1] == pytest.approx(10.0)


def test_what_is_told_in_few_digits_may_lie_anywhere_within_the_last() -> None:
    own, theirs = [1.854] * 5, [1.85] * 5
    assert judge_outside(outside(own, theirs, rounding=0.005), 10) == "WITHIN"
    assert judge_outside(outside(own, theirs, rounding=0.0), 10) == "OVER"


@settings(max_examples=20)
@given(RUNS, RUNS)
def test_the_distance_lies_within_its_interval(own: list[float], theirs: list[float]) -> None:
    value, low, high = outside(own, theirs, 0.0)
    assert 0 <= low <= value <= high + 1e-9
    assert outside(own, own, 0.0)[0] == 0


def test_runs_vary_by_their_standard_deviation_over_their_mean() -> None:
    value, low, high = variation([0.98, 1.0, 1.02])
    assert value == pytest.approx(2.0)
    assert low <= value <= high
    assert variation([1.0]) == (0.0, 0.0, 0.0)


def test_too_few_runs_that_were_called_valid_say_nothing() -> None:
    assert judge_variation((0.1, 0.0, 0.2), 4, bar=3.0) == "NOISY"
    assert judge_variation((0.1, 0.0, 0.2), 5, bar=3.0) == "WITHIN"
    assert judge_variation((5.0, 4.0, 6.0), 5, bar=3.0) == "OVER"
    assert judge_variation((5.0, 2.0, 6.0), 5, bar=3.0) == "NOISY"


def test_what_nobody_could_run_is_told_and_breaks_no_bar() -> None:
    assert all(NOT_HERE.values())
    figure = figure_not_taken("field", "a", measured="ours", peer="theirs", reason="no wheel")
    assert (value_text(figure), interval_text(figure)) == ("-", "")
    assert exit_code([figure]) == 0


def program(words: str) -> Rival:
    return Rival(
        name="program",
        engine="onnxruntime",
        statistic="p50",
        rounding_ms=0.0,
        environment=None,
        command=lambda bin_, _: [str(bin_ / Path(sys.executable).name), "-c", words],
        read=lambda printed, _: float(printed.split()[-1]),
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("raise SystemExit('no such device')", "no such device"),
        ("print('ms')", "said no figure"),
    ],
)
def test_a_program_that_says_no_figure_says_why(words: str, said: str, tmp_path: Path) -> None:
    asked = Asked(artifact=tmp_path, input="x", shape=(1,), times=1, folder=tmp_path)
    assert run(program("print('it took 2.5')"), asked) == 2.5
    with pytest.raises(MeasurementError, match=said):
        run(program(words), asked)
