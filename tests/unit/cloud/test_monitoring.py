# SPDX-License-Identifier: Apache-2.0
"""What windows of a fleet say, and when that is an alarm; over real reports and a real database."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select, text

from insight_cloud.accounts.audit import Entry, Trail, listed
from insight_cloud.monitoring.rules import Policy
from insight_cloud.monitoring.tables import ThresholdRow
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.thresholds import Thresholds
from insight_edge.errors import ConfigurationError
from insight_edge.stats.assess import Verdict
from tests.fakes.monitored import (
    MODEL,
    NOW,
    SHIFT,
    Monitored,
    feature_rows,
    manifest_of,
    monitored,
    seen,
)

STEADY, DRIFTED = Verdict.STEADY, Verdict.DRIFTED


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Monitored:
    return monitored(database, tmp_path)


def verdicts(world: Monitored, bundle: str) -> list[Verdict]:
    return [one.verdict for one in world.monitoring.assessments(bundle)][::-1]


def trail(world: Monitored, action: str) -> tuple[Entry, ...]:
    with world.database.read() as session:
        return listed(session, TENANT, Trail(action=action), after=None, limit=50)


def thresholds(world: Monitored) -> list[Thresholds]:
    with world.database.read() as session:
        rows = session.scalars(select(ThresholdRow).order_by(ThresholdRow.drawn))
        return [decode_json(Thresholds, row.document.encode()) for row in rows]


def test_a_window_like_training_is_steady_and_one_of_a_new_world_is_not(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, 0.0, SHIFT)
    last, first = world.monitoring.assessments(bundle)
    assert (first.number, first.verdict, last.number, last.verdict) == (1, STEADY, 2, DRIFTED)
    assert first.score is not None
    assert first.limit is not None
    assert first.score <= first.limit < (last.score or 0)
    assert (last.rows, last.limit_rows, last.devices) == (100, 100, {"camera-1": 100})
    assert (last.model, last.version) == (MODEL, 1)
    assert last.sentence.startswith(("Warmth ", "Light "))
    assert {one.name for one in last.features if one.tested} == {"warmth", "light", "y.top"}
    assert not world.monitoring.alarms()


def test_each_segment_is_judged_once(world: Monitored) -> None:
    bundle = world.publish()
    world.send(bundle, *[0.0] * 30)
    assert world.judge() == 30
    assert world.judge() == 0
    assert [one.number for one in world.monitoring.assessments(bundle)] == list(range(30, 0, -1))
    older = world.monitoring.assessments(bundle, before=11, limit=2)
    assert [one.number for one in older] == [10, 9]


def test_two_of_three_drifted_windows_open_an_alarm_and_one_does_not(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT, 0.0, 0.0, SHIFT, 0.0)
    assert not world.monitoring.alarms()
    world.watch(bundle, SHIFT)
    [alarm] = world.monitoring.alarms()
    assert (alarm.bundle, alarm.first, alarm.segment) == (bundle, 4, 6)
    assert alarm.sentence == world.monitoring.assessments(bundle)[0].sentence
    assert (alarm.model, alarm.version, alarm.opened) == (MODEL, 1, world.now)
    assert [entry.by for entry in trail(world, "alarm.open")] == ["monitoring"]


def test_an_open_alarm_is_not_opened_again_and_three_steady_windows_close_it(
    world: Monitored,
) -> None:
    bundle = world.publish()
    world.watch(bundle, *[SHIFT] * 5, 0.0, 0.0, SHIFT, 0.0, 0.0)
    assert len(world.monitoring.alarms(is_open=None)) == 1
    world.watch(bundle, 0.0)
    assert not world.monitoring.alarms()
    [alarm] = world.monitoring.alarms(is_open=False)
    assert (alarm.closed_by, alarm.reason) == ("monitoring", "3 steady windows in a row")
    assert (alarm.closed, alarm.last) == (world.now, 11)
    world.watch(bundle, SHIFT)
    assert not world.monitoring.alarms()
    world.watch(bundle, SHIFT)
    assert [one.id for one in world.monitoring.alarms()] == [2]


def test_windows_of_too_few_rows_have_no_vote(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT)
    world.send(bundle, SHIFT, rows=40)
    world.now += timedelta(days=2)
    world.telemetry.roll_up(world.now)
    world.judge()
    assert verdicts(world, bundle) == [DRIFTED, Verdict.TOO_FEW]
    assert "60 more make a window of 100" in world.monitoring.assessments(bundle)[0].sentence
    assert not world.monitoring.alarms()
    world.watch(bundle, SHIFT)
    assert len(world.monitoring.alarms()) == 1


def test_a_person_closes_an_alarm_and_what_was_judged_votes_no_more(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT, SHIFT, SHIFT)
    [alarm] = world.monitoring.alarms()
    closed = world.monitoring.acknowledge(alarm.id, reason=" lens cap ", by="kim", now=world.now)
    assert (closed.closed_by, closed.reason, closed.last) == ("kim", "lens cap", 3)
    [entry] = trail(world, "alarm.acknowledge")
    assert (entry.by, entry.subject, entry.detail) == ("kim", "alarm 1", "lens cap")
    world.watch(bundle, SHIFT)
    assert not world.monitoring.alarms()
    world.watch(bundle, SHIFT)
    assert len(world.monitoring.alarms()) == 1
    with pytest.raises(ConflictError, match="was closed by kim"):
        world.monitoring.acknowledge(alarm.id, reason="again", by="kim", now=world.now)
    with pytest.raises(NotFoundError, match="no alarm 9"):
        world.monitoring.acknowledge(9, reason="what?", by="kim", now=world.now)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_an_alarm_is_not_closed_without_a_reason(world: Monitored, reason: str) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT, SHIFT)
    with pytest.raises(ConfigurationError, match="say why"):
        world.monitoring.acknowledge(1, reason=reason, by="kim", now=world.now)
    assert world.monitoring.alarms()


def test_an_alarm_says_how_right_answers_are_as_far_as_it_is_known(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT, SHIFT)
    [alarm] = world.monitoring.alarms()
    assert "accuracy" not in alarm.sentence
    world.answered(bundle, right=150, wrong=62)
    known = "accuracy on 212 outcomes since 12:00 UTC 71 % [64, 76], was 97.8 % at evaluation"
    assert world.monitoring.alarm(alarm.id).sentence == f"{alarm.sentence}; {known}"
    closed = world.monitoring.acknowledge(alarm.id, reason="seen", by="kim", now=world.now)
    assert closed.sentence.endswith(known)


def test_a_limit_is_drawn_once_and_again_for_another_budget(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, 0.0, 0.0)
    [drawn] = thresholds(world)
    assert (drawn.bundle, drawn.window_rows, drawn.budget) == (bundle, 100, 0.01)
    assert (drawn.reference_rows, drawn.features) == (700, ("warmth", "light", "y.top"))
    stricter = Policy(budget=0.1)
    world.monitoring.set_policy(MODEL, stricter, by="kim", now=world.now)
    assert world.monitoring.policy(MODEL) == stricter
    world.watch(bundle, 0.0)
    assert [one.budget for one in thresholds(world)] == [0.01, 0.1]
    last, before, _ = world.monitoring.assessments(bundle)
    assert (last.limit or 1) < (before.limit or 0)
    [entry] = trail(world, "monitoring.policy")
    assert (entry.by, entry.subject) == ("kim", MODEL)
    assert "budget 0.1" in entry.detail


def test_a_limit_that_was_kept_is_used_and_one_of_another_grid_is_drawn_anew(
    world: Monitored,
) -> None:
    bundle = world.publish()
    world.watch(bundle, 0.0)
    [kept] = thresholds(world)
    for change, expected in (
        ({"limit": 99.0}, 99.0),
        ({"grid": "sha256:other", "limit": 99.0}, kept.limit),
    ):
        changed = encode_json(replace(kept, **change)).decode()
        with world.database.write() as session:
            session.execute(
                text("UPDATE monitoring_threshold SET document = :document"), {"document": changed}
            )
        world.watch(bundle, 0.0)
        assert world.monitoring.assessments(bundle)[0].limit == expected


def test_a_larger_window_uses_the_limit_of_the_largest_smaller_one(world: Monitored) -> None:
    bundle = world.publish(reference_rows=1500)
    world.watch(bundle, 0.0, rows=350)
    [window] = world.monitoring.assessments(bundle)
    assert (window.rows, window.limit_rows) == (350, 200)


@pytest.mark.parametrize(
    ("reference_rows", "registered", "reason"),
    [
        (None, True, "the bundle has no reference"),
        (700, False, "pets:1 is not in the registry"),
        (120, True, "not enough reference rows: 120, and windows of 25 take 125"),
    ],
)
def test_a_bundle_that_cannot_be_watched_says_why(
    world: Monitored, reference_rows: int | None, registered: bool, reason: str
) -> None:
    bundle = world.publish(reference_rows=reference_rows, registered=registered)
    world.watch(bundle, SHIFT, SHIFT)
    world.now += timedelta(days=2)
    world.telemetry.roll_up(world.now)
    world.judge()
    found = world.monitoring.assessments(bundle)[-1]
    rows = 0 if reference_rows is None else 100
    assert found.verdict is Verdict.NO_THRESHOLDS
    assert found.sentence == f"No limit for a window of {rows} rows: {reason}"
    assert (found.score is None) == (reference_rows is None)
    assert not world.monitoring.alarms()


@pytest.mark.parametrize("rows", [None, "other", "short"])
def test_reference_rows_that_are_not_those_of_the_bundle_give_no_limit(
    world: Monitored, rows: str | None
) -> None:
    tensors = seen(700, 0)
    held = {None: None, "other": feature_rows(seen(700, 1)), "short": feature_rows(tensors)[:600]}
    world.register(held[rows])
    bundle = world.blobs.put(encode_json(manifest_of(tensors)))
    world.watch(bundle, SHIFT)
    [found] = world.monitoring.assessments(bundle)
    assert found.verdict is Verdict.NO_THRESHOLDS
    why = "has no reference rows" if rows is None else "are not those of the bundle"
    assert why in found.sentence


def test_a_version_that_is_registered_later_gives_its_bundle_limits(world: Monitored) -> None:
    bundle = world.publish(registered=False)
    world.watch(bundle, SHIFT)
    world.register(feature_rows(seen(700, 0)))
    world.watch(bundle, SHIFT)
    assert verdicts(world, bundle) == [Verdict.NO_THRESHOLDS, DRIFTED]


def test_bundles_have_alarms_of_their_own(world: Monitored) -> None:
    one = world.publish()
    other = world.blobs.put(encode_json(replace(manifest_of(seen(700, 0)), profile="other")))
    world.watch(one, SHIFT)
    world.watch(other, SHIFT)
    assert not world.monitoring.alarms()
    world.watch(other, SHIFT)
    assert [alarm.bundle for alarm in world.monitoring.alarms()] == [other]


def test_heatmap_has_a_row_a_feature_and_a_column_a_window(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, 0.0, 0.0, SHIFT)
    found = world.monitoring.heatmap(bundle, limit=2)
    assert [one.name for one in found.features] == ["light", "warmth", "y.confidence", "y.top"]
    assert [one.tested for one in found.features] == [True, True, False, True]
    assert [(one.number, one.verdict) for one in found.windows] == [(2, STEADY), (3, DRIFTED)]
    assert [len(row) for row in found.scores] == [2] * 4
    light = found.scores[0]
    assert (light[0] or 0) < (found.windows[0].limit or 0) < (light[1] or 0)
    empty = world.monitoring.heatmap("sha256:" + "0" * 64)
    assert (empty.features, empty.windows, empty.scores) == ((), (), ())


@pytest.mark.parametrize(
    "policy",
    [
        Policy(budget=0.0001),
        Policy(budget=0.5),
        Policy(budget=float("nan")),
        Policy(window_rows=24),
        Policy(window_rows=10**6 + 1),
        Policy(votes=0),
        Policy(votes=4),
        Policy(windows=21),
        Policy(steady=0),
        Policy(steady=21),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(world: Monitored, policy: Policy) -> None:
    world.publish()
    with pytest.raises(ConfigurationError):
        world.monitoring.set_policy(MODEL, policy, by="kim", now=NOW)
    assert world.monitoring.policy(MODEL) == Policy()


def test_a_policy_is_of_a_model_that_there_is(world: Monitored) -> None:
    with pytest.raises(NotFoundError, match="no model 'pets'"):
        world.monitoring.set_policy(MODEL, Policy(), by="kim", now=NOW)


def test_a_stricter_policy_opens_no_alarm_at_a_steady_window(world: Monitored) -> None:
    bundle = world.publish()
    world.watch(bundle, SHIFT)
    world.monitoring.set_policy(MODEL, Policy(votes=1), by="kim", now=world.now)
    world.watch(bundle, 0.0)
    assert not world.monitoring.alarms()
    world.watch(bundle, SHIFT)
    assert world.monitoring.alarms()
