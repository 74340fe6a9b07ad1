# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.owner import NOBODY
from insight_edge.documents.host import Refused
from insight_edge.errors import DigestMismatchError, SelfCheckError, UpdateError
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.candidate import stage
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.phases import Phases, refused
from insight_edge.runtime.serving import Serving
from insight_edge.runtime.shelf import Shelf
from tests.fakes.matrix import MatrixEngine, install, one_row, tagged_matrix, write_matrix_bundle


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def serving(engine: MatrixEngine, tmp_path: Path) -> Iterator[Serving]:
    write_matrix_bundle(tmp_path / "bundle", tagged_matrix(1))
    bundle = open_bundle(tmp_path / "bundle", allow_unsigned=True)
    candidate = stage(bundle, variant=None, threads=1)
    made = Serving(candidate, Boot(owner=NOBODY, number=0, shelf=Shelf(None)))
    yield made
    assert made.drain(0.0)
    made.retire()
    assert engine.live == 0


def test_lane_is_handed_on_and_made_only_when_all_are_out(serving: Serving) -> None:
    first = serving.enter()
    assert first is not None
    second = serving.enter()
    assert second not in {None, first}
    serving.leave(first)
    assert serving.in_flight() == 1
    assert serving.enter() is first
    assert second is not None
    serving.leave(second)
    serving.leave(first)
    assert serving.in_flight() == 0


def test_drain_is_not_done_while_a_lane_is_out(serving: Serving) -> None:
    lane = serving.enter()
    assert lane is not None
    assert not serving.drain(0.0)
    assert serving.enter() is None
    serving.leave(lane)
    assert serving.drain(0.0)
    assert serving.drain(0.0)


def test_nobody_enters_a_drained_bundle(serving: Serving) -> None:
    lane = serving.enter()
    assert lane is not None
    serving.leave(lane)
    assert serving.drain(0.0)
    assert serving.enter() is None


def test_caller_that_comes_too_late_is_answered_by_the_next_bundle(
    serving: Serving, engine: MatrixEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_matrix_bundle(tmp_path / "next", tagged_matrix(2))
    with Runtime.open(tmp_path / "next", allow_unsigned=True) as runtime:
        serving.drain(0.0)
        seen = [runtime._succession.serving, serving]  # it looked just before the flip
        with monkeypatch.context() as patch:
            late = type("Late", (), {"serving": property(lambda _: seen.pop())})()
            patch.setattr(runtime, "_succession", late)
            result = runtime.infer(one_row())
    assert seen == []
    assert result.outputs["y"][0, 0] == 2
    assert engine.used_after_close == 0


def test_phases_time_each_and_remember_the_last() -> None:
    phases = Phases()
    assert phases.current == "request"
    for name in ("stage", "verify", "warm", "flip", "drain", "retire"):
        with phases(name):
            assert phases.current == name
    record = phases.record(origin=None, target="t", in_flight=2)
    assert (record.origin, record.target, record.in_flight) == (None, "t", 2)
    assert record.stage_ms >= 0


def test_refused_names_phase_and_cause() -> None:
    cause = DigestMismatchError("other bytes")
    wrapped = UpdateError("other bytes", phase="stage")
    wrapped.__cause__ = cause
    assert refused(wrapped) == Refused(
        phase="stage", kind="DigestMismatchError", reason="other bytes"
    )
    assert refused(SelfCheckError("no", phase="verify")).kind == "SelfCheckError"
    assert refused(cause).phase == "request"
