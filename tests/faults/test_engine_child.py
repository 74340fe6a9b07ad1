# SPDX-License-Identifier: Apache-2.0
"""An engine's child that dies, hangs or runs out of memory harms nobody but its own calls."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.process_tree import process_tree
from insight_edge.errors import (
    DigestMismatchError,
    InferenceFailedError,
    LoadFailedError,
    UpdateError,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.probation import Probation, add, judge
from insight_edge.runtime.candidate import WARM_CALLS
from insight_edge.runtime.child.session import ChildSession, load_isolated
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import MIB, Isolation
from tests.fakes.engine_bundles import install_fake_engine, rows_of, write_fake_bundle
from tests.fakes.served import Served, asking, write_served_bundle

FIRST = 1 + WARM_CALLS
"""Number of the first call of whoever is served: the golden samples and the warm-up go before."""

DEADLINE_S = 30

Load = Callable[..., ChildSession]


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    before = process_tree(os.getpid())
    yield
    assert process_tree(os.getpid()) == before, "a child was left behind"


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load an artifact that misbehaves as its settings say; closed in the end."""
    live: list[ChildSession] = []

    def load(isolation: Isolation | None = None, **settings: str) -> ChildSession:
        write_fake_bundle(tmp_path / "b", settings)
        bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
        found = load_isolated(bundle, bundle.variant(), isolation or Isolation(), threads=1)
        live.append(found)
        return found

    yield load
    for session in live:
        session.close()


def interpreter(folder: Path, text: str) -> Path:
    """Write a program that is started in the place of an interpreter."""
    path = folder / "interpreter"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("die", "the engine's child was killed by SIGKILL"),
        ("hang", "the engine's child took too long for an answer and was ended"),
        ("fall silent", "the engine's child hung up and was ended"),
    ],
)
def test_child_that_misbehaves_is_one_error_and_the_next_call_is_answered(
    load: Load, do: str, words: str
) -> None:
    session = load(Isolation(call_s=0.5), at="1", do=do)
    right = session.infer(rows_of(1, 2))
    with pytest.raises(InferenceFailedError, match=f"^{words}$"):
        session.infer(rows_of(1, 2))
    again = session.infer(rows_of(1, 2))
    assert all((right[name] == again[name]).all() for name in right)


def test_every_call_inside_a_child_that_dies_is_told_the_same(load: Load) -> None:
    session, told = load(Isolation(call_s=DEADLINE_S), at="1", do="hang"), list[str]()
    session.infer(rows_of(1, 1))
    pid = session.pid

    def call() -> None:
        try:
            while True:
                session.infer(rows_of(1, 1))
        except InferenceFailedError as error:
            told.append(str(error))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    os.kill(pid, signal.SIGKILL)
    for caller in callers:
        caller.join(DEADLINE_S)
    assert set(told) == {"the engine's child was killed by SIGKILL"}
    assert session.pid != pid or len(told) == 3


def test_stopped_child_is_ended_at_the_deadline(load: Load) -> None:
    session = load(Isolation(call_s=0.3))
    session.infer(rows_of(1, 1))
    os.kill(session.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, session.pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(InferenceFailedError, match="took too long for an answer and was ended"):
        session.infer(rows_of(1, 1))
    session.infer(rows_of(1, 1))


def test_child_without_memory_says_how_much_it_may_have_and_goes_on(load: Load) -> None:
    session = load(Isolation(memory_bytes=400 * MIB), at="1", do="gorge")
    session.infer(rows_of(1, 1))
    pid = session.pid
    with pytest.raises(InferenceFailedError, match=r"MemoryError.*may have 400 MiB of memory"):
        session.infer(rows_of(1, 1))
    session.infer(rows_of(1, 1))
    assert session.pid == pid


def test_child_that_has_too_little_memory_to_load_is_refused(load: Load) -> None:
    with pytest.raises(LoadFailedError, match=r"memory"):
        load(Isolation(memory_bytes=4 * MIB))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("kill -KILL $$", "child was killed by SIGKILL before it had loaded"),
        ("exit 3", "child ended, exit code 3 before it had loaded"),
        ("kill -STOP $$", "child did not load within 0.5 s"),
    ],
)
def test_child_that_ends_or_stops_in_load_is_one_error(
    load: Load, tmp_path: Path, program: str, words: str
) -> None:
    isolation = Isolation(load_s=0.5, python=interpreter(tmp_path, program))
    with pytest.raises(LoadFailedError, match=words):
        load(isolation)


def test_there_is_no_such_interpreter(load: Load, tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match="cannot be started"):
        load(Isolation(python=tmp_path / "none"))


