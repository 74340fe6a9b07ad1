# SPDX-License-Identifier: Apache-2.0
"""Outages of the cloud's own: a full disk, a clock that jumps, a broker that forgot everything."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.errors import EnrolmentError
from insight_edge.fleet.enrol import enrol
from tests.fakes.broker import kill
from tests.fakes.matrix import install
from tests.fakes.outage_world import FACTS, World, outage_world

DAY_S = 86_400.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount 40 megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount program: {error}")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def begin(world: World) -> str:
    """Let the device serve its first bundle."""
    first = world.publish(1)
    world.want(first)
    world.start_agent()
    world.until(lambda: Slots(world.place).committed is not None)
    return first


def fill(path: Path) -> None:
    """Write until not one byte more goes on the disk."""
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass


def test_disk_of_the_cloud_that_is_full(
    tmp_path: Path,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(monkeypatch)
    with outage_world(tmp_path, cloud_state=small_disk / "cloud") as world:
        first = begin(world)
        with world.application():
            world.until(lambda: world.counted().get(first, 0) > 0)
            stood = world.cloud.devices.device("press-7").last_seen
            other = EnrolmentRequest(token=world.cloud.invite("press-8"), facts=FACTS)
            fill(small_disk / "ballast")
            world.until(lambda: "a batch comes again" in caplog.text)
            world.serves_on()
            with pytest.raises(EnrolmentError, match="full"):
                enrol(world.address, other)
            (small_disk / "ballast").unlink()
            world.until(lambda: world.cloud.devices.device("press-7").last_seen != stood)
            assert enrol(world.address, other).device == "press-8"
            world.serves_on()
        world.clock.ahead_s += 3600.0  # what was not acknowledged is sent again after a pause
        world.arrives()
        assert world.reported().lost == {}  # type: ignore[union-attr]


@pytest.mark.parametrize("ahead_s", [30 * DAY_S, -30 * DAY_S], ids=["ahead", "behind"])
def test_clock_of_the_cloud_that_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    install(monkeypatch)
    with outage_world(tmp_path) as world:
        first = begin(world)
        with world.application():
            world.until(lambda: world.counted().get(first, 0) > 0)
            world.cloud_clock.ahead_s = ahead_s
            world.serves_on()
            world.until(lambda: world.counted().get(first, 0) >= 100)
            world.cloud_clock.ahead_s = 0.0
            second = world.publish(2)
            world.want(second)
            world.until(lambda: world.standing().committed == second)
            world.serves_on()
        world.cloud_clock.ahead_s = max(0.0, ahead_s)  # what was filed in the future counts too
        world.arrives()


def test_broker_that_forgot_everything_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    with outage_world(tmp_path) as world:
        begin(world)
        with world.application():
            world.stop_agent()
            second = world.publish(2)
            world.want(second)
            world.until(lambda: world.why().startswith("The device is offline"))
            kill(world.broker)
            for left in (world.cloud.settings.state / "broker").glob("*.db"):
                left.unlink()
            world.broker.start()
            world.start_agent()
            world.until(lambda: world.told().count("born") == 2)
            world.cloud_clock.ahead_s += 120.0  # it is published again after a minute
            world.until(lambda: world.standing().committed == second)
        world.arrives()
