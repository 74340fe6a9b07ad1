# SPDX-License-Identifier: Apache-2.0
"""Attacks on the update repository: the device refuses, says which kind, and recovers.

Each forges with `Forge` what a thief with certain keys could serve. After every
refusal nothing is believed until the next good refresh.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, TargetFile

from insight_cloud.releases.rules import Rotation
from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.documents.codec import digest
from insight_edge.errors import (
    DownloadError,
    ExpiredError,
    InsightEdgeError,
    LimitExceededError,
    RevokedError,
    RolledBackError,
    StorageError,
    TamperedError,
    UnsignedError,
    WrongProfileError,
)
from insight_edge.fleet.trust.fetcher import Patience
from insight_edge.fleet.trust.tuf_client import Bounds
from tests.fakes.forge import Forge
from tests.fakes.trust_world import PROFILE, START, Device, World, trust_world
from tests.fakes.update_server import (
    Corrupt,
    Cut,
    Drip,
    How,
    Longer,
    Replace,
    Stall,
    Status,
)

OTHER = "jetson-orin"
MB = 10**6
ROLES = ("targets", "snapshot", "timestamp", PROFILE)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with trust_world(tmp_path) as world:
        yield world


@pytest.fixture
def bundle(world: World) -> str:
    return world.publish()


@pytest.fixture
def device(world: World, bundle: str) -> Device:
    """Return a device that has seen the repository once."""
    device = world.device()
    device.fetch(bundle)
    return device


def refuses(device: Device, kind: type[InsightEdgeError], bundle: str) -> None:
    """Assert that the device refuses; of metadata that it refused it believes nothing."""
    with pytest.raises(kind) as caught:
        device.fetch(bundle)
    assert type(caught.value) is kind
    if not any(entry.name == "manifest" for entry in caught.traceback):
        with pytest.raises(DownloadError, match="was not read"):
            device.trust.manifest(bundle)


def expire(signed: Any) -> None:
    signed.expires = START - timedelta(days=1)


# Signatures.


@pytest.mark.parametrize("role", ROLES)
def test_unsigned_metadata_is_refused(world: World, device: Device, bundle: str, role: str) -> None:
    forge = Forge(world)
    forge.edit(role, by=())
    forge.serve()
    refuses(device, UnsignedError, bundle)


@pytest.mark.parametrize(
    ("role", "thief"),
    [
        (PROFILE, ("targets",)),
        (PROFILE, ("snapshot", "timestamp", "director")),
        ("targets", ("build",)),
        ("targets", ("snapshot", "timestamp", "director")),
        ("snapshot", ("timestamp",)),
        ("timestamp", ("snapshot",)),
    ],
)
def test_a_right_signature_by_the_wrong_role_is_refused(
    world: World, device: Device, bundle: str, role: str, thief: tuple[str, ...]
) -> None:
    forge = Forge(world)
    forge.edit(role, by=thief)
    forge.serve()
    refuses(device, UnsignedError, bundle)


@pytest.mark.parametrize("role", ROLES)
def test_a_changed_byte_under_a_right_signature_is_refused(
    world: World, device: Device, bundle: str, role: str
) -> None:
    """The file keeps its signature and gets another expiry."""
    forge = Forge(world)
    forge.edit(role)
    forge.serve()
    name = "timestamp.json" if role == "timestamp" else f"2.{role}.json"
    name = "3.snapshot.json" if role == "snapshot" else name
    name = "3.targets.json" if role == "targets" else name
    path = world.metadata / name
    path.write_bytes(path.read_bytes().replace(b'"expires":"20', b'"expires":"29', 1))
    # Beneath the timestamp it is the digest above that does not fit.
    refuses(device, UnsignedError if role == "timestamp" else TamperedError, bundle)


def test_two_of_two_root_keys_have_to_sign_and_one_twice_is_one(tmp_path: Path) -> None:
    with trust_world(tmp_path, roots=2) as world:
        bundle = world.publish()
        device = world.device()
        forge = Forge(world)
        forge.edit("root")
        for by in (("root-1",), ("root-1", "root-1")):
            forge.edit("root", by=by, bump=False)
            forge.serve()
            refuses(device, UnsignedError, bundle)
        twice = (world.metadata / "2.root.json").read_bytes()
        signature = msgspec.json.decode(twice)["signatures"][0]
        doubled = msgspec.json.decode(twice) | {"signatures": [signature, signature]}
        (world.metadata / "2.root.json").write_bytes(msgspec.json.encode(doubled))
        refuses(device, TamperedError, bundle)
        forge.edit("root", by=("root-1", "root-2"), bump=False)
        forge.serve()
        assert device.fetch(bundle)


# Roots.


def test_a_device_with_a_broken_root_believes_nothing(world: World, bundle: str) -> None:
    device = world.device()
    for broken in ("", "{}", "no root", device.identity.root[:-9]):
        device.identity = msgspec.structs.replace(device.identity, root=broken)
        device.restart()
        refuses(device, TamperedError, bundle)


def test_a_root_that_was_changed_after_it_was_signed_is_none(world: World, bundle: str) -> None:
    device = world.device()
    changed = device.identity.root.replace('"expires":"20', '"expires":"29')
    device.identity = msgspec.structs.replace(device.identity, root=changed)
    device.restart()
    refuses(device, UnsignedError, bundle)


@pytest.mark.parametrize("by", [(), ("timestamp",), ("targets",)])
def test_a_next_root_that_the_last_one_did_not_sign_is_refused(
    world: World, device: Device, bundle: str, by: tuple[str, ...]
) -> None:
    forge = Forge(world)
    forge.edit("root", by=by)
    forge.serve()
    refuses(device, UnsignedError, bundle)


@pytest.mark.parametrize("version", [1, 3, 9])
def test_a_next_root_of_another_version_is_refused(
    world: World, device: Device, bundle: str, version: int
) -> None:
    forge = Forge(world)
    forge.edit("root", lambda root: setattr(root, "version", version))
    forge.put("root", "2.root.json")
    refuses(device, RolledBackError, bundle)


def test_a_badly_signed_root_in_the_middle_stops_the_chain(
    world: World, device: Device, bundle: str
) -> None:
    for _ in range(2):
        world.releases.rotate(Rotation.ROOT, by="Ada", now=world.now)
    middle = world.metadata / "2.root.json"
    middle.write_bytes(middle.read_bytes().replace(b'"expires":"20', b'"expires":"29', 1))
    refuses(device, UnsignedError, bundle)


def test_an_expired_root_in_the_middle_is_passed_and_at_the_end_refused(
    world: World, device: Device, bundle: str
) -> None:
    forge = Forge(world)
    forge.edit("root", expire)
    forge.serve()
    refuses(device, ExpiredError, bundle)
    forge.edit("root", lambda root: setattr(root, "expires", START + timedelta(days=9)))
    forge.serve()
    assert device.fetch(bundle)


def test_an_expired_root_of_the_enrolment_is_passed(world: World, bundle: str) -> None:
    device = world.device()
    for _ in range(9):
        world.later(days=300)
        world.releases.renew(now=world.now)
    assert device.fetch(bundle)


# Expiry.


@pytest.mark.parametrize("role", ROLES)
def test_expired_metadata_is_refused(world: World, device: Device, bundle: str, role: str) -> None:
    forge = Forge(world)
    forge.edit(role, expire)
    forge.serve()
    refuses(device, ExpiredError, bundle)


def test_a_freeze_is_seen_when_the_timestamp_has_expired(
    world: World, device: Device, bundle: str
) -> None:
    world.later(days=15)
    refuses(device, ExpiredError, bundle)
    world.releases.renew(now=world.now)
    assert device.fetch(bundle)


def test_a_freeze_is_seen_though_the_clock_was_reset_to_1970(
    world: World, device: Device, bundle: str
) -> None:
    world.later(days=15)
    refuses(device, ExpiredError, bundle)
    world.clock.now_s, world.clock.monotonic_s = 0.0, 5.0
    device.restart()
    assert device.trust.now_s(0.0) == (START + timedelta(days=15)).timestamp()
    refuses(device, ExpiredError, bundle)
    world.releases.renew(now=world.now)
    assert device.fetch(bundle)


def test_a_clock_that_jumps_ten_years_ahead_and_back_blocks_nothing_afterwards(
    world: World, device: Device, bundle: str
) -> None:
    world.clock.now_s += timedelta(days=3650).total_seconds()
    refuses(device, ExpiredError, bundle)
    device.restart()
    refuses(device, ExpiredError, bundle)
    world.clock.now_s = START.timestamp()
    assert device.fetch(bundle)


def test_a_clock_before_the_first_release_accepts_what_is_not_known_to_be_old(
    world: World, bundle: str
) -> None:
    device = world.device()
    world.clock.now_s = 0.0
    assert device.fetch(bundle)
    assert device.trust.now_s(0.0) == START.timestamp()


# Rolling back.


def test_an_older_timestamp_is_refused(world: World, device: Device, bundle: str) -> None:
    old = (world.metadata / "timestamp.json").read_bytes()
    world.publish(b"second", version=2)
    device.refresh()
    (world.metadata / "timestamp.json").write_bytes(old)
    refuses(device, RolledBackError, bundle)
    device.restart()
    refuses(device, RolledBackError, bundle)


def test_a_newer_timestamp_with_an_older_snapshot_is_refused(
    world: World, device: Device, bundle: str
) -> None:
    old = (world.metadata / "1.snapshot.json").read_bytes()
    forge = Forge(world)
    past = MetaFile.from_data(1, old, ["sha256"])
    forge.edit("timestamp", lambda timestamp: setattr(timestamp, "snapshot_meta", past))
    forge.serve(link=False)
    refuses(device, RolledBackError, bundle)


@pytest.mark.parametrize("role", ["targets", PROFILE])
def test_a_newer_snapshot_with_an_older_role_is_refused(
    world: World, device: Device, bundle: str, role: str
) -> None:
    """Old targets list a bundle that was revoked; a thief of the online keys brings them back."""
    old = {name: dict(Forge(world).roles["snapshot"].signed.meta) for name in (role,)}[role]
    world.publish(b"second", version=2)
    world.publish(b"third", profile=OTHER)
    device.refresh()
    with pytest.raises(WrongProfileError):
        device.trust.manifest(world.publish(b"third", profile=OTHER))
    forge = Forge(world)
    file = f"{role}.json"
    forge.edit("snapshot", lambda snapshot: snapshot.meta.update({file: old[file]}))
    forge.serve()
    refuses(device, RolledBackError, bundle)


def test_a_newer_snapshot_without_a_role_is_refused(
    world: World, device: Device, bundle: str
) -> None:
    forge = Forge(world)
    forge.edit("snapshot", lambda snapshot: snapshot.meta.pop(f"{PROFILE}.json"))
    forge.serve()
    refuses(device, TamperedError, bundle)


def test_the_same_version_with_other_contents_is_not_taken(
    world: World, device: Device, bundle: str
) -> None:
    forge = Forge(world)
    forge.edit("timestamp", lambda signed: setattr(signed, "expires", START), bump=False)
    forge.serve()
    world.later(days=1)
    assert device.fetch(bundle), "the expired one was discarded, the accepted one still counts"


@pytest.mark.parametrize("role", ["snapshot", "targets", PROFILE])
def test_mixing_files_of_two_states_is_refused(
    world: World, device: Device, bundle: str, role: str
) -> None:
    forge = Forge(world)
    forge.edit(role)
    forge.serve()
    version = forge.roles[role].signed.version
    old, new = (world.metadata / f"{number}.{role}.json" for number in (version - 1, version))
    new.write_bytes(old.read_bytes())
    refuses(device, TamperedError, bundle)


@pytest.mark.parametrize("role", ["snapshot", "targets", PROFILE])
def test_a_version_other_than_the_one_above_says_is_refused(
    world: World, device: Device, bundle: str, role: str
) -> None:
    forge = Forge(world)
    forge.edit(role)
    forge.serve()
    above = "timestamp" if role == "snapshot" else "snapshot"
    said = forge.roles[role].signed.version
    data = (world.metadata / f"{said}.{role}.json").read_bytes()
    meta = MetaFile.from_data(said + 1, data, ["sha256"])
    (world.metadata / f"{said + 1}.{role}.json").write_bytes(data)
    if role == "snapshot":
        forge.edit(above, lambda timestamp: setattr(timestamp, "snapshot_meta", meta))
        forge.serve(link=False)
    else:
        forge.edit(above, lambda snapshot: snapshot.meta.update({f"{role}.json": meta}))
        forge.serve()
    refuses(device, RolledBackError, bundle)


# Running ahead.


def run_ahead(world: World, **keys: tuple[str, ...]) -> None:
    forge = Forge(world)
    for role in (PROFILE, "snapshot", "timestamp"):
        forge.edit(role, lambda signed: setattr(signed, "version", 10**6), by=keys.get(role))
    forge.serve()


def test_versions_that_a_thief_ran_ahead_are_undone_by_rotating_what_was_stolen(
    world: World, device: Device, bundle: str
) -> None:
    honest = {path.name: path.read_bytes() for path in world.metadata.iterdir()}
    run_ahead(world)
    assert device.fetch(bundle), "the thief has all online keys: the device believes them"
    for path in world.metadata.iterdir():
        path.unlink()
    for name, data in honest.items():
        (world.metadata / name).write_bytes(data)
    refuses(device, RolledBackError, bundle)
    for which in (Rotation.TIMESTAMP, Rotation.SNAPSHOT, Rotation.BUILD):
        world.releases.rotate(which, by="Ada", now=world.now)
    assert device.fetch(bundle)
    assert Forge(world).roles["timestamp"].signed.version < 20


def test_a_signing_time_that_a_thief_ran_ahead_is_forgotten_with_the_key(
    world: World, device: Device, bundle: str
) -> None:
    def ahead(timestamp: Any) -> None:
        timestamp.expires = START + timedelta(days=36500)
        late = START + timedelta(days=36000)
        timestamp.unrecognized_fields["signed_s"] = int(late.timestamp())

    forge = Forge(world)
    forge.edit("timestamp", ahead)
    forge.serve()
    device.refresh()
    refuses(device, ExpiredError, bundle)
    world.releases.rotate(Rotation.TIMESTAMP, by="Ada", now=world.now)
    assert device.fetch(bundle)
    assert device.trust.now_s(0.0) == START.timestamp()


@pytest.mark.parametrize("signed_s", [-1, 2**70, "soon", None, True, [1]])
def test_a_signing_time_that_cannot_be_is_not_taken(
    world: World, device: Device, bundle: str, signed_s: object
) -> None:
    forge = Forge(world)
    forge.edit("timestamp", lambda t: t.unrecognized_fields.update(signed_s=signed_s))
    forge.serve()
    assert device.fetch(bundle)
    assert device.trust.now_s(0.0) == START.timestamp()


# Targets.


def test_a_manifest_with_a_changed_byte_is_refused(
    world: World, device: Device, bundle: str
) -> None:
    second = world.publish(b"second", version=2)
    world.server.behave("/v1/tuf/targets/", Corrupt(at=30), times=1)
    with pytest.raises(TamperedError):
        device.fetch(second)
    assert digest(device.fetch(second)) == second
    assert digest(device.fetch(bundle)) == bundle


def test_the_manifest_of_another_version_is_not_taken_for_this_one(
    world: World, device: Device, bundle: str
) -> None:
    """Model v2 with what belongs to v1."""
    old = device.trust.manifest(bundle)
    second = world.publish(b"second", version=2)
    world.server.behave("/v1/tuf/targets/", Replace(old), times=1)
    with pytest.raises(TamperedError):
        device.fetch(second)


def test_what_a_build_signer_lists_under_a_wrong_name_is_refused(
    world: World, device: Device, bundle: str
) -> None:
    data = (world.bundle(b"second") / MANIFEST_NAME).read_bytes()
    forge = Forge(world)
    forge.list_manifest(world, data, "ab" * 32, by=("build",))
    forge.serve()
    refuses(device, TamperedError, f"sha256:{'ab' * 32}")
    assert device.fetch(bundle)


def test_a_manifest_for_another_profile_is_refused_though_validly_signed(
    world: World, device: Device, bundle: str
) -> None:
    data = (world.bundle(b"second", profile=OTHER) / MANIFEST_NAME).read_bytes()
    name = digest(data).removeprefix("sha256:")
    forge = Forge(world)
    forge.list_manifest(world, data, name, by=("build",))
    forge.serve()
    refuses(device, WrongProfileError, digest(data))
    assert device.fetch(bundle)


def test_a_bundle_that_is_listed_for_others_alone_says_so(world: World, device: Device) -> None:
    other = world.publish(b"second", profile=OTHER)
    with pytest.raises(WrongProfileError, match=OTHER):
        device.fetch(other)
    assert world.device("cam-2", OTHER).fetch(other)


def test_a_bundle_that_nobody_listed_is_refused(device: Device) -> None:
    with pytest.raises(RevokedError):
        device.fetch(f"sha256:{'cd' * 32}")


def test_a_device_of_a_profile_without_releases_finds_nothing(world: World, bundle: str) -> None:
    with pytest.raises(WrongProfileError):
        world.device("cam-3", "nothing-here").fetch(bundle)
    with pytest.raises(RevokedError):
        world.device("cam-3", "nothing-here").fetch(f"sha256:{'cd' * 32}")


def test_a_role_cannot_list_outside_its_own_paths(
    world: World, device: Device, bundle: str
) -> None:
    """The role of another profile lists a bundle under this one's path: nobody looks there."""
    other = world.publish(b"second", profile=OTHER)
    name = other.removeprefix("sha256:")
    forge = Forge(world)
    stolen = forge.roles[OTHER].signed.targets[f"{OTHER}/{name}.json"]

    def reach(role: Any) -> None:
        role.targets[f"{PROFILE}/{name}.json"] = stolen

    forge.edit(OTHER, reach)
    forge.serve()
    refuses(device, WrongProfileError, other)
    assert device.fetch(bundle)


