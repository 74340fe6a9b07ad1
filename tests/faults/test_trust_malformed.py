# SPDX-License-Identifier: Apache-2.0
"""Malformed metadata, unsigned and even rightly signed: one of our errors, never another."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import MetaFile

from insight_edge.documents.codec import digest
from insight_edge.errors import DocumentError, DownloadError, TamperedError, TrustError
from tests.fakes.forge import Forge
from tests.fakes.trust_world import PROFILE, Device, World, trust_world
from tests.fakes.update_server import Replace

ROLES = ("root", "timestamp", "snapshot", "targets", PROFILE)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**63, 2**64, -(2**63), 10**400]),
    st.text(max_size=5),
    st.sampled_from(["2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "root", "ed25519", "\ud800"]),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(0, 2), max_size=2),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with trust_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def bundle(world: World) -> str:
    return world.publish()


@pytest.fixture(scope="module")
def device(world: World, bundle: str) -> Device:
    device = world.device()
    device.fetch(bundle)
    return device


def refuses_or_believes(device: Device, bundle: str) -> None:
    """Fetch; a refusal is ours, and what is believed is right."""
    try:
        data = device.fetch(bundle)
    except (TrustError, DocumentError, DownloadError):
        return  # the last where nonsense leads to a file that is not there
    assert digest(data) == bundle


def served(world: World, role: str) -> str:
    version = Forge(world).roles[role].signed.version
    if role == "timestamp":
        return "timestamp.json"
    return f"{version + (role == 'root')}.{role}.json"


@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=40)
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_metadata_are_refused(
    world: World, bundle: str, role: str, data: bytes
) -> None:
    device = world.device(f"fuzz-{role}")
    for path in (device.state / "tuf" / "metadata").glob("*.json"):
        path.unlink()
    place = f"/v1/tuf/metadata/{served(world, role)}"
    world.server.behave(place, Replace(data))
    try:
        with pytest.raises(TrustError):
            device.fetch(bundle)
    finally:
        world.server.behave(place, None)


@pytest.mark.parametrize("depth", [50, 100_000])
@pytest.mark.parametrize("role", ROLES)
def test_metadata_that_is_nested_too_deep_is_refused(
    world: World, device: Device, bundle: str, role: str, depth: int
) -> None:
    for path in (device.state / "tuf" / "metadata").glob("*.json"):
        path.unlink()
    place = f"/v1/tuf/metadata/{served(world, role)}"
    world.server.behave(place, Replace(b"[" * depth))
    with pytest.raises((TrustError, DownloadError)):
        device.fetch(bundle)
    world.server.behave(place, None)


@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=80)
@given(where=st.integers(0, 10**6), junk=JUNK)
def test_rightly_signed_nonsense_is_refused_with_our_errors(
    world: World, bundle: str, role: str, where: int, junk: object
) -> None:
    """Whoever has a key can sign anything; the device goes on all the same."""
    before = {path.name: path.read_bytes() for path in world.metadata.iterdir()}
    device = world.device("fuzz")
    try:
        _serve_nonsense(world, role, lambda signed: _replace(signed, where, junk))
        refuses_or_believes(device, bundle)
    finally:
        for path in world.metadata.iterdir():
            path.unlink()
        for name, data in before.items():
            (world.metadata / name).write_bytes(data)
        for path in sorted((device.state / "tuf").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def test_a_role_whose_name_is_no_text_is_refused(world: World, bundle: str) -> None:
    """python-tuf 7.0.1 raises a TypeError for it."""
    before = {path.name: path.read_bytes() for path in world.metadata.iterdir()}
    forge = Forge(world)
    forge.edit("targets", lambda top: setattr(top.delegations.roles[PROFILE], "name", 1))
    forge.serve()
    with pytest.raises(TamperedError):
        world.device("unnamed").fetch(bundle)
    for name, data in before.items():
        (world.metadata / name).write_bytes(data)


def _serve_nonsense(world: World, role: str, change: Callable[[Any], None]) -> None:
    """Serve a changed role under names that say nothing of its length and digest."""
    forge = Forge(world)
    if role == "snapshot":
        version = forge.roles["snapshot"].signed.version
        forge.edit("timestamp", lambda t: setattr(t, "snapshot_meta", MetaFile(version)))
    elif role in {"targets", PROFILE}:
        version = forge.roles[role].signed.version
        forge.edit("snapshot", lambda s: s.meta.update({f"{role}.json": MetaFile(version)}))
    elif role == "root":
        forge.edit("root")
    forge.serve()
    name = served(world, role) if role != "root" else "2.root.json"
    path = world.metadata / name
    plain = json.loads(path.read_bytes())
    change(plain["signed"])
    keys = {"root": "root-1", PROFILE: "build"}
    signer = world.keys.signer(keys.get(role, role))
    try:
        payload = (encode_canonical(plain["signed"]) or "").encode()
    except Exception:  # noqa: BLE001 - cannot be signed, so it is served under the old signature
        payload = None
    if payload is not None:
        plain["signatures"] = [signer.sign(payload).to_dict()]
    path.write_bytes(json.dumps(plain).encode())


def _replace(plain: Any, where: int, junk: object) -> None:
    """Put junk at one of all places in a JSON value."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            places.append((value, key))
            if isinstance(item, (dict, list)):
                walk(item)

    walk(plain)
    holder, key = places[where % len(places)]
    holder[key] = junk


def test_the_repository_of_these_tests_is_believed(device: Device, bundle: str) -> None:
    assert digest(device.fetch(bundle)) == bundle
