# SPDX-License-Identifier: Apache-2.0
"""One file over HTTP, from servers, networks and disks that do all they can against it."""

import hashlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from insight_edge.errors import (
    ConfigurationError,
    DeniedError,
    DownloadError,
    GoneError,
    InsightEdgeError,
    StoppedError,
    StorageError,
    TamperedError,
)
from insight_edge.fleet.transfer.download import (
    Source,
    fetch,
)
from insight_edge.fleet.transfer.part import part_of
from insight_edge.fleet.transfer.watch import Pace
from tests.fakes.raw_server import RawServer, loopback_certificate
from tests.fakes.update_server import (
    Corrupt,
    Cut,
    Drip,
    How,
    Longer,
    NoRange,
    Replace,
    Stall,
    Status,
    UpdateServer,
)

DATA = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
HASTY = Pace(window_s=0.3, least_bytes=1000)
SECRET = "correct horse"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UpdateServer]:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / SHA256).write_bytes(DATA)
    with UpdateServer(tmp_path, SECRET) as serving:
        yield serving


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def source_of(server: UpdateServer | RawServer) -> Source:
    return Source(cloud=server.url, token=SECRET, pace=HASTY)


def download(server: UpdateServer | RawServer, place: Path, **options: object) -> None:
    fetch(source_of(server), place, sha256=SHA256, length_bytes=len(DATA), **options)  # type: ignore[arg-type]


def test_file_is_fetched_whole_and_its_part_is_gone(server: UpdateServer, place: Path) -> None:
    held: list[int] = []
    download(server, place, progress=held.append)
    assert place.read_bytes() == DATA
    assert not part_of(place).exists()
    assert (held[0], held[-1]) == (0, len(DATA))
    assert held == sorted(held)
    assert [one.range for one in server.requests] == [None]


def test_cut_download_is_resumed_and_only_the_rest_is_sent(
    server: UpdateServer, place: Path
) -> None:
    server.behave("/v1/blobs/", Cut(after_bytes=200_001), times=1)
    with pytest.raises(DownloadError) as caught:
        download(server, place)
    assert type(caught.value) is DownloadError
    assert not place.exists()
    assert part_of(place).read_bytes() == DATA[:200_001]
    download(server, place)
    assert place.read_bytes() == DATA
    assert [(one.range, one.status) for one in server.requests] == [
        (None, 200),
        ("bytes=200001-", 206),
    ]


def test_whole_part_is_not_asked_for_again(server: UpdateServer, place: Path) -> None:
    part_of(place).write_bytes(DATA)
    download(server, place)
    assert place.read_bytes() == DATA
    assert server.requests == []


def test_server_that_ignores_the_range_is_listened_to_from_the_start(
    server: UpdateServer, place: Path
) -> None:
    part_of(place).write_bytes(DATA[:1000])
    server.behave("/v1/blobs/", NoRange())
    download(server, place)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize("left", [bytes(1000), DATA[:-1] + b"?", DATA + b"more", bytes(len(DATA))])
def test_part_that_a_power_cut_has_damaged_is_fetched_anew(
    server: UpdateServer, place: Path, left: bytes
) -> None:
    part_of(place).write_bytes(left)
    download(server, place)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize(
    "how", [Corrupt(at=7), Replace(b"x" * len(DATA)), Replace(DATA + b"x"), Longer(by_bytes=1)]
)
def test_other_bytes_are_tampered_with_and_leave_nothing(
    server: UpdateServer, place: Path, how: How
) -> None:
    server.behave("/v1/blobs/", how)
    held = [0]
    with pytest.raises(TamperedError):
        download(server, place, progress=held.append)
    assert max(held) <= len(DATA)
    assert not place.exists()
    assert not part_of(place).exists()