def test_a_role_that_delegates_to_itself_ends(world: World, device: Device, bundle: str) -> None:
    def cycle(role: Any) -> None:
        key = world.keys.signer("build").public_key
        names = [PROFILE, "targets-2"]
        roles = {
            name: DelegatedRole(name, [key.keyid], 1, False, paths=[f"{PROFILE}/*"])
            for name in names
        }
        role.delegations = Delegations({key.keyid: key}, roles)

    forge = Forge(world)
    forge.roles["targets-2"] = type(forge.roles[PROFILE])(
        type(forge.roles[PROFILE].signed)(expires=START + timedelta(days=9))
    )
    forge.by["targets-2"] = ("build",)
    forge.edit("targets-2", cycle, bump=False)
    forge.edit(PROFILE, cycle)
    forge.serve()
    refuses(device, RevokedError, f"sha256:{'cd' * 32}")
    assert device.fetch(bundle)


def test_a_device_looks_into_no_more_roles_than_it_is_bound_to(
    world: World, device: Device, bundle: str
) -> None:
    """The bundle is listed in the last of forty roles that its profile's role delegates to."""
    forge = Forge(world)
    own = forge.roles[PROFILE]
    key = world.keys.signer("build").public_key
    names = [f"deeper-{number}" for number in range(40)]
    delegated = {
        name: DelegatedRole(name, [key.keyid], 1, terminating=False, paths=[f"{PROFILE}/*"])
        for name in names
    }
    for name in names:
        forge.roles[name] = type(own)(type(own.signed)(expires=own.signed.expires))
        forge.by[name] = ("build",)
        forge.edit(name, bump=False)
    forge.roles[names[-1]].signed.targets = dict(own.signed.targets)

    def delegate(role: Any) -> None:
        role.targets = {}
        role.delegations = Delegations({key.keyid: key}, delegated)

    forge.edit(PROFILE, delegate)
    forge.serve()
    world.server.requests.clear()
    refuses(device, RevokedError, bundle)
    asked = [one.path for one in world.server.requests if "deeper" in one.path]
    assert 0 < len(asked) < 40


