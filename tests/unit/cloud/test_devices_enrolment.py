# SPDX-License-Identifier: Apache-2.0
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from insight_cloud.devices.device import Enrolled
from insight_cloud.devices.rules import match_profile
from insight_cloud.devices.service import Devices
from insight_cloud.devices.timeline import EventKind
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_edge.documents.profile import Figure, HardwareProfile
from insight_edge.errors import ConfigurationError, DocumentError, EnrolmentError
from tests.fakes.fleet_devices import BOX, FACTS, NOW, enrol, request
from tests.fakes.hardware import profile_of


@pytest.fixture
def devices(database: Database) -> Devices:
    return Devices(database)


def invite(devices: Devices, device: str | None = None) -> str:
    return devices.invite(device, by="ann", expires=NOW + timedelta(hours=1), now=NOW)


def named(name: str, **changes: Any) -> HardwareProfile:
    return msgspec.structs.replace(profile_of(**changes), id=name)


def test_a_token_makes_a_device_with_a_secret_of_its_own(devices: Devices) -> None:
    one, other = enrol(devices, "camera-1"), enrol(devices, "camera-2")
    assert (one.device, one.profile, one.deployments) == ("camera-1", "box", ("default",))
    assert one.secret != other.secret
    found = devices.authenticate(one.tenant, "camera-1", one.secret)
    assert found == devices.device("camera-1") == devices.by_secret(one.secret)
    assert found is not None
    assert (found.online, found.last_seen, found.desired) == (False, None, 0)
    assert [event.news.kind for event in devices.timeline("camera-1")] == [EventKind.ENROLLED]
    assert devices.facts("camera-1") == FACTS


def test_only_its_own_secret_opens_a_device(devices: Devices) -> None:
    one, other = enrol(devices, "camera-1"), enrol(devices, "camera-2")
    assert devices.authenticate("default", "camera-1", other.secret) is None
    assert devices.authenticate("another", "camera-1", one.secret) is None
    for wrong in ("", one.secret[:-1], one.secret + "x", "x" * 10**6, "\ud800"):
        assert devices.authenticate("default", "camera-1", wrong) is None
        assert devices.by_secret(wrong) is None


def test_neither_token_nor_secret_is_on_the_disk(
    devices: Devices, database: Database, tmp_path: Path
) -> None:
    token = invite(devices, "camera-1")
    secret = devices.enrol(request(token), profiles=BOX, now=NOW).secret
    database.close()
    held = b"".join(path.read_bytes() for path in tmp_path.glob("cloud.sqlite*"))
    assert b"camera-1" in held
    assert token.encode() not in held
    assert secret.encode() not in held


def test_a_token_works_once(devices: Devices) -> None:
    token = invite(devices)
    devices.enrol(request(token, device="camera-1"), profiles=BOX, now=NOW)
    with pytest.raises(EnrolmentError, match="has been used"):
        devices.enrol(request(token, device="camera-2"), profiles=BOX, now=NOW)


