# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insight_edge.stats.latency import (
    LONGEST_NS,
    LatencyHistogram,
    bucket_of,
    latency_from_buckets,
    lower_edge,
    upper_edge,
)

BUCKETS = int(bucket_of(np.array([LONGEST_NS]))[0]) + 1

durations = arrays(
    np.int64,
    st.integers(0, 50),
    elements=st.one_of(
        st.integers(-5, 200), st.integers(0, LONGEST_NS), st.integers(-(2**63), 2**63 - 1)
    ),
)


def histogram(*parts: NDArray[np.int64]) -> LatencyHistogram:
    counted = LatencyHistogram()
    for part in parts:
        counted.observe_ns(part)
    return counted


def test_buckets_leave_no_gap_and_are_narrow() -> None:
    assert lower_edge(0) == 0
    for bucket in range(BUCKETS):
        low, high = lower_edge(bucket), upper_edge(bucket)
        assert bucket_of(np.array([low, high])).tolist() == [bucket, bucket]
        assert lower_edge(bucket + 1) == high + 1
        assert high - low <= low / 32
    assert upper_edge(BUCKETS - 1) == LONGEST_NS


@given(durations, durations, durations)
def test_observing_a_stream_equals_merging_its_parts(
    a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]
) -> None:
    whole = histogram(np.concatenate([a, b, c]))
    assert histogram(a, b, c) == whole
    assert histogram(a).merge(histogram(b)).merge(histogram(c)) == whole
    assert histogram(c).merge(histogram(a).merge(histogram(b))) == whole
    assert whole.merge(LatencyHistogram()) == whole


@given(durations)
def test_totals_are_exact(values: NDArray[np.int64]) -> None:
    clipped = [min(max(value, 0), LONGEST_NS) for value in values.tolist()]
    counted = histogram(values)
    assert counted.count == len(clipped)
    assert counted.total_ns == sum(clipped)
    assert counted.max_ns == max(clipped, default=0)


@given(durations.filter(len), st.floats(0, 1))
def test_quantile_is_at_most_a_bucket_above_the_true_one(
    values: NDArray[np.int64], share: float
) -> None:
    clipped = np.clip(values, 0, LONGEST_NS)
    true = int(np.quantile(clipped, share, method="inverted_cdf"))
    assert true <= histogram(values).quantile(share) <= true * 33 / 32


def test_quantile_of_one_duration_is_that_duration() -> None:
    assert histogram(np.array([1_234_567])).quantile(0.99) == 1_234_567


@given(durations)
def test_histogram_is_rebuilt_from_its_buckets(values: NDArray[np.int64]) -> None:
    counted = histogram(values)
    rebuilt = latency_from_buckets(
        counted.buckets(), total_ns=counted.total_ns, max_ns=counted.max_ns
    )
    assert rebuilt == counted


@pytest.mark.parametrize(
    ("buckets", "total_ns", "max_ns"),
    [
        ({-1: 1}, 0, 0),
        ({BUCKETS: 1}, LONGEST_NS, LONGEST_NS),
        ({5: 0}, 0, 5),
        ({5: -1}, -5, 5),
        ({5: 2}, 9, 5),
        ({5: 2}, 11, 5),
        ({5: 2}, 10, 6),
        ({5: 2}, 10, 0),
        ({}, 1, 0),
        ({}, 0, 1),
    ],
)
def test_figures_that_no_durations_can_have_are_refused(
    buckets: dict[int, int], total_ns: int, max_ns: int
) -> None:
    with pytest.raises(ValueError, match=r"no durations|no bucket"):
        latency_from_buckets(buckets, total_ns=total_ns, max_ns=max_ns)


def test_total_beyond_64_bits_is_an_error_and_not_a_wrong_number() -> None:
    count = 2**63 // LONGEST_NS
    most = latency_from_buckets(
        {BUCKETS - 1: count}, total_ns=count * LONGEST_NS, max_ns=LONGEST_NS
    )
    with pytest.raises(OverflowError):
        most.merge(most)


def test_zeroed_words_are_the_empty_histogram_and_hold_all_there_is() -> None:
    words = np.zeros(LatencyHistogram.words(), np.int64)
    assert LatencyHistogram(words) == LatencyHistogram()
    LatencyHistogram(words).observe_ns(np.array([3, 500]))
    assert LatencyHistogram(words.copy()) == histogram(np.array([500, 3]))
    with pytest.raises(ValueError, match="buffer"):
        LatencyHistogram(words[1:])


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_quantile_that_does_not_exist_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        histogram(np.array([1])).quantile(share)
    with pytest.raises(ValueError, match="quantile"):
        LatencyHistogram().quantile(0.5)