@pytest.mark.parametrize("length", [2**63, 5 * 1024 * 1024])
def test_a_target_that_declares_more_than_any_manifest_is_never_fetched(
    world: World, device: Device, length: int
) -> None:
    path = f"{PROFILE}/{'ab' * 32}.json"
    target = TargetFile(length, {"sha256": "ab" * 32}, path)
    forge = Forge(world)
    forge.edit(PROFILE, lambda role: role.targets.update({path: target}))
    forge.serve()
    world.server.requests.clear()
    refuses(device, LimitExceededError, f"sha256:{'ab' * 32}")
    assert not [asked for asked in world.server.requests if "/targets/" in asked.path]


@pytest.mark.parametrize("path", ["2.root", "timestamp", "3.snapshot", "3.targets", f"2.{PROFILE}"])
@pytest.mark.parametrize("by_bytes", [1, 20 * MB])
def test_more_bytes_than_were_signed_are_refused(
    world: World, device: Device, bundle: str, path: str, by_bytes: int
) -> None:
    """Nothing above says how long root and timestamp are; their bounds are the device's own."""
    forge = Forge(world)
    forge.edit(path.rsplit(".", maxsplit=1)[-1])
    forge.edit("root", bump="root" not in path)
    forge.serve()
    world.server.behave(f"/v1/tuf/metadata/{path}", Longer(by_bytes), times=1)
    refuses(device, TamperedError, bundle)
    assert device.fetch(bundle)


