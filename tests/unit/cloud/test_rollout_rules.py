# SPDX-License-Identifier: Apache-2.0
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.devices.selection import Selection
from insight_cloud.platform.errors import ConflictError
from insight_cloud.rollouts.evidence import Calls, Evidence, Group, Turnout
from insight_cloud.rollouts.gates import (
    accuracy_breach,
    error_breach,
    flagged_breach,
    latency_breach,
    update_breach,
    worse_by,
)
from insight_cloud.rollouts.plan import MAX_WAVES, Plan, check_plan, size_of
from insight_cloud.rollouts.rollout import Decision, Rollout, State
from insight_cloud.rollouts.rules import FROM, check_action, decide
from insight_cloud.rollouts.waves import Candidate, allot, ranked
from insight_edge.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLAN = Plan(soak_s=600.0, deadline_s=7200.0)
GOOD = Calls(asked=1000, observed=1000, timed=1000, p99_ms=2.0)


def rollout(**changes: Any) -> Rollout:
    fields: dict[str, Any] = {
        "tenant": "default",
        "id": 1,
        "model": "digits",
        "version": 2,
        "deployment": "camera-1",
        "selection": Selection(),
        "plan": PLAN,
        "state": State.RUNNING,
        "reason": "",
        "wave": 0,
        "waves": 3,
        "deadline": NOW + timedelta(seconds=7200),
        "waived": False,
        "by": "ann",
        "created": NOW,
        "changed": NOW,
        **changes,
    }
    return Rollout(**fields)


def group(**changes: Any) -> Group:
    """Return a group of one that has shown all that is asked."""
    fields: dict[str, Any] = {
        "wave": 0,
        "profile": "box",
        "members": 1,
        "commits": (NOW - timedelta(seconds=600),),
        "new": GOOD,
        "old": GOOD,
        "allowed_ms": 5.0,
        **changes,
    }
    return Group(**fields)


def of(*groups: Group, turnouts: Sequence[Turnout] = (), unlisted: Sequence[str] = ()) -> Evidence:
    return Evidence(groups=groups, turnouts=tuple(turnouts), unlisted=tuple(unlisted))


# Single decisions.


def test_a_wave_that_has_shown_enough_is_followed_by_the_next() -> None:
    assert decide(rollout(), of(group()), NOW) == (
        Decision.ADVANCE,
        "wave 1 of 3: 1 of 1 committed it, 1000 calls, no gate speaks against it",
    )
    last = rollout(wave=2)
    assert decide(last, of(group(wave=2)), NOW)[0] is Decision.COMPLETE


@pytest.mark.parametrize("state", [one for one in State if one is not State.RUNNING])
def test_nothing_is_decided_unless_it_runs(state: State) -> None:
    broken = of(group(commits=(), failures=("cam-1 refused",)))
    assert decide(rollout(state=state), broken, NOW)[0] is Decision.WAIT


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (group(commits=()), "0 of 1 committed it, 1 are needed"),
        (group(commits=(), absent=1), "0 of 1 committed it, 1 are needed, 1 are offline"),
        (group(commits=(NOW,)), "soaking until 2026-11-21 12:10 UTC"),
        (group(new=replace(GOOD, asked=99)), "99 calls with it, 100 are needed to judge"),
        (group(members=5, commits=(NOW,) * 2), "2 of 5 committed it, 3 are needed"),
    ],
)
def test_what_lacks_is_waited_for_and_named(lacking: Group, words: str) -> None:
    decision, reason = decide(rollout(), of(group(profile="lab"), lacking), NOW)
    assert decision is Decision.WAIT
    assert reason == f"wave 1, box: {words}"


def test_what_lacks_after_the_deadline_pauses() -> None:
    late = rollout(deadline=NOW)
    decision, reason = decide(late, of(group(commits=())), NOW)
    assert decision is Decision.PAUSE
    assert reason.endswith("1 are needed, and the deadline of 2026-11-21 12:00 UTC has passed")


def test_a_soak_that_began_in_time_may_end_after_the_deadline() -> None:
    late, soaking = rollout(deadline=NOW), of(group(commits=(NOW - timedelta(seconds=1),)))
    assert decide(late, soaking, NOW)[0] is Decision.WAIT
    assert decide(late, soaking, NOW + timedelta(seconds=600))[0] is Decision.ADVANCE


