# SPDX-License-Identifier: Apache-2.0
"""The server that an agent keeps: real processes, killed, stopped, found again and told to end."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from insight_edge.bundle.socket_address import socket_address
from insight_edge.documents.serve_plan import ServePlan
from insight_edge.fleet.jobs.runner import PROGRAM
from insight_edge.fleet.serving.keeper import Keeper
from insight_edge.fleet.serving.plan import NAME, write_plan
from insight_edge.fleet.serving.process import Process
from insight_edge.fleet.serving.rules import SILENT_S
from insight_edge.runtime.infer import Runtime
from tests.fakes.broker import until
from tests.fakes.served import receive, request


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    write_plan(tmp_path, ServePlan(socket=str(tmp_path / "a.sock")))
    yield tmp_path
    Process(tmp_path).signal(signal.SIGKILL)
    with suppress(ChildProcessError, FileNotFoundError):  # reaped already, or never started
        os.waitpid(pid_of(tmp_path), 0)


def pid_of(place: Path) -> int:
    return int((place / "serve.pid").read_text().split()[0])


def live(place: Path, name: str = "a.sock") -> bool:
    with socket_address(place / name) as address, socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address)
        except OSError:
            return False
        client.sendall(request("/v2/health/live"))
        return receive(client).status == 200


def begun(place: Path) -> Keeper:
    keeper = Keeper(place, PROGRAM)
    keeper.look(0, attached=False)
    until(lambda: live(place))
    return keeper


def test_server_that_was_killed_is_started_again_after_a_pause(place: Path) -> None:
    keeper = begun(place)
    first = pid_of(place)
    os.kill(first, signal.SIGKILL)
    until(lambda: Process(place).plan() is None)
    keeper.look(1, attached=True)
    assert pid_of(place) == first
    keeper.look(2, attached=True)
    assert pid_of(place) != first
    until(lambda: live(place))


def test_next_agent_finds_it_and_ends_it_when_it_is_not_wanted(place: Path) -> None:
    begun(place)
    first = pid_of(place)
    after = Keeper(place, PROGRAM)
    after.look(0, attached=True)
    assert pid_of(place) == first
    assert live(place)
    write_plan(place, None)
    after.look(1, attached=True)
    until(lambda: Process(place).plan() is None)
    assert not (place / "a.sock").exists(), "it ended by itself, in good order"


def test_other_plan_is_another_server(place: Path) -> None:
    keeper = begun(place)
    write_plan(place, ServePlan(socket=str(place / "b.sock")))

    def moved() -> bool:
        keeper.look(time.monotonic(), attached=True)
        return live(place, "b.sock")

    until(moved)
    assert not live(place)


def test_server_that_hangs_is_killed(place: Path) -> None:
    keeper = begun(place)
    os.kill(pid_of(place), signal.SIGSTOP)
    keeper.look(1, attached=True)
    keeper.look(2 + SILENT_S, attached=False)
    until(lambda: Process(place).plan() is None)


def test_application_goes_first(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(place, PROGRAM)
    with Runtime.attach(place, allow_unsigned=True):
        keeper.look(0, attached=True)
        keeper.look(1, attached=True)
        assert not (place / "serve.pid").exists()
    assert caplog.text.count("an application serves it") == 1
    keeper.look(2, attached=False)
    until(lambda: live(place))


def test_plan_that_cannot_be_read_ends_nothing(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = begun(place)
    (place / NAME).write_bytes(b'{"format": 1, "port": "all"}')
    keeper.look(1, attached=True)
    keeper.look(2, attached=True)
    assert live(place)
    assert caplog.text.count("cannot be read") == 1


def test_program_that_is_not_there_is_told_once(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(place, [str(place / "nothing")])
    for now_s in range(0, 600, 100):
        keeper.look(now_s, attached=False)
    assert caplog.text.count("cannot be started") == 1


def test_number_that_came_round_again_is_no_server(place: Path) -> None:
    (place / "serve.pid").write_text(f"{os.getpid()} other:1 sha256:0")
    assert Process(place).plan() is None
    Process(place).signal(signal.SIGKILL)  # it would be this very process
