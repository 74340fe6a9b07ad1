# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from insight_cloud.platform.blobs import blob_key, open_blobs
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.releases.keys import init_keys
from insight_cloud.releases.rules import (
    Lifetimes,
    Mode,
    Release,
    Rotation,
    State,
    check_profile,
    terms_at,
)
from insight_cloud.releases.service import Releases
from insight_edge.documents.codec import decode_json
from insight_edge.documents.desired import Desired, Directors
from insight_edge.documents.job import Bench, Job
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    RevokedError,
    StorageError,
)
from tests.fakes.bundles import ARTIFACT
from tests.fakes.trust_world import PROFILE, START, World, trust_world

PERSON = "Ada"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with trust_world(tmp_path) as world:
        yield world


def state_of(world: World) -> dict[str, bytes]:
    tuf = world.root / "tuf"
    return {str(path.relative_to(tuf)): path.read_bytes() for path in tuf.rglob("*.json")}


def role(world: World, name: str) -> Any:
    """Return what the newest file of a role says."""
    if name == "timestamp":
        return Metadata[Any].from_bytes((world.metadata / "timestamp.json").read_bytes()).signed
    files = sorted(world.metadata.glob(f"*.{name}.json"), key=lambda p: int(p.name.split(".")[0]))
    return Metadata[Any].from_bytes(files[-1].read_bytes()).signed


# Publishing.


def test_a_published_bundle_is_listed_for_its_profile(world: World) -> None:
    bundle = world.publish(version=3)
    name = bundle.removeprefix("sha256:")
    target = role(world, PROFILE).targets[f"{PROFILE}/{name}.json"]
    assert target.unrecognized_fields["custom"] == {"model": "fake", "version": 3}
    assert target.hashes == {"sha256": name}
    assert world.releases.release(bundle) == Release(
        bundle=bundle,
        model="fake",
        version=3,
        profile=PROFILE,
        length_bytes=target.length,
        state=State.LISTED,
        decided_by=None,
        created=START,
        changed=START,
    )


def test_every_file_of_a_bundle_is_kept_as_a_blob(world: World) -> None:
    folder = world.bundle()
    bundle = world.releases.publish(folder, by="Ada", now=START).bundle
    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = {"manifest.json": bundle}
    for variant in manifest["variants"]:
        files |= {entry["path"]: f"sha256:{entry['sha256']}" for entry in variant["files"]}
    for entry in (manifest["evidence"], manifest["golden"]["file"]):
        files[entry["path"]] = f"sha256:{entry['sha256']}"
    assert set(files) == {path.name for path in folder.iterdir()}
    for name, digest in files.items():
        kept = world.root / "blobs" / blob_key(digest)
        assert kept.read_bytes() == (folder / name).read_bytes()


def test_publishing_twice_changes_nothing(world: World) -> None:
    bundle = world.publish()
    before = state_of(world)
    assert world.publish() == bundle
    assert state_of(world) == before
    assert len(world.releases.releases()) == 1


def test_a_bundle_with_a_wrong_byte_is_not_published(world: World) -> None:
    folder = world.bundle()
    (folder / ARTIFACT).write_bytes(b"WEIGHTS")
    before = state_of(world)
    with pytest.raises(DigestMismatchError):
        world.releases.publish(folder, by="Ada", now=START)
    assert (world.releases.releases(), state_of(world)) == ((), before)


@pytest.mark.parametrize(
    "profile", ["", "../x", "a/b", "*", "root", "targets", "x" * 64, "A", "a-"]
)
def test_a_profile_that_cannot_name_a_role_is_refused(profile: str) -> None:
    check_profile("rpi5-8gb")
    with pytest.raises(ConfigurationError):
        check_profile(profile)


def test_releases_are_listed_the_newest_first_and_by_model(world: World) -> None:
    first = world.publish()
    world.later(hours=1)
    second = world.publish(b"second", version=2)
    assert [release.bundle for release in world.releases.releases()] == [second, first]
    assert world.releases.releases("fake") == world.releases.releases()
    assert world.releases.releases("other") == ()
    with pytest.raises(NotFoundError):
        world.releases.release(f"sha256:{'00' * 32}")


