# SPDX-License-Identifier: Apache-2.0
"""Many summaries and histograms added at once are those added one by one."""

from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.stats import columns, latencies
from insight_edge.stats.columns import (
    add_exactly,
    add_groups,
    integers,
    plus_exactly,
    summary_at,
    taken,
)
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.latency import (
    BUCKETS,
    LatencyHistogram,
    latency_from_buckets,
    lower_edge,
    upper_edge,
)
from insight_edge.stats.summary import LIMIT_UNITS, MAX_COUNT, Columns, Summary, impossible
from insight_edge.stats.tally import Tally

GRID = grid_from_rows(["a", "b"], np.random.default_rng(0).normal(size=(50, 2)), bins=4, cells=16)
VALUES = st.one_of(st.floats(-5, 5), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e300]))
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=5)
GROUPS = st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=4)


def counted(rows: list[tuple[float, float]]) -> Summary:
    tally = Tally(GRID)
    tally.observe(np.array(rows, np.float64).reshape(-1, 2))
    return tally.summary()


def starts_of(groups: list[Any]) -> NDArray[np.int64]:
    return np.array([0, *accumulate(map(len, groups[:-1]))], np.int64)


@given(GROUPS)
def test_summaries_added_at_once_are_those_added_one_by_one(
    groups: list[list[list[tuple[float, float]]]],
) -> None:
    summaries = [[counted(rows) for rows in group] for group in groups]
    every = columns.stacked([each.columns() for group in summaries for each in group])
    added = add_groups(every, starts_of(groups))
    assert not any(broken.any() for _, broken in impossible(added))
    for index, group in enumerate(summaries):
        assert summary_at(added, index, GRID) == reduce(Summary.merge, group)
    last = len(every.count) - 1
    backwards = taken(every, np.arange(last, -1, -1))
    assert summary_at(backwards, 0, GRID) == summary_at(every, last, GRID)


@given(st.lists(st.tuples(ROWS, ROWS), min_size=1, max_size=4))
def test_summaries_are_added_each_to_the_one_at_its_place(
    pairs: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
) -> None:
    ones, others = ([counted(rows) for rows in side] for side in zip(*pairs, strict=True))
    found = columns.plus(*(columns.stacked([s.columns() for s in side]) for side in (ones, others)))
    for index, (one, other) in enumerate(zip(ones, others, strict=True)):
        assert summary_at(found, index, GRID) == one.merge(other)


LARGE = st.integers(-(2**70), 2**70) | st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)


@given(st.lists(st.tuples(LARGE, LARGE), min_size=1, max_size=8))
def test_integers_of_any_size_are_added_exactly_each_to_its_own(
    pairs: list[tuple[int, int]],
) -> None:
    ones, others = (integers([[value] for value in side]) for side in zip(*pairs, strict=True))
    assert [int(each) for each in plus_exactly(ones, others)[:, 0]] == [a + b for a, b in pairs]


@given(
    st.lists(st.integers(-(2**70), 2**70) | st.integers(-5, 5), min_size=1, max_size=20),
    st.sets(st.integers(1, 19)),
)
def test_integers_of_any_size_are_added_exactly(values: list[int], breaks: set[int]) -> None:
    starts = [0, *sorted(each for each in breaks if each < len(values))]
    found = add_exactly(integers([[value] for value in values]), np.array(starts))
    ends = [*starts[1:], len(values)]
    expected = [sum(values[begin:end]) for begin, end in zip(starts, ends, strict=True)]
    assert [int(each) for each in found[:, 0]] == expected


def test_sums_near_the_end_of_64_bits_go_beyond_it() -> None:
    near = integers([[2**63 - 1], [2**63 - 1]])
    assert near.dtype == np.int64
    assert add_exactly(near, np.array([0])).tolist() == [[2**64 - 2]]


def test_more_rows_than_one_summary_may_have_are_not_added() -> None:
    full = counted([(0.0, 0.0)]).columns()
    full.count.flags.writeable = True
    full.count[0] = MAX_COUNT
    with pytest.raises(ValueError, match="rows"):
        add_groups(columns.stacked([full, full]), np.array([0]))
    with pytest.raises(ValueError, match="rows"):
        columns.plus(full, full)


def of_moments(present: int, total: int, square: int) -> Columns:
    """Return two features: the one, and one of which every value is 0."""
    zero = np.zeros((1, 2), np.int64)
    return Columns(
        count=np.array([present]),
        missing=zero,
        below=zero,
        above=zero,
        bins=np.array([[[present, 0, 0, 0]] * 2]),
        sums=integers([[total, 0]]),
        squares=integers([[square, 0]]),
        minimum=np.zeros((1, 2)),
        maximum=np.zeros((1, 2)),
    )


@given(
    st.integers(0, MAX_COUNT),
    st.integers(-LIMIT_UNITS, LIMIT_UNITS),
    st.integers(-3, 3),
    st.integers(-3, 3),
)
def test_moments_are_believed_to_the_last_unit(n: int, mean: int, more: int, off: int) -> None:
    total, square = n * mean + off, n * mean * mean + more
    broken = [bool(each.any()) for _, each in impossible(of_moments(n, total, square))]
    expected = not total * total <= n * square <= n * n * LIMIT_UNITS**2
    assert broken == [False, False, False, expected, False]


@pytest.mark.parametrize("huge", [10**100, -(10**100), 10**4000])
def test_moments_of_hundreds_of_digits_are_no_values(huge: int) -> None:
    assert [bool(b.any()) for _, b in impossible(of_moments(3, huge, 5))][3]
    assert [bool(b.any()) for _, b in impossible(of_moments(3, 0, huge))][3]


