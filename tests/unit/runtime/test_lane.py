# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.lane import MAX_ROWS, MIN_ROWS, Lane, observable

X = TensorSpec(name="x", dtype="float32", shape=("batch", 2))
Y = TensorSpec(name="y", dtype="uint8", shape=("batch", 3))


def kept_values(lane: Lane, at_most: int) -> list[float]:
    if lane.put == lane.taken:
        return []
    rows, _ = lane.take(at_most).kept
    return [float(value) for value in np.frombuffer(rows, np.float32)[::2]]


def keep(lane: Lane, values: list[float]) -> bool:
    x = np.repeat(np.array(values, np.float32), 2).reshape(-1, 2)
    return lane.keep(len(values), 7, {"x": x}, {"y": np.zeros((len(values), 3), np.uint8)})


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 700)), max_size=30))
def test_lane_gives_back_what_it_had_room_for_in_order(steps: list[tuple[bool, int]]) -> None:
    lane, counter = Lane([X], [Y]), itertools.count()
    expected: list[float] = []
    for put, size in steps:
        if put:
            values = [float(next(counter)) for _ in range(size)]
            expected += values[: MAX_ROWS - len(expected)]
            keep(lane, values)
        else:
            taken = kept_values(lane, size)
            assert taken == expected[: len(taken)]
            assert bool(taken) == bool(expected)
            del expected[: len(taken)]
        assert lane.head - lane.tail == len(expected)


def test_lane_keeps_a_copy_that_the_caller_cannot_change() -> None:
    lane = Lane([X], [])
    row = np.ones((1, 2), np.float32)
    lane.keep(1, 5, {"x": row}, {})
    row[:] = 9
    latencies_ns, kept = lane.take(1)
    assert latencies_ns.tolist() == [5]
    assert kept == [np.ones(2, np.float32).tobytes()]


def test_lane_keeps_nothing_when_full() -> None:
    lane = Lane([X], [Y])
    for _ in range(MAX_ROWS):
        keep(lane, [0.0])
    assert not keep(lane, [1.0])
    assert lane.head == lane.put == MAX_ROWS


def test_lane_rings_once_a_half() -> None:
    lane = Lane([X], [Y])
    rings = [keep(lane, [0.0]) for _ in range(MAX_ROWS)]
    assert sum(rings) == 2


def test_nothing_can_be_taken_where_nothing_waits() -> None:
    with pytest.raises(ValueError, match="no call waits"):
        Lane([X], [Y]).take(1)


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((1, 2), MAX_ROWS), ((1, 3, 32, 32), 85), ((1, 3, 1000, 1000), MIN_ROWS)],
)
def test_lane_holds_fewer_rows_of_larger_tensors(shape: tuple[int, ...], rows: int) -> None:
    assert Lane([TensorSpec(name="x", dtype="float32", shape=shape)], []).capacity == rows


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", ("batch", 2), True),
        ("int64", (1,), True),
        ("float32", ("batch", "length"), False),
        ("float32", (), False),
        ("str", ("batch",), False),
    ],
)
def test_observable_needs_numbers_of_one_shape(
    dtype: str, shape: tuple[int | str, ...], *, expected: bool
) -> None:
    assert observable(TensorSpec(name="t", dtype=dtype, shape=shape)) is expected
