# SPDX-License-Identifier: Apache-2.0
import time
from collections.abc import Callable
from itertools import count, cycle

import pytest

from insight_edge.bench.warming import GROUP_S, STEADY_GROUPS, warm_up_for
from insight_edge.documents.measured import WarmUp

CAP_S = 5.0
CALL_NS = 2_000_000
PER_GROUP = round(GROUP_S * 1e9 / CALL_NS)


class Clock:
    """A clock that stands still, except where a call takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "monotonic", lambda: self.now_ns / 1e9)


@pytest.fixture
def warmed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[WarmUp, float]]:
    """Warm up a call that takes as long as a function says of its number."""
    clock = Clock(monkeypatch)

    def warm_up(takes_ns: Callable[[int], int], **changes: bool) -> tuple[WarmUp, float]:
        calls = count()

        def call(_: object) -> None:
            clock.now_ns += takes_ns(next(calls))

        return warm_up_for(call, cycle([None]), most_s=CAP_S, **changes)

    return warm_up


def test_steady_call_is_warm_after_ten_groups(
    warmed: Callable[..., tuple[WarmUp, float]],
) -> None:
    found, call_s = warmed(lambda _: CALL_NS)
    assert found == WarmUp(
        calls=STEADY_GROUPS * PER_GROUP, duration_s=STEADY_GROUPS * GROUP_S, steady=True
    )
    assert call_s == CALL_NS / 1e9


def test_what_was_slow_at_first_is_left_out(warmed: Callable[..., tuple[WarmUp, float]]) -> None:
    found, call_s = warmed(lambda number: CALL_NS * (2 if number < 12 else 1))
    assert found.steady
    assert 12 + STEADY_GROUPS * PER_GROUP <= found.calls <= 12 + 2 * STEADY_GROUPS * PER_GROUP
    assert call_s == CALL_NS / 1e9


def test_what_gets_slower_without_end_is_not_steady_at_the_cap(
    warmed: Callable[..., tuple[WarmUp, float]],
) -> None:
    found, _ = warmed(lambda number: round(CALL_NS * 1.02**number))
    assert not found.steady
    assert found.duration_s >= CAP_S


def test_what_goes_up_and_down_is_not_steady(warmed: Callable[..., tuple[WarmUp, float]]) -> None:
    found, _ = warmed(lambda number: CALL_NS * (1 + number // 20 % 2))
    assert not found.steady


def test_seconds_that_are_asked_for_are_taken_whole(
    warmed: Callable[..., tuple[WarmUp, float]],
) -> None:
    found, _ = warmed(lambda _: CALL_NS, whole=True)
    assert found.steady
    assert found.duration_s == CAP_S


def test_call_slower_than_the_cap_is_made_once(
    warmed: Callable[..., tuple[WarmUp, float]],
) -> None:
    found, call_s = warmed(lambda _: round(2 * CAP_S * 1e9))
    assert (found.calls, found.steady, call_s) == (1, False, 2 * CAP_S)


def test_call_too_fast_for_the_clock_ends(warmed: Callable[..., tuple[WarmUp, float]]) -> None:
    """Time stands still here, so the cap never comes: only that it is steady ends it."""
    found, _ = warmed(lambda _: 0)
    assert found.steady