def test_of_two_that_try_a_token_at_once_one_gets_in(devices: Devices) -> None:
    token = invite(devices)
    made: list[Enrolled] = []
    refused: list[EnrolmentError] = []
    together = threading.Barrier(4)

    def join(name: str) -> None:
        together.wait()
        try:
            made.append(devices.enrol(request(token, device=name), profiles=BOX, now=NOW))
        except EnrolmentError as error:
            refused.append(error)

    threads = [threading.Thread(target=join, args=(f"camera-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert devices.devices().total == 1


@pytest.mark.parametrize(
    ("changes", "late_s", "says"),
    [
        ({"token": "made up", "device": "camera-1"}, 0, "not one of this cloud"),
        ({"device": "camera-1"}, 3600, "expired on 2026-11-21 13:30 UTC"),
        ({}, 0, "names the device"),
        ({"device": "camera/1"}, 0, "not a name"),
        ({"device": "camera-+"}, 0, "not a name"),
        ({"device": "c" * 64}, 0, "not a name"),
        ({"device": "camera-1", "deployments": ()}, 0, "1 to 64 deployments"),
        ({"device": "camera-1", "deployments": ("a", "a")}, 0, "1 to 64 deployments"),
        ({"device": "camera-1", "deployments": ("../a",)}, 0, "not a name"),
        (
            {"device": "camera-1", "deployments": tuple(f"d{n}" for n in range(65))},
            0,
            "1 to 64 deployments",
        ),
        ({"device": "camera-1", "profile": "bix"}, 0, "no hardware profile has the id 'bix'"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_the_token_good(
    devices: Devices, changes: dict[str, Any], late_s: int, says: str
) -> None:
    token = invite(devices)
    asked = request(**{"token": token, **changes})
    with pytest.raises(EnrolmentError, match=says):
        devices.enrol(asked, profiles=BOX, now=NOW + timedelta(seconds=late_s))
    assert devices.devices().total == 0
    assert devices.enrol(request(token, device="camera-1"), profiles=BOX, now=NOW)


def test_a_token_for_one_device_makes_no_other(devices: Devices) -> None:
    token = invite(devices, "camera-1")
    with pytest.raises(EnrolmentError, match="another name"):
        devices.enrol(request(token, device="camera-2"), profiles=BOX, now=NOW)
    assert devices.enrol(request(token, device="camera-1"), profiles=BOX, now=NOW)


def test_a_name_is_given_once_even_when_its_device_has_retired(devices: Devices) -> None:
    one = enrol(devices)
    with pytest.raises(EnrolmentError, match="there is or was a device 'camera-1'"):
        enrol(devices)
    devices.retire_device("camera-1", by="ann", now=NOW)
    with pytest.raises(EnrolmentError, match="there is or was a device 'camera-1'"):
        enrol(devices)
    assert devices.by_secret(one.secret) is None
    assert devices.device("camera-1").retired == NOW


def test_a_retired_device_is_told_nothing_more(devices: Devices) -> None:
    enrol(devices)
    for _ in range(2):
        devices.retire_device("camera-1", by="ann", now=NOW)
    assert devices.timeline("camera-1")[0].news.text == "retired by ann"
    assert len(devices.timeline("camera-1")) == 2
    with pytest.raises(ConflictError, match="retired on 2026-11-21"):
        devices.set_desired("camera-1", "default", "sha256:" + "b" * 64, by="ann", now=NOW)
    with pytest.raises(NotFoundError, match="no device 'camera-2'"):
        devices.retire_device("camera-2", by="ann", now=NOW)


def test_an_invitation_that_cannot_be_used_is_not_made(devices: Devices) -> None:
    with pytest.raises(ConfigurationError, match="expire"):
        devices.invite(None, by="ann", expires=NOW, now=NOW)
    with pytest.raises(DocumentError, match="not a name"):
        devices.invite("#", by="ann", expires=NOW + timedelta(hours=1), now=NOW)


def test_the_profile_asked_for_is_taken_if_the_machine_is_one() -> None:
    profiles = {"plain": named("plain", isa=()), "fast": named("fast", isa=("avx2",))}
    assert match_profile(request("t", profile="plain"), profiles) == "plain"
    profiles["faster"] = named("faster", isa=("avx512f",))
    with pytest.raises(EnrolmentError, match="needs avx512f, which this CPU has not"):
        match_profile(request("t", profile="faster"), profiles)


def test_the_most_demanding_profile_that_matches_is_picked() -> None:
    exact = named("exact", isa=())
    other = msgspec.structs.replace(
        exact,
        id="other",
        cpu=msgspec.structs.replace(exact.cpu, model=Figure(value="?", source="s")),
    )
    demanding = msgspec.structs.replace(
        other, id="demanding", cpu=msgspec.structs.replace(other.cpu, isa=named("x").cpu.isa)
    )
    by_id = {profile.id: profile for profile in (exact, other, demanding)}
    asked = request("t")
    assert match_profile(asked, {k: by_id[k] for k in ("other", "demanding")}) == "demanding"
    assert match_profile(asked, by_id) == "exact"


def test_a_machine_of_no_profile_is_told_what_the_nearest_ones_lack() -> None:
    profiles = {
        "arm": named("arm", arch="aarch64"),
        "far": named("far", isa=("amx_int8", "avx512f")),
        "near": named("near", isa=("avx512f",)),
        "mid": named("mid", isa=("avx2", "avx512f", "amx_bf16")),
    }
    with pytest.raises(EnrolmentError) as caught:
        match_profile(request("t"), profiles)
    text = str(caught.value)
    assert text.index("near needs avx512f") < text.index("far needs") < text.index("mid needs")
    assert "arm" not in text
    with pytest.raises(EnrolmentError, match="there is none"):
        match_profile(request("t"), {})
