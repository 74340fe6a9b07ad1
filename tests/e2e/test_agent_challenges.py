# SPDX-License-Identifier: Apache-2.0
"""The cloud has a bundle compared with the one that serves, and an application is not restarted."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.documents.desired import Challenging
from insight_edge.runtime.infer import Runtime
from tests.fakes.fleet_world import DEPLOYMENT, DEVICE, Fleet, now, small_fleet
from tests.fakes.matrix import install, one_row

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    install(monkeypatch)
    with small_fleet(tmp_path) as made:
        yield made


def challenge(fleet: Fleet, wanted: Challenging | None) -> None:
    fleet.cloud.devices.set_challenger(DEVICE, DEPLOYMENT, wanted, by="test", now=now())


def phase(fleet: Fleet) -> str | None:
    found = fleet.standing().challenger
    return None if found is None else found.phase


def test_challenger_comes_reports_and_goes_beside_an_application(fleet: Fleet) -> None:
    first, second = fleet.publish(1), fleet.publish(2)
    fleet.want(first)
    answered: Counter[tuple[str, str]] = Counter()
    stop = threading.Event()
    fleet.until(lambda: fleet.standing().committed == first)
    with Runtime.attach(fleet.place) as runtime:

        def ask_on() -> None:
            while not stop.wait(0.002):
                result = runtime.infer(one_row(), key=f"line {answered.total() % 50}")
                answered[result.bundle, result.role] += 1

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            challenge(fleet, Challenging(bundle=second, cpu_share=0.5, share=0.3))
            fleet.until(lambda: phase(fleet) == "running")
            assert runtime.challenger is not None
            assert runtime.challenger.signed
            told = fleet.cloud.telemetry.challenged
            fleet.until(lambda: any(one.told.compared for one in told(device=DEVICE)))
            fleet.kill_agent()
            fleet.start_agent()
            challenge(fleet, None)
            fleet.until(lambda: runtime.challenger is None and phase(fleet) is None)
        finally:
            stop.set()
            thread.join()
    fleet.until(lambda: not (fleet.place / "challenger").exists())
    assert set(answered) == {(first, "serve"), (second, "challenger")}
    assert fleet.standing().committed == first