def test_corrupt_rest_of_a_resumed_file_is_not_blamed_on_the_part(
    server: UpdateServer, place: Path
) -> None:
    part_of(place).write_bytes(DATA[:1000])
    server.behave("/v1/blobs/", Corrupt(at=7))
    with pytest.raises(TamperedError):
        download(server, place)
    assert [one.range for one in server.requests] == ["bytes=1000-", None]
    assert not part_of(place).exists()


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", TamperedError),
        (b"HTTP/1.1 206 OK\r\nContent-Range: bytes 1000-299999/9999999\r\n\r\n", TamperedError),
        (b"HTTP/1.1 206 OK\r\nContent-Range: bytes 999-299999/300000\r\n\r\n", DownloadError),
        (b"HTTP/1.1 206 OK\r\nContent-Range: bytes 1000-2000/300000\r\n\r\n", DownloadError),
        (b"HTTP/1.1 206 OK\r\nContent-Range: bytes */300000\r\n\r\n", DownloadError),
        (b"HTTP/1.1 206 OK\r\n\r\n", DownloadError),
        (b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", DownloadError),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n", DownloadError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", DownloadError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", DownloadError),
        (b"SSH-2.0-OpenSSH\r\n", DownloadError),
        (b"", DownloadError),
    ],
)
def test_answer_that_cannot_be_meant_is_refused(
    place: Path, head: bytes, error: type[InsightEdgeError]
) -> None:
    part_of(place).write_bytes(DATA[:1000])
    with RawServer(head + DATA[1000:]) as server, pytest.raises(error) as caught:
        download(server, place)
    assert type(caught.value) is error
    assert b"Range: bytes=1000-" in server.asked[0]
    assert not place.exists()
    part = part_of(place)
    assert not part.exists() or DATA.startswith(part.read_bytes())


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000",
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 1000-299999/30",
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 1000-29",
        b"HTTP/1.1 200",
        b"HTTP/1.1 4",
    ],
)
def test_connection_that_breaks_in_the_head_is_no_attack(place: Path, head: bytes) -> None:
    part_of(place).write_bytes(DATA[:1000])
    with RawServer(head) as server, pytest.raises(DownloadError) as caught:
        download(server, place)
    assert type(caught.value) is DownloadError


def test_range_that_was_not_asked_for_is_refused(place: Path) -> None:
    head = b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-299999/300000\r\n\r\n"
    with RawServer(head + DATA) as server, pytest.raises(DownloadError, match="asked for"):
        download(server, place)


def test_chunked_answer_is_read(place: Path) -> None:
    chunk = b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n\r\n"
    with RawServer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk) as server:
        download(server, place)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize(
    "how", [Stall(), Stall(after_bytes=5000), Drip(pause_s=0.01), Drip(pause_s=0.01, head=True)]
)
def test_slow_server_is_left_and_what_came_is_kept(
    server: UpdateServer, place: Path, how: How
) -> None:
    server.behave("/v1/blobs/", how, times=1)
    begun_s = time.monotonic()
    with pytest.raises(DownloadError, match=r"too slow: under 1000 bytes in 0\.3 s"):
        download(server, place)
    assert time.monotonic() - begun_s < 10 * HASTY.window_s
    held = part_of(place).read_bytes()
    assert DATA.startswith(held)
    if isinstance(how, Stall) and how.after_bytes:
        assert len(held) == how.after_bytes
    download(server, place)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, GoneError),
        (410, GoneError),
        (401, DeniedError),
        (403, DeniedError),
        (302, DeniedError),
        (400, DeniedError),
        (408, DownloadError),
        (429, DownloadError),
        (500, DownloadError),
        (503, DownloadError),
    ],
)
def test_status_says_who_must_act(
    server: UpdateServer, place: Path, status: int, error: type[DownloadError]
) -> None:
    server.behave("/v1/blobs/", Status(status))
    with pytest.raises(error, match=f"HTTP status {status}") as caught:
        download(server, place)
    assert type(caught.value) is error
    assert len(server.requests) == 1
    assert not place.exists()


def test_stop_ends_a_server_that_is_silent_within_a_moment(
    server: UpdateServer, place: Path
) -> None:
    server.behave("/v1/blobs/", Stall(after_bytes=5000))
    wanted = threading.Event()

    def stop_once_some_came(held_bytes: int) -> None:
        if held_bytes == 5000:
            wanted.set()

    patient = Source(cloud=server.url, token=SECRET, pace=Pace(window_s=60.0))
    begun_s = time.monotonic()
    with pytest.raises(StoppedError):
        fetch(
            patient, place, sha256=SHA256, length_bytes=len(DATA),
            stop=wanted.is_set, progress=stop_once_some_came,
        )  # fmt: skip
    assert time.monotonic() - begun_s < 5.0
    assert part_of(place).read_bytes() == DATA[:5000]


