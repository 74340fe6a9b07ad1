# SPDX-License-Identifier: Apache-2.0
"""What a device's owner sees of jobs, and how they are refused."""

from pathlib import Path

import pytest

from insight_edge.cli.main import build_app, run
from insight_edge.documents.codec import encode_json
from insight_edge.documents.device import Reported
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.job import JobState
from insight_edge.fleet.agent import HELD
from insight_edge.fleet.doctor.machine import look_at_agent
from insight_edge.fleet.identity import keep_identity
from insight_edge.fleet.jobs.agenda import NO_JOBS
from insight_edge.fleet.telling import STATUS
from tests.fakes.broker import identity

JOBS = (
    JobState(id="job-1", phase="measuring"),
    JobState(id="job-2", phase="waiting", why="camera-1 is being updated (probation)"),
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    keep_identity(tmp_path, identity("press-7", Broker(host="127.0.0.1", port=1)))
    reported = Reported(tenant="default", device="press-7", revision=1, at_s=1.0, jobs=JOBS)
    (tmp_path / STATUS).write_bytes(encode_json(reported))
    return tmp_path


def agent(state: Path, *words: str) -> None:
    assert run(build_app(), ["agent", *words, "--state", str(state)]) == 0


def test_status_shows_each_job_and_what_it_waits_for(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent(state, "status")
    said = capsys.readouterr().err
    assert "job job-1: measuring\n" in said
    assert "job job-2: waiting, camera-1 is being updated (probation)\n" in said
    assert "jobs are refused" not in said


def test_owner_refuses_jobs_for_good_and_lets_updates_be(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent(state, "hold", "--jobs")
    assert (state / NO_JOBS).exists()
    assert not (state / HELD).exists()
    agent(state, "status")
    assert "jobs are refused\n" in capsys.readouterr().err
    agent(state, "hold", "--jobs", "--release")
    assert not (state / NO_JOBS).exists()
    agent(state, "hold")
    assert (state / HELD).exists()


def test_doctor_mentions_a_job_that_waits(state: Path) -> None:
    now_s = (state / STATUS).stat().st_mtime
    found = look_at_agent(state, now_s)
    assert found.state == "ok"
    assert "job job-2 is waiting: camera-1 is being updated (probation)" in found.says