def test_the_last_wave_waits_for_who_is_there_but_not_for_who_is_away() -> None:
    soaked = (NOW - timedelta(hours=1),)
    last = rollout(wave=0, waves=1)
    here, away = group(members=2, commits=soaked), group(members=2, commits=soaked, absent=1)
    assert decide(last, of(here), NOW) == (
        Decision.WAIT,
        "wave 1, box: 1 of 2 are still at it",
    )
    assert decide(last, of(away), NOW)[0] is Decision.COMPLETE
    assert decide(replace(last, deadline=NOW), of(here), NOW)[0] is Decision.COMPLETE


def test_a_waiver_goes_on_without_what_lacks_but_not_over_a_breach() -> None:
    waived = rollout(waived=True)
    assert decide(waived, of(group(commits=())), NOW)[0] is Decision.ADVANCE
    assert "what was lacking was waived" in decide(waived, of(group(commits=())), NOW)[1]
    flagged = group(new=replace(GOOD, flagged=500))
    assert decide(rollout(), of(flagged), NOW)[0] is Decision.PAUSE
    assert decide(waived, of(flagged), NOW)[0] is Decision.ADVANCE
    failing = group(new=replace(GOOD, failed=500))
    assert decide(waived, of(failing), NOW)[0] is Decision.ROLL_BACK
    assert decide(waived, of(group(), unlisted=["sha256:abc"]), NOW)[0] is Decision.PAUSE


def test_a_wave_that_everybody_left_is_over() -> None:
    assert decide(rollout(), of(), NOW)[0] is Decision.ADVANCE


def test_a_late_failure_of_an_earlier_wave_still_counts() -> None:
    earlier = group(commits=(), failures=("cam-1 refused: SelfCheckError",))
    decision, reason = decide(rollout(wave=1), of(earlier, group(wave=1)), NOW)
    assert decision is Decision.ROLL_BACK
    assert reason.startswith("wave 1, box: 1 of 1 devices did not keep it (at most 10%): cam-1")


# Gates.


def test_one_failed_device_of_ten_is_within_the_bound_and_two_are_not() -> None:
    assert update_breach(group(members=10, failures=("a",)), PLAN) is None
    assert update_breach(group(members=10, failures=("a", "b")), PLAN) is not None
    assert update_breach(group(members=9, failures=("a",)), PLAN) is not None


@pytest.mark.parametrize(("failed", "asked"), [(1, 3), (3, 3), (19, 19), (1, 20), (10, 1000)])
def test_a_few_errors_decide_nothing(failed: int, asked: int) -> None:
    assert error_breach(group(new=Calls(asked=asked, failed=failed), old=Calls()), PLAN) is None


@pytest.mark.parametrize(("failed", "asked"), [(2, 20), (20, 20), (30, 1000)])
def test_errors_that_are_no_chance_go_back(failed: int, asked: int) -> None:
    said = error_breach(group(new=Calls(asked=asked, failed=failed), old=Calls()), PLAN)
    assert said is not None
    assert f"{failed} of {asked} calls failed, too few calls before to compare" in said


def test_errors_that_there_were_before_are_no_reason() -> None:
    same = Calls(asked=5000, failed=500)
    assert error_breach(group(new=same, old=same), PLAN) is None
    assert error_breach(group(new=same, old=replace(same, failed=50)), PLAN) is not None


def test_latency_is_judged_by_how_many_calls_take_too_long() -> None:
    assert latency_breach(group(slow=10), PLAN) is None
    assert latency_breach(group(slow=40), PLAN) is not None
    assert latency_breach(group(slow=1000, allowed_ms=None), PLAN) is None
    assert latency_breach(group(slow=99, new=replace(GOOD, timed=99)), PLAN) is None


def test_accuracy_needs_known_results_of_both() -> None:
    worse = Turnout(profile="box", new_judged=200, new_wrong=100, old_judged=200, old_wrong=10)
    assert accuracy_breach(worse, PLAN) is not None
    assert accuracy_breach(replace(worse, new_judged=49, new_wrong=49), PLAN) is None
    assert accuracy_breach(replace(worse, old_judged=49), PLAN) is None
    assert accuracy_breach(replace(worse, new_wrong=12), PLAN) is None