def test_versions_only_grow(world: World) -> None:
    seen: dict[str, int] = {}
    for weights in (b"1", b"2", b"3"):
        bundle = world.publish(weights)
        for name in ("snapshot", "timestamp", PROFILE):
            assert role(world, name).version > seen.get(name, 0)
            seen[name] = role(world, name).version
    world.releases.revoke(bundle, by=PERSON, now=world.now)
    assert role(world, "timestamp").version > seen["timestamp"]


def test_old_versions_are_swept_but_roots_and_what_is_current(world: World) -> None:
    for number in range(30):
        world.publish(str(number).encode())
    world.releases.rotate(Rotation.ROOT, by="Ada", now=world.now)
    files = [path.name for path in world.metadata.iterdir()]
    assert {"1.root.json", "2.root.json", "31.snapshot.json"} <= set(files)
    assert len([name for name in files if name.endswith(".snapshot.json")]) == 16
    assert len([name for name in files if name.endswith(f".{PROFILE}.json")]) == 16


# Deciding.


def test_a_revoked_bundle_is_listed_no_more(world: World) -> None:
    bundle, other = world.publish(), world.publish(b"other")
    device = world.device()
    device.fetch(bundle)
    world.later(hours=1)
    revoked = world.releases.revoke(bundle, by=PERSON, now=world.now)
    assert (revoked.state, revoked.decided_by) == (State.REVOKED, PERSON)
    assert revoked.changed == world.now
    with pytest.raises(RevokedError):
        device.fetch(bundle)
    assert device.fetch(other)
    name = bundle.removeprefix("sha256:")
    assert not [path for path in state_of(world) if name in path]


def test_a_revoked_bundle_stays_revoked(world: World) -> None:
    bundle = world.publish()
    world.releases.revoke(bundle, by=PERSON, now=START)
    assert world.releases.revoke(bundle, by="Bob", now=START).decided_by == PERSON
    with pytest.raises(ConflictError, match=PERSON):
        world.publish()
    with pytest.raises(ConflictError, match=PERSON):
        world.releases.approve(bundle, by=PERSON, now=START)


def test_the_last_bundle_of_a_profile_may_be_revoked(world: World) -> None:
    bundle = world.publish()
    device = world.device()
    device.fetch(bundle)
    world.releases.revoke(bundle, by=PERSON, now=START)
    with pytest.raises(RevokedError):
        device.fetch(bundle)


def test_where_a_human_decides_a_bundle_waits(world: World) -> None:
    assert world.releases.policy("fake") is Mode.AUTO
    world.releases.set_policy("fake", Mode.HUMAN, by="Ada", now=START)
    assert world.releases.policy("fake") is Mode.HUMAN
    before = state_of(world)
    bundle = world.publish()
    assert world.releases.release(bundle).state is State.PENDING
    assert state_of(world) == before, "not even its name is out"
    device = world.device()
    with pytest.raises(RevokedError):
        device.fetch(bundle)
    approved = world.releases.approve(bundle, by=PERSON, now=START)
    assert (approved.state, approved.decided_by) == (State.LISTED, PERSON)
    assert device.fetch(bundle)


def test_what_waits_goes_on_waiting_when_the_policy_changes(world: World) -> None:
    world.releases.set_policy("fake", Mode.HUMAN, by="Ada", now=START)
    bundle = world.publish()
    world.releases.set_policy("fake", Mode.AUTO, by="Ada", now=START)
    assert world.publish() == bundle
    assert world.releases.release(bundle).state is State.PENDING


def test_what_waits_may_be_refused_for_good(world: World) -> None:
    world.releases.set_policy("fake", Mode.HUMAN, by="Ada", now=START)
    bundle = world.publish()
    assert world.releases.revoke(bundle, by=PERSON, now=START).state is State.REVOKED
    with pytest.raises(ConflictError):
        world.releases.approve(bundle, by=PERSON, now=START)


