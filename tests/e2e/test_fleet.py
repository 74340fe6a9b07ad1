# SPDX-License-Identifier: Apache-2.0
"""A device of a fleet, from enrolment to a swap under load, with everything real but the model."""

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.runtime.infer import Runtime
from tests.fakes.fleet_world import DEPLOYMENT, DEVICE, Fleet, small_fleet
from tests.fakes.matrix import install, one_row
from tests.fakes.programs import program

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    install(monkeypatch)
    with small_fleet(tmp_path) as made:
        yield made


@dataclass
class Load:
    """Callers of an application, and who answered them."""

    answered: Counter[str] = field(default_factory=Counter)
    wrong: int = 0


@contextmanager
def application(fleet: Fleet, tags: dict[str, float]) -> Iterator[Load]:
    """Attach a runtime and ask without pause; every answer must be of the bundle it names."""
    load, stop = Load(), threading.Event()
    with Runtime.attach(fleet.place) as runtime:

        def ask() -> None:
            while not stop.wait(0.001):
                result = runtime.infer(one_row())
                load.answered[result.bundle] += 1
                load.wrong += result.outputs["y"][0, 0] != tags[result.bundle]

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield load
        finally:
            stop.set()
            thread.join()


def settle(fleet: Fleet, load: Load) -> None:
    """The application is gone; its last window was handed over, so that all is counted."""
    fleet.until(lambda: fleet.counted() == dict(load.answered))


def committed(fleet: Fleet, bundle: str) -> bool:
    state = fleet.standing()
    return state.committed == bundle and state.phase == "idle"


def test_two_updates_under_load_lose_no_answer_and_no_count(fleet: Fleet) -> None:
    first, second = fleet.publish(1), fleet.publish(2)
    fleet.want(first)
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    with application(fleet, {first: 1.0, second: 2.0}) as load:
        fleet.until(lambda: committed(fleet, first) and load.answered[first] > 200)
        fleet.want(second)
        fleet.until(lambda: committed(fleet, second) and load.answered[second] > 200)
        fleet.until(lambda: fleet.cloud.devices.not_updated_reason(DEVICE, DEPLOYMENT) is None)
        swap = fleet.standing().swap
    settle(fleet, load)
    assert load.wrong == 0
    assert swap is not None
    assert (swap.origin, swap.target) == (first, second)
    fleet.until(lambda: not fleet.standing().attached)
    why = fleet.cloud.devices.not_updated_reason(DEVICE, DEPLOYMENT) or ""
    assert why.endswith("it will serve when an application attaches to 'camera-1'.")


def test_agent_that_is_killed_in_the_middle_goes_on(fleet: Fleet) -> None:
    first, second = fleet.publish(1), fleet.publish(2)
    fleet.want(first)
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    with application(fleet, {first: 1.0, second: 2.0}) as load:
        fleet.until(lambda: committed(fleet, first))
        fleet.want(second)
        for phase in ("probation", "idle"):
            fleet.until(lambda phase=phase: fleet.standing().phase == phase)  # type: ignore[misc]
            fleet.kill_agent()
            fleet.start_agent()
        fleet.until(lambda: committed(fleet, second) and fleet.standing().attached)
    settle(fleet, load)
    assert load.wrong == 0


CLOUD_PROCESSES = (
    "insight_cloud.platform.broker_child",
    "insight_cloud.worker.ingester",
    "insight_cloud.worker.main",
    "insight_cloud.app.main",
)


def test_whichever_process_of_the_cloud_is_killed_the_update_arrives(fleet: Fleet) -> None:
    bundles = {fleet.publish(tag): tag for tag in (1.0, 2.0, 3.0, 4.0)}
    first, *others = bundles
    fleet.want(first)
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    with application(fleet, bundles) as load:
        fleet.until(lambda: committed(fleet, first))
        for bundle, module in zip([*others, first], CLOUD_PROCESSES, strict=True):
            fleet.kill_process(module)
            fleet.want(bundle)
            fleet.until(lambda bundle=bundle: committed(fleet, bundle))  # type: ignore[misc]
    settle(fleet, load)
    assert load.wrong == 0


def test_revoked_bundle_is_refused_and_the_device_says_so(fleet: Fleet) -> None:
    first, second = fleet.publish(1), fleet.publish(2)
    fleet.want(first)
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    fleet.cloud.releases.revoke(second, by="test", now=datetime.now(UTC))
    with application(fleet, {first: 1.0}) as load:
        fleet.until(lambda: committed(fleet, first))
        fleet.want(second)
        fleet.until(lambda: fleet.standing().refusal is not None)
        asked = load.answered[first]
        fleet.until(lambda: load.answered[first] > asked)
    refusal = fleet.standing().refusal
    assert refusal is not None
    assert (refusal.kind, refusal.bundle) == ("RevokedError", second)
    assert "RevokedError" in (fleet.cloud.devices.not_updated_reason(DEVICE, DEPLOYMENT) or "")


def test_owner_of_the_device_can_hold_updates_and_see_how_it_stands(fleet: Fleet) -> None:
    def agent(*words: str) -> str:
        command = [program("insight-edge"), "agent", *words, "--state", str(fleet.state)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    agent("hold")
    fleet.until(lambda: bool(fleet.reported() and fleet.reported().held))  # type: ignore[union-attr]
    revision = fleet.want(fleet.publish(1))
    fleet.until(lambda: fleet.reported().revision == revision)  # type: ignore[union-attr]
    assert Slots(fleet.place).committed is None
    why = fleet.cloud.devices.not_updated_reason(DEVICE, DEPLOYMENT)
    assert why == "The device's owner has stopped updates on it."
    agent("hold", "--release")
    fleet.until(lambda: Slots(fleet.place).committed is not None)
    said = json.loads(agent("status", "--format", "json"))
    assert (said["device"], said["revision"], said["held"]) == (DEVICE, revision, False)
    assert "press-7" in agent("status")


def test_agent_says_goodbye_and_is_not_lost(fleet: Fleet) -> None:
    fleet.until(lambda: fleet.cloud.devices.device(DEVICE).online)
    fleet.stop_agent()
    fleet.until(lambda: not fleet.cloud.devices.device(DEVICE).online)
    newest = fleet.cloud.devices.timeline(DEVICE)[0]
    assert (newest.news.kind, newest.news.text) == ("died", "stopped")