def test_directors_are_only_believed_from_the_targets_role(world: World, device: Device) -> None:
    honest = device.trust.directors()
    forge = Forge(world)
    data = b'{"format":1,"keys":[]}'
    target = TargetFile.from_data("directors.json", data, ["sha256"])
    forge.edit(PROFILE, lambda role: role.targets.update({"directors.json": target}))
    forge.serve()
    device.refresh()
    assert device.trust.directors() == honest
    forge.edit("targets", lambda top: top.targets.pop("directors.json"))
    forge.serve()
    device.refresh()
    with pytest.raises(RevokedError):
        device.trust.directors()


# Stolen keys.


@pytest.mark.parametrize("thief", ["snapshot", "timestamp", "director"])
def test_a_stolen_online_key_cannot_list_new_content(
    world: World, device: Device, thief: str
) -> None:
    """With snapshot and timestamp it may freeze or hide, never make a device install its own."""
    data = (world.bundle(b"malware") / MANIFEST_NAME).read_bytes()
    name = digest(data).removeprefix("sha256:")
    for role in (PROFILE, "targets"):
        forge = Forge(world)
        forge.list_manifest(world, data, name, by=(thief,))
        forge.edit(role, by=(thief,))
        forge.serve()
        refuses(device, UnsignedError, digest(data))
    forge = Forge(world)
    forge.edit("root", lambda root: root.add_key(world.keys.signer(thief).public_key, "targets"))
    forge.by["root"] = (thief,)
    forge.serve()
    refuses(device, UnsignedError, digest(data))


