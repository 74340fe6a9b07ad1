# SPDX-License-Identifier: Apache-2.0
"""Rotated keys: a device that knows only the first root follows, and the old keys stop counting."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from insight_cloud.releases.rules import Rotation
from insight_edge.documents.codec import digest, encode_wire
from insight_edge.documents.desired import Desired
from insight_edge.errors import RevokedError, UnsignedError
from insight_edge.fleet.trust.director import accept
from tests.fakes.forge import Forge
from tests.fakes.trust_world import PROFILE, Device, World, trust_world

NAMED_BY_ROOT = (Rotation.TARGETS, Rotation.SNAPSHOT, Rotation.TIMESTAMP)


@pytest.fixture(params=[1, 2], ids=["one root key", "two root keys"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with trust_world(tmp_path, roots=request.param) as world:
        yield world


@pytest.fixture
def bundle(world: World) -> str:
    return world.publish()


@pytest.fixture
def device(world: World, bundle: str) -> Device:
    device = world.device()
    device.fetch(bundle)
    return device


def stolen(world: World, place: Path) -> None:
    """Copy all keys as they are now."""
    place.mkdir()
    for path in (world.root / "keys").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
        (place / path.name).chmod(0o600)


@pytest.mark.parametrize("which", list(Rotation))
def test_a_device_that_knows_only_the_old_keys_follows(
    world: World, device: Device, bundle: str, which: Rotation
) -> None:
    before = {path.name: path.read_bytes() for path in (world.root / "keys").iterdir()}
    new_device = world.device("cam-2")
    world.releases.rotate(which, by="Ada", now=world.now)
    after = {path.name: path.read_bytes() for path in (world.root / "keys").iterdir()}
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split(".")[0].split("-")[0] for name in changed} == {which.value}
    for each in (device, new_device, world.device("cam-3")):
        assert digest(each.fetch(bundle)) == bundle
    second = world.publish(b"second", version=2)
    assert digest(device.fetch(second)) == second


def test_every_key_may_be_rotated_several_times(world: World, device: Device, bundle: str) -> None:
    for _ in range(2):
        for which in Rotation:
            world.releases.rotate(which, by="Ada", now=world.now)
    assert digest(device.fetch(bundle)) == bundle
    assert digest(world.device("cam-2").fetch(bundle)) == bundle


@pytest.mark.parametrize("which", NAMED_BY_ROOT)
def test_a_rotation_while_a_device_looks_is_no_attack(
    world: World, device: Device, bundle: str, which: Rotation
) -> None:
    """The device has seen that there is no newer root when the key is rotated and used."""
    times = iter([True])

    def rotate_once(path: str) -> None:
        if path.endswith("/timestamp.json") and next(times, False):
            world.releases.rotate(which, by="Ada", now=world.now)
            world.publish(b"second", version=2)
            world.publish(b"third", "other")

    world.server.before = rotate_once
    assert digest(device.fetch(bundle)) == bundle
    assert next(times, None) is None


@pytest.mark.parametrize("which", [*NAMED_BY_ROOT, Rotation.BUILD])
def test_an_old_key_stops_counting(
    world: World, device: Device, bundle: str, which: Rotation, tmp_path: Path
) -> None:
    stolen(world, tmp_path / "stolen")
    world.releases.rotate(which, by="Ada", now=world.now)
    device.fetch(bundle)
    role = PROFILE if which is Rotation.BUILD else which.value
    forge = Forge(world, tmp_path / "stolen")
    forge.edit(role)
    for other in forge.by:
        if other != role:
            forge.right(other, world.keys)
    forge.serve()
    with pytest.raises(UnsignedError):
        device.fetch(bundle)


def test_an_old_root_key_signs_no_next_root(
    world: World, device: Device, bundle: str, tmp_path: Path
) -> None:
    stolen(world, tmp_path / "stolen")
    world.releases.rotate(Rotation.ROOT, by="Ada", now=world.now)
    forge = Forge(world, tmp_path / "stolen")
    forge.edit("root")
    forge.serve()
    with pytest.raises(UnsignedError):
        device.fetch(bundle)


def test_an_old_director_key_stops_counting(world: World, device: Device, bundle: str) -> None:
    desired = Desired(tenant="default", device="cam-1", revision=1, expires_s=world.clock.now_s + 9)

    def believe(envelope: bytes) -> Desired:
        directors = device.trust.directors()
        now_s = device.trust.now_s(world.clock.now_s)
        return accept(
            envelope, directors, tenant="default", device="cam-1", revision=0, now_s=now_s
        )

    old = encode_wire(world.releases.sign(desired))
    assert believe(old) == desired
    world.releases.rotate(Rotation.DIRECTOR, by="Ada", now=world.now)
    new = encode_wire(world.releases.sign(desired))
    device.fetch(bundle)
    with pytest.raises(RevokedError):
        believe(old)
    assert believe(new) == desired


def test_a_chain_of_256_roots_is_followed_and_one_more_refused(tmp_path: Path) -> None:
    with trust_world(tmp_path) as world:
        bundle = world.publish()
        device, late = world.device(), world.device("cam-2")
        for _ in range(256):
            world.releases.rotate(Rotation.ROOT, by="Ada", now=world.now)
        assert digest(device.fetch(bundle)) == bundle
        world.releases.rotate(Rotation.ROOT, by="Ada", now=world.now)
        for each in (device, late):
            with pytest.raises(RevokedError, match="256"):
                each.fetch(bundle)
        assert digest(world.device("cam-3").fetch(bundle)) == bundle


def test_a_device_of_another_cloud_believes_nothing_of_this_one(world: World, bundle: str) -> None:
    with trust_world(world.root / "other") as other:
        root = other.releases.root()
    stranger = world.device("cam-9")
    stranger.identity = msgspec.structs.replace(stranger.identity, root=root)
    stranger.restart()
    with pytest.raises(UnsignedError):
        stranger.fetch(bundle)