def test_server_that_is_not_there_or_speaks_no_tls(server: UpdateServer, place: Path) -> None:
    with RawServer() as gone:
        url = gone.url
    for cloud in (url, server.url.replace("http:", "https:")):
        with pytest.raises(DownloadError):
            fetch(Source(cloud=cloud, pace=HASTY), place, sha256=SHA256, length_bytes=len(DATA))


def test_tls_is_checked_and_a_stall_in_it_is_left(tmp_path: Path, place: Path) -> None:
    certificate, tls = loopback_certificate(tmp_path)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA)
    with RawServer(head + DATA[:5000], head + DATA, tls=tls, hold=True) as server:
        source = Source(cloud=server.url, token=SECRET, ca=str(certificate), pace=HASTY)
        with pytest.raises(DownloadError, match="too slow"):
            fetch(source, place, sha256=SHA256, length_bytes=len(DATA))
        assert part_of(place).read_bytes() == DATA[:5000]
        fetch(source, place, sha256=SHA256, length_bytes=len(DATA))
        assert place.read_bytes() == DATA
    with RawServer(head + DATA, tls=tls) as server, pytest.raises(DownloadError, match="SSL"):
        download(server, place)


def test_silent_tls_handshake_is_left(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cloud = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DownloadError, match="too slow"):
            fetch(Source(cloud=cloud, pace=HASTY), place, sha256=SHA256, length_bytes=len(DATA))


@pytest.mark.parametrize(
    "cloud", ["http://10.0.0.1", "ftp://127.0.0.1", "", "https://", "https://a b"]
)
def test_secret_travels_over_tls_or_loopback_alone(place: Path, cloud: str) -> None:
    with pytest.raises(ConfigurationError):
        fetch(Source(cloud=cloud, token=SECRET), place, sha256=SHA256, length_bytes=1)


def test_secret_is_in_no_message(server: UpdateServer, place: Path) -> None:
    source = Source(cloud=server.url, token=f"{SECRET}\r\nX: y", pace=HASTY)
    with pytest.raises(DownloadError) as caught:
        fetch(source, place, sha256=SHA256, length_bytes=len(DATA))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(source)


def test_nothing_is_asked_for_where_there_is_no_room_and_the_part_stays(
    server: UpdateServer, small_disk: Path
) -> None:
    place = small_disk / "file"
    part_of(place).write_bytes(DATA[:1000])
    (small_disk / "ballast").write_bytes(bytes(300_000))
    with pytest.raises(StorageError, match="299000 bytes are missing"):
        download(server, place)
    assert server.requests == []
    assert part_of(place).read_bytes() == DATA[:1000]


def test_disk_that_fills_up_gets_its_room_back(server: UpdateServer, small_disk: Path) -> None:
    def fill(_: str) -> None:
        with suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(65536)):
                pass

    place = small_disk / "file"
    server.before = fill
    with pytest.raises(StorageError, match="no space left on device"):
        download(server, place)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
    (small_disk / "ballast").unlink()
    server.before = None
    download(server, place)
    assert place.read_bytes() == DATA


def test_read_only_disk_is_a_storage_error(server: UpdateServer, small_disk: Path) -> None:
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(remount, capture_output=True, check=False).returncode:
        pytest.skip("remounting is not permitted here")
    with pytest.raises(StorageError, match="read-only file system"):
        download(server, small_disk / "file")


def test_link_in_place_of_the_part_is_not_followed(server: UpdateServer, place: Path) -> None:
    other = place.with_name("other")
    other.write_bytes(b"precious")
    part_of(place).symlink_to(other)
    with pytest.raises(StorageError):
        download(server, place)
    assert other.read_bytes() == b"precious"


def test_pipe_in_place_of_the_part_is_not_waited_for(server: UpdateServer, place: Path) -> None:
    subprocess.run(["mkfifo", part_of(place)], check=True)
    with pytest.raises(StorageError, match="not a regular file"):
        download(server, place)


def test_empty_file_is_made_without_asking(server: UpdateServer, place: Path) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    fetch(source_of(server), place, sha256=empty, length_bytes=0)
    assert place.read_bytes() == b""
    assert server.requests == []
