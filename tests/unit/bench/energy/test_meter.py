# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from insight_edge.bench.energy.meter import energy_of, metered
from insight_edge.bench.energy.source import Power
from insight_edge.documents.measured import Energy


def test_what_the_machine_takes_idle_is_subtracted() -> None:
    assert energy_of("meter", (10.0, 2.0), (40.0, 4.0), 1000) == Energy(
        source="meter", mj_per_inference=20, idle_w=5, busy_w=10, duration_s=4, inferences=1000
    )


def test_run_is_read_idle_first_and_then_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, working = 100.0, False

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    def work() -> int:
        nonlocal now_s, working
        working = True
        now_s += 0.05
        return 8

    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    monkeypatch.setattr(time, "sleep", sleep)
    (found,) = metered(work, [Power("meter", lambda: 12.0 if working else 4.0)], 2.0)
    assert (found.source, found.inferences) == ("meter", 8 * round(found.duration_s / 0.05))
    assert found.duration_s == pytest.approx(2, abs=0.06)
    assert found.idle_w == pytest.approx(4)
    assert found.busy_w == pytest.approx(12, abs=0.2)
    assert found.mj_per_inference == pytest.approx(8e3 * 0.05 / 8, rel=0.03)
