# SPDX-License-Identifier: Apache-2.0
"""Which devices do a job, how each stands in it, and what is said to it when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.cli.job import Scenario
from insight_cloud.devices.device import Device
from insight_cloud.devices.selection import Selection
from insight_cloud.jobs.api import BenchIn
from insight_cloud.jobs.job import OPEN, Job, Member, MemberState, State, Terms
from insight_cloud.jobs.measurements import spreads
from insight_cloud.jobs.rules import (
    AGAIN,
    BOUNDS,
    GRACE,
    Seen,
    check_terms,
    chosen,
    followed,
    is_due,
    order_for,
    progress,
    standing,
    unfit_reason,
)
from insight_edge.bench.scenarios.scenario import Name
from insight_edge.documents.job import SCENARIOS, JobState
from insight_edge.errors import ConfigurationError
from tests.fakes.measuring_world import bench_result

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HERE, AWAY = Seen(online=True), Seen(online=False)
MEASURING = JobState(id="bench-1", phase="measuring")


def job(**changes: Any) -> Job:
    fields: dict[str, Any] = {
        "tenant": "default",
        "id": "bench-1",
        "kind": "bench",
        "bundle": "sha256:" + "b" * 64,
        "model": "digits",
        "version": 2,
        "profile": "box",
        "artifacts": {"fp32": "sha256:" + "c" * 64, "int8": "sha256:" + "d" * 64},
        "targets": {"fp32": "onnxruntime:fp32", "int8": "openvino:int8"},
        "selection": Selection(),
        "terms": Terms(),
        "left_out": {},
        "spare": 0,
        "state": State.WAITING,
        "reason": "",
        "by": "ann",
        "created": NOW,
        "expires": NOW + DAY,
        "withdrawn": None,
        "ended": None,
    }
    return Job(**{**fields, **changes})


def device(name: str = "cam-1", **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "tenant": "default",
        "name": name,
        "profile": "box",
        "deployments": (),
        "enrolled": NOW,
        "retired": None,
        "agent": None,
        "online": True,
        "born": None,
        "last_seen": None,
        "ahead_s": None,
        "held": False,
        "accepted": 0,
        "desired": 0,
    }
    return Device(**{**fields, **changes})


# Who is asked.


def test_a_device_of_the_profile_that_nobody_holds_is_fit() -> None:
    assert unfit_reason(device(), "box") is None
    assert unfit_reason(device(online=False), "box") is None
    wrong = "it is of profile lab, the bundle is for box"
    assert unfit_reason(device(profile="lab"), "box") == wrong
    assert unfit_reason(device(held=True), "box") == "its owner has stopped updates and jobs on it"
    assert unfit_reason(device(retired=NOW), "box") == "it left the fleet on 2026-11-21"


@given(
    st.lists(st.tuples(st.integers(0, 99), st.booleans()), unique_by=lambda one: one[0]),
    st.integers(1, 5),
    st.text(max_size=3),
)
def test_those_that_are_there_are_asked_first_and_no_more_than_so_many(
    drawn: list[tuple[int, bool]], at_most: int, seed: str
) -> None:
    fit = [device(f"cam-{number}", online=online) for number, online in drawn]
    asked = chosen(seed, fit, at_most)
    assert len(asked) == len(set(asked)) == min(len(fit), at_most)
    assert chosen(seed, fit[::-1], at_most) == asked
    online = {one.name for one in fit if one.online}
    assert {*asked} & online == online or {*asked} <= online


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_out_of_bounds_is_refused(name: str) -> None:
    least, most = BOUNDS[name]

    def terms(value: Any) -> Terms:
        return replace(Terms(), **{name: value})

    for value in (least, most):
        check_terms(terms(value), ["fp32"])
    for value in (least - 1, most + 1, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match=name):
            check_terms(terms(value), ["fp32"])


def test_a_variant_that_the_bundle_has_not_is_refused() -> None:
    check_terms(Terms(variants=("int8",)), ["fp32", "int8"])
    with pytest.raises(ConfigurationError, match="no variant 'int4'") as caught:
        check_terms(Terms(variants=("int4",)), ["int8", "fp32"])
    assert caught.value.hint == "it has fp32, int8"
    with pytest.raises(ConfigurationError, match="named twice"):
        check_terms(Terms(variants=("int8", "int8")), ["int8"])


# How a device stands.


def test_a_device_is_told_accepts_and_says_how_far_it_is() -> None:
    waiting = followed(job(), Member(device="cam-1"), AWAY, NOW)
    assert (waiting.state, waiting.why) == (MemberState.WAITING, "it is not connected")
    assert followed(job(), waiting, HERE, NOW).why == ""
    told = Member(device="cam-1", state=MemberState.TOLD, told=NOW, said=NOW)
    assert followed(job(), told, HERE, NOW) == told
    held = JobState(id="bench-1", phase="waiting", why="camera-1 is being updated")
    accepted = followed(job(), told, Seen(online=True, named=held), NOW)
    assert (accepted.state, accepted.phase, accepted.why, accepted.accepted) == (
        "accepted",
        "waiting",
        "camera-1 is being updated",
        NOW,
    )
    torn = JobState(id="bench-1", phase="waiting", why="a\nb" + "c" * 999)
    line = followed(job(), told, Seen(online=True, named=torn), NOW).why
    assert (line[:3], len(line)) == ("a b", 300), "as it is kept: nothing is written each turn"
    later = followed(job(), accepted, Seen(online=True, named=MEASURING), NOW + GRACE)
    assert (later.phase, later.why, later.accepted) == ("measuring", "", NOW)
    assert followed(job(), later, HERE, NOW + GRACE) == later


@pytest.mark.parametrize(
    ("state", "until", "why"),
    [
        (MemberState.WAITING, DAY, "it was not told"),
        (MemberState.TOLD, DAY + GRACE, "it was told and did not answer"),
        (
            MemberState.ACCEPTED,
            DAY + GRACE + timedelta(seconds=900),
            "it accepted the job and did not say what came of it",
        ),
    ],
)
def test_a_device_that_says_nothing_is_given_up(
    state: MemberState, until: timedelta, why: str
) -> None:
    told = None if state is MemberState.WAITING else NOW
    member = Member(device="cam-1", state=state, told=told)
    tick = timedelta(seconds=1)
    for wanted, end in ((job(), "expired"), (job(withdrawn=NOW), "withdrawn")):
        if told is not None:
            assert followed(wanted, member, HERE, NOW + until - tick).state is state
        after = followed(wanted, member, HERE, NOW + until)
        assert (after.state.value, after.why, after.ended) == (end, why, NOW + until)


def test_one_that_still_measures_when_the_job_expires_goes_on() -> None:
    member = Member(device="cam-1", state=MemberState.ACCEPTED, told=NOW)
    late = NOW + 2 * DAY
    assert followed(job(), member, Seen(online=True, named=MEASURING), late).state in OPEN
    gone = followed(job(), member, Seen(online=False, named=MEASURING), late)
    assert gone.state is MemberState.EXPIRED


def test_one_that_leaves_the_fleet_has_failed() -> None:
    after = followed(job(), Member(device="cam-1"), Seen(online=False, gone=True), NOW)
    assert (after.state, after.why) == ("failed", "it is no device of the fleet any more")


MEMBERS = st.builds(
    Member,
    device=st.sampled_from(["cam-1", "cam-2"]),
    state=st.sampled_from(MemberState),
    told=st.sampled_from([None, NOW]),
    said=st.sampled_from([None, NOW, NOW + AGAIN]),
)
SEEN = st.builds(
    Seen, online=st.booleans(), gone=st.booleans(), named=st.sampled_from([None, MEASURING])
)
MOMENTS = st.integers(0, 3 * 86_400).map(lambda s: NOW + timedelta(seconds=s))
JOBS = st.builds(lambda withdrawn: job(withdrawn=withdrawn), st.sampled_from([None, NOW]))


@given(JOBS, MEMBERS, SEEN, MOMENTS)
def test_an_end_is_an_end_and_nothing_is_said_after_it(
    wanted: Job, member: Member, seen: Seen, now: datetime
) -> None:
    after = followed(wanted, member, seen, now)
    if member.state not in OPEN:
        assert after == member
    assert (after.ended is not None) == (after.state not in OPEN) or member.state not in OPEN
    assert followed(wanted, after, seen, now) == after, "to look twice is to look once"
    if is_due(wanted, after, seen, now):
        assert after.state in OPEN
        assert seen.online
        assert after.said is None or now - after.said >= AGAIN
        assert not is_due(wanted, replace(after, said=now), seen, now)
        if wanted.withdrawn is None:
            assert now < wanted.expires
        else:
            assert after.told is not None, "who was never told need not be told that it is over"
    else:
        quiet = not seen.online or seen.gone or after.state not in OPEN
        soon = after.said is not None and now - after.said < AGAIN
        known = seen.named is not None if wanted.withdrawn is None else after.told is None
        assert quiet or soon or known or now >= wanted.expires


def test_who_was_never_told_is_not_told_that_it_is_over() -> None:
    waiting = Member(device="cam-1")
    assert is_due(job(), waiting, HERE, NOW)
    assert not is_due(job(withdrawn=NOW), waiting, HERE, NOW)


@given(JOBS, MEMBERS, MOMENTS)
def test_every_job_ends(wanted: Job, member: Member, now: datetime) -> None:
    latest = wanted.expires + timedelta(seconds=wanted.terms.limit_s) + GRACE
    assert followed(wanted, member, AWAY, max(now, latest)).state not in OPEN


def test_what_a_device_is_told_is_what_was_asked_for() -> None:
    terms = Terms(variants=("int8",), threads=2, rounds=7, iterations=9, seed=3, when="now")
    order = order_for(job(terms=terms, withdrawn=NOW), "cam-1")
    assert (order.tenant, order.device, order.id) == ("default", "cam-1", "bench-1")
    assert (order.expires_s, order.limit_s, order.when, order.withdrawn) == (
        (NOW + DAY).timestamp(),
        900.0,
        "now",
        True,
    )
    bench = order.bench
    assert (bench.bundle, bench.variants, bench.threads) == (job().bundle, ("int8",), 2)
    assert (bench.rounds, bench.iterations, bench.seed) == (7, 9, 3)
    assert bench.scenario == "single-stream"


def test_a_device_is_told_how_rows_are_asked() -> None:
    asked: dict[str, Any] = {
        "scenario": "sensor",
        "period_ms": 20.0,
        "deadline_ms": 9.0,
        "duration_s": 3.0,
    }
    bench = order_for(job(terms=Terms(**asked)), "cam-1").bench
    assert {name: getattr(bench, name) for name in asked} == asked


def test_every_scenario_of_bench_can_be_asked_for_by_every_door() -> None:
    assert set(get_args(Name)) == set(SCENARIOS) == set(get_args(Scenario))
    assert set(get_args(BenchIn.model_fields["scenario"].annotation)) == set(SCENARIOS)


def test_rows_that_cannot_be_asked_so_are_refused_before_any_device_is_told() -> None:
    check_terms(Terms(scenario="server", rate_per_s=9.0), ["fp32"])
    with pytest.raises(ConfigurationError, match="scenario server needs rate_per_s"):
        check_terms(Terms(scenario="server"), ["fp32"])
    with pytest.raises(ConfigurationError, match="period_ms is not of scenario server"):
        check_terms(Terms(scenario="server", rate_per_s=9.0, period_ms=1.0), ["fp32"])


# How a job stands.


def test_the_progress_of_a_job_is_one_sentence() -> None:
    members = (
        Member(device="cam-1", state=MemberState.DONE),
        Member(device="cam-2", state=MemberState.ACCEPTED, phase="measuring"),
        Member(device="cam-3", why="it is not connected"),
        Member(device="cam-4", state=MemberState.FAILED, why="EngineError: it did not load"),
    )
    assert progress(members) == (
        "1 of 4 devices done, 1 measuring, 1 waiting (it is not connected), 1 failed; "
        "cam-4: EngineError: it did not load"
    )
    assert progress(members[:1]) == "1 of 1 device done"


def test_a_job_stands_as_its_devices_do() -> None:
    done, lost = (Member(device="a", state=MemberState(s)) for s in ("done", "expired"))
    told, waiting = Member(device="b", state=MemberState.TOLD), Member(device="c")
    for members, state in (
        ((waiting,), "waiting"),
        ((waiting, told), "running"),
        ((waiting, done), "running"),
        ((done, lost), "done"),
        ((lost,), "failed"),
    ):
        assert standing(members, None)[0].value == state
        assert standing(members, NOW)[0].value == "withdrawn"


def test_devices_spread_by_their_valid_measurements() -> None:
    noisy = bench_result(job(), "cam-4", 9.0)
    noisy = replace_verdict(noisy, "NOISY")
    results = [bench_result(job(), f"cam-{n}", ms) for n, ms in enumerate((2.0, 3.0, 2.5))]
    results += [noisy, replace_verdict(bench_result(job(), "cam-1", variant="int8"), "INVALID")]
    first, second = spreads(results)
    assert (first.variant, first.devices, first.p50_ms, first.spread) == ("fp32", 3, 2.5, 0.5)
    assert (second.variant, second.devices, second.p50_ms, second.spread) == ("int8", 0, None, None)


def replace_verdict(result: Any, verdict: str) -> Any:
    measured = msgspec.structs.replace(result.measurement, verdict=verdict)
    return msgspec.structs.replace(result, measurement=measured)
