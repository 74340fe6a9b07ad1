# SPDX-License-Identifier: Apache-2.0
"""Clients of the host socket that send nonsense, stall, or die; the host serves on."""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import (
    MAX_FRAME_BYTES,
    SOCKET_NAME,
    Activate,
    Activated,
    AskHealth,
    Hello,
    Refused,
    Retired,
)
from insight_edge.runtime import host_socket
from insight_edge.runtime.host_socket import MAX_CONNECTIONS
from insight_edge.runtime.infer import Runtime
from tests.fakes.agent import Agent
from tests.fakes.matrix import MatrixEngine, install, one_row, tagged_matrix, write_matrix_bundle


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    slots = Slots(tmp_path / "state")
    for tag in (1, 2):
        write_matrix_bundle(tmp_path / str(tag), tagged_matrix(tag))
    slots.commit(slots.stage(tmp_path / "1"))
    slots.stage(tmp_path / "2")
    return tmp_path / "state"


@pytest.fixture
def runtime(engine: MatrixEngine, state_dir: Path) -> Iterator[Runtime]:
    with Runtime.attach(state_dir, allow_unsigned=True) as attached:
        yield attached
    assert engine.live == 0


def assert_serves(runtime: Runtime, state_dir: Path) -> None:
    assert runtime.infer(one_row()).outputs["y"].size == 4
    with Agent(state_dir) as agent:
        assert agent.hello().serving is not None
        assert agent.health().failed == 0


def framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (framed(b""), "DocumentError"),
        (framed(b"\xc1" * 40), "DocumentError"),
        (framed(msgspec.msgpack.encode({"type": "nonsense"})), "DocumentError"),
        (framed(msgspec.msgpack.encode({"type": "activate", "slot": ["a"]})), "DocumentError"),
        (framed(msgspec.msgpack.encode({"type": "health"})), "DocumentError"),  # before hello
        (framed(b"\x91" * 5000), "DocumentError"),  # nested without end
        (struct.pack(">I", MAX_FRAME_BYTES + 1), "LimitExceededError"),
        (b"GET / HTTP/1.1\r\n\r\n", "LimitExceededError"),
    ],
)
def test_nonsense_is_refused_and_hung_up_on(
    runtime: Runtime, state_dir: Path, data: bytes, kind: str
) -> None:
    with Agent(state_dir) as agent:
        agent.send_bytes(data)
        refused = agent.receive()
        assert isinstance(refused, Refused)
        assert (refused.phase, refused.kind) == ("request", kind)
        assert agent.receive() is None
    assert_serves(runtime, state_dir)


def test_random_bytes_never_end_the_host(runtime: Runtime, state_dir: Path) -> None:
    chance = random.Random(0)  # noqa: S311 (a seeded test)
    for _ in range(60):
        # The host may hang up on the client before it has sent all.
        with Agent(state_dir) as agent, contextlib.suppress(BrokenPipeError):
            agent.send_bytes(chance.randbytes(chance.randrange(1, 60)))
    assert_serves(runtime, state_dir)


def test_an_answer_as_a_request_is_refused_and_the_talk_goes_on(
    runtime: Runtime, state_dir: Path
) -> None:
    with Agent(state_dir) as agent:
        agent.hello()
        assert isinstance(agent.ask(Retired()), Refused)
        agent.health()
    assert_serves(runtime, state_dir)


def test_a_stalled_frame_is_dropped(
    runtime: Runtime, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_socket, "FRAME_TIMEOUT_S", 0.05)
    with Agent(state_dir) as agent:
        agent.hello()
        agent.send_bytes(framed(b"x" * 100)[:20])
        assert agent.receive() is None
    monkeypatch.undo()
    assert_serves(runtime, state_dir)


def test_a_silent_client_does_not_keep_others_out(runtime: Runtime, state_dir: Path) -> None:
    with Agent(state_dir), Agent(state_dir):
        assert_serves(runtime, state_dir)


def test_clients_beyond_the_limit_are_turned_away_and_come_back(
    runtime: Runtime, state_dir: Path
) -> None:
    agents = [Agent(state_dir) for _ in range(MAX_CONNECTIONS)]
    for agent in agents:
        agent.hello()
    with Agent(state_dir) as late, pytest.raises((ConnectionError, BrokenPipeError)):
        late.ask(Hello())
    for agent in agents:
        agent.__exit__(None, None, None)
    while runtime._host is not None and runtime._host._connections:
        threading.Event().wait(0.001)
    assert_serves(runtime, state_dir)


def test_agent_that_dies_while_activating_finds_the_swap_done(
    runtime: Runtime, state_dir: Path, engine: MatrixEngine
) -> None:
    engine.gate.clear()  # the self check of the new bundle waits here
    while engine.inside.acquire(blocking=False):
        pass
    with Agent(state_dir) as agent:
        agent.hello()
        agent.send(Activate(slot="b"))
        engine.inside.acquire()
    with Agent(state_dir) as successor:
        successor.hello()
        busy = successor.activate("b")
        assert isinstance(busy, Refused)
        assert (busy.phase, busy.kind) == ("request", "UpdateError")
        engine.gate.set()
        while isinstance(again := successor.activate("b"), Refused):
            assert again.phase == "request"
        assert isinstance(again, Activated)
    assert runtime.infer(one_row()).outputs["y"][0, 0] == 2


def test_close_ends_connections_that_are_open(engine: MatrixEngine, state_dir: Path) -> None:
    runtime = Runtime.attach(state_dir, allow_unsigned=True)
    with Agent(state_dir) as agent:
        agent.hello()
        runtime.close()
        with pytest.raises((ConnectionError, BrokenPipeError)):
            agent.ask(AskHealth())
    assert engine.live == 0


def test_socket_left_by_a_killed_host_is_replaced(engine: MatrixEngine, state_dir: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(state_dir / SOCKET_NAME))
    left.close()
    with Runtime.attach(state_dir, allow_unsigned=True) as runtime:
        assert_serves(runtime, state_dir)
    assert engine.live == 0
