# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from insight_edge.bench.doubt import Doubt
from insight_edge.bench.scenarios.in_turn import serve_in_turn
from insight_edge.bench.scenarios.load import Round, load_doubts, load_of
from insight_edge.bench.scenarios.scenario import Scenario

MS = 1_000_000
SERVER = Scenario(name="server", rate_per_s=4.0, waiting=10)
SENSOR = Scenario(name="sensor", rate_per_s=4.0, waiting=1, deadline_s=0.1)
DUE = np.array([0, 250, 500, 750]) * MS


def round_of(times_ms: list[tuple[float, float]]) -> Round:
    times = np.array([(a * MS, b * MS) if b >= 0 else (-1, -1) for a, b in times_ms], np.int64)
    return Round(due_ns=DUE, times=times, duration_s=1.0)


QUICK = round_of([(0, 50), (251, 301), (500, 550), (750, 800)])
SLOW = round_of([(0, 400), (400, 800), (-1, -1), (800, 1200)])


def test_latency_runs_from_when_a_query_was_due() -> None:
    assert (QUICK.latencies_ns() / MS).tolist() == [50, 51, 50, 50]
    assert (SLOW.latencies_ns() / MS).tolist() == [400, 550, np.inf, 450]


def test_lateness_of_this_machine_is_not_that_of_the_queue() -> None:
    assert (QUICK.woke_late_ns() / MS).tolist() == [0, 1, 0, 0]
    assert (SLOW.woke_late_ns() / MS).tolist() == [0]


def test_load_says_what_came_of_every_query() -> None:
    found = load_of(SENSOR, [QUICK, SLOW])
    assert (found.offered, found.answered, found.dropped, found.misses) == (8, 7, 1, 4)
    assert (found.rate_per_s, found.offered_per_s) == (4.0, 4.0)
    assert found.achieved_per_s == pytest.approx(7 / 2.2)
    assert found.busy_share == pytest.approx(4 * (4 * 0.05 + 3 * 0.4) / 7)
    assert (found.deadline_ms, found.waiting) == (100, 1)


def test_load_without_a_deadline_has_no_misses() -> None:
    found = load_of(SERVER, [QUICK])
    assert (found.deadline_ms, found.misses, found.dropped) == (None, None, 0)


@pytest.mark.parametrize(
    ("scenario", "rounds", "said"),
    [
        (SERVER, [QUICK], []),
        (SERVER, [SLOW], ["4 queries a second were not held: they take 160% of the time, 1 of 4"]),
        (SENSOR, [SLOW], []),
    ],
)
def test_server_that_does_not_hold_its_rate_is_invalid(
    scenario: Scenario, rounds: list[Round], said: list[str]
) -> None:
    doubts = load_doubts(scenario, load_of(scenario, rounds), 50.0)
    assert [one.verdict for one in doubts] == ["INVALID"] * len(said)
    for doubt, start in zip(doubts, said, strict=True):
        assert doubt.reason.startswith(start)


def test_queue_that_fills_its_time_is_not_held_though_none_was_dropped() -> None:
    full = round_of([(0, 245), (250, 495), (500, 745), (750, 995)])
    (doubt,) = load_doubts(SERVER, load_of(SERVER, [full]), 50.0)
    assert doubt.verdict == "INVALID"
    assert "98%" in doubt.reason


def test_process_that_asks_late_puts_the_latency_in_doubt() -> None:
    late = round_of([(0, 1), (251, 252), (501, 502), (751, 752)])
    found = load_of(SENSOR, [late])
    assert load_doubts(SENSOR, found, 1.5) == (
        Doubt("NOISY", "queries were asked 1 ms late, the p50 is 1.5 ms"),
    )
    assert load_doubts(SENSOR, found, 50.0) == ()


def test_subjects_are_served_in_turn_by_one_schedule() -> None:
    asked: list[tuple[str, tuple[int, ...]]] = []

    class Noting:
        def __init__(self, name: str) -> None:
            self.name = name

        def serve(self, due_ns: Any, waiting: int) -> Any:
            asked.append((self.name, tuple(due_ns)))
            assert waiting == SERVER.waiting
            return np.stack([due_ns, due_ns + 1], axis=1)

    told: list[int] = []
    found = serve_in_turn(
        {"a": Noting("a"), "b": Noting("b")},
        SERVER,
        rounds=6,
        round_s=5.0,
        seed=1,
        tell=told.append,
    )
    assert told == [1, 2, 3, 4, 5, 6]
    assert [len(rounds) for rounds in found.values()] == [6, 6]
    pairs = [asked[at : at + 2] for at in range(0, 12, 2)]
    assert all(first[1] == second[1] for first, second in pairs)
    assert {first[0] for first, _ in pairs} == {"a", "b"}
    assert len({first[1] for first, _ in pairs}) == 6