@pytest.mark.parametrize("act", ["approve", "revoke"])
def test_nothing_is_decided_on_what_was_not_published(world: World, act: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(world.releases, act)(f"sha256:{'00' * 32}", by=PERSON, now=START)


# Renewing.


def test_nothing_is_signed_again_before_half_of_its_life(world: World) -> None:
    world.publish()
    before = state_of(world)
    world.later(days=6)
    assert world.releases.renew(now=world.now) == ()
    assert state_of(world) == before


def test_what_is_past_half_of_its_life_is_signed_again(world: World) -> None:
    bundle = world.publish()
    device = world.device()
    for _ in range(120):  # more than two years
        world.later(days=7, hours=1)
        assert world.releases.renew(now=world.now) == ()
        device.fetch(bundle)
    assert role(world, "root").version == 3


def test_a_repository_that_was_not_renewed_recovers(world: World) -> None:
    bundle = world.publish()
    device = world.device()
    world.later(days=4000)
    world.releases.renew(now=world.now)
    assert device.fetch(bundle)


def test_without_offline_keys_the_rest_is_renewed_and_what_waits_is_told(world: World) -> None:
    bundle = world.publish()
    for name in ("root-1", "targets"):
        (world.root / "keys" / f"{name}.pem").rename(world.root / f"{name}.pem")
    world.later(days=200)
    assert world.releases.renew(now=world.now) == ("targets",)
    world.later(days=150)
    assert world.releases.renew(now=world.now) == ("targets",)
    assert world.device().fetch(bundle)
    assert world.publish(b"second"), "a known profile needs no offline key"
    world.later(days=16)
    assert world.releases.renew(now=world.now) == ("root", "targets")


def test_a_new_profile_needs_the_targets_key(world: World) -> None:
    bundle = world.publish()
    (world.root / "keys" / "targets.pem").rename(world.root / "targets.pem")
    with pytest.raises(ConfigurationError, match="targets key"):
        world.publish(b"second", profile="other")
    assert len(world.releases.releases()) == 1, "what cannot be listed is not recorded"
    world.releases.set_policy("fake", Mode.HUMAN, by="Ada", now=START)
    waiting = world.publish(b"second", profile="other")
    with pytest.raises(ConfigurationError, match="targets key"):
        world.releases.approve(waiting, by=PERSON, now=START)
    assert world.releases.release(waiting).state is State.PENDING
    assert world.releases.renew(now=START) == ()
    assert world.device().fetch(bundle)
    (world.root / "targets.pem").rename(world.root / "keys" / "targets.pem")
    world.releases.approve(waiting, by=PERSON, now=START)
    assert world.device("cam-2", "other").fetch(waiting)


@pytest.mark.parametrize("which", [Rotation.ROOT, Rotation.SNAPSHOT, Rotation.BUILD])
def test_a_rotation_without_the_offline_key_changes_nothing(world: World, which: Rotation) -> None:
    world.publish()
    for name in ("root-1", "targets"):
        (world.root / "keys" / f"{name}.pem").rename(world.root / f"{name}.pem")
    before = state_of(world)
    with pytest.raises(ConfigurationError, match="needed"):
        world.releases.rotate(which, by="Ada", now=START)
    assert state_of(world) == before
    assert not world.keys.is_rotating


def test_one_of_two_root_keys_rotates_nothing(tmp_path: Path) -> None:
    with trust_world(tmp_path, roots=2) as world:
        (tmp_path / "keys" / "root-2.pem").unlink()
        for which in (Rotation.ROOT, Rotation.TIMESTAMP):
            with pytest.raises(ConfigurationError, match="1/2 keys"):
                world.releases.rotate(which, by="Ada", now=START)
        assert role(world, "root").version == 1
        bundle = world.publish()
        assert world.device().fetch(bundle)


def test_one_root_key_under_two_names_is_one_key(world: World, tmp_path: Path) -> None:
    keys = init_keys(tmp_path / "twice", roots=2)
    shutil.copy(tmp_path / "twice" / "root-1.pem", tmp_path / "twice" / "root-2.pem")
    begun = Releases(world.releases._database, open_blobs(tmp_path), tmp_path / "begun", keys)
    with pytest.raises(ConfigurationError, match="1/2 keys"):
        begun.renew(now=START)
    assert not list((tmp_path / "begun").rglob("*.json"))


def test_keys_that_never_counted_sign_nothing(world: World, tmp_path: Path) -> None:
    bundle = world.publish()
    with trust_world(tmp_path / "other") as other:
        stray = (other.root / "keys" / "timestamp.pem").read_bytes()
    (world.root / "keys" / "timestamp.pem").write_bytes(stray)
    with pytest.raises(ConfigurationError, match="not those that count"):
        world.publish(b"second")
    assert world.device().fetch(bundle)


# Damage.


@pytest.mark.parametrize("name", ["1.rpi5-8gb.json", "2.targets.json", "2.snapshot.json"])
def test_damaged_metadata_is_made_again(world: World, name: str) -> None:
    bundle = world.publish()
    device = world.device()
    device.fetch(bundle)
    (world.metadata / name).write_bytes(b"damaged")
    world.releases.renew(now=world.now)
    assert device.fetch(bundle)
    assert world.device("cam-2").fetch(bundle)


def test_a_lost_timestamp_is_made_again_with_a_higher_version(world: World) -> None:
    bundle = world.publish()
    device = world.device()
    device.fetch(bundle)
    (world.metadata / "timestamp.json").unlink()
    world.releases.renew(now=world.now)
    assert device.fetch(bundle)


def test_lost_targets_are_put_again_from_the_blobs(world: World) -> None:
    bundle = world.publish()
    for path in (world.root / "tuf" / "targets").rglob("*.json"):
        path.unlink()
    world.releases.renew(now=world.now)
    device = world.device()
    assert device.fetch(bundle)
    assert device.trust.directors().keys


def test_there_is_no_root_before_the_repository_was_made(world: World, tmp_path: Path) -> None:
    assert json.loads(world.releases.root())["signed"]["_type"] == "root"
    empty = Releases(world.releases._database, open_blobs(tmp_path), tmp_path / "empty", world.keys)
    with pytest.raises(StorageError):
        empty.root()


# Desired.


def test_what_is_desired_is_signed_by_the_listed_director(world: World) -> None:
    desired = Desired(tenant="default", device="cam-1", revision=1, expires_s=1.0)
    envelope = world.releases.sign(desired)
    listed = next((world.root / "tuf" / "targets").glob("*.directors.json")).read_bytes()
    (key,) = decode_json(Directors, listed).keys
    assert [signature.key for signature in envelope.signatures] == [key.key]
    assert decode_json(Desired, envelope.payload.encode()) == desired


def test_a_job_is_signed_as_what_is_desired_is_and_is_never_read_as_it(world: World) -> None:
    job = Job(
        tenant="default",
        device="cam-1",
        id="b-1",
        expires_s=1.0,
        bench=Bench(bundle="sha256:" + "b" * 64),
    )
    envelope = world.releases.sign(job)
    desired = Desired(tenant="default", device="cam-1", revision=1, expires_s=1.0)
    assert envelope.signatures[0].key == world.releases.sign(desired).signatures[0].key
    assert decode_json(Job, envelope.payload.encode()) == job
    with pytest.raises(DocumentError, match="revision"):
        decode_json(Desired, envelope.payload.encode())


# Rules.


def test_terms_are_in_whole_seconds_of_utc() -> None:
    terms = terms_at(START.replace(microsecond=5), Lifetimes())
    assert terms.end("timestamp") == START + timedelta(days=14)
    assert not terms.is_due("timestamp", START + timedelta(days=7))
    assert terms.is_due("timestamp", START + timedelta(days=7) - timedelta(seconds=1))
    with pytest.raises(ValueError, match="time zone"):
        terms_at(datetime(2026, 1, 1), Lifetimes())  # noqa: DTZ001
