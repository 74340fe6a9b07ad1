# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pytest

from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import Policy, Run, RunState, StepState
from insight_cloud.pipelines.service import Pipelines
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.registry.service import Registry
from insight_edge.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def pipelines(database: Database, registry: Registry) -> Pipelines:
    for model in ("digits", "other"):
        artifacts = {"model.onnx": b"m"}
        registry.register(model, task="t", artifacts=artifacts, metrics={}, by="Ada", now=NOW)
    return Pipelines(database, registry)


@pytest.fixture
def recording(database: Database) -> Recording:
    return Recording(database, "default")


def opened(pipelines: Pipelines, model: str = "digits") -> Run:
    return pipelines.open(model, because="it rains", by="ada", now=NOW)


def test_a_policy_is_the_default_until_somebody_says_so(pipelines: Pipelines) -> None:
    assert pipelines.policy("digits") == Policy()
    wanted = Policy(automatic=True, labels=7, plan={"canary": "2"})
    pipelines.set_policy("digits", wanted, by="ada", now=NOW)
    assert pipelines.policy("digits") == wanted
    assert pipelines.policies() == {"digits": wanted}


def test_a_policy_that_cannot_be_meant_changes_nothing(pipelines: Pipelines) -> None:
    for policy in (Policy(labels=0), Policy(plan={"waves": 3})):
        with pytest.raises(ConfigurationError):
            pipelines.set_policy("digits", policy, by="ada", now=NOW)
    assert pipelines.policies() == {}


def test_a_model_has_one_run_at_a_time_and_numbers_them(pipelines: Pipelines) -> None:
    run = opened(pipelines)
    assert (run.number, run.state, run.because, run.by) == (1, RunState.QUEUED, "it rains", "ada")
    with pytest.raises(ConflictError, match="run 1 of 'digits' is queued"):
        opened(pipelines)
    assert opened(pipelines, "other").number == 1
    pipelines.cancel(run.id, by="bob", now=NOW)
    assert opened(pipelines).number == 2
    assert [one.number for one in pipelines.runs("digits")] == [2, 1]
    assert [one.model for one in pipelines.runs(active=True, limit=1)] == ["digits"]


def test_a_model_that_is_not_there_is_not_retrained(pipelines: Pipelines) -> None:
    with pytest.raises(NotFoundError, match="no model 'none'"):
        opened(pipelines, "none")
    with pytest.raises(NotFoundError):
        pipelines.set_policy("none", Policy(), by="ada", now=NOW)


def test_a_run_keeps_the_policy_it_was_opened_with(pipelines: Pipelines) -> None:
    pipelines.set_policy("digits", Policy(labels=7), by="ada", now=NOW)
    run = opened(pipelines)
    pipelines.set_policy("digits", Policy(labels=9), by="ada", now=NOW)
    assert pipelines.run(run.id).policy.labels == 7


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_asked(
    pipelines: Pipelines, recording: Recording
) -> None:
    run = opened(pipelines)
    recording.begin(run.id, "survey", "looking", NOW)
    asked = pipelines.cancel(run.id, by="bob", now=NOW)
    assert (asked.state, asked.cancelled_by) == (RunState.RUNNING, "bob")
    assert pipelines.cancel(run.id, by="eve", now=NOW).cancelled_by == "bob"
    assert recording.run(run.id).cancelled_by == "bob"
    recording.finish(run.id, RunState.CANCELLED, "cancelled by bob", LATER)
    with pytest.raises(ConflictError, match="is cancelled already"):
        pipelines.cancel(run.id, by="bob", now=NOW)
    with pytest.raises(NotFoundError):
        pipelines.cancel("none", by="bob", now=NOW)


def test_a_step_that_is_done_again_keeps_when_it_began(
    pipelines: Pipelines, recording: Recording
) -> None:
    run = opened(pipelines)
    assert recording.begin(run.id, "survey", "looking", NOW) == NOW
    recording.end(run.id, "survey", StepState.DONE, "3 devices", LATER)
    assert recording.begin(run.id, "label", "asking", LATER) == LATER
    recording.tell(run.id, "label", "1 of 2", 0.5)
    assert recording.begin(run.id, "label", "asking", LATER + timedelta(hours=1)) == LATER
    survey, label = pipelines.run(run.id).steps
    assert (survey.text, survey.state, survey.ended) == ("3 devices", StepState.DONE, LATER)
    assert (label.text, label.state, label.progress) == ("asking", StepState.RUNNING, None)


def test_the_first_end_of_a_run_stays(pipelines: Pipelines, recording: Recording) -> None:
    run = opened(pipelines)
    recording.begin(run.id, "watch", "rolling out", NOW)
    recording.finish(run.id, RunState.ROLLED_BACK, "too many failed", LATER)
    recording.finish(run.id, RunState.PROMOTED, "again", LATER)
    recording.begin(run.id, "promote", "late", LATER)
    ended = pipelines.run(run.id)
    assert (ended.state, ended.reason) == (RunState.ROLLED_BACK, "too many failed")
    assert ended.steps[0].state is StepState.STOPPED


def test_labels_count_as_used_once_a_version_was_trained_with_them(
    pipelines: Pipelines, recording: Recording
) -> None:
    run = opened(pipelines)
    assert recording.labels_used("digits") == 0
    recording.keep(run.id, {"labels": 40})
    assert recording.labels_used("digits") == 0
    recording.keep(run.id, {"rollout": "1"}, version=2)
    assert recording.labels_used("digits") == 40
    assert recording.labels_used("other") == 0
    assert pipelines.run(run.id).facts == {"labels": 40, "rollout": "1"}


def test_every_change_leaves_a_row_in_the_trail(pipelines: Pipelines, database: Database) -> None:
    pipelines.set_policy("digits", Policy(), by="ada", now=NOW)
    pipelines.cancel(opened(pipelines).id, by="bob", now=NOW)
    with database.read() as session:
        rows = session.connection().exec_driver_sql(
            """SELECT "by", action FROM accounts_audit WHERE action LIKE 'pipeline.%'
            ORDER BY action"""
        )
        assert [tuple(row) for row in rows] == [
            ("bob", "pipeline.cancel"),
            ("pipeline digits 1", "pipeline.end"),
            ("ada", "pipeline.policy"),
            ("ada", "pipeline.start"),
        ]
