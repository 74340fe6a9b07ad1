# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.runtime.selfcheck import disagreement

LOGITS = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32) * 4


def check(found: NDArray[Any], tolerance: float = 1e-3) -> str | None:
    return disagreement({"y": LOGITS}, {"y": found}, tolerance=tolerance)


def test_disagreement_is_none_within_tolerance() -> None:
    assert check(LOGITS + np.float32(9e-4)) is None


def sign_flipped(channel: int) -> NDArray[Any]:
    found = LOGITS.copy()
    found[:, channel] *= -1
    return found


@pytest.mark.parametrize(
    "found",
    [
        np.roll(LOGITS, 1, axis=1),
        LOGITS[:, ::-1],
        *[sign_flipped(channel) for channel in range(10)],
        LOGITS * np.float32(0.98),
        LOGITS + np.float32(0.01),
        LOGITS[::-1],
    ],
)
def test_disagreement_tells_a_broken_model(found: NDArray[Any]) -> None:
    assert check(found, tolerance=0.005) is not None


def test_disagreement_names_the_worst_element() -> None:
    found = LOGITS.copy()
    found[2, 3] += 1
    found[4, 7] = LOGITS[4, 7] + 5
    assert str(check(found)).startswith("output 'y' is ")
    assert "at [4, 7]" in str(check(found))


@pytest.mark.parametrize(("changed", "told"), [(2, False), (20, True)])
def test_disagreement_on_average_tells_many_small_differences_from_a_few(
    changed: int, told: bool
) -> None:
    found = LOGITS.copy()
    found.flat[:changed] += 0.1
    mean = {"y": 0.1 * 10 / LOGITS.size}
    reason = disagreement({"y": LOGITS}, {"y": found}, tolerance=0.2, mean_tolerances=mean)
    assert (reason is not None) is told
    assert not told or "on average" in str(reason)
    other = {"z": 0.0}
    assert disagreement({"y": LOGITS}, {"y": found}, tolerance=0.2, mean_tolerances=other) is None


def test_disagreement_refuses_missing_and_misshapen_outputs() -> None:
    assert disagreement({"y": LOGITS}, {}, tolerance=9.0) == "output 'y' is missing"
    assert "shape (5, 9)" in str(check(LOGITS[:, :9], tolerance=9.0))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_disagreement_takes_odd_values_for_themselves_alone(odd: float) -> None:
    found = LOGITS.copy()
    found[0, 0] = odd
    assert check(found, tolerance=1e30) is not None
    assert disagreement({"y": found}, {"y": found.copy()}, tolerance=0.0) is None
    assert disagreement({"y": found}, {"y": LOGITS}, tolerance=1e30) is not None


def test_disagreement_compares_integers_and_text() -> None:
    classes = np.array([1, 2])
    assert disagreement({"c": classes}, {"c": np.array([1, 3])}, tolerance=0.5) is not None
    words = np.array(["a", "b"])
    assert disagreement({"w": words}, {"w": words[::-1]}, tolerance=9.0) == "output 'w' differs"