def test_child_that_cannot_be_loaded_again_is_not_started_again_at_once(
    load: Load, tmp_path: Path
) -> None:
    session = load(at="1", do="die")
    session.infer(rows_of(1, 1))
    write_fake_bundle(tmp_path / "b", {"another": "bundle"})
    for words in ("SIGKILL$", "SIGKILL; again: .*another bundle", "SIGKILL$", "SIGKILL$"):
        with pytest.raises(InferenceFailedError, match=words) as caught:
            session.infer(rows_of(1, 1))
        assert "again" not in words or isinstance(caught.value.__cause__, DigestMismatchError)


@pytest.mark.parametrize(
    ("settings", "phase"),
    [
        ({"load": "die"}, "stage"),
        ({"at": "0", "do": "die"}, "verify"),
        ({"at": "1", "do": "hang"}, "warm"),
    ],
)
def test_swap_to_an_engine_that_dies_or_hangs_does_not_happen(
    tmp_path: Path, settings: dict[str, str], phase: str
) -> None:
    write_fake_bundle(tmp_path / "good")
    write_fake_bundle(tmp_path / "bad", settings)
    isolation = Isolation(call_s=0.5)
    with Runtime.open(tmp_path / "good", allow_unsigned=True, isolation=isolation) as runtime:
        before = runtime.infer(rows_of(1, 1))
        with pytest.raises(UpdateError, match="the engine's child") as caught:
            runtime.swap(tmp_path / "bad")
        assert caught.value.phase == phase
        assert runtime.infer(rows_of(1, 1)).bundle == before.bundle


def test_probation_of_an_engine_that_dies_ends_in_a_restore(tmp_path: Path) -> None:
    write_fake_bundle(tmp_path / "b", {"at": str(FIRST), "do": "die"})
    policy = Policy(least_asked=1)
    with Runtime.open(tmp_path / "b", allow_unsigned=True, isolation=Isolation()) as runtime:
        alone = runtime._doors.health().rss_bytes
        with pytest.raises(InferenceFailedError, match="engine's child was killed"):
            runtime.infer(rows_of(1, 1))
        health = runtime._doors.health()
    assert judge(add(Probation(), health, None, policy), policy).what == "restore"
    assert health.rss_bytes < alone, "the memory of a child counts while it lives"


def test_child_outlives_the_thread_that_started_it_and_not_its_parent(tmp_path: Path) -> None:
    write_fake_bundle(tmp_path / "b")
    code = (
        "import os, sys, threading\n"
        "from insight_edge.bundle.process_tree import process_tree\n"
        "from insight_edge.runtime.infer import Runtime\n"
        "from insight_edge.runtime.isolation import Isolation\n"
        "runtime = Runtime.open(sys.argv[1], allow_unsigned=True, isolation=Isolation())\n"
        "thread = threading.Thread(target=runtime.swap, args=sys.argv[1:])\n"
        "thread.start(); thread.join()\n"
        "bundle = runtime.served.bundle\n"
        "print(*process_tree(os.getpid())[1:], flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "b")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        [child] = map(int, parent.stdout.readline().split())
        watched = os.pidfd_open(child)
        try:
            os.kill(child, signal.SIGSTOP)
            parent.kill()
            assert select.select([watched], [], [], DEADLINE_S)[0]
        finally:
            os.close(watched)


def test_server_answers_on_when_the_child_of_its_engine_dies(tmp_path: Path) -> None:
    write_served_bundle(tmp_path / "b", 3)
    with Served(tmp_path / "b", "--port=0", "--child-memory-mb=1024") as server:
        assert server.ask(asking()).status == 200
        [child] = process_tree(server.process.pid)[1:]
        os.kill(child, signal.SIGKILL)
        told = [server.ask(asking()) for _ in range(2)]
    assert [reply.status for reply in told] == [500, 200]
    assert "the engine's child was killed by SIGKILL (it may have 1024 MiB" in told[0].json["error"]


def test_swaps_leave_no_child_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    for name in "ab":
        write_fake_bundle(tmp_path / name)

    def counts() -> list[int]:
        kinds = [len(list(Path("/proc/self", kind).iterdir())) for kind in ("fd", "task")]
        return [*kinds, len(process_tree(os.getpid()))]

    with Runtime.open(tmp_path / "a", allow_unsigned=True, isolation=Isolation()) as runtime:
        runtime.swap(tmp_path / "b")
        before = counts()
        for name in "abab":
            runtime.swap(tmp_path / name)
            runtime.infer(rows_of(1, 1))
        assert counts() == before
