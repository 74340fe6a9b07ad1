# SPDX-License-Identifier: Apache-2.0
"""Outages around a device: inference goes on, all is counted once, and somebody can see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.fleet.doctor.examine import examine
from tests.fakes.broker import kill
from tests.fakes.cutting_proxy import CuttingProxy
from tests.fakes.matrix import install
from tests.fakes.outage_world import DEPLOYMENT, FACTS, World, outage_world
from tests.fakes.small_disk import fill, small_disk_at

HOUR_S, YEAR_S = 3600.0, 365.25 * 86_400


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    install(monkeypatch)
    with outage_world(tmp_path) as made:
        yield made


def begin(world: World) -> str:
    """Let the device serve its first bundle."""
    first = world.publish(1)
    world.want(first)
    world.start_agent()
    world.until(lambda: Slots(world.place).committed is not None)
    return first


def failed(world: World) -> set[str]:
    """Return what somebody at the device would be told is wrong."""
    checks = examine(world.state, FACTS, None, now_s=world.clock(), timeout_s=2.0)
    return {check.name for check in checks if check.state == "failed"}


def test_broker_that_is_down_when_the_agent_starts(world: World) -> None:
    first = begin(world)
    world.until(lambda: world.standing().committed == first)
    world.stop_agent()
    world.until(lambda: world.told()[0] == "died")
    kill(world.broker)
    world.start_agent()
    with world.application():
        world.serves_on()
        assert failed(world) - {f"deployment {DEPLOYMENT}"} == {"broker"}
        world.want(world.publish(2))
        assert world.why().startswith("The device is offline; it was last seen on ")
        world.broker.start()
        world.until(lambda: world.why() == "")
        world.serves_on()
    world.arrives()
    world.until(lambda: world.told().count("born") == 2)
    assert world.reported().lost == {}  # type: ignore[union-attr]


def test_cloud_that_is_away_for_an_hour(world: World) -> None:
    first = begin(world)
    with world.application():
        world.until(lambda: world.counted().get(first, 0) > 0)
        world.stop_cloud()
        kill(world.broker)
        before = world.answered.total()
        for _ in range(4):
            world.serves_on()
            world.clock.ahead_s += HOUR_S / 4
        world.cloud_clock.ahead_s = HOUR_S
        assert world.answered.total() >= before + 200
        world.broker.start()
        world.start_cloud()
        world.until(lambda: world.told().count("born") == 2 and world.why() == "")
        world.serves_on()
    world.arrives()
    assert world.reported().lost == {}  # type: ignore[union-attr]


def test_link_that_comes_and_goes_every_second(world: World) -> None:
    with CuttingProxy(world.broker.address, longest_s=1.0) as proxy:
        world.through(proxy.port)
        begin(world)
        with world.application():
            world.until(lambda: proxy.cuts >= 5)
            second = world.publish(2)
            world.want(second)
            world.until(lambda: Slots(world.place).committed == "b" and proxy.cuts >= 8)
            world.serves_on()
        proxy.healed.set()
        world.until(lambda: world.standing().committed == second)
        world.clock.ahead_s += HOUR_S  # what a broker took and lost is sent again after a pause
        world.arrives()
        assert world.told().count("born") >= 4
        world.stop_agent()
    assert world.reported().lost == {}  # type: ignore[union-attr]


@pytest.mark.parametrize("ahead_s", [20 * YEAR_S, -20 * YEAR_S], ids=["ahead", "behind"])
def test_clock_that_is_wrong_by_years(
    world: World, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    world.clock.rule(monkeypatch)
    first = begin(world)
    with world.application():
        world.until(lambda: world.counted().get(first, 0) > 0)
        world.clock.ahead_s = ahead_s
        world.serves_on()
        second = world.publish(2)
        world.want(second)
        if ahead_s > 0:
            world.until(lambda: "ExpiredError" in world.why())
        assert "clock" in failed(world)
        world.serves_on()
        world.clock.ahead_s = 0.0  # and it jumps back while all of this runs
        assert "clock" not in failed(world)
        world.until(lambda: world.standing().committed == second and world.why() == "")
        world.serves_on()
    world.arrives()
    assert world.reported().lost == {}  # type: ignore[union-attr]


def test_device_that_was_born_years_ahead_is_shown(world: World) -> None:
    world.clock.ahead_s = 20 * YEAR_S
    world.want(world.publish(1))
    world.start_agent()
    world.until(lambda: "ExpiredError" in world.why())
    ahead_s = world.cloud.devices.device("press-7").ahead_s
    assert ahead_s == pytest.approx(20 * YEAR_S, abs=60)
    assert Slots(world.place).committed is None


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """Let the state of the device lie on a disk of 40 megabytes."""
    with small_disk_at(world.state):
        try:
            yield world.state
        finally:
            world.stop_agent()


def test_disk_of_the_device_that_is_full(world: World, small_disk: Path) -> None:
    first = begin(world)
    with world.application():
        world.until(lambda: world.counted().get(first, 0) > 0)
        fill(small_disk / "ballast")
        second = world.publish(2)
        world.want(second)
        world.until(lambda: "StorageError" in world.why())
        assert "disk" in failed(world)
        world.serves_on()
        (small_disk / "ballast").unlink()
        world.until(lambda: world.standing().committed == second and world.why() == "")
        world.serves_on()
    world.arrives()
    assert world.reported().lost == {}  # type: ignore[union-attr]
