# SPDX-License-Identifier: Apache-2.0
"""The agenda around real children and a real file: what waits, why, and what is left when."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from insight_edge.documents.codec import decode_wire
from insight_edge.documents.device import Phase
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.job import Job, JobResult, JobState
from insight_edge.errors import DownloadError, LimitExceededError, RevokedError
from insight_edge.fleet.errands import JobJudged
from insight_edge.fleet.jobs import agenda as module
from insight_edge.fleet.jobs.agenda import Agenda
from insight_edge.fleet.jobs.coming import MAX_BYTES, MAX_UNJUDGED, Coming
from insight_edge.fleet.jobs.store import JobStore
from insight_edge.fleet.link.outbox import Outbox
from insight_edge.fleet.update.policy import Policy
from tests.fakes.bench_program import command, runs
from tests.fakes.broker import identity, until
from tests.fakes.jobs import NOW_S, job_of
from tests.fakes.offered import FACTS, Offered

POLICY = Policy(retry_first_s=0.01, retry_most_s=0.02)


@dataclass
class Desk:
    """An agenda, what it keeps, and what it takes bundles from."""

    state: Path
    outbox: Outbox
    offered: Offered
    now_s: float = NOW_S
    deployments: dict[str, Phase] = field(default_factory=dict)
    agenda: Agenda = field(init=False)

    def start(self, mode: str = "well", policy: Policy = POLICY) -> None:
        self.agenda = Agenda(
            self.state,
            identity("cam-1", Broker(host="127.0.0.1", port=1)),
            FACTS,
            JobStore(self.outbox),
            self.offered,
            policy=policy,
            clock=lambda: self.now_s,
            program=command(mode, self.state / "log"),
        )

    def turn(self) -> tuple[JobState, ...]:
        self.agenda.turn(self.deployments, held=False)
        return self.agenda.states()

    def until(self, holds: Callable[[], bool]) -> None:
        def turned() -> bool:
            self.turn()
            return holds()

        until(turned)

    def results(self) -> list[JobResult]:
        return [decode_wire(JobResult, one.payload) for one in self.outbox.due(99, 1e18)]

    def left(self) -> list[str]:
        place = self.state / "jobs"
        return sorted(one.name for one in place.iterdir()) if place.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    outbox = Outbox(tmp_path / "agent.sqlite")
    made = Desk(tmp_path, outbox, Offered(tmp_path / "deployment"))
    made.start()
    yield made
    made.agenda.stop()
    outbox.close()


def job(desk: Desk, **changes: object) -> Job:
    return job_of(bundle=desk.offered.bundle, **changes)


def test_an_idle_job_waits_for_quiet_and_lets_another_go_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = [1000.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (load[0], 0.0, 0.0))
    desk.agenda.take(job(desk, when="idle"))
    assert desk.turn() == (JobState(id="job-1", phase="waiting", why="the processors are busy"),)
    desk.agenda.take(job(desk, id="job-2"))
    desk.until(lambda: [one.id for one in desk.results()] == ["job-2"])
    load[0] = 0.0
    desk.until(lambda: [one.id for one in desk.results()] == ["job-2", "job-1"])
    assert desk.turn() == ()
    assert {one.status for one in desk.results()} == {"done"}


def test_one_job_is_under_way_and_the_others_say_that(desk: Desk) -> None:
    for name in ("job-1", "job-2"):
        desk.agenda.take(job(desk, id=name))
    first, second = desk.turn()
    assert (first.phase, first.why) == ("fetching", "")
    assert (second.phase, second.why) == ("waiting", "another job is under way")
    desk.until(lambda: len(desk.results()) == 2)


def test_a_cloud_that_is_away_puts_a_job_off_until_it_is_back(desk: Desk) -> None:
    desk.offered.error = DownloadError("the cloud is away")
    desk.start(policy=Policy(retry_first_s=3600.0))
    desk.agenda.take(job(desk))
    desk.until(lambda: desk.agenda.states()[0].why == "the cloud is away")
    assert JobStore(desk.outbox).kept()[0].attempts == 0
    desk.agenda.stop()
    desk.offered.error = None
    desk.start()
    desk.until(lambda: [one.status for one in desk.results()] == ["done"])


def test_a_cloud_that_is_away_often_is_asked_again_and_again_and_that_counts_for_nothing(
    desk: Desk,
) -> None:
    asked = 0
    real = desk.offered.manifest

    def manifest(bundle: str) -> tuple[bytes, float]:
        nonlocal asked
        asked += 1
        if asked <= 5:
            raise DownloadError("the cloud is away")
        return real(bundle)

    desk.offered.manifest = manifest  # type: ignore[method-assign]
    desk.agenda.take(job(desk))
    desk.until(lambda: [one.status for one in desk.results()] == ["done"])
    assert asked == 6


def test_what_came_of_a_bundle_makes_way_for_an_update_and_goes_with_its_job(desk: Desk) -> None:
    (desk.state / "deployment" / "slots" / "a" / "model.onnx").unlink()
    desk.start(policy=Policy(retry_first_s=3600.0))
    desk.agenda.take(job(desk))
    desk.until(lambda: desk.agenda.states()[0].why.startswith("http://127.0.0.1:1"))
    assert desk.left() == ["incoming"]
    desk.deployments["camera-1"] = "fetching"
    desk.until(lambda: desk.left() == [])
    desk.now_s = NOW_S + 100
    desk.until(lambda: [one.status for one in desk.results()] == ["expired"])


def test_an_agent_that_stops_gives_the_attempt_back_and_keeps_what_came(desk: Desk) -> None:
    desk.start("gated")
    desk.agenda.take(job(desk))
    desk.until(lambda: runs(desk.state / "log") != [])
    assert JobStore(desk.outbox).kept()[0].attempts == 1
    desk.agenda.stop()
    assert JobStore(desk.outbox).kept()[0].attempts == 0
    assert "incoming" in desk.left()
    (desk.state / "log.go").touch()
    desk.start("gated")
    desk.until(lambda: [one.status for one in desk.results()] == ["done"])
    desk.until(lambda: desk.left() == [])


def test_ids_are_forgotten_by_a_time_that_has_passed_not_by_the_clock(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.agenda.take(job(desk))
    desk.until(lambda: len(desk.results()) == 1)
    desk.now_s = 2 * NOW_S
    desk.start()
    desk.turn()
    assert JobStore(desk.outbox).over() == {"job-1"}
    monkeypatch.setattr(module, "passed_s", lambda _: NOW_S + 61)
    desk.start()
    desk.turn()
    assert JobStore(desk.outbox).over() == set()


def test_a_job_that_nobody_does_is_answered_once_and_costs_no_other(desk: Desk) -> None:
    error = LimitExceededError("too much")
    for _ in range(2):
        desk.agenda.refuse(job(desk), error)
    assert [(one.status, one.reason) for one in desk.results()] == [("refused", "too much")]
    desk.agenda.take(job(desk, id="job-2", expires_s=NOW_S + 9))
    desk.agenda.refuse(job(desk, id="job-2"), error)
    assert [one.job.id for one in JobStore(desk.outbox).kept()] == ["job-2"]


def test_what_cannot_be_judged_is_judged_again_and_what_is_not_believed_is_not_answered(
    desk: Desk,
) -> None:
    judged: list[bytes] = []
    coming = Coming(judged.append, desk.agenda, POLICY)
    for _ in range(2):
        coming.came(b"a")
    coming.came(bytes(MAX_BYTES + 1))
    assert judged == [b"a"]
    coming.judged(JobJudged(b"a", None, DownloadError("away"), may_pass=True))
    deadline_s = time.monotonic() + 10
    while len(judged) < 2 and time.monotonic() < deadline_s:
        coming.judge_again()
    assert judged == [b"a", b"a"]
    coming.judged(JobJudged(b"a", None, RevokedError("no director")))
    coming.judge_again()
    coming.judged(JobJudged(b"b", job(desk, id="job-2"), LimitExceededError("too much")))
    coming.judged(JobJudged(b"c", job(desk, id="job-3")))
    assert [(one.id, one.status) for one in desk.results()] == [("job-2", "refused")]
    assert [one.job.id for one in JobStore(desk.outbox).kept()] == ["job-3"]


def test_a_flood_of_what_cannot_be_judged_is_bounded(desk: Desk) -> None:
    judged: list[bytes] = []
    coming = Coming(judged.append, desk.agenda, POLICY)
    for number in range(10 * MAX_UNJUDGED):
        coming.came(number.to_bytes(4))
        coming.judged(JobJudged(number.to_bytes(4), None, DownloadError("away"), may_pass=True))
    before = len(judged)
    deadline_s = time.monotonic() + 10
    while len(judged) < before + MAX_UNJUDGED and time.monotonic() < deadline_s:
        coming.judge_again()
    assert len(set(judged[before:])) == MAX_UNJUDGED