def test_flagged_rows_are_compared_too() -> None:
    assert flagged_breach(group(new=replace(GOOD, flagged=100)), PLAN) is not None
    alike = replace(GOOD, flagged=100)
    assert flagged_breach(group(new=alike, old=alike), PLAN) is None


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_the_difference_grows_with_what_is_bad_and_shrinks_with_what_was(
    new_bad: int, new_good: int, old_bad: int, old_good: int
) -> None:
    new, old = new_bad + new_good, old_bad + old_good
    least = worse_by(new_bad, new, old_bad, old)
    assert -1 <= least <= 1
    if new_good:
        assert worse_by(new_bad + 1, new, old_bad, old) >= least - 1e-12
    if old_good:
        assert worse_by(new_bad, new, old_bad + 1, old) <= least + 1e-12
    if new and old:
        assert least <= new_bad / new - old_bad / old + 1e-12


@pytest.mark.parametrize(("rate", "bound"), [(0.0, 0), (0.01, 4), (0.1, 4)])
def test_a_canary_that_is_truly_equal_is_seldom_stopped(rate: float, bound: int) -> None:
    """Of 200 that are looked at after every 50 calls, 200 times."""
    draw, stopped = np.random.default_rng(7), 0
    for _ in range(200):
        old = Calls(asked=2000, failed=int(draw.binomial(2000, rate)))
        failed = draw.binomial(50, rate, 200).cumsum()
        stopped += any(
            error_breach(group(new=Calls(asked=50 * (n + 1), failed=int(bad)), old=old), PLAN)
            for n, bad in enumerate(failed)
        )
    assert stopped <= bound


def test_a_canary_that_is_worse_by_five_points_is_stopped_within_a_thousand_calls() -> None:
    draw, stopped = np.random.default_rng(8), 0
    for _ in range(200):
        old = Calls(asked=2000, failed=int(draw.binomial(2000, 0.01)))
        failed = draw.binomial(50, 0.06, 20).cumsum()
        stopped += any(
            error_breach(group(new=Calls(asked=50 * (n + 1), failed=int(bad)), old=old), PLAN)
            for n, bad in enumerate(failed)
        )
    assert stopped >= 190


# Properties of decide.

moments = st.integers(-7200, 7200).map(lambda s: NOW + timedelta(seconds=s))


@st.composite
def calls(draw: st.DrawFn) -> Calls:
    asked = draw(st.integers(0, 3000))
    return Calls(
        asked=asked,
        failed=draw(st.integers(0, asked) | st.just(0)),
        observed=asked,
        flagged=draw(st.integers(0, asked) | st.just(0)),
        timed=asked,
        p99_ms=2.0 if asked else None,
    )


@st.composite
def groups(draw: st.DrawFn) -> Group:
    members = draw(st.integers(0, 30))
    commits = draw(st.integers(0, members))
    failed = draw(st.integers(0, members - commits) | st.just(0))
    new = draw(calls())
    return Group(
        wave=draw(st.integers(0, 2)),
        profile=draw(st.sampled_from(["box", "lab"])),
        members=members,
        absent=draw(st.integers(0, members - commits - failed)),
        commits=tuple(sorted(draw(st.lists(moments, min_size=commits, max_size=commits)))),
        failures=tuple(f"cam-{n} refused" for n in range(failed)),
        new=new,
        old=draw(calls()),
        slow=draw(st.integers(0, new.timed) | st.just(0)),
        allowed_ms=draw(st.none() | st.just(5.0)),
    )


@st.composite
def turnouts(draw: st.DrawFn) -> Turnout:
    new, old = draw(st.integers(0, 500)), draw(st.integers(0, 500))
    return Turnout(
        profile="box",
        new_judged=new,
        new_wrong=draw(st.integers(0, new) | st.just(0)),
        old_judged=old,
        old_wrong=draw(st.integers(0, old) | st.just(0)),
    )


