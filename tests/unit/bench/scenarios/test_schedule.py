# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Scenario
from insight_edge.bench.scenarios.schedule import arrivals_of, periodic, poisson

SERVER = Scenario(name="server", rate_per_s=100.0, waiting=10)
SENSOR = Scenario(name="sensor", rate_per_s=30.0, waiting=1)


def test_gaps_of_a_server_are_exponential() -> None:
    gaps = np.diff(poisson(1000.0, 60.0, np.random.default_rng(0))) / 1e6
    assert np.mean(gaps) == pytest.approx(1.0, rel=0.02)
    assert np.std(gaps) == pytest.approx(1.0, rel=0.02)
    for gap in (0.1, 0.5, 1.0, 2.0):
        assert np.mean(gaps > gap) == pytest.approx(np.exp(-gap), abs=0.01)


def test_number_of_arrivals_is_random_with_the_rate_for_its_mean() -> None:
    counts = [len(poisson(50.0, 1.0, np.random.default_rng(seed))) for seed in range(400)]
    assert np.mean(counts) == pytest.approx(50, abs=1.5)
    assert np.var(counts) == pytest.approx(50, rel=0.25)


def test_seed_decides_and_rounds_differ() -> None:
    first, again, other = (arrivals_of(SERVER, 1.0, seed) for seed in ((3, 0), (3, 0), (3, 1)))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


@given(st.floats(0.1, 5000), st.floats(0.01, 3))
def test_sensor_asks_once_a_period_and_at_least_once(rate_per_s: float, duration_s: float) -> None:
    due = periodic(rate_per_s, duration_s)
    assert due[0] == 0
    assert len(due) == max(1, int(rate_per_s * duration_s + 1e-9))
    assert np.abs(np.diff(due) - 1e9 / rate_per_s).max(initial=0) <= 1


@given(st.integers(0, 10**6))
def test_arrivals_rise_within_the_duration(seed: int) -> None:
    for scenario in (SERVER, SENSOR):
        due = arrivals_of(scenario, 0.5, (seed,))
        assert due.dtype == np.int64
        assert (np.diff(due) >= 0).all()
        assert due.size == 0 or 0 <= due.min() <= due.max() < 0.5e9


def test_scenario_without_a_rate_has_no_schedule() -> None:
    with pytest.raises(ValueError, match="one query after the other"):
        arrivals_of(SINGLE_STREAM, 1.0, (0,))
