# SPDX-License-Identifier: Apache-2.0
"""When a new bundle stays, when it goes, and when that cannot be told yet."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec.structs import replace

from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.host import Health
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.probation import (
    Probation,
    add,
    better_baseline,
    interrupt,
    judge,
    pass_time,
    pause,
)
from tests.fakes.update_world import health

POLICY = Policy()
BEFORE = health("A", asked=1000, p99_ms=4.0)
LONG_ENOUGH_S = POLICY.probation_s


def seen(*told: Health, elapsed_s: float = 0.0, before: Health | None = BEFORE) -> Probation:
    probation = Probation(elapsed_s=elapsed_s)
    for one in told:
        probation = add(probation, one, before, POLICY)
    return probation


def test_enough_answers_for_long_enough_are_committed() -> None:
    assert judge(seen(health("B")), POLICY).what == "wait"
    verdict = judge(seen(health("B"), elapsed_s=LONG_ENOUGH_S), POLICY)
    assert verdict == ("commit", "200 calls answered in 600 s")


def test_too_few_answers_wait_for_the_upper_bound_and_then_say_so() -> None:
    few = health("B", asked=99)
    assert judge(seen(few, elapsed_s=LONG_ENOUGH_S), POLICY).what == "wait"
    verdict = judge(seen(few, elapsed_s=POLICY.probation_most_s), POLICY)
    assert verdict == ("commit", "too few requests to judge: 99 in 86400 s")


def test_nothing_is_committed_that_no_health_was_told_of() -> None:
    assert judge(seen(elapsed_s=10 * POLICY.probation_most_s), POLICY).what == "wait"


@pytest.mark.parametrize(
    ("asked", "failed", "what"), [(19, 19, "wait"), (20, 1, "restore"), (100, 2, "wait")]
)
def test_share_of_failed_calls(asked: int, failed: int, what: str) -> None:
    assert judge(seen(health("B", asked=asked, failed=failed)), POLICY).what == what


def test_counts_add_up_over_windows() -> None:
    told = [
        health("B", asked=asked, failed=failed) for asked, failed in ((50, 1), (80, 1), (30, 2))
    ]
    added = seen(*told)
    assert (added.asked, added.answered, added.failed) == (110, 107, 3)


def test_windows_in_which_as_much_is_asked_are_told_apart_by_their_numbers() -> None:
    told = [replace(health("B", asked=40), window=number) for number in (1, 1, 2, 3)]
    assert seen(*told).answered == 120


@pytest.mark.parametrize(("p99_ms", "what"), [(9.0, "wait"), (9.1, "restore")])
def test_p99_far_over_the_old_bundles_three_times_in_a_row(p99_ms: float, what: str) -> None:
    one, two, three = (replace(health("B", p99_ms=p99_ms), window=number) for number in range(3))
    good = replace(health("B"), window=4)
    assert judge(seen(one, two), POLICY).what == "wait"
    assert judge(seen(one, two, three), POLICY).what == what
    assert judge(seen(one, two, good, three), POLICY).what == "wait"


@pytest.mark.parametrize(
    ("answered", "slow"), [((100,), 1), ((100, 199), 1), ((100, 200), 2), ((150, 250, 300, 600), 3)]
)
def test_p99_of_a_window_is_judged_again_on_twice_the_answers(
    answered: tuple[int, ...], slow: int
) -> None:
    told = [health("B", asked=asked, p99_ms=100.0) for asked in answered]
    assert seen(*told).slow == slow


def test_one_slow_moment_told_again_and_again_is_held_against_a_bundle_once() -> None:
    told = [health("B", asked=100 + asked, p99_ms=100.0) for asked in range(99)]
    assert judge(seen(*told, elapsed_s=LONG_ENOUGH_S), POLICY).what == "wait"
    calmed = health("B", asked=400, p99_ms=4.0)
    assert judge(seen(*told, calmed, elapsed_s=LONG_ENOUGH_S), POLICY).what == "commit"


def test_p99_is_compared_where_both_sides_have_enough_answers() -> None:
    slow = health("B", asked=99, p99_ms=400.0)
    assert seen(slow).slow == 0
    slow = health("B", asked=100, p99_ms=400.0)
    assert seen(slow).slow == 1
    assert seen(slow, before=health("A", asked=99)).slow == 0
    assert seen(slow, before=None).slow == 0
    assert seen(replace(slow, p99_ms=None)).slow == 0


def test_memory_far_over_the_old_bundles() -> None:
    most_bytes = int(POLICY.memory_factor * BEFORE.rss_bytes + POLICY.memory_slack_bytes)
    fat = replace(health("B", asked=0), rss_bytes=most_bytes + 1)
    verdict = judge(seen(fat, fat, fat), POLICY)
    assert verdict == ("restore", f"resident memory {most_bytes + 1} bytes, 100000000 before")
    assert seen(replace(fat, rss_bytes=most_bytes)).heavy == 0


def test_what_is_too_slow_just_now_is_not_committed() -> None:
    slow = health("B", p99_ms=100.0)
    assert judge(seen(slow, elapsed_s=POLICY.probation_most_s), POLICY).what == "wait"


@given(st.lists(st.integers(-(10**12), 10**12).map(float), max_size=20))
def test_time_never_goes_back_and_grows_in_bounded_steps(clock: list[float]) -> None:
    probation = Probation()
    for now_s in clock:
        later = pass_time(probation, now_s, POLICY)
        assert 0.0 <= later.elapsed_s - probation.elapsed_s <= POLICY.longest_step_s
        probation = later


def test_time_without_a_host_does_not_count() -> None:
    probation = pass_time(pass_time(Probation(), 100.0, POLICY), 110.0, POLICY)
    assert pass_time(pause(probation), 150.0, POLICY).elapsed_s == 10.0


def test_windows_after_another_bundle_served_are_new_ones() -> None:
    told = seen(health("B", asked=50))
    more = add(told, health("B", asked=60), BEFORE, POLICY)
    assert more.asked == 60
    assert add(interrupt(told), health("B", asked=60), BEFORE, POLICY).asked == 110


def test_baseline_is_the_newest_that_says_enough() -> None:
    many, more, few = (health("A", asked=asked) for asked in (200, 300, 5))
    assert better_baseline(None, few, POLICY) == few
    assert better_baseline(few, many, POLICY) == many
    assert better_baseline(many, more, POLICY) == more
    assert better_baseline(many, few, POLICY) == many
    assert better_baseline(many, health("B", asked=5), POLICY) == health("B", asked=5)


def test_probation_survives_the_journal() -> None:
    probation = seen(health("B"), elapsed_s=3.5)
    assert decode_json(Probation, encode_json(probation)) == probation


@pytest.mark.parametrize("attempts", [0, 1, 5, 10_000])
def test_pauses_are_bounded_and_longer_by_the_devices_own_share(attempts: int) -> None:
    plain, spread = Policy(), Policy(jitter=0.5)
    assert plain.retry_first_s <= plain.pause_s(attempts) <= plain.retry_most_s
    assert spread.pause_s(attempts) == 1.5 * plain.pause_s(attempts)


def test_time_further_away_than_any_pause_was_set_by_a_clock_that_jumped() -> None:
    assert POLICY.is_due(None, 0.0)
    assert not POLICY.is_due(3600.0, 0.0)
    assert POLICY.is_due(3601.0, 0.0)
    assert POLICY.is_due(-1.0, 0.0)