evidences = st.builds(
    Evidence,
    groups=st.lists(groups(), max_size=5).map(tuple),
    turnouts=st.lists(turnouts(), max_size=2).map(tuple),
    unlisted=st.sampled_from([(), (), ("sha256:abc",)]),
)
rollouts = st.builds(
    rollout,
    wave=st.integers(0, 2),
    deadline=moments,
    waived=st.booleans(),
)


def failing_gates(evidence: Evidence, plan: Plan) -> list[str]:
    gates = (update_breach, error_breach, latency_breach)
    found = [gate(one, plan) for one in evidence.groups for gate in gates]
    found += [accuracy_breach(one, plan) for one in evidence.turnouts]
    return [text for text in found if text]


@given(rollouts, evidences, moments)
def test_it_goes_back_if_and_only_if_a_gate_fails_and_says_which(
    one: Rollout, evidence: Evidence, now: datetime
) -> None:
    decision, reason = decide(one, evidence, now)
    failing = failing_gates(evidence, one.plan)
    assert (decision is Decision.ROLL_BACK) == bool(failing)
    assert reason
    if failing:
        assert reason in failing


@given(rollouts, evidences, moments)
def test_it_goes_on_only_over_evidence_unless_that_was_waived(
    one: Rollout, evidence: Evidence, now: datetime
) -> None:
    decision, _ = decide(one, evidence, now)
    if decision not in {Decision.ADVANCE, Decision.COMPLETE} or one.waived:
        return
    assert not evidence.unlisted
    for each in evidence.groups:
        assert flagged_breach(each, one.plan) is None
        if each.wave == one.wave and each.members:
            assert 2 * len(each.commits) >= each.members
            assert each.new.asked >= one.plan.least_calls
            assert min(each.commits) <= now - timedelta(seconds=one.plan.soak_s)


@given(rollouts, evidences, moments, st.data())
def test_more_that_is_bad_never_makes_it_go_on(
    one: Rollout, evidence: Evidence, now: datetime, data: st.DataObject
) -> None:
    before, _ = decide(one, evidence, now)
    if not evidence.groups:
        return
    place = data.draw(st.integers(0, len(evidence.groups) - 1))
    worse = _worse(evidence.groups[place], data)
    changed = [*evidence.groups[:place], worse, *evidence.groups[place + 1 :]]
    after, _ = decide(one, replace(evidence, groups=tuple(changed)), now)
    if before is Decision.ROLL_BACK:
        assert after is Decision.ROLL_BACK
    if before in {Decision.WAIT, Decision.PAUSE} and not one.waived:
        assert after not in {Decision.ADVANCE, Decision.COMPLETE} or worse.open == 0


def _worse(one: Group, data: st.DataObject) -> Group:
    match data.draw(st.sampled_from(["device", "error", "slow", "flagged"])):
        case "device" if one.open:
            absent = min(one.absent, one.open - 1)
            return replace(one, absent=absent, failures=(*one.failures, "cam-x refused"))
        case "error":
            more = data.draw(st.integers(0, one.new.asked - one.new.failed))
            return replace(one, new=replace(one.new, failed=one.new.failed + more))
        case "slow":
            return replace(one, slow=one.slow + data.draw(st.integers(0, one.new.timed - one.slow)))
        case "flagged":
            more = data.draw(st.integers(0, one.new.observed - one.new.flagged))
            return replace(one, new=replace(one.new, flagged=one.new.flagged + more))
        case _:
            return one


