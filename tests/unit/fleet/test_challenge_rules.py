# SPDX-License-Identifier: Apache-2.0
"""What follows for a challenger: each rule, and that any order of events ends well."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.documents.desired import Challenging
from insight_edge.documents.host import Health
from insight_edge.fleet.challenges.rules import (
    ChallengeRefused,
    Challenges,
    Laid,
    NotLaid,
    Standing,
    Swept,
    desired,
    learned,
    next_step,
    told,
)
from insight_edge.fleet.update.events import Event, HealthSeen, HostCame, HostLeft
from insight_edge.fleet.update.policy import Policy

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
WANTED = Challenging(bundle=ONE, share=0.2)
POLICY = Policy()
ROOM = 10**9


def healthy(challenger: str | None) -> HealthSeen:
    return HealthSeen(
        Health(
            serving=OTHER, asked=0, answered=0, failed=0, p99_ms=None, rss_bytes=0,
            challenger=challenger,
        )
    )  # fmt: skip


def after(state: Standing, *events: Event, now_s: float = 0.0) -> Standing:
    for event in events:
        state = learned(state, event, now_s, POLICY)
    return state


def step(state: Standing, **known: Any) -> tuple[Standing, str | None]:
    options: dict[str, Any] = {"held": False, "free_bytes": ROOM} | known
    return next_step(state, options.pop("now_s", 0.0), POLICY, **options)


def wanting(**fields: Any) -> Standing:
    state = replace(Standing(), calm=True, attached=True)
    return replace(desired(state, WANTED, 1, 100.0), **fields)


RUNNING = wanting(laid=ONE, running=ONE, told=WANTED)


def test_it_is_laid_then_begun_and_told() -> None:
    state, done = step(wanting())
    assert (done, told(state)) == ("lay", replace(told(state), phase="fetching"))  # type: ignore[type-var]
    assert step(state)[1] is None, "one thing at a time"
    state, done = step(after(state, Laid(ONE, 5)))
    assert done == "begin"
    state = after(state, Challenges(ONE))
    seen = told(state)
    assert seen is not None
    assert (seen.bundle, seen.phase, seen.refusal) == (ONE, "running", None)
    assert step(state)[1] is None


@pytest.mark.parametrize(
    ("state", "known", "expected"),
    [
        (RUNNING, {}, None),
        (replace(RUNNING, calm=False), {}, "end"),
        (replace(RUNNING, told=None), {}, "end"),
        (replace(RUNNING, wanted=replace(WANTED, share=0.5)), {}, "end"),
        (replace(RUNNING, wanted=None), {}, "end"),
        (replace(RUNNING, wanted=None, told=None), {}, "end"),
        (replace(RUNNING, given_up=True), {}, "end"),
        (replace(RUNNING, wanted=None, running=None), {}, "sweep"),
        (wanting(laid=OTHER), {}, "lay"),
        (wanting(laid=OTHER), {"held": True}, None),
        (wanting(laid=OTHER), {"now_s": 101.0}, None),
        (wanting(laid=ONE), {"held": True, "now_s": 101.0}, "begin"),
        (wanting(laid=ONE, calm=False), {}, None),
        (wanting(laid=ONE, attached=False), {}, None),
        (wanting(laid=ONE, needed_bytes=9), {"free_bytes": 8}, None),
        (Standing(), {}, None),
    ],
)
def test_what_serves_comes_first(
    state: Standing, known: dict[str, Any], expected: str | None
) -> None:
    assert step(state, **known)[1] == expected


def test_short_memory_is_told_and_tried_again() -> None:
    state, _ = step(wanting(laid=ONE, needed_bytes=9), free_bytes=8)
    seen = told(state)
    assert seen is not None
    assert seen.refusal is not None
    assert seen.refusal.reason == "9 bytes of memory may be needed, 8 are free"
    assert (seen.phase, step(state, now_s=1.0)[1]) == ("waiting", None)
    assert step(state, now_s=POLICY.pause_s(1))[1] == "begin"


def test_what_the_host_refuses_is_given_up_until_it_is_wanted_anew() -> None:
    state = wanting(laid=ONE, doing="begin", told=WANTED)
    state = after(state, ChallengeRefused("SelfCheckError", "no"))
    seen = told(state)
    assert seen is not None
    assert (seen.phase, seen.refusal and seen.refusal.kind) == ("refused", "SelfCheckError")
    assert step(state, now_s=1e6)[1] == "sweep"
    assert desired(state, WANTED, 1, 0.0) == state
    assert not desired(state, WANTED, 2, 0.0).given_up


def test_what_became_of_the_one_before_is_not_held_against_the_next() -> None:
    later = Challenging(bundle=OTHER)
    for doing, event in (
        ("lay", NotLaid(ONE, "TamperedError", "no", final=True)),
        ("begin", ChallengeRefused("SelfCheckError", "no")),
    ):
        state = wanting(doing=doing, laid=ONE, told=WANTED)
        state = after(desired(state, later, 2, 0.0), event)
        assert (state.given_up, state.doing) == (False, None)


def test_host_that_is_lost_with_it_again_and_again_is_spared() -> None:
    state = RUNNING
    for _ in range(POLICY.most_losses):
        assert not state.given_up
        state = after(state, HostLeft(), HostCame(None))
        state = replace(state, running=None if state.given_up else ONE, told=WANTED)
    seen = told(state)
    assert seen is not None
    assert seen.phase == "refused"
    assert seen.refusal is not None
    assert seen.refusal.reason == "the host was lost 3 times with it"
    assert after(wanting(laid=ONE), HostLeft()).losses == 0


EVENTS = st.sampled_from(
    [HostCame(OTHER), HostLeft(), healthy(None), healthy(ONE), healthy(OTHER), Laid(ONE, 5),
     NotLaid(ONE, "DownloadError", "gone", final=False), Swept(), Challenges(ONE),
     Challenges(None), ChallengeRefused("LoadFailedError", "no")]
)  # fmt: skip


@given(st.lists(st.tuples(EVENTS, st.booleans(), st.sampled_from([WANTED, None]))))
def test_once_it_is_withdrawn_nothing_of_it_is_left(
    story: list[tuple[Event, bool, Challenging | None]],
) -> None:
    state, revision, now_s = Standing(), 0, 0.0
    for event, calm, wanted in story:
        revision, now_s = revision + 1, now_s + 60.0
        state = desired(replace(state, calm=calm), wanted, revision, now_s + 9)
        state, done = step(after(state, event, now_s=now_s), now_s=now_s)
        assert done != "begin" or (calm and wanted is not None)
    state = desired(replace(state, calm=True), None, revision + 1, now_s)
    answers = {"end": Challenges(None), "sweep": Swept(), "begin": Challenges(ONE),
               "lay": Laid(ONE, 5)}  # fmt: skip
    for _ in range(8):
        if state.doing is not None:
            state = after(state, answers[state.doing])
        state, _ = step(state, now_s=now_s)
    assert (state.running, state.laid, state.doing) == (None, None, None)
    assert told(state) is None
