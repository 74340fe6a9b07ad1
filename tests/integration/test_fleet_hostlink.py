# SPDX-License-Identifier: Apache-2.0
"""The agent's end of the host protocol against a real host, and against nonsense."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.owner import write_owner
from insight_edge.bundle.slots import Slots
from insight_edge.documents.frames import frame_from_message
from insight_edge.documents.host import SOCKET_NAME, Activated, Hello, Refused, Retired
from insight_edge.documents.owner import Owner
from insight_edge.errors import HostError
from insight_edge.fleet.hostlink import HostLink
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import install, one_row, tagged_matrix, write_matrix_bundle


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of an enrolled deployment: bundle 1 committed, bundle 2 staged."""
    install(monkeypatch)
    slots = Slots(tmp_path / "d")
    write_owner(tmp_path / "d", Owner(tenant="default", device="press-7", deployment="camera-1"))
    for tag in (1, 2):
        write_matrix_bundle(tmp_path / str(tag), tagged_matrix(tag))
        slots.accept(open_bundle(tmp_path / str(tag), allow_unsigned=True).digest)
    slots.commit(slots.stage(tmp_path / "1"))
    slots.stage(tmp_path / "2")
    return tmp_path / "d"


@pytest.fixture
def runtime(place: Path) -> Iterator[Runtime]:
    with Runtime.attach(place) as attached:
        yield attached


def test_host_serves_what_was_accepted_and_hands_over_what_it_counted(
    runtime: Runtime, place: Path
) -> None:
    first = runtime.infer(one_row(), key="order-1").bundle
    with HostLink(place) as host:
        assert host.hello.serving == first
        answer = host.activate("b")
        assert isinstance(answer, Activated)
        assert (answer.record.origin, answer.record.target) == (
            first,
            runtime.infer(one_row()).bundle,
        )
        assert host.health().answered == 1
        reports = [host.take_report(), host.take_report()]
        assert host.take_report() is None
        rows = host.take_predictions()
        host.retire()
    assert [r and (r.device, r.deployment, r.bundle, r.signed) for r in reports] == [
        ("press-7", "camera-1", digest, True)
        for digest in (answer.record.origin, answer.record.target)
    ]
    assert rows[0].id == "press-7/camera-1/1/0"


def test_slot_that_nobody_accepted_is_refused_and_the_old_bundle_serves_on(
    runtime: Runtime, place: Path, tmp_path: Path
) -> None:
    first = runtime.infer(one_row()).bundle
    write_matrix_bundle(tmp_path / "3", tagged_matrix(3))
    Slots(place).stage(tmp_path / "3")
    with HostLink(place) as host:
        answer = host.activate("b")
    assert isinstance(answer, Refused)
    assert (answer.phase, answer.kind) == ("stage", "UnsignedError")
    assert runtime.infer(one_row()).bundle == first


def test_report_that_was_not_followed_by_a_request_comes_again(
    runtime: Runtime, place: Path
) -> None:
    runtime.infer(one_row())
    with HostLink(place) as host:
        report = host.take_report()
    with HostLink(place) as host:
        assert host.take_report() == report
        assert host.take_report() is None


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"host\.sock: No such file"):
        HostLink(tmp_path)


def test_host_that_stopped_is_one_line(place: Path) -> None:
    with Runtime.attach(place):
        host = HostLink(place)
    with host, pytest.raises(HostError):
        host.health()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\1x",
        frame_from_message(Retired()),
        frame_from_message(Refused(phase="request", kind="X", reason="go away")),
        frame_from_message(Hello(protocol=2)),
    ],
)
def test_nonsense_is_one_line_and_closes_the_connection(tmp_path: Path, said: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / SOCKET_NAME))
    listener.listen()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(said)

    thread = threading.Thread(target=answer)
    thread.start()
    with listener, pytest.raises(HostError):
        HostLink(tmp_path)
    thread.join()


def test_host_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET_NAME))
        listener.listen()
        with pytest.raises(HostError, match="timed out"):
            HostLink(tmp_path, timeout_s=0.1)