@given(st.lists(evidences, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_it_comes_to_an_end_whatever_the_evidence_and_never_two_waves_at_once(
    stream: list[Evidence], luck: random.Random
) -> None:
    """Each wave ends at the latest when its deadline and one soak have passed."""
    one, now, seen = rollout(waves=3), NOW, [0]
    step = timedelta(seconds=300)
    for turn in range(3 * (7200 + 600) // 300 + 3):
        evidence = stream[turn % len(stream)]
        begun = tuple(each for each in evidence.groups if each.wave <= one.wave)
        decision, _ = decide(one, replace(evidence, groups=begun), now)
        if decision is Decision.ADVANCE:
            one = replace(one, wave=one.wave + 1, deadline=now + timedelta(seconds=7200))
            seen.append(one.wave)
        elif decision is not Decision.WAIT:
            break
        now += step * luck.choice([1, 1, 2])
    else:
        raise AssertionError("it waits for ever")
    assert seen == list(range(len(seen)))
    assert one.wave < one.waves


# What a person may ask for.


@pytest.mark.parametrize("action", list(FROM))
@pytest.mark.parametrize("state", list(State))
def test_an_action_follows_from_some_states_only(action: str, state: State) -> None:
    if state in FROM[action]:
        check_action(rollout(state=state), action)
        return
    with pytest.raises(ConflictError, match=f"rollout 1 is {state.value}: it cannot"):
        check_action(rollout(state=state), action)


# Plans and waves.


@pytest.mark.parametrize(
    ("text", "total", "expected"),
    [("1", 10, 1), ("3", 2, 2), ("25%", 10, 3), ("0.1%", 10, 1), ("100%", 7, 7), ("12.5%", 8, 1)],
)
def test_a_size_is_a_count_or_a_share_rounded_up(text: str, total: int, expected: int) -> None:
    assert size_of(text, total) == expected


@pytest.mark.parametrize("text", ["", "0", "0%", "-1", "101%", "1.5", "x", "1" * 10, "5 %", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no size of a wave"):
        size_of(text, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"waves": ()},
        {"waves": ("50%",)},
        {"waves": ("3",)},
        {"waves": ("100%",) * (MAX_WAVES + 1)},
        {"canary": "none"},
        {"needed_share": 1.5},
        {"max_failed_share": float("nan")},
        {"soak_s": -1.0},
        {"soak_s": 90_000.0},
        {"deadline_s": float("inf")},
        {"least_calls": -1},
        {"p99_factor": 0.5},
        {"error_margin": -0.1},
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        check_plan(Plan(**changes))


def test_the_default_plan_can_be_meant() -> None:
    check_plan(Plan())


fleets = st.lists(
    st.builds(
        Candidate,
        name=st.integers(0, 10_000).map(lambda n: f"cam-{n}"),
        profile=st.sampled_from(["box", "lab", "pi"]),
        online=st.booleans(),
    ),
    max_size=60,
    unique_by=lambda one: one.name,
)
plans = st.builds(
    Plan,
    canary=st.sampled_from(["1", "3", "10%", "100%"]),
    waves=st.lists(st.sampled_from(["5%", "25%", "60%", "7"]), max_size=4).map(
        lambda some: (*some, "100%")
    ),
)


@given(fleets, plans, st.randoms(use_true_random=False))
def test_each_device_is_in_one_wave_whatever_the_order_they_are_listed_in(
    fleet: list[Candidate], plan: Plan, luck: random.Random
) -> None:
    waves = allot("r1", fleet, plan)
    assert set(waves) == {one.name for one in fleet}
    assert set(waves.values()) == set(range(len(set(waves.values()))))
    shuffled = luck.sample(fleet, len(fleet))
    assert allot("r1", shuffled, plan) == waves
    if fleet:
        first = sum(wave == 0 for wave in waves.values())
        assert first == size_of(plan.canary, len(fleet))


@given(fleets)
def test_every_profile_has_a_canary_where_there_is_room(fleet: list[Candidate]) -> None:
    profiles = {one.name: one.profile for one in fleet}
    order = ranked("r1", fleet)
    kinds = len(set(profiles.values()))
    assert len({profiles[name] for name in order[:kinds]}) == kinds


def test_a_wave_is_like_the_fleet() -> None:
    fleet = [
        Candidate(name=f"cam-{n}", profile="box" if n % 10 else "lab", online=True)
        for n in range(200)
    ]
    waves = allot("r1", fleet, Plan())
    second = [one.profile for one in fleet if waves[one.name] <= 1]
    assert len(second) == 50
    assert 4 <= second.count("lab") <= 6


def test_another_rollout_has_other_canaries() -> None:
    fleet = [Candidate(name=f"cam-{n}", profile="box", online=True) for n in range(50)]
    first = {ranked(f"r{number}", fleet)[0] for number in range(20)}
    assert len(first) > 10


def test_who_is_online_goes_before_who_is_not() -> None:
    fleet = [
        Candidate(name="a", profile="box", online=False),
        Candidate(name="b", profile="box", online=True),
        Candidate(name="c", profile="lab", online=False),
    ]
    assert ranked("r1", fleet)[0] == "b"
