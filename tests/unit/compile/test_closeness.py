# SPDX-License-Identifier: Apache-2.0
"""Agreement and error without labels, with intervals that cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.rows.closeness import differences, output_evidence, relative_error


@given(st.integers(1, 50), st.integers(1, 5), st.floats(1e-6, 1e6))
def test_relative_error_is_the_ratio_of_norms_whatever_the_scale(
    rows: int, size: int, scale: float
) -> None:
    random = np.random.default_rng(rows)
    source = random.normal(size=(rows, size)) * scale
    target = source + random.normal(size=(rows, size)) * scale / 10
    found = relative_error(source, differences(source, target))
    assert found is not None
    wanted = np.linalg.norm(source - target) / np.linalg.norm(source)
    assert found.value == pytest.approx(wanted)
    assert found.low <= found.value <= found.high


def test_interval_covers_the_error_of_all_rows_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    source = random.normal(size=(20_000, 3))
    noise = np.abs(random.normal(size=(20_000, 3))) * random.uniform(0, 0.2, size=(20_000, 1))
    truth = np.linalg.norm(noise) / np.linalg.norm(source)
    covered = 0
    for draw in range(300):
        rows = np.random.default_rng(draw).integers(0, 20_000, 200)
        found = relative_error(source[rows], noise[rows])
        assert found is not None
        covered += bool(found.low <= truth <= found.high)
    assert 270 <= covered <= 297


def test_no_error_is_zero_and_an_infinite_one_is_none() -> None:
    rows = np.ones((4, 1))
    same = output_evidence("y", rows, rows, differences(rows, rows))
    assert same.value is not None
    assert (same.value.high, same.sqnr_db) == (0.0, None)
    odd = np.array([[1.0], [np.nan], [1.0], [1.0]])
    assert output_evidence("y", rows, odd, differences(rows, odd)).value is None
    zeros = np.zeros((4, 1))
    assert output_evidence("y", zeros, rows, differences(zeros, rows)).value is None