def test_stolen_snapshot_and_timestamp_keys_may_freeze(
    world: World, device: Device, bundle: str
) -> None:
    frozen = Forge(world)
    second = world.publish(b"second", version=2)
    frozen.edit("snapshot", lambda signed: setattr(signed, "version", 50))
    frozen.edit("timestamp", lambda signed: setattr(signed, "version", 50))
    frozen.serve()
    assert device.fetch(bundle)
    with pytest.raises(RevokedError):
        device.trust.manifest(second)


def test_a_stolen_build_key_lists_nothing_for_others_and_nothing_after_its_rotation(
    world: World, device: Device, bundle: str
) -> None:
    data = (world.bundle(b"malware") / MANIFEST_NAME).read_bytes()
    name = digest(data).removeprefix("sha256:")
    forge = Forge(world)
    forge.list_manifest(world, data, name, by=("build",))
    forge.serve()
    assert device.fetch(digest(data)), "the build signer speaks for its profile"
    world.releases.rotate(Rotation.BUILD, by="Ada", now=world.now)
    refuses(device, RevokedError, digest(data))
    assert device.fetch(bundle)


# Damage on the device and trouble on the way.


@pytest.mark.parametrize("damage", ["empty", "garbage", "gone", "cut"])
def test_damaged_metadata_on_the_device_is_fetched_again(
    device: Device, bundle: str, damage: str
) -> None:
    folder = device.state / "tuf"
    files = [path for path in folder.rglob("*.json") if damage == "gone" or not path.is_symlink()]
    assert len(files) == 7 + (damage == "gone")
    changes: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda _: b"",
        "garbage": lambda data: bytes(len(data)),
        "cut": lambda data: data[: len(data) // 2],
    }
    for path in files:
        whole = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(changes[damage](whole))
        device.restart()
        assert digest(device.fetch(bundle)) == bundle, path.name


