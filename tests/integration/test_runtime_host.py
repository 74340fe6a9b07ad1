# SPDX-License-Identifier: Apache-2.0
"""The agent's view of a runtime host, over the real socket."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.challenger_slot import ChallengerSlot
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.documents.desired import Challenging
from insight_edge.documents.host import (
    SOCKET_NAME,
    Activated,
    Compare,
    Compared,
    Refused,
    Retired,
)
from insight_edge.errors import ConfigurationError, SlotError, UnsignedError
from insight_edge.runtime.infer import Runtime
from tests.fakes.agent import Agent
from tests.fakes.matrix import (
    MatrixEngine,
    install,
    one_row,
    random_matrix,
    tagged_matrix,
    write_matrix_bundle,
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Return a device's state: bundle 1 committed, bundle 2 staged."""
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


def lay(state_dir: Path, place: Path) -> str:
    """Fill the challenger's slot, and return the digest."""
    digest = open_bundle(place, allow_unsigned=True).digest
    ChallengerSlot(state_dir).stage(place, digest)
    return digest


def test_agent_begins_and_ends_a_comparison(
    runtime: Runtime, state_dir: Path, tmp_path: Path
) -> None:
    second = lay(state_dir, tmp_path / "2")
    with Agent(state_dir) as agent:
        agent.hello()
        wanted = Challenging(bundle=second, share=1.0)
        assert agent.ask(Compare(wanted=wanted)) == Compared(bundle=second)
        assert agent.health().challenger == second
        assert runtime.infer(one_row(), key="a").role == "challenger"
        assert answer_of(runtime) == 1, "a call without a key"
        assert agent.ask(Compare()) == Compared(bundle=None)
        assert (agent.health().challenger, runtime.challenger) == (None, None)
        runtime.challenge(tmp_path / "2")
        assert agent.health().challenger is None
        assert agent.ask(Compare()) == Compared(bundle=None)
        assert runtime.challenger is not None, "the application's own is left to it"


def test_challenger_that_cannot_be_harms_nobody(
    runtime: Runtime, state_dir: Path, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "wrong", tagged_matrix(3), answers_of=tagged_matrix(4))
    wrong = lay(state_dir, tmp_path / "wrong")
    with Agent(state_dir) as agent:
        agent.hello()
        for bundle, kind in ((wrong, "SelfCheckError"), ("sha256:" + "0" * 64, "SlotError")):
            answer = agent.ask(Compare(wanted=Challenging(bundle=bundle)))
            assert isinstance(answer, Refused)
            assert answer.kind == kind
        (state_dir / "challenger" / "manifest.json").write_bytes(b"{}")
        answer = agent.ask(Compare(wanted=Challenging(bundle=wrong)))
        assert isinstance(answer, Refused)
    assert ChallengerSlot(state_dir).held is None
    assert runtime.challenger is None
    assert answer_of(runtime) == 1


def answer_of(runtime: Runtime) -> float:
    return float(runtime.infer(one_row()).outputs["y"][0, 0])


def test_attach_serves_the_committed_slot_and_says_so(runtime: Runtime, state_dir: Path) -> None:
    assert answer_of(runtime) == 1
    with Agent(state_dir) as agent:
        hello = agent.hello()
    bundle = Slots(state_dir).bundle("a", allow_unsigned=True)
    assert hello.protocol == 1
    assert "matrix" in hello.engines
    assert hello.serving == bundle.digest


def test_socket_is_for_its_user_alone(runtime: Runtime, state_dir: Path) -> None:
    assert (state_dir / SOCKET_NAME).stat().st_mode & 0o777 == 0o600
    runtime.close()
    assert not (state_dir / SOCKET_NAME).exists()


def test_activate_swaps_and_closes_the_old_window(runtime: Runtime, state_dir: Path) -> None:
    with Agent(state_dir) as agent:
        old = agent.hello().serving
        answer_of(runtime)
        activated = agent.activate("b")
        assert isinstance(activated, Activated)
        assert activated.record.origin == old
        assert answer_of(runtime) == 2
        assert agent.hello().serving == activated.record.target
        reports = [agent.window(), agent.window(), agent.window()]
    assert [report and report.bundle for report in reports] == [old, activated.record.target, None]
    assert Slots(state_dir).committed == "a"


def test_activate_refuses_a_bad_slot_and_the_old_bundle_serves(
    runtime: Runtime, state_dir: Path, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "wrong", random_matrix(0), answers_of=random_matrix(1))
    slots = Slots(state_dir)
    slots.stage(tmp_path / "wrong")
    with Agent(state_dir) as agent:
        agent.hello()
        wrong = agent.activate("b")
        assert isinstance(wrong, Refused)
        assert (wrong.phase, wrong.kind) == ("verify", "SelfCheckError")
        (state_dir / "slots" / "b" / "matrix.bin").write_bytes(b"flipped")
        damaged = agent.activate("b")
        assert isinstance(damaged, Refused)
        assert (damaged.phase, damaged.kind) == ("stage", "DigestMismatchError")
        unknown = agent.activate("../a")
        assert isinstance(unknown, Refused)
        assert (unknown.phase, unknown.kind) == ("stage", "SlotError")
    assert answer_of(runtime) == 1


