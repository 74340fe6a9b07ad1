# SPDX-License-Identifier: Apache-2.0
"""Verdicts over readings: what cannot be brought about at will is judged here."""

from typing import Any

import pytest

from insight_edge.bench.disturbance import disturbances
from insight_edge.bench.doubt import Doubt
from insight_edge.documents.evidence import Noise

QUIET: dict[str, Any] = {
    "load_1min": 0.2,
    "steal_share": 0.0,
    "involuntary_switches": 3,
    "waited_share": 0.01,
    "held_back_share": 0.0,
    "major_faults": 0,
    "clock_drop": 0.02,
    "throttles": 0,
    "temperature_c": 55.0,
    "cpu_pressure": 0.3,
    "memory_pressure": 0.0,
    "round_spread": 0.02,
}


def test_quiet_machine_leaves_no_doubt() -> None:
    assert disturbances(Noise(**QUIET), 1000) == ()


def test_machine_that_tells_nothing_leaves_no_doubt() -> None:
    told: dict[str, Any] = {
        "load_1min": 0.0,
        "steal_share": 0.0,
        "involuntary_switches": 0,
        "round_spread": 0.0,
    }
    assert disturbances(Noise(**told), 1000) == ()


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"clock_drop": 0.3}, "THROTTLED", "the clock fell by 30%"),
        ({"throttles": 2}, "THROTTLED", "processors were throttled 2 times"),
        (
            {"held_back_share": 0.4},
            "THROTTLED",
            "its control group was held back for 40% of the time",
        ),
        ({"steal_share": 0.2}, "NOISY", "the hypervisor took 20% of the time"),
        ({"waited_share": 0.5}, "NOISY", "it waited for a processor 50% of the time"),
        ({"major_faults": 11}, "NOISY", "memory was read back from a disk 11 times"),
        ({"memory_pressure": 0.5}, "NOISY", "programs waited for memory 50% of the time"),
    ],
)
def test_each_disturbance_has_its_verdict(
    changes: dict[str, Any], verdict: Any, reason: str
) -> None:
    assert disturbances(Noise(**QUIET | changes), 1000) == (Doubt(verdict, reason),)


def test_faults_count_against_the_inferences_they_were_among() -> None:
    assert disturbances(Noise(**QUIET | {"major_faults": 11}), 2000) == ()
