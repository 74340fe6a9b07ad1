# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.stats.early_stopping import CONFIDENCE, most_above, queries_needed


def chance_of_at_most(above: int, count: int, share: float) -> float:
    """Return the chance that so few of `count` lie above a percentile: added up term by term."""
    return math.fsum(
        math.comb(count, k) * (1 - share) ** k * share ** (count - k) for k in range(above + 1)
    )


@pytest.mark.parametrize(
    ("share", "needed"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)]
)
def test_queries_needed_are_those_of_mlperf(share: float, needed: int) -> None:
    assert queries_needed(share) == needed
    assert chance_of_at_most(1, needed, share) <= 1 - CONFIDENCE
    assert chance_of_at_most(1, needed - 1, share) > 1 - CONFIDENCE


@given(st.integers(1, 900), st.sampled_from([0.5, 0.75, 0.9, 0.95, 0.99]))
def test_one_more_above_would_be_too_many(count: int, share: float) -> None:
    above = most_above(count, share)
    assert (above == 0) == (count < queries_needed(share))
    if above:
        assert chance_of_at_most(above, count, share) <= 1 - CONFIDENCE
        assert chance_of_at_most(above + 1, count, share) > 1 - CONFIDENCE


@pytest.mark.parametrize("share", [-0.1, 0, 1, 90, math.nan])
def test_no_percentile_lies_outside(share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        queries_needed(share)