@pytest.mark.parametrize("status", [401, 404, 410, 429, 500, 503, 302])
@pytest.mark.parametrize("place", ["metadata/timestamp.json", "metadata/3.snapshot.json"])
def test_trouble_of_the_server_is_no_matter_of_trust(
    world: World, device: Device, bundle: str, status: int, place: str
) -> None:
    world.publish(b"second", version=2)
    world.server.behave(f"/v1/tuf/{place}", Status(status))
    refuses(device, DownloadError, bundle)
    world.server.behave(f"/v1/tuf/{place}", None)
    assert device.fetch(bundle)


@pytest.mark.parametrize("how", [Cut(9), Stall(9), Stall(), Drip(), Longer(0, length=False)])
@pytest.mark.parametrize(
    "place", ["metadata/timestamp.json", "metadata/3.snapshot.json", "targets"]
)
def test_a_connection_that_breaks_or_dries_up_is_no_matter_of_trust(
    world: World, device: Device, place: str, how: How
) -> None:
    second = world.publish(b"second", version=2)
    device.bounds = Bounds(patience=Patience(silence_s=0.3, total_s=0.6))
    device.restart()
    world.server.behave(f"/v1/tuf/{place}", how)
    refuses(device, DownloadError, second)
    world.server.behave(f"/v1/tuf/{place}", None)
    assert device.fetch(second)


def test_a_disk_that_cannot_be_written_is_no_matter_of_trust(
    world: World, device: Device, bundle: str
) -> None:
    metadata = device.state / "tuf" / "metadata"
    world.publish(b"second", version=2)
    shutil.rmtree(metadata)
    metadata.write_bytes(b"a file where the folder has to be")
    refuses(device, StorageError, bundle)
    metadata.unlink()
    device.restart()
    assert device.fetch(bundle)


def test_a_wrong_token_is_no_matter_of_trust(world: World, device: Device, bundle: str) -> None:
    world.server.token = "rotated"
    refuses(device, DownloadError, bundle)


def test_the_honest_forge_is_believed(world: World, device: Device, bundle: str) -> None:
    """What the attacks above change is why they are refused."""
    for role in (*ROLES, "root"):
        forge = Forge(world)
        forge.edit(role)
        forge.serve()
        assert device.fetch(bundle)