def test_what_is_impossible_is_told_of_each_summary_alone() -> None:
    good = counted([(0.0, 1.0), (np.nan, 2.0)]).columns()
    several = columns.stacked([good] * 5)
    several.bins[1, 0, 0] += 1
    several.missing[2, 1] = -1
    several.minimum[3, 0] = np.nan
    found = {reason: broken.tolist() for reason, broken in impossible(several)}
    first = [next((r for r in found if found[r][index]), "") for index in range(5)]
    assert [reason.split()[:3] for reason in first] == [
        [],
        ["a", "feature's", "bins"],
        ["a", "count", "is"],
        ["no", "values", "have"],
        [],
    ]


DURATIONS = st.lists(st.integers(0, 2**42) | st.integers(0, 100), max_size=8)


def histogram(durations: list[int]) -> LatencyHistogram:
    counted = LatencyHistogram()
    counted.observe_ns(np.array(durations, np.int64))
    return counted


def held(several: list[LatencyHistogram]) -> Latencies:
    buckets = [each.buckets() for each in several]
    return Latencies.of(
        sizes=[len(each) for each in buckets],
        indices=[index for each in buckets for index in each],
        counts=[count for each in buckets for count in each.values()],
        total_ns=[each.total_ns for each in several],
        max_ns=[each.max_ns for each in several],
    )


@given(st.lists(DURATIONS, min_size=1, max_size=4), st.floats(0.0, 1.0))
def test_quantiles_of_many_are_those_of_each(several: list[list[int]], share: float) -> None:
    each = [histogram(one) for one in several]
    expected = [one.quantile(share) if one.count else 0 for one in each]
    assert held(each).quantile(share).tolist() == expected


@given(st.lists(st.lists(DURATIONS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_histograms_added_at_once_are_those_added_one_by_one(
    groups: list[list[list[int]]],
) -> None:
    several = [[histogram(each) for each in group] for group in groups]
    parts = [held(group) for group in several]
    added = latencies.stacked(parts).add_groups(starts_of(groups))
    assert not added.impossible().any()
    for index, group in enumerate(several):
        assert added.histogram(index) == reduce(LatencyHistogram.merge, group)
    sizes, indices, counts = added.held()
    again = Latencies.of(
        sizes=sizes,
        indices=indices,
        counts=counts,
        total_ns=added.total_ns,
        max_ns=added.max_ns,
    )
    assert [again.histogram(i) for i in range(len(groups))] == [
        added.histogram(i) for i in range(len(groups))
    ]


@given(st.lists(st.tuples(DURATIONS, DURATIONS), min_size=1, max_size=4))
def test_histograms_are_added_each_to_the_one_at_its_place(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    ones, others = ([histogram(each) for each in side] for side in zip(*pairs, strict=True))
    found = held(ones).plus(held(others))
    assert [found.histogram(index) for index in range(len(pairs))] == [
        one.merge(other) for one, other in zip(ones, others, strict=True)
    ]


@given(
    st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 2**40), max_size=4),
    st.integers(-2, 2),
    st.sampled_from(["least", "most"]),
    st.integers(-1, 1),
)
def test_figures_that_no_durations_have_are_told_apart_to_the_last_ns(
    buckets: dict[int, int], off: int, side: str, longer: int
) -> None:
    edge = lower_edge if side == "least" else upper_edge
    total = sum(count * edge(index) for index, count in buckets.items()) + off
    longest = edge(max(buckets, default=0)) + longer
    if not 0 <= total < 2**63 or longest < 0:
        return
    found = Latencies.of(
        sizes=[len(buckets)],
        indices=list(buckets),
        counts=list(buckets.values()),
        total_ns=[total],
        max_ns=[longest],
    )
    try:
        latency_from_buckets(buckets, total_ns=total, max_ns=longest)
    except ValueError:
        assert found.impossible().tolist() == [True]
    else:
        assert found.impossible().tolist() == [False]


def test_more_durations_than_64_bits_hold_are_told_apart_too() -> None:
    many = 2**22 + 2**17
    least, most = many * lower_edge(BUCKETS - 1), many * upper_edge(BUCKETS - 1)
    total_ns = 3 * 2**57
    assert total_ns < least
    assert least % 2**64 < total_ns < most % 2**64, "as sums of 64 bits would have it"
    found = Latencies.of(
        sizes=[1],
        indices=[BUCKETS - 1],
        counts=[many],
        total_ns=[total_ns],
        max_ns=[lower_edge(BUCKETS - 1)],
    )
    assert found.impossible().tolist() == [True]


@pytest.mark.parametrize(
    ("indices", "counts"), [([BUCKETS], [1]), ([-1], [1]), ([5], [0]), ([5], [-1])]
)
def test_buckets_that_are_none_are_refused(indices: list[int], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="bucket"):
        Latencies.of(sizes=[1], indices=indices, counts=counts, total_ns=[5], max_ns=[5])


def test_a_figure_beyond_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        Latencies.of(sizes=[1], indices=[5], counts=[1], total_ns=[2**63], max_ns=[5])


def test_durations_of_centuries_do_not_add_up() -> None:
    long_ns = lower_edge(BUCKETS - 1)
    one = latency_from_buckets({BUCKETS - 1: 2**20}, total_ns=2**20 * long_ns, max_ns=long_ns)
    assert held([one, one]).add_groups(np.array([0])).histogram(0) == one.merge(one)
    with pytest.raises(OverflowError):
        held([one, one, one]).add_groups(np.array([0]))
    two = held([one.merge(one)])
    assert held([one]).plus(held([one])).histogram(0) == one.merge(one)
    with pytest.raises(OverflowError):
        two.plus(held([one]))
