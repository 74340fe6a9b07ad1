# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.summary import LIMIT_UNITS, MAX_COUNT, Summary
from insight_edge.stats.tally import Tally

GRID = grid_from_rows(["a", "b"], np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))


def columns(**changes: Any) -> dict[str, Any]:
    """Return the columns of a summary of three rows, some of them changed."""
    tally = Tally(GRID)
    tally.observe(np.array([[0.0, np.nan], [1.0, 1.0], [9.0, -9.0]]))
    summary = tally.summary()
    return {name: getattr(summary, name) for name in summary.__struct_fields__} | changes


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


def objects(*values: int) -> Any:
    return np.array(values, np.object_)


def test_summary_of_no_rows_has_neither_mean_nor_extremes() -> None:
    zero = Summary.zero(GRID)
    assert np.isnan([zero.mean(), zero.std()]).all()
    assert zero.minimum.tolist() == [np.inf, np.inf]


def test_feature_that_is_always_missing_has_no_mean() -> None:
    tally = Tally(GRID)
    tally.observe(np.array([[1.0, np.nan]]))
    mean, std = tally.summary().mean(), tally.summary().std()
    assert np.isnan([mean[1], std[1]]).all()
    assert std[0] == 0


def test_summaries_over_different_grids_do_not_merge() -> None:
    other = grid_from_rows(["a", "c"], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="different grids"):
        Summary.zero(GRID).merge(Summary.zero(other))


def test_summary_is_equal_only_to_one_of_the_same_counts() -> None:
    same, other = Summary(**columns()), Summary(**columns(maximum=np.array([8.0, 1.0])))
    assert same == Summary(**columns())
    assert same != other
    assert same != "a summary"


def test_columns_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Summary(**columns()).bins[0, 0] = 1


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 4},
        {"count": -1},
        {"count": MAX_COUNT + 1},
        {"missing": integers(0)},
        {"missing": integers(0, 0)},
        {"below": integers(-1, 0)},
        {"below": integers(0, 3)},
        {"above": integers(4, 0)},
        {"bins": np.zeros((2, 2), np.int64)},
        {"bins": np.full((2, GRID.bins), 2**62)},
        {"sums": objects(2**40, 0)},
        {"squares": objects(0, 0)},
        {"squares": objects(3 * LIMIT_UNITS**2 + 1, 10**9)},
        {"minimum": np.array([np.nan, 0.0])},
        {"minimum": np.array([10.0, 0.0])},
        {"maximum": np.array([np.inf, 0.0])},
    ],
)
def test_counts_that_no_rows_can_have_are_refused(changes: dict[str, Any]) -> None:
    Summary(**columns())
    with pytest.raises(ValueError, match=r"count|rows|shape|bins|values"):
        Summary(**columns(**changes))
