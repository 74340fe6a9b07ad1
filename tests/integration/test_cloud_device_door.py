# SPDX-License-Identifier: Apache-2.0
"""A device and the cloud's HTTP door: enrolled, trusted, fetched, uploaded, over real sockets."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from insight_cloud.platform.presigned import Presigner, Upload
from insight_cloud.platform.setup import BrokerPlace
from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.codec import digest
from insight_edge.documents.enrolment import EnrolmentRequest, Identity
from insight_edge.errors import DownloadError, EnrolmentError, RevokedError
from insight_edge.fleet.enrol import enrol
from insight_edge.fleet.identity import deployment_dir, keep_identity
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import Incoming
from insight_edge.fleet.transfer.install import stage
from insight_edge.fleet.transfer.upload import put_sample
from insight_edge.fleet.trust.repository import Trust
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.cloud import Cloud, open_cloud, served

FACTS = machine_facts()


@dataclass(frozen=True)
class Door:
    """An installation and where it listens."""

    cloud: Cloud
    address: str

    def enrolled(self, state: Path) -> Identity:
        request = EnrolmentRequest(token=self.cloud.invite("press-7"), facts=FACTS)
        identity = enrol(self.address, request)
        keep_identity(state, identity)
        return identity

    def get(self, path: str, secret: str | None = None, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{self.address}{path}", headers=headers)  # noqa: S310
        if secret is not None:
            request.add_header("Authorization", f"Bearer {secret}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def broker_place(cloud: Cloud) -> BrokerPlace:
    state = cloud.settings.state / "broker"
    return BrokerPlace(host="127.0.0.1", port=1, program="mosquitto", state=str(state))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        open_cloud(tmp_path_factory.mktemp("cloud")) as cloud,
        served(cloud, port, broker_place(cloud)) as address,
    ):
        yield Door(cloud, address)


@pytest.fixture(scope="module")
def identity(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return door.enrolled(tmp_path_factory.mktemp("device"))


def published(door: Door, folder: Path, profile: str, weights: bytes = b"weights") -> str:
    files = bundle_files(weights)
    manifest = msgspec.structs.replace(bundle_manifest(files), profile=profile)
    write_bundle(folder, manifest, files)
    return door.cloud.releases.publish(folder, by="Ada", now=datetime.now(UTC)).bundle


def test_device_is_enrolled_once_and_for_what_it_is(door: Door, identity: Identity) -> None:
    assert (identity.device, identity.cloud) == ("press-7", door.address)
    assert (identity.broker.port, identity.broker.username) == (1, "default/press-7")
    assert identity.broker.password
    assert identity.profile in {device.profile for device in door.cloud.devices.devices().devices}
    request = EnrolmentRequest(token="wrong", facts=FACTS)
    with pytest.raises(EnrolmentError, match="refused: "):
        enrol(door.address, request)


def test_bundle_that_was_published_arrives_in_a_slot(
    door: Door, identity: Identity, tmp_path: Path
) -> None:
    bundle = published(door, tmp_path / "bundle", identity.profile)
    state = tmp_path / "agent"
    keep_identity(state, identity)
    trust = Trust(state, identity)
    trust.refresh(time.time())
    incoming = Incoming(state, trust.manifest(bundle))
    place = deployment_dir(state, "default")
    incoming.assemble(Source(cloud=identity.cloud, token=identity.secret), [place])
    slot = stage(state, place, bundle)
    opened = Slots(place).bundle(slot, allow_unsigned=False)
    assert (opened.digest, opened.signed) == (bundle, True)


def test_revoked_bundle_is_neither_listed_nor_given(
    door: Door, identity: Identity, tmp_path: Path
) -> None:
    bundle = published(door, tmp_path / "bundle", identity.profile, b"to be revoked")
    state = tmp_path / "agent"
    keep_identity(state, identity)
    trust = Trust(state, identity)
    trust.refresh(time.time())
    manifest = trust.manifest(bundle)
    door.cloud.releases.revoke(bundle, by="test", now=datetime.now(UTC))
    incoming = Incoming(state, manifest)
    with pytest.raises(DownloadError):
        incoming.assemble(
            Source(cloud=identity.cloud, token=identity.secret),
            [deployment_dir(state, "default")],
        )
    trust.refresh(time.time())
    with pytest.raises(RevokedError):
        trust.manifest(bundle)


def test_parts_of_a_file_are_given_and_nothing_that_is_not_released(
    door: Door, identity: Identity, tmp_path: Path
) -> None:
    bundle = published(door, tmp_path / "bundle", identity.profile, b"0123456789")
    name = open_bundle(tmp_path / "bundle", allow_unsigned=True).manifest.variants[0].files[0]
    path = f"/v1/blobs/sha256/{name.sha256}"
    assert door.get(path, identity.secret) == (200, b"0123456789")
    assert door.get(path, identity.secret, Range="bytes=3-5") == (206, b"345")
    assert door.get(path, identity.secret, Range="bytes=3-") == (206, b"3456789")
    assert door.get(path, identity.secret, Range="bytes=10-")[0] == 416
    manifest = f"/v1/blobs/sha256/{bundle.removeprefix('sha256:')}"
    assert door.get(manifest, identity.secret)[0] == 404  # it comes through TUF alone
    secret_data = door.cloud.settings.blobs_path
    assert secret_data.is_dir()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tuf/metadata/timestamp.json",
        "/v1/tuf/metadata/1.root.json",
        f"/v1/blobs/sha256/{'0' * 64}",
    ],
)
@pytest.mark.parametrize("secret", [None, "", "wrong"])
def test_nobody_else_sees_anything(door: Door, path: str, secret: str | None) -> None:
    status, body = door.get(path, secret)
    assert status == 403
    assert json.loads(body)["kind"] == "ForbiddenError"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tuf/metadata/..%2F..%2Fkeys%2Fdirector.pem",
        "/v1/tuf/metadata/.hidden.json",
        "/v1/tuf/targets/../metadata/1.root.json",
        "/v1/tuf/targets/..%2f..%2fkeys%2fdirector.pem",
        "/v1/tuf/targets/a/b/c.json",
        "/v1/blobs/sha256/..%2F..%2Fcloud.sqlite",
        "/v1/blobs/sha256/x",
    ],
)
def test_no_name_leads_out_of_its_folder(door: Door, identity: Identity, path: str) -> None:
    assert door.get(path, identity.secret)[0] == 404


def signed_address(door: Door, data: bytes, **changes: object) -> str:
    fields = {
        "tenant": "default",
        "device": "press-7",
        "digest": digest(data),
        "length_bytes": len(data),
        "expires_s": int(time.time()) + 60,
    }
    upload = Upload(**(fields | changes))  # type: ignore[arg-type]
    query = Presigner(door.cloud.settings.state / "upload.secret").query(upload)
    return f"{door.address}/v1/samples?{query}"


def test_sample_goes_where_it_was_asked_for_and_leaves_the_device(
    door: Door, tmp_path: Path
) -> None:
    (tmp_path / "x.npz").write_bytes(b"arrays")
    (tmp_path / "x.offer").write_bytes(b"offer")
    put_sample(tmp_path / "x.npz", signed_address(door, b"arrays"))
    assert list(tmp_path.iterdir()) == []
    put_sample(tmp_path / "x.npz", signed_address(door, b"arrays"))  # gone already: nothing to do


@pytest.mark.parametrize(
    "address_of",
    [
        lambda door: signed_address(door, b"other!"),
        lambda door: signed_address(door, b"arrays", length_bytes=5),
        lambda door: signed_address(door, b"arrays", expires_s=1),
        lambda door: signed_address(door, b"arrays") + "0",
        lambda door: signed_address(door, b"arrays").replace("press-7", "press-8"),
        lambda door: signed_address(door, b"arrays").replace("signature", "sign"),
    ],
)
def test_sample_that_nobody_asked_for_is_refused_and_kept(
    door: Door, tmp_path: Path, address_of: object
) -> None:
    (tmp_path / "x.npz").write_bytes(b"arrays")
    with pytest.raises(DownloadError, match="HTTP status 4"):
        put_sample(tmp_path / "x.npz", address_of(door))  # type: ignore[operator]
    assert (tmp_path / "x.npz").exists()


def test_request_that_is_too_long_or_nonsense_is_one_line(door: Door) -> None:
    for body, status in ((b"x" * 300_000, 413), (b"nonsense", 422), (b"{}", 422)):
        request = urllib.request.Request(f"{door.address}/v1/enrol", data=body)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)  # noqa: S310
        with caught.value as error:
            assert (error.code, "Traceback" in error.read().decode()) == (status, False)