def test_health_is_of_the_open_window(runtime: Runtime, state_dir: Path) -> None:
    with Agent(state_dir) as agent:
        hello = agent.hello()
        assert agent.health().p99_ms is None
        for _ in range(7):
            answer_of(runtime)
        health = agent.health()
        assert (health.asked, health.answered, health.failed) == (7, 7, 0)
        assert health.serving == hello.serving
        assert health.p99_ms is not None
        assert health.p99_ms > 0
        assert health.rss_bytes > 2**20
        agent.window()
        assert agent.health().asked == 0


def test_window_is_handed_over_again_until_a_request_confirms_it(
    runtime: Runtime, state_dir: Path
) -> None:
    answer_of(runtime)
    with Agent(state_dir) as agent:
        agent.hello()
        first = agent.window()
    with Agent(state_dir) as agent:
        agent.hello()
        assert agent.window() == first
        answer_of(runtime)
        second = agent.window()
        agent.health()
    with Agent(state_dir) as agent:
        agent.hello()
        assert agent.window() is None
    assert first is not None
    assert second is not None
    assert (first.sequence, second.sequence) == (0, 1)
    assert first.counts.asked == second.counts.asked == 1


def test_predictions_are_handed_over_again_until_confirmed(
    runtime: Runtime, state_dir: Path
) -> None:
    runtime.infer(one_row(), key="order-1")
    with Agent(state_dir) as agent:
        agent.hello()
        rows = agent.predictions()
    with Agent(state_dir) as agent:
        agent.hello()
        assert agent.predictions() == rows
        assert agent.predictions() == ()
    (row,) = rows
    assert row.key == "order-1"
    assert row.id == "local/default/1/0"
    assert row.outputs["y"] == [1.0] * 4


def test_retire_frees_what_a_hanging_caller_kept(
    runtime: Runtime, state_dir: Path, engine: MatrixEngine
) -> None:
    with Agent(state_dir) as agent:
        agent.hello()
        assert isinstance(agent.retire(), Retired)
    assert engine.live == 1
    assert answer_of(runtime) == 1


def test_attach_serves_nothing_before_the_first_commit(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "1", tagged_matrix(1))
    state_dir = tmp_path / "state"
    with Runtime.attach(state_dir, allow_unsigned=True) as runtime:
        with pytest.raises(SlotError, match="no slot is committed"):
            runtime.infer(one_row())
        slot = Slots(state_dir).stage(tmp_path / "1")
        with Agent(state_dir) as agent:
            assert agent.hello().serving is None
            assert agent.health().serving is None
            assert agent.window() is None
            activated = agent.activate(slot)
        assert isinstance(activated, Activated)
        assert activated.record.origin is None
        assert answer_of(runtime) == 1
    assert engine.live == 0


def test_attach_serves_the_other_slot_where_the_committed_one_is_damaged(
    engine: MatrixEngine, state_dir: Path
) -> None:
    (state_dir / "slots" / "a" / "matrix.bin").write_bytes(b"flipped")
    with Runtime.attach(state_dir, allow_unsigned=True) as runtime:
        assert answer_of(runtime) == 2
    (state_dir / "slots" / "b" / "matrix.bin").write_bytes(b"flipped")
    with Runtime.attach(state_dir, allow_unsigned=True) as runtime:
        with pytest.raises(SlotError, match=r"no bundle is serving: slot b: .*matrix.bin"):
            runtime.infer(one_row())
        with Agent(state_dir) as agent:
            assert agent.hello().serving is None
    assert engine.live == 0


def test_attach_refuses_unsigned_slots_unless_allowed(
    engine: MatrixEngine, state_dir: Path
) -> None:
    with pytest.raises(UnsignedError):
        Runtime.attach(state_dir)
    assert engine.live == 0
    with Runtime.attach(state_dir, allow_unsigned=True) as runtime:
        answer_of(runtime)
        report = runtime.take_report()
    assert report is not None
    assert not report.signed


def test_a_state_directory_may_be_as_deep_as_it_likes(
    engine: MatrixEngine, state_dir: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    state_dir.rename(deep / "state")
    with Runtime.attach(deep / "state", allow_unsigned=True) as runtime:
        answer_of(runtime)
        with Agent(deep / "state") as agent:
            assert agent.hello().serving
    assert engine.live == 0


def test_attach_says_that_the_socket_cannot_be_made(engine: MatrixEngine, state_dir: Path) -> None:
    (state_dir / SOCKET_NAME).mkdir()
    with pytest.raises(ConfigurationError, match="socket cannot be made"):
        Runtime.attach(state_dir, allow_unsigned=True)
    assert engine.live == 0


def test_answers_are_not_touched_by_a_swap(runtime: Runtime, state_dir: Path) -> None:
    before = runtime.infer(one_row())
    with Agent(state_dir) as agent:
        agent.hello()
        agent.activate("b")
    np.testing.assert_array_equal(before.outputs["y"], np.ones((1, 4), np.float32))
    assert before.bundle != runtime.infer(one_row()).bundle
