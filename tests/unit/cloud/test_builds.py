# SPDX-License-Identifier: Apache-2.0
"""Builds with a compiler that is quick; the real one is in the integration suite."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from insight_cloud.builds.compiling import Compiled, Compiler, Order, Wishes
from insight_cloud.builds.rules import (
    MAX_LOG_LENGTH,
    BuildState,
    TrialSummary,
    failure_reason,
    log_of,
)
from insight_cloud.builds.service import OVERTAKEN, Builds
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.registry.service import Registry
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.errors import StorageError
from tests.fakes.bundles import write_small_bundle

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PROFILE = "hp-t540-8gb"
TRIAL = TrialSummary(
    target="onnxruntime:fp32",
    status="built",
    chosen=True,
    proof="PROVEN",
    measured="VALID",
    p50_ms=1.5,
    drop_pp=0.0,
    reason="fastest",
)


class QuickCompiler(Compiler):
    """Writes a small bundle, or does what it was told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "builds")
        self.orders: list[Order] = []
        self.fails: str = ""
        self.raises: BaseException | None = None

    def compile(self, order: Order, *, pulse: Callable[[], None]) -> Compiled:
        pulse()
        self.orders.append(order)
        if self.raises is not None:
            raise self.raises
        if self.fails:
            return Compiled(bundle=None, reason=self.fails, log="no", trials=())
        made = self.bundle_path("sha256:made")
        bundle = write_small_bundle(made)
        made.rename(self.bundle_path(bundle))
        return Compiled(bundle=bundle, reason="", log="yes", trials=(TRIAL,))


@pytest.fixture
def compiler(tmp_path: Path) -> QuickCompiler:
    return QuickCompiler(tmp_path)


@pytest.fixture
def builds(
    database: Database, registry: Registry, compiler: QuickCompiler, tmp_path: Path
) -> Builds:
    description = SourceDescription(
        model=ModelInfo(name="digits", digest=digest(b"m")), inputs=(), outputs=()
    )
    artifacts = {"model.onnx": b"m", "model.json": encode_json(description), "other.bin": b"o"}
    registry.register("digits", task="t", artifacts=artifacts, metrics={}, by="Ada", now=NOW)
    return Builds(database, registry, compiler, tmp_path / "profiles")


def ticking() -> Callable[[], datetime]:
    times = iter(NOW + timedelta(seconds=second) for second in range(1000))
    return lambda: next(times)


def test_a_version_is_compiled_once_for_a_profile(builds: Builds, compiler: QuickCompiler) -> None:
    clock = ticking()
    done = builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    assert (done.state, done.attempt, done.reason) == (BuildState.DONE, 1, "")
    assert done.trials == (TRIAL,)
    assert done.started is not None
    assert done.ended is not None
    assert done.queued < done.started < done.ended
    assert builds.bundle(done).digest == done.bundle
    assert builds.compile("digits", 1, PROFILE, clock=clock, by="ada") == done
    [order] = compiler.orders
    assert order.profile == PROFILE
    assert set(order.files) == {"model.onnx", "model.json"}
    assert b'"version":1' in order.files["model.json"]


def test_a_failure_is_a_build_with_its_reason_and_is_tried_again(
    builds: Builds, compiler: QuickCompiler
) -> None:
    clock = ticking()
    compiler.fails = "the compiler exited with 1: nothing can be shipped"
    failed = builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    assert (failed.state, failed.reason, failed.log) == (BuildState.FAILED, compiler.fails, "no")
    with pytest.raises(NotFoundError):
        builds.bundle_path(failed)
    compiler.fails = ""
    done = builds.compile(
        "digits", 1, PROFILE, clock=clock, by="ada", wishes=Wishes(max_drop_pp=2.0)
    )
    assert (done.attempt, done.state) == (2, BuildState.DONE)
    assert compiler.orders[-1].wishes.max_drop_pp == 2.0
    assert [build.attempt for build in builds.builds("digits")] == [2, 1]
    assert builds.builds("other") == ()


def test_a_build_whose_process_ended_is_overtaken(builds: Builds, compiler: QuickCompiler) -> None:
    clock = ticking()
    compiler.raises = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    assert builds.builds()[0].state is BuildState.RUNNING
    compiler.raises = None
    done = builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    assert (done.attempt, done.state) == (2, BuildState.DONE)
    first = builds.builds()[1]
    assert (first.state, first.reason) == (BuildState.FAILED, OVERTAKEN)


def test_a_full_disk_is_recorded_and_told(builds: Builds, compiler: QuickCompiler) -> None:
    compiler.raises = StorageError("scratch: no space left on device")
    with pytest.raises(StorageError):
        builds.compile("digits", 1, PROFILE, clock=ticking(), by="ada")
    [build] = builds.builds()
    assert (build.state, build.reason) == (BuildState.FAILED, "scratch: no space left on device")


def test_a_build_whose_bundle_is_gone_or_damaged_is_built_again(
    builds: Builds, compiler: QuickCompiler
) -> None:
    clock = ticking()
    done = builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    shutil.rmtree(builds.bundle_path(done))
    again = builds.compile("digits", 1, PROFILE, clock=clock, by="ada")
    assert (again.attempt, again.bundle) == (2, done.bundle)
    assert len(compiler.orders) == 2
    assert builds.builds()[1].state is BuildState.FAILED


def test_what_is_queued_is_listed_and_keeps_its_attempt(builds: Builds) -> None:
    clock = ticking()
    for _ in range(2):
        builds.queue("digits", 1, [PROFILE], by="ada", now=clock())
    [queued] = builds.builds()
    assert (queued.state, queued.attempt, queued.started) == (BuildState.QUEUED, 1, None)
    assert builds.compile("digits", 1, PROFILE, clock=clock, by="ada").attempt == 1


def test_what_is_not_there_is_not_compiled(builds: Builds) -> None:
    with pytest.raises(NotFoundError, match="no hardware profile 'toaster'"):
        builds.compile("digits", 1, "toaster", clock=ticking(), by="ada")
    with pytest.raises(NotFoundError, match="no version digits:2"):
        builds.compile("digits", 2, PROFILE, clock=ticking(), by="ada")
    assert builds.builds() == ()


def test_why_a_compiler_ended_is_its_own_error() -> None:
    log = ("error: no target survived", "hint: allow more --max-drop")
    assert failure_reason(1, log, over_time=False, timeout_s=9) == (
        "the compiler exited with 1: no target survived"
    )
    killed = failure_reason(-9, ("working",), over_time=False, timeout_s=9)
    assert killed == "the compiler was killed by signal 9: working"
    assert failure_reason(-9, (), over_time=True, timeout_s=9) == (
        "the compiler took longer than 9 s"
    )
    assert "it said nothing" in failure_reason(2, (), over_time=False, timeout_s=9)
    assert len(log_of(["x" * 1000] * 40)) == MAX_LOG_LENGTH


def test_a_compiler_that_takes_too_long_or_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    compiler = Compiler(tmp_path / "builds", timeout_s=0.0)
    left = tmp_path / "builds" / "scratch" / "999999999-left"
    left.mkdir(parents=True)
    order = Order(files={"model.onnx": b"none"}, profile=PROFILE, wishes=Wishes(rounds=5))
    found = compiler.compile(order, pulse=lambda: None)
    assert found.bundle is None
    assert found.reason == "the compiler took longer than 0 s"
    assert list((tmp_path / "builds" / "scratch").iterdir()) == []
