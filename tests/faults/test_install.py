# SPDX-License-Identifier: Apache-2.0
"""From a manifest to a filled slot, with servers, disks and people that interfere."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.bundle.limits import Limits
from insight_edge.bundle.slots import MAX_ACCEPTED, Slots
from insight_edge.documents.codec import digest, encode_json
from insight_edge.errors import (
    DeniedError,
    DigestMismatchError,
    DocumentError,
    DownloadError,
    ExpiredError,
    GoneError,
    InsightEdgeError,
    LimitExceededError,
    RolledBackError,
    SlotError,
    StoppedError,
    StorageError,
    TamperedError,
    UnsignedError,
    WrongProfileError,
)
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import Incoming, sweep
from insight_edge.fleet.transfer.install import fetch_failed, restarted, stage, stage_failed
from insight_edge.fleet.transfer.part import part_of
from insight_edge.fleet.update.events import Restarted
from tests.fakes.bundles import ARTIFACT, GOLDEN, bundle_files, bundle_manifest, write_small_bundle
from tests.fakes.published import publish, publish_small
from tests.fakes.update_server import Corrupt, Cut, Stall, Status, UpdateServer

SECRET = "secret"


@dataclass
class Device:
    """A device that serves the bundle `old`, and a cloud that it fetches from."""

    state: Path
    cloud: Path
    server: UpdateServer
    old: str

    @property
    def deployment(self) -> Path:
        return self.state / "deployments" / "camera-1"

    @property
    def slots(self) -> Slots:
        return Slots(self.deployment)

    def incoming(self, manifest: bytes) -> Incoming:
        return Incoming(self.state, manifest)

    def assemble(self, incoming: Incoming) -> None:
        source = Source(cloud=self.server.url, token=SECRET)
        incoming.assemble(source, [self.deployment], reserve_bytes=0)

    def stage(self, bundle: str) -> str:
        return stage(self.state, self.deployment, bundle)

    def asked(self) -> list[str]:
        """Return the digests of the files that were asked for."""
        return [one.path.rpartition("/")[2] for one in self.server.requests]

    def still_serves_the_old(self) -> bool:
        slots = self.slots
        assert slots.committed == "a"
        return slots.bundle("a", allow_unsigned=False).digest == self.old


def made(state: Path, tmp_path: Path, server: UpdateServer) -> Device:
    """Make a device whose state is in `state`; its old bundle came over the network too."""
    manifest = publish_small(tmp_path / "cloud", b"old")
    device = Device(state, tmp_path / "cloud", server, digest(manifest))
    device.deployment.mkdir(parents=True)
    incoming = device.incoming(manifest)
    device.assemble(incoming)
    device.slots.commit(device.stage(incoming.bundle))
    server.requests.clear()
    return device


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UpdateServer]:
    (tmp_path / "cloud").mkdir()
    with UpdateServer(tmp_path / "cloud", SECRET) as serving:
        yield serving


@pytest.fixture
def device(tmp_path: Path, server: UpdateServer) -> Device:
    return made(tmp_path / "state", tmp_path, server)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_bundle_comes_in_is_staged_and_is_accepted(device: Device) -> None:
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    assert incoming.present_bytes == incoming.total_bytes
    assert incoming.missing() == ()
    assert device.stage(incoming.bundle) == "b"
    assert device.slots.bundle("b", allow_unsigned=False).digest == incoming.bundle
    assert not incoming.path.exists()
    assert device.stage(incoming.bundle) == "b"
    assert device.still_serves_the_old()
    assert restarted(device.deployment) == Restarted("a", {"a": device.old, "b": incoming.bundle})


def test_files_that_a_slot_holds_are_copied_and_not_asked_for(device: Device) -> None:
    files = bundle_files(b"new")
    incoming = device.incoming(publish(device.cloud, files))
    device.assemble(incoming)
    golden = digest(files[GOLDEN]).removeprefix("sha256:")
    assert len(device.asked()) == 2
    assert golden not in device.asked()
    assert incoming.fetched_bytes == incoming.total_bytes - len(files[GOLDEN])
    assert (incoming.path / GOLDEN).stat().st_ino != (
        device.deployment / "slots" / "a" / GOLDEN
    ).stat().st_ino


def test_file_that_has_rotted_in_its_slot_is_fetched(device: Device) -> None:
    held = device.deployment / "slots" / "a" / GOLDEN
    held.write_bytes(held.read_bytes()[:-1] + b"?")
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    assert len(device.asked()) == 3
    assert incoming.missing() == ()


def test_bundle_that_a_slot_holds_is_not_asked_for_at_all(device: Device) -> None:
    manifest = (device.deployment / "slots" / "a" / "manifest.json").read_bytes()
    device.assemble(device.incoming(manifest))
    assert device.asked() == []


def test_two_names_of_one_file_are_one_download(device: Device) -> None:
    files = bundle_files(b"new") | {"twin.bin": b"new", f"{ARTIFACT}.part": b"other"}
    incoming = device.incoming(publish(device.cloud, files))
    device.assemble(incoming)
    assert len(device.asked()) == len(set(device.asked())) == 3
    assert device.stage(incoming.bundle) == "b"


def test_download_goes_on_where_it_was_cut(device: Device) -> None:
    artifact = b"new" * 10_000
    manifest = publish_small(device.cloud, artifact)
    name = digest(artifact).removeprefix("sha256:")
    device.server.behave(f"/v1/blobs/sha256/{name}", Cut(after_bytes=20_000), times=1)
    first = device.incoming(manifest)
    with pytest.raises(DownloadError):
        device.assemble(first)
    second = device.incoming(manifest)
    device.assemble(second)
    ranges = [one.range for one in device.server.requests if one.path.endswith(name)]
    assert ranges == [None, "bytes=20000-"]
    golden_bytes = (second.path / GOLDEN).stat().st_size
    assert first.fetched_bytes + second.fetched_bytes == second.total_bytes - golden_bytes


@pytest.mark.parametrize(
    ("how", "error"),
    [(Status(404), GoneError), (Corrupt(), TamperedError), (Status(403), DeniedError)],
)
def test_bundle_of_which_one_file_is_withheld_or_changed_is_not_staged(
    device: Device, how: Status | Corrupt, error: type[InsightEdgeError]
) -> None:
    manifest = publish_small(device.cloud, b"new")
    name = digest(b"new").removeprefix("sha256:")
    device.server.behave(f"/v1/blobs/sha256/{name}", how)
    incoming = device.incoming(manifest)
    with pytest.raises(error):
        device.assemble(incoming)
    with pytest.raises(DocumentError):
        device.stage(incoming.bundle)
    assert device.still_serves_the_old()
    assert not (device.deployment / "slots" / "b").exists()


@pytest.mark.parametrize(
    "name", ["../escaped", "/etc/escaped", "a/b", "..", ".hidden", "manifest.json", "", "a\0b"]
)
def test_name_that_leads_elsewhere_is_refused_before_anything_is_made(
    tmp_path: Path, name: str
) -> None:
    files = bundle_files()
    manifest = bundle_manifest(files)
    hostile = replace(manifest, evidence=replace(manifest.evidence, path=name))
    with pytest.raises(DocumentError):
        Incoming(tmp_path, encode_json(hostile))
    assert list(tmp_path.iterdir()) == []


def test_bundle_beyond_the_limits_is_refused_before_anything_is_asked_for(tmp_path: Path) -> None:
    manifest = encode_json(bundle_manifest(bundle_files()))
    for limits in (
        Limits(max_files=2),
        Limits(max_file_bytes=5),
        Limits(max_total_bytes=10),
        Limits(max_manifest_bytes=len(manifest) - 1),
    ):
        with pytest.raises(LimitExceededError):
            Incoming(tmp_path, manifest, limits)


def test_what_does_not_belong_there_is_swept(device: Device, tmp_path: Path) -> None:
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    incoming.path.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (incoming.path / "folder").mkdir()
    (incoming.path / "folder" / "file").write_bytes(b"x")
    (incoming.path / ARTIFACT).symlink_to(other)
    (incoming.path / "link").symlink_to(tmp_path)
    (incoming.path / f".{GOLDEN}.copy").write_bytes(b"half")
    device.assemble(incoming)
    assert device.stage(incoming.bundle) == "b"
    assert other.read_bytes() == b"precious"


def test_folders_of_other_bundles_are_swept(device: Device) -> None:
    wanted, other = (publish_small(device.cloud, artifact) for artifact in (b"1", b"2"))
    for manifest in (wanted, other):
        device.assemble(device.incoming(manifest))
    sweep(device.state, {digest(wanted)})
    assert [path.name for path in (device.state / "incoming").iterdir()] == [
        digest(wanted).removeprefix("sha256:")
    ]
    sweep(device.state / "nothing", set())


def test_file_that_is_swapped_after_it_was_checked_is_not_staged_and_is_fetched_again(
    device: Device,
) -> None:
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    (incoming.path / ARTIFACT).write_bytes(b"evl")
    with pytest.raises(DigestMismatchError) as caught:
        device.stage(incoming.bundle)
    assert not stage_failed(incoming.bundle, caught.value).final
    assert device.still_serves_the_old()
    device.assemble(incoming)
    device.stage(incoming.bundle)
    assert device.slots.bundle("b", allow_unsigned=False).file(ARTIFACT).read_bytes() == b"new"


def test_bundle_that_is_swapped_whole_is_not_staged(device: Device) -> None:
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    write_small_bundle(incoming.path, b"evil")
    with pytest.raises(TamperedError) as caught:
        device.stage(incoming.bundle)
    assert stage_failed(incoming.bundle, caught.value).final
    assert not (device.deployment / "slots" / "b").exists()


def test_file_that_is_swapped_in_its_slot_is_found_by_the_host(device: Device) -> None:
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    slot = device.stage(incoming.bundle)
    (device.deployment / "slots" / slot / ARTIFACT).write_bytes(b"evl")
    with pytest.raises(DigestMismatchError):
        device.slots.bundle(slot, allow_unsigned=False)
    device.assemble(incoming)
    assert device.stage(incoming.bundle) == slot
    assert device.slots.bundle(slot, allow_unsigned=False).digest == incoming.bundle


def test_bundles_that_never_stay_do_not_push_the_committed_one_out(device: Device) -> None:
    for number in range(MAX_ACCEPTED + 3):
        incoming = device.incoming(publish_small(device.cloud, b"%d" % number))
        device.assemble(incoming)
        device.stage(incoming.bundle)
        assert device.still_serves_the_old()
        assert device.slots.bundle("b", allow_unsigned=False).signed


def test_nothing_is_asked_for_where_the_slot_would_not_fit_too(
    small_disk: Path, tmp_path: Path, server: UpdateServer
) -> None:
    device = made(small_disk / "state", tmp_path, server)
    incoming = device.incoming(publish_small(device.cloud, b"w" * 600_000))
    with pytest.raises(StorageError, match="are needed for the bundle") as caught:
        device.assemble(incoming)
    assert device.asked() == []
    assert not fetch_failed(incoming.bundle, caught.value).final
    assert device.still_serves_the_old()
    fits = device.incoming(publish_small(device.cloud, b"w" * 350_000))
    device.assemble(fits)
    device.stage(fits.bundle)
    # What staging frees counts: the idle slot is as large as the next bundle.
    sweep(device.state, ())
    again = device.incoming(publish_small(device.cloud, b"v" * 350_000))
    device.assemble(again)
    assert device.stage(again.bundle) == "b"


def test_disk_that_fills_up_before_staging_leaves_the_committed_slot(
    small_disk: Path, tmp_path: Path, server: UpdateServer
) -> None:
    device = made(small_disk / "state", tmp_path, server)
    incoming = device.incoming(publish_small(device.cloud, b"w" * 350_000))
    device.assemble(incoming)
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(StorageError) as caught:
        device.stage(incoming.bundle)
    assert not stage_failed(incoming.bundle, caught.value).final
    assert device.still_serves_the_old()
    ballast.unlink()
    assert device.stage(incoming.bundle) == "b"


def test_read_only_disk_is_a_storage_error_and_the_old_bundle_serves(
    small_disk: Path, tmp_path: Path, server: UpdateServer
) -> None:
    device = made(small_disk / "state", tmp_path, server)
    incoming = device.incoming(publish_small(device.cloud, b"new"))
    device.assemble(incoming)
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(remount, capture_output=True, check=False).returncode:
        pytest.skip("remounting is not permitted here")
    with pytest.raises(StorageError):
        device.stage(incoming.bundle)
    with pytest.raises(StorageError):
        device.assemble(incoming)
    assert device.still_serves_the_old()


def test_stop_ends_it_and_leaves_what_came(device: Device) -> None:
    artifact = b"new" * 100_000
    incoming = device.incoming(publish_small(device.cloud, artifact))
    device.server.behave("/v1/blobs/", Stall(after_bytes=50_000))
    part = part_of(incoming.path / ARTIFACT)
    with pytest.raises(StoppedError):
        incoming.assemble(
            Source(cloud=device.server.url, token=SECRET),
            [device.deployment],
            stop=lambda: part.exists() and part.stat().st_size == 50_000,
            reserve_bytes=0,
        )
    assert part.stat().st_size == 50_000
    assert incoming.fetched_bytes == 50_000


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (TamperedError("x"), True),
        (UnsignedError("x"), True),
        (WrongProfileError("x"), True),
        (GoneError("x"), True),
        (DeniedError("x"), True),
        (DocumentError("x"), True),
        (LimitExceededError("x"), True),
        (ExpiredError("x"), False),
        (RolledBackError("x"), False),
        (DownloadError("x"), False),
        (StoppedError("x"), False),
        (DigestMismatchError("x"), False),
        (StorageError("x"), False),
        (SlotError("x"), False),
    ],
)
def test_failures_for_good_and_those_that_may_pass(error: InsightEdgeError, final: bool) -> None:
    event = fetch_failed("sha256:0", error, 7)
    assert (event.kind, event.reason, event.final) == (type(error).__name__, "x", final)
    assert event.gained_bytes == 7
