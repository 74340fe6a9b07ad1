# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conformance.agreement import disagreement

FLOATS = arrays.arrays(np.float32, st.integers(1, 5), elements=st.floats(width=32))


def told(wanted: Any, found: Any, steps: int = 0) -> str | None:
    return disagreement({"y": wanted}, {"y": found}, rtol=1e-3, atol=1e-7, steps=steps)


@given(FLOATS)
def test_everything_agrees_with_itself(array: np.ndarray) -> None:
    assert told(array, array.copy()) is None
    assert told([array, None], [array.copy(), None]) is None


@given(FLOATS)
def test_other_shapes_types_and_lengths_disagree(array: np.ndarray) -> None:
    assert told(array, array[None]) is not None
    assert told(array, array.astype(np.float64)) is not None
    assert told([array], [array, array]) is not None
    assert told(array, None) is not None


@pytest.mark.parametrize(
    ("wanted", "found", "steps"),
    [
        (np.array([1, 2], np.float32), np.array([1, 2.01], np.float32), 0),
        (np.array([1, np.inf], np.float32), np.array([1, 3e38], np.float32), 0),
        (np.array([1, np.nan], np.float32), np.array([1, 0], np.float32), 0),
        (np.array([4], np.uint8), np.array([5], np.uint8), 0),
        (np.array([4], np.uint8), np.array([6], np.uint8), 1),
        (np.array([4], np.int64), np.array([5], np.int64), 1),
        (np.array([True]), np.array([False]), 1),
        (np.array(["a"]), np.array(["b"]), 0),
    ],
)
def test_wrong_answers_are_told(wanted: np.ndarray, found: np.ndarray, steps: int) -> None:
    assert told(wanted, found, steps) is not None


def test_rounding_of_a_sum_and_of_a_quantised_number_is_none() -> None:
    assert told(np.array([1000, 0], np.float32), np.array([1000, 9e-4], np.float32)) is None
    assert told(np.array([1000, 0], np.float32), np.array([1000, 2e-3], np.float32)) is not None
    assert told(np.array([255, 3], np.uint8), np.array([254, 4], np.uint8), 1) is None
    assert told(np.array(["a"]), np.array(["a"], dtype=object)) is None


def test_output_that_is_not_there_is_told() -> None:
    reason = disagreement({"y": np.zeros(1)}, {}, rtol=0, atol=0)
    assert reason == "does not answer 'y'"
