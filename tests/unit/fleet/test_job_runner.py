# SPDX-License-Identifier: Apache-2.0
"""One job after the other in a thread: what comes of it, and what is left on the disk."""

import queue
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from insight_edge.documents.facts import Facts
from insight_edge.errors import DownloadError, ExpiredError, InsightEdgeError, RevokedError
from insight_edge.fleet.jobs import runner
from insight_edge.fleet.jobs.outcome import Again, Broken, Done, Ended, Measuring, Outcome
from insight_edge.fleet.jobs.rules import Over
from insight_edge.fleet.jobs.runner import Runner
from insight_edge.fleet.transfer.incoming import RESERVE_BYTES
from tests.fakes.bench_program import command, runs
from tests.fakes.broker import until
from tests.fakes.jobs import NOW_S, job_of
from tests.fakes.offered import FACTS, Offered

PATIENCE_S = 20.0


@dataclass
class World:
    folder: Path
    offered: Offered
    told: "queue.SimpleQueue[Measuring | Ended]" = field(default_factory=queue.SimpleQueue)
    facts: Facts = FACTS

    @property
    def place(self) -> Path:
        return self.folder / "jobs"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def runner(self, mode: str) -> Runner:
        return Runner(
            self.place, "cam-1", self.facts, self.offered, self.told.put, command(mode, self.log)
        )

    def outcome(self) -> Outcome:
        while True:
            told = self.told.get(timeout=PATIENCE_S)
            if isinstance(told, Ended):
                return told.outcome

    def done(self, mode: str, **changes: object) -> Outcome:
        one = self.runner(mode)
        one.begin(job_of(bundle=self.offered.bundle, **changes))
        try:
            return self.outcome()
        finally:
            one.stop()

    def left(self) -> list[str]:
        found = [path.name for path in self.place.iterdir()] if self.place.exists() else []
        return sorted(found)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, Offered(tmp_path / "deployment"))


@pytest.fixture
def gated(world: World) -> Iterator[Runner]:
    one = world.runner("gated")
    one.begin(job_of(bundle=world.offered.bundle))
    assert isinstance(world.told.get(timeout=PATIENCE_S), Measuring)
    until(lambda: runs(world.log) != [])
    yield one
    one.stop()


@pytest.mark.parametrize("mode", ["well", "doubtful"])
def test_results_are_taken_up_whether_they_are_valid_or_not_and_the_disk_is_cleared(
    world: World, mode: str
) -> None:
    found = world.done(mode, variants=("fp32", "no-such"), threads=2, iterations=4)
    assert isinstance(found, Done)
    assert [one.variant for one in found.results] == ["fp32"]
    assert found.left_out == {"no-such": "the bundle has no such variant"}
    assert world.left() == []


def test_a_bundle_is_found_whatever_directory_the_agent_was_started_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    one = Runner(
        Path("jobs"), "cam-1", FACTS, world.offered, world.told.put, command("well", world.log)
    )
    one.begin(job_of(bundle=world.offered.bundle, variants=("fp32",)))
    assert isinstance(world.outcome(), Done)
    one.stop()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", "exit code 1: the engine is on holiday"),
        ("babble", "exit code 1: the engine is on holiday"),
        ("killed", "killed by signal 9"),
        ("silent", "there are no results"),
        ("garbage", "BenchResult"),
        ("other", "another bundle"),
        ("more", "asked was"),
    ],
)
def test_a_program_that_does_not_do_what_it_should_has_failed_in_one_line(
    world: World, mode: str, words: str
) -> None:
    found = world.done(mode)
    assert isinstance(found, Over)
    assert found.status == "failed"
    assert words in str(found.error)
    assert world.left() == []


def test_a_program_that_the_machine_tells_to_end_is_tried_again(world: World) -> None:
    assert world.done("told") == Again("something on this machine told it to end")


def test_a_program_that_hangs_is_ended_at_the_limit(world: World) -> None:
    found = world.done("hang", limit_s=2.0)
    assert isinstance(found, Over)
    assert (found.status, str(found.error)) == ("failed", "it was ended after 2 s")
    for pid in runs(world.log):
        until(lambda pid=pid: not Path(f"/proc/{pid}/cmdline").exists() or _dead(pid))  # type: ignore[misc]


def _dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    except OSError:
        return True


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (RevokedError("not listed"), "refused"),
        (DownloadError("no way"), None),
        (ExpiredError("metadata"), None),
    ],
)
def test_what_is_not_listed_is_refused_and_what_cannot_be_reached_is_tried_again(
    world: World, error: InsightEdgeError, becomes: str | None
) -> None:
    world.offered.error = error
    found = world.done("well")
    if becomes is None:
        assert found == Again(str(error))
    else:
        assert isinstance(found, Over)
        assert (found.status, found.error) == (becomes, error)
    assert runs(world.log) == []


def test_files_that_cannot_be_fetched_are_tried_again_and_what_came_stays(world: World) -> None:
    (world.folder / "deployment" / "slots" / "a" / "model.onnx").unlink()
    found = world.done("well")
    assert isinstance(found, Again)
    assert world.left() == ["incoming"]


def test_a_job_that_expired_on_the_way_is_not_begun(world: World) -> None:
    world.offered.now_s = NOW_S + 61
    found = world.done("well")
    assert isinstance(found, Over)
    assert (found.status, runs(world.log)) == ("expired", [])


def test_a_bundle_whose_engine_is_missing_is_refused_before_it_is_fetched(world: World) -> None:
    world.facts = Facts(arch="", cpu_model="", isa=(), cores=2, memory_bytes=2**40, os="")
    found = world.done("well")
    assert isinstance(found, Over)
    assert (found.status, type(found.error).__name__) == ("refused", "EngineMissingError")
    assert "fp32: this device has no onnxruntime" in str(found.error)
    assert world.left() == []


def test_a_bundle_that_needs_more_memory_than_is_free_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "available_bytes", lambda most_bytes: min(most_bytes, 1000))
    found = world.done("well")
    assert isinstance(found, Over)
    assert (found.status, runs(world.log)) == ("refused", [])
    assert "bytes of memory are needed" in str(found.error)


def test_a_bundle_that_would_take_the_reserve_of_the_disk_is_refused_before_it_is_copied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(world.folder)._replace(free=RESERVE_BYTES + 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = world.done("well")
    assert isinstance(found, Over)
    assert (found.status, type(found.error).__name__) == ("refused", "StorageError")
    assert (runs(world.log), world.left()) == ([], [])


def test_what_is_broken_off_ends_at_once_and_leaves_nothing(world: World, gated: Runner) -> None:
    gated.break_off()
    assert world.outcome() == Broken()
    assert world.left() == []
    gated.begin(job_of(bundle=world.offered.bundle))
    Path(f"{world.log}.go").touch()
    assert isinstance(world.outcome(), Done)


def test_what_the_agent_stops_beside_leaves_what_was_fetched(world: World, gated: Runner) -> None:
    gated.stop()
    assert world.outcome() == Broken()
    assert "incoming" in world.left()


def test_an_error_that_nobody_foresaw_costs_one_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Callable[[], None]:
        raise ArithmeticError("planted")

    monkeypatch.setattr(runner, "timed", fail)
    found = world.done("well")
    assert isinstance(found, Over)
    assert (found.status, str(found.error)) == ("failed", "ArithmeticError: planted")
