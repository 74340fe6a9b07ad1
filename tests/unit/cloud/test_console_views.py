# SPDX-License-Identifier: Apache-2.0
"""What pages show, worked out from plain values."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.console.bundle_view import trial_lines
from insight_cloud.console.drift_view import (
    accuracy_of,
    heat_chart,
    heat_lines,
    steps_of,
    verdict_tag,
)
from insight_cloud.console.fleet_view import asked_of, presence_of, update_of
from insight_cloud.console.home_view import Waiting, attention
from insight_cloud.console.job_view import (
    measured_chart,
    member_tag,
    result_lines,
    spread_text,
    terms_text,
)
from insight_cloud.console.labelling_view import (
    choices_of,
    class_text,
    progress_of,
    values_of,
)
from insight_cloud.console.model_view import confusion_chart, history_chart, metric_tiles
from insight_cloud.console.rollout_view import actions_of, figure_lines, shown_members, wave_bars
from insight_cloud.devices.device import Device
from insight_cloud.devices.selection import Selection
from insight_cloud.evaluation.classification import evaluate
from insight_cloud.jobs.job import Job, Terms
from insight_cloud.jobs.job import Member as JobMember
from insight_cloud.jobs.job import MemberState as JobMemberState
from insight_cloud.jobs.job import State as JobState
from insight_cloud.jobs.measurements import spreads
from insight_cloud.labels.rules import Counts, TaskState
from insight_cloud.monitoring.alarm import Alarm, HeatFeature, Heatmap, HeatWindow
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import Member, MemberState, Rollout, State
from insight_cloud.telemetry.joining import Joined
from insight_edge.documents.device import DeploymentState, Refusal
from insight_edge.documents.evidence import Evidence, Prediction, Trial
from insight_edge.documents.target import Target
from insight_edge.stats.assess import Verdict
from tests.fakes.fleet_devices import FACTS
from tests.fakes.measuring_world import bench_result

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def rollout(**changes: Any) -> Rollout:
    fields: dict[str, Any] = {
        "tenant": "default", "id": 1, "model": "digits", "version": 3, "deployment": "camera",
        "selection": Selection(), "plan": Plan(), "state": State.RUNNING, "reason": "soaking",
        "wave": 1, "waves": 3, "deadline": None, "waived": False, "by": "ola", "created": NOW,
        "changed": NOW,
    }  # fmt: skip
    return Rollout(**(fields | changes))


def member(name: str, state: MemberState, wave: int | None = 0) -> Member:
    return Member(device=name, profile="box", wave=wave, state=state, changed=NOW)


def device(**changes: Any) -> Device:
    fields: dict[str, Any] = {
        "tenant": "default", "name": "a", "profile": "box", "deployments": ("camera",),
        "enrolled": NOW, "retired": None, "agent": None, "online": False, "born": None,
        "last_seen": None, "ahead_s": None, "held": False, "accepted": 0, "desired": 0,
    }  # fmt: skip
    return Device(**(fields | changes))


@given(
    st.lists(st.tuples(st.sampled_from(list(MemberState)), st.sampled_from([None, 0, 1, 2]))),
)
def test_bars_of_a_rollout_show_everybody_once(
    states: list[tuple[MemberState, int | None]],
) -> None:
    members = [member(f"d{i}", state, wave) for i, (state, wave) in enumerate(states)]
    bars = wave_bars(rollout(), members)
    assert sum(bar.members for bar in bars) == len(members)
    for bar in bars:
        ends = [part.start + part.width for part in bar.parts]
        assert not ends or abs(ends[-1] - 100) < 0.1
        assert all(part.width > 0 for part in bar.parts)
    assert [bar.current for bar in bars][:3] == [False, True, False]


def test_members_that_failed_are_seen_first() -> None:
    several = [
        member("a", MemberState.COMMITTED), member("b", MemberState.ASKED, 1),
        member("c", MemberState.FAILED, 1), member("d", MemberState.UNFIT, None),
    ]  # fmt: skip
    assert [one.device for one in shown_members(several)] == ["c", "b", "a", "d"]
    assert len(shown_members([member(f"{i}", MemberState.ASKED) for i in range(500)])) == 200


@pytest.mark.parametrize("state", list(State))
def test_every_state_of_a_rollout_says_what_can_be_done(state: State) -> None:
    allowed = actions_of(rollout(state=state))
    assert ("resume" in allowed) == (state is State.PAUSED)
    assert ("pause" in allowed) == (state is State.RUNNING)


def test_figures_of_a_decision_are_lines_whatever_is_missing() -> None:
    group = {
        "wave": 1, "profile": "box", "members": 4, "commits": [1, 2], "failures": ["x"],
        "new": {"asked": 20, "failed": 1, "p99_ms": 1.25}, "old": {"asked": 90, "failed": 0},
    }  # fmt: skip
    turnout = {"profile": "box", "new_judged": 10, "new_wrong": 1}
    assert figure_lines({"groups": [group], "turnouts": [turnout]}) == (
        (
            "wave 2, box: 2 of 4 committed, 1 failed; 20 calls, 1 failed, p99 1.25 ms; before 90 "
            "calls, 0 failed"
        ),
        "box: 9 of 10 right, before none known",
    )
    assert figure_lines({}) == ()
    assert figure_lines({"groups": [{}], "turnouts": [{}]})


def heatmap(scores: list[list[float | None]], limits: list[float | None]) -> Heatmap:
    return Heatmap(
        bundle="sha256:" + "b" * 64,
        features=tuple(
            HeatFeature(name=f"f{i}", noun=f"noun {i}", side="input", tested=i == 0)
            for i in range(len(scores))
        ),
        windows=tuple(
            HeatWindow(
                number=i + 1,
                opened_s=0,
                closed_s=1,
                rows=100,
                verdict=Verdict.STEADY,
                score=1.0,
                limit=limit,
                sentence="",
            )
            for i, limit in enumerate(limits)
        ),
        scores=tuple(tuple(row) for row in scores),
    )


def test_heat_map_counts_in_limits_and_its_table_says_the_same() -> None:
    found = heatmap([[0.2, 0.6, 0.3], [None, 0.1, 0.9]], [0.4, 0.4, None])
    chart = heat_chart(found)
    assert [cell[:3] for cell in chart["cells"]] == [
        [0, 0, 0.5], [1, 0, 1.5], [2, 0, -1.0], [1, 1, 0.25], [2, 1, -1.0],
    ]  # fmt: skip
    assert chart["rows"] == ["noun 0", "noun 1 (untested)"]
    over = [[cell.over for cell in line.cells] for line in heat_lines(found)]
    assert over == [[False, True, False], [False, False, False]]


def test_accuracy_is_shown_over_the_time_of_the_windows() -> None:
    found = heatmap([[0.1, 0.1]], [0.4, 0.4])
    assert steps_of(found, 240.0) == (0.0, 10)
    assert steps_of(found, 24_000.0) == (0.0, 1000)
    assert steps_of(found, 10**9) == (10**9 - 7 * 86_400.0, 25_200)
    assert steps_of(heatmap([], []), 5.0) == (5.0, 10)


def test_verdict_that_is_new_is_shown_by_its_name() -> None:
    assert {verdict_tag(one.value).kind for one in Verdict} == {"good", "bad", "warn"}
    assert verdict_tag("odd").text == "odd"


def test_accuracy_is_over_all_hours_and_none_without_outcomes() -> None:
    hours = [Joined(begin_s=1, judged=10, correct=9), Joined(begin_s=2, judged=30, correct=15)]
    assert accuracy_of(hours) == 24 / 40
    assert accuracy_of([Joined(begin_s=1, predictions=4)]) is None


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=90), max_size=9))
def test_any_address_of_the_fleet_can_be_asked(parameters: dict[str, str]) -> None:
    asked = asked_of(parameters)
    assert asked_of({"text": asked.text}).text == asked.text
    assert asked.query() == asked_of(dict(vars(asked)) | {"after": ""}).query()
    assert asked.address("x").startswith("/devices?")


def test_presence_and_update_have_words() -> None:
    assert presence_of(device()).text == "never connected"
    assert presence_of(device(last_seen=NOW)).text == "offline"
    assert presence_of(device(online=True)).text == "online"
    assert presence_of(device(online=True, retired=NOW)).text == "retired"
    refusal = Refusal(kind="K", reason="r", phase="p", at_s=0)
    for state, assigned, text in (
        (DeploymentState(), False, "nothing assigned"),
        (DeploymentState(phase="fetching"), True, "fetching"),
        (DeploymentState(restored_from="x", refusal=refusal), True, "restored"),
        (DeploymentState(refusal=refusal), True, "refused"),
        (DeploymentState(), True, "waiting"),
    ):
        assert update_of(state, "why", assigned=assigned).text == text
    assert update_of(DeploymentState(), None, assigned=True).text == "up to date"


def test_nothing_needs_anybody_where_nothing_is_wrong() -> None:
    assert attention(Waiting(devices=3, online=3, labels={"digits": 0})) == ()
    paused = Waiting(
        devices=3, online=1, behind=1, rollouts=(rollout(state=State.PAUSED), rollout()),
        labels={"digits": 1},
    )  # fmt: skip
    assert [item.name for item in attention(paused)] == [
        "Rollout 1 of digits:3 is paused", "1 input of digits to label", "2 devices offline",
        "1 device behind",
    ]  # fmt: skip


def test_alarms_of_one_model_are_told_apart_by_the_profile() -> None:
    alarm = Alarm(
        tenant="default", id=1, bundle="sha256:b", model="digits", version=3, opened=NOW,
        first=1, since_s=0.0, segment=2, last=None, sentence="darker", closed=None,
        closed_by=None, reason=None,
    )  # fmt: skip
    [known] = attention(Waiting(alarms=(alarm,), labels={}, profiles={"sha256:b": "rpi5-8gb"}))
    [gone] = attention(Waiting(alarms=(alarm,), labels={}))
    assert (known.name, gone.name) == ("Alarm on digits:3 for rpi5-8gb", "Alarm on digits:3")


def test_class_that_is_a_digit_has_its_own_key() -> None:
    digits = choices_of(tuple("0123456789"))
    assert [(one.index, one.key) for one in digits] == [(i, str(i)) for i in range(10)]
    named = choices_of(tuple(f"class {i}" for i in range(12)))
    assert [one.key for one in named] == [*"1234567890", None, None]
    assert len(choices_of(tuple(map(str, range(1000))))) == 200


def test_what_the_model_thought_is_told_in_words() -> None:
    assert class_text((1, None), ("cat", "dog")) == "dog"
    assert class_text((7, None), ("cat", "dog")) == "class 7"
    assert class_text((None, "eel"), ()) == "eel"
    assert class_text((None, None), ()) == "nothing that is a class"


def test_progress_counts_what_was_decided() -> None:
    states = {TaskState.OPEN: 3, TaskState.FINISHED: 5, TaskState.UNUSABLE: 2, TaskState.REFUSED: 9}
    counts = Counts(model="m", states=states, labels={}, reviews=1, reviewed=0, agreement=None)
    found = progress_of(counts)
    assert (found.left, found.done, found.unusable, found.total) == (3, 5, 2, 10)


def test_input_that_is_no_picture_is_shown_by_its_first_values() -> None:
    shown = values_of({"x": np.arange(100, dtype=np.float32).reshape(1, 100), "y": np.array([1])})
    assert list(shown) == ["x (1, 100)", "y (1,)"]
    assert shown["x (1, 100)"].endswith("63 …")
    assert shown["y (1,)"] == "1"


def test_confusion_tells_right_from_wrong() -> None:
    found = evaluate(
        np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ("cat", "dog"), dataset="d", split="s"
    )
    cells = {(x, y): (value, label) for x, y, value, _, label in confusion_chart(found)["cells"]}
    assert cells[0, 0] == (-0.6667, "2")
    assert cells[1, 0] == (0.3333, "1")
    assert cells[0, 1] == (0.0, "")


def test_interval_is_told_under_its_metric() -> None:
    metrics = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "odd_low": 1.0}
    assert metric_tiles(metrics) == (("accuracy", 0.9, "0.8 to 0.95, 95 %"), ("odd_low", 1.0, ""))
    assert history_chart([]) is None


def test_trials_are_shown_chosen_first_and_unmeasured_last() -> None:
    def trial(backend: str, **changes: Any) -> Trial:
        target = Target(backend=backend, precision="fp32")
        return Trial(target=target, **({"status": "built", "reason": "r"} | changes))

    evidence = Evidence(
        model_digest="x", profile="box", measured_on=FACTS, created="2026",
        trials=(trial("a", status="refused"), trial("b", status="failed"), trial("c", chosen=True)),
    )  # fmt: skip
    lines = trial_lines(evidence)
    assert next((line.target, line.tag.text) for line in lines) == ("c:fp32", "built")
    assert {line.tag.text for line in lines} == {"built", "refused", "failed"}


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [(None, ""), (Prediction(faster=False, method="by the profile"), "predicted")],
    ids=["nothing", "predicted"],
)
def test_latency_that_nobody_measured_is_labelled(prediction: Prediction | None, kind: str) -> None:
    target = Target(backend="a", precision="fp32")
    trial = Trial(target=target, status="built", reason="", prediction=prediction)
    evidence = Evidence(
        model_digest="sha256:0", profile="p", measured_on=FACTS, trials=(trial,), created=""
    )
    assert trial_lines(evidence)[0].kind == kind


# Jobs.


def measured_job() -> Job:
    artifacts = {"openvino-int8": "sha256:" + "c" * 64, "onnxruntime-fp32": "sha256:" + "d" * 64}
    return Job(
        tenant="default", id="bench-1", kind="bench", bundle="sha256:" + "b" * 64,
        model="digits", version=3, profile="box", artifacts=artifacts, selection=Selection(),
        targets={"openvino-int8": "openvino:int8", "onnxruntime-fp32": "onnxruntime:fp32"},
        terms=Terms(rounds=7, threads=2, variants=("openvino-int8",)), left_out={}, spare=0,
        state=JobState.RUNNING, reason="", by="ola", created=NOW, expires=NOW, withdrawn=None,
        ended=None,
    )  # fmt: skip


def test_measurements_are_drawn_with_their_intervals_by_variant_and_device() -> None:
    job = measured_job()
    results = [
        bench_result(job, "cam-2", 2.0, variant="onnxruntime-fp32"),
        bench_result(job, "cam-1", 1.0),
        bench_result(job, "cam-2", 1.25),
    ]
    lines = result_lines(results)
    assert [(one.variant, one.device, one.p50) for one in lines] == [
        ("openvino-int8", "cam-1", "1 ms"),
        ("openvino-int8", "cam-2", "1.25 ms"),
        ("onnxruntime-fp32", "cam-2", "2 ms"),
    ]
    assert (lines[0].interval, lines[0].tag.kind) == ("0.95 to 1.05 ms", "good")
    chart = measured_chart(results)
    assert chart is not None
    assert chart["labels"] == ["openvino-int8", "onnxruntime-fp32"]
    assert [one["name"] for one in chart["series"]] == ["cam-1", "cam-2"]
    [dot] = chart["series"][0]["dots"]
    assert dot == {"value": [0, 1.0, 0.95, 1.05], "text": "cam-1: 1 ms, 0.95 to 1.05 ms, VALID"}
    assert [one["value"][0] for one in chart["series"][1]["dots"]] == [1, 0]
    assert measured_chart([]) is None


def test_devices_of_a_job_are_told_apart_in_words() -> None:
    job = measured_job()
    results = [bench_result(job, name, p50_ms) for name, p50_ms in (("a", 2.0), ("b", 2.5))]
    [both] = spreads(results)
    assert spread_text(both) == "2 devices, the slowest 25.0\u00a0% over the fastest"
    assert spread_text(spreads(results[:1])[0]) == "one device"
    accepted = JobMember(device="a", state=JobMemberState.ACCEPTED, phase="measuring")
    assert (member_tag(accepted).text, member_tag(accepted).kind) == ("measuring", "info")
    assert member_tag(JobMember(device="a", state=JobMemberState.EXPIRED)).kind == "warn"
    assert terms_text(job) == (
        "7 rounds, 2 threads, openvino-int8, at most 15 min 0 s on a device, when a device is idle"
    )
