# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from insight_edge.bench.doubt import Doubt
from insight_edge.bench.sustained import sustained_doubts, sustained_of
from insight_edge.documents.evidence import Noise

CALL_NS = 1_000_000


def run_of(slowdown: float, blocks: int = 100, seed: int = 0) -> list[NDArray[np.int64]]:
    """Return a run that becomes slower from its first fifth to its last."""
    random = np.random.default_rng(seed)
    factors = np.interp(np.arange(blocks), [blocks * 0.2, blocks * 0.8], [1, slowdown])
    return [
        (CALL_NS * factor * random.lognormal(0, 0.02, 30)).astype(np.int64) for factor in factors
    ]


def noise(**changes: Any) -> Noise:
    told: dict[str, Any] = {"load_1min": 0.0, "steal_share": 0.0, "involuntary_switches": 0}
    return Noise(round_spread=0.0, **told | changes)


def doubts(slowdown: float, **changes: Any) -> tuple[Doubt, ...]:
    return sustained_doubts(sustained_of(run_of(slowdown), 60.0, noise(**changes)))


def test_run_that_keeps_its_speed_leaves_no_doubt() -> None:
    found = sustained_of(run_of(1.0), 60.0, noise(clock_drop=0.3))
    assert found is not None
    assert found.ratio == pytest.approx(1, abs=0.01)
    assert found.ratio_low <= found.ratio <= found.ratio_high
    assert (found.iterations, found.duration_s, found.clock_drop) == (3000, 60, 0.3)
    assert sustained_doubts(found) == ()


def test_run_that_becomes_slower_with_its_clock_is_throttled() -> None:
    (doubt,) = doubts(1.25, clock_drop=0.2, temperature_rise_c=21.0)
    assert doubt == Doubt(
        "THROTTLED",
        "25% slower at the end of 60 s: the clock fell by 20%, it became 21 °C hotter",
    )
    (doubt,) = doubts(1.25, throttles=3)
    assert doubt.verdict == "THROTTLED"


@pytest.mark.parametrize(
    ("slowdown", "changes", "word"),
    [
        (1.25, {}, "slower"),
        (1.25, {"temperature_rise_c": 21.0, "clock_drop": 0.01}, "slower"),
        (0.8, {"clock_drop": 0.3}, "faster"),
    ],
)
def test_run_that_changes_with_no_reason_to_be_seen_drifts(
    slowdown: float, changes: dict[str, Any], word: str
) -> None:
    (doubt,) = doubts(slowdown, **changes)
    assert doubt.verdict == "NOISY"
    assert doubt.reason.startswith("drifts: ")
    assert word in doubt.reason


def test_change_that_does_not_matter_is_none() -> None:
    assert doubts(1.03, clock_drop=0.2) == ()


def test_change_that_may_be_chance_is_none() -> None:
    found = sustained_of(run_of(1.25), 60.0, noise(clock_drop=0.2))
    assert found is not None
    unsure = replace(found, ratio_low=0.9)
    assert sustained_doubts(unsure) == ()


def test_run_of_few_blocks_says_nothing() -> None:
    assert sustained_of(run_of(1.0, blocks=24), 60.0, noise()) is None
    assert sustained_of(run_of(1.0, blocks=25), 60.0, noise()) is not None
    assert sustained_doubts(None)[0].verdict == "NOISY"
