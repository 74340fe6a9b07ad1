# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.pipelines.rollout_plan import plan_of
from insight_cloud.pipelines.rules import (
    MIN_ROWS,
    Alarm,
    Compared,
    Pair,
    Policy,
    Run,
    RunState,
    check_policy,
    gain_low_pp,
    judge,
    should_open,
)
from insight_edge.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AUTOMATIC = Policy(automatic=True, cooldown_s=3600)
SAME = Pair(rows=360, old=340, new=340, losses=4, gains=4)


def alarm(opened: datetime = NOW, name: str = "a") -> Alarm:
    return Alarm(id=name, model="m", bundle="b", opened=opened, since_s=0.0, sentence="darker")


def opening(
    alarms: list[Alarm],
    runs: Sequence[Run] = (),
    policy: Policy = AUTOMATIC,
    now: datetime = NOW,
) -> Alarm | str:
    return should_open(alarms, runs, policy, now, deployed={"b"})


def run(state: RunState, ended: datetime | None = None) -> Run:
    return Run(
        id="r",
        model="m",
        number=1,
        state=state,
        because="",
        alarm=None,
        by="ada",
        opened=NOW - 9 * HOUR,
        ended=ended,
        version=None,
        reason="",
        policy=Policy(),
        facts={},
        cancelled_by=None,
    )


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    both, neither, losses, gains = (draw(st.integers(0, 200)) for _ in range(4))
    return Pair(
        rows=both + neither + losses + gains,
        old=both + losses,
        new=both + gains,
        losses=losses,
        gains=gains,
    )


def test_the_oldest_alarm_opens_a_run_where_nothing_is_under_way() -> None:
    first = alarm(NOW - HOUR, "b")
    assert opening([alarm(), first]) == first
    assert opening([]) == "no alarm is open"


def test_nothing_opens_where_a_person_should() -> None:
    assert opening([alarm()], policy=Policy()) == "only a person opens a run"


@pytest.mark.parametrize("state", [state for state in RunState if state.active])
def test_nothing_opens_beside_a_run(state: RunState) -> None:
    assert opening([alarm()], [run(state)]) == "a run is under way"


@pytest.mark.parametrize(
    "state", [RunState.FAILED, RunState.STOPPED, RunState.ROLLED_BACK, RunState.CANCELLED]
)
def test_after_a_run_that_promoted_nothing_it_is_waited(state: RunState) -> None:
    ended = run(state, NOW - HOUR / 2)
    found = opening([alarm()], [ended])
    assert found == f"the last run ended {state.value}; none is opened before 12:30 UTC"
    assert opening([alarm()], [ended], now=NOW + HOUR / 2) == alarm()


def test_an_alarm_about_a_bundle_that_nobody_should_run_opens_nothing() -> None:
    promoted = run(RunState.PROMOTED, NOW - HOUR)
    found = should_open([alarm()], [promoted], AUTOMATIC, NOW, deployed={"new"})
    assert found == "no alarm is open"
    assert opening([alarm()], [promoted]) == alarm()


def test_a_clear_gain_ships_and_says_its_figures() -> None:
    found = judge(
        Compared(validation=SAME, labelled=Pair(rows=60, old=20, new=50, losses=0, gains=30)),
        Policy(),
    )
    assert found.ship
    assert found.reason == (
        "better by at least 41.7 pp: labelled 33.3 % -> 83.3 % of 60; "
        "validation 94.4 % -> 94.4 % of 360"
    )


def test_what_the_old_world_loses_stops_even_a_gain() -> None:
    worse = Pair(rows=100, old=95, new=91, losses=4, gains=0)
    gain = Pair(rows=60, old=20, new=50, losses=0, gains=30)
    found = judge(Compared(validation=worse, labelled=gain), Policy())
    assert not found.ship
    assert found.reason.startswith("4.0 pp are lost on the old world, 3 may be: ")


def test_a_gain_that_may_be_chance_does_not_ship() -> None:
    unclear = Pair(rows=60, old=40, new=42, losses=3, gains=5)
    found = judge(Compared(validation=SAME, labelled=unclear), Policy())
    assert not found.ship
    assert found.reason.startswith("not shown to be better")


def test_few_rows_ship_unless_they_are_worse() -> None:
    even = Pair(rows=MIN_ROWS - 1, old=20, new=20, losses=1, gains=1)
    worse = Pair(rows=MIN_ROWS - 1, old=20, new=19, losses=1, gains=0)
    assert judge(Compared(validation=SAME, labelled=even), Policy()).ship
    assert not judge(Compared(validation=SAME, labelled=worse), Policy()).ship


def test_without_rows_nothing_ships() -> None:
    none = Pair(rows=0, old=0, new=0, losses=0, gains=0)
    assert not judge(Compared(validation=SAME, labelled=none), Policy()).ship
    assert not judge(Compared(validation=none, labelled=SAME), Policy()).ship


@given(pairs(), pairs())
def test_what_ships_lost_no_more_than_allowed_and_is_not_worse(old: Pair, new: Pair) -> None:
    found = judge(Compared(validation=old, labelled=new), Policy())
    if found.ship:
        assert 100 * (old.old - old.new) <= 3 * old.rows + 1e-9
        assert new.new >= new.old
        assert new.rows


@given(pairs())
def test_the_bound_is_below_the_measured_gain_and_grows_with_gains(pair: Pair) -> None:
    bound = gain_low_pp(pair)
    assert -100 <= bound <= 100
    if pair.rows:
        assert bound <= 100 * (pair.gains - pair.losses) / pair.rows + 1e-9
    if pair.losses:
        better = Pair(
            rows=pair.rows,
            old=pair.old - 1,
            new=pair.new + 1,
            losses=pair.losses - 1,
            gains=pair.gains + 1,
        )
        assert gain_low_pp(better) > bound


@given(pairs(), pairs(), st.floats(0, 20), st.floats(0, 20))
def test_asking_for_more_never_ships_more(old: Pair, new: Pair, one: float, other: float) -> None:
    less, more = sorted((one, other))
    compared = Compared(validation=old, labelled=new)
    if judge(compared, Policy(min_gain_pp=more)).ship:
        assert judge(compared, Policy(min_gain_pp=less)).ship


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": 0}, "labels = 0, which is not 1 to 100000"),
        ({"holdout": 0.0}, "holdout = 0, which is not 0.05 to 0.95"),
        ({"max_drop_pp": 101.0}, "max_drop_pp = 101"),
        ({"cooldown_s": float("nan")}, "cooldown_s = nan"),
        ({"targets": ("onnxruntime:fp32", "int8")}, "'int8' is not a target"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_policy(Policy(**changes))  # type: ignore[arg-type]  # as from outside


def test_the_default_policy_can_be_meant() -> None:
    check_policy(Policy())
    assert plan_of({"canary": "2"}).canary == "2"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"canari": "2"}, "unknown key 'canari'"),
        ({"canary": 2}, "plan: Expected `str`"),
        ({"waves": ["50%"]}, "leaves devices out"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(plan: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        plan_of(plan)
