# SPDX-License-Identifier: Apache-2.0
"""Which stand-ins count, what is held out, and when an answer is right."""

import numpy as np

from benchmarks.prediction_devices import STAND_INS, StandIn
from benchmarks.prediction_networks import networks
from benchmarks.prediction_points import held_out, told_apart
from benchmarks.selection import Tried, answered
from insight_edge.selection.costs import KINDS
from insight_edge.selection.learning import Observation

ONE, OTHER, THIRD = STAND_INS[:3]


def seen(device: StandIn, times: float) -> list[Observation]:
    rows = np.random.default_rng(0).uniform(0.5, 2.0, (10, len(KINDS)))
    return [
        Observation(device=device.id, model=f"m{i}", costs=row, seconds=times * float(row.sum()))
        for i, row in enumerate(rows)
    ]


def tried(device: StandIn, ms: float) -> Tried:
    return Tried(device=device, least_ms=ms, worst_ms=ms * 1.01)


def test_a_stand_in_counts_where_it_is_a_quarter_apart_from_all_before() -> None:
    made = seen(ONE, 1.0) + seen(OTHER, 1.1) + seen(THIRD, 1.4)
    assert told_apart(made, (ONE, OTHER, THIRD)) == (ONE, THIRD)


def test_every_point_is_held_out_once_and_foretold_without_its_device() -> None:
    made = seen(ONE, 1.0) + seen(THIRD, 3.0)
    points = list(held_out(made))
    assert len(points) == len(made)
    assert all(point.seen.device not in point.learned.offsets for point in points)


def test_an_answer_is_right_by_the_other_run() -> None:
    fast, cheap = ONE, THIRD
    known = [tried(fast, 1.0), tried(cheap, 3.0)]
    assert answered(known, known, 4.0) is True
    assert answered(known, [tried(fast, 1.0), tried(cheap, 5.0)], 4.0) is False
    assert answered(known, known, 0.5) is True
    assert answered(known, [tried(fast, 0.4), tried(cheap, 3.0)], 0.5) is False
    assert (
        answered([tried(fast, 1.0), Tried(device=cheap, least_ms=4.05, worst_ms=6.0)], known, 4.0)
        is None
    )


def test_the_same_seed_draws_the_same_networks_and_another_others() -> None:
    first, again, other = networks(0), networks(0), networks(1)
    assert first == again
    assert len(first) >= 40
    assert first["dense-0"] != other["dense-0"]
