# SPDX-License-Identifier: Apache-2.0
"""The reference is what a device that sees the training rows would report, bit for bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.documents.statistics import (
    document_from_summary,
    grid_from_document,
    summary_from_document,
)
from insight_edge.documents.steps import Feature, Observe
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import extract
from insight_edge.transforms.reference import CHUNK_ROWS, reference_from_tensors

OBSERVE = Observe(
    inputs=(
        Feature(name="first", tensor="x", measure="value", index=0),
        Feature(name="mean", tensor="x", measure="mean"),
    ),
    outputs=(Feature(name="sure", tensor="p", measure="confidence"),),
)


def tensors_of(count: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    random = np.random.default_rng(seed)
    return {"x": random.normal(size=(count, 3))}, {"p": random.dirichlet([1, 1, 1], count)}


def table_of(inputs: dict[str, Any], outputs: dict[str, Any]) -> NDArray[np.float64]:
    return np.hstack([extract(OBSERVE.inputs, inputs), extract(OBSERVE.outputs, outputs)])


@pytest.mark.parametrize("count", [1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS + 7])
def test_device_that_sees_the_rows_again_reports_the_reference(count: int) -> None:
    inputs, outputs = tensors_of(count)
    reference = reference_from_tensors(OBSERVE, inputs, outputs)
    assert reference is not None
    assert reference.rows == reference.summary.count == count
    assert reference.summary.names == ("first", "mean", "sure")
    device = Tally(grid_from_document(reference.grid))
    for row in table_of(inputs, outputs):
        device.observe(row[None])
    assert document_from_summary(device.summary()) == reference.summary


@given(st.integers(2, 400), st.integers(0, 5))
def test_mean_is_that_of_the_rows(count: int, seed: int) -> None:
    inputs, outputs = tensors_of(count, seed)
    reference = reference_from_tensors(OBSERVE, inputs, outputs)
    assert reference is not None
    grid = grid_from_document(reference.grid)
    means = summary_from_document(reference.summary, grid).mean()
    rows = table_of(inputs, outputs)
    # Values are summed in whole grid units, far finer than a bin.
    assert means == pytest.approx(rows.mean(axis=0), abs=1e-4)


def test_missing_values_are_counted_as_missing() -> None:
    inputs, outputs = tensors_of(100)
    inputs["x"][:7] = np.nan
    reference = reference_from_tensors(OBSERVE, inputs, outputs)
    assert reference is not None
    assert reference.summary.missing == (7, 7, 0)
    assert [sum(row) for row in reference.summary.bins] == [93, 93, 100]


@pytest.mark.parametrize(
    ("observe", "names"),
    [
        (Observe(inputs=OBSERVE.inputs), ("first", "mean")),
        (Observe(outputs=OBSERVE.outputs), ("sure",)),
    ],
)
def test_one_side_alone_is_counted(observe: Observe, names: tuple[str, ...]) -> None:
    reference = reference_from_tensors(observe, *tensors_of(50))
    assert reference is not None
    assert reference.summary.names == names


def test_nothing_observed_is_no_reference() -> None:
    assert reference_from_tensors(Observe(), *tensors_of(50)) is None
