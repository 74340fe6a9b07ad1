# SPDX-License-Identifier: Apache-2.0
"""Parts of a measurement that not every measurement has; `documents.evidence` holds them."""

from insight_edge.documents.codec import Document


class Percentile(Document, frozen=True, kw_only=True):
    """A percentile of latencies; absent where there were too few of them for it.

    Attributes:
        percent: 0 to 100.
        value_ms: what that percentage of the latencies does not exceed.
        low_ms, high_ms: two-sided interval of order statistics, of as many latencies as the
            rounds show to be independent.
        confidence: of the interval.
        at_most_ms: what the true percentile does not exceed, at 99 % confidence: the early
            stopping estimate of MLPerf Inference.
    """

    percent: float
    value_ms: float
    low_ms: float
    high_ms: float
    confidence: float = 0.95
    at_most_ms: float


class WarmUp(Document, frozen=True, kw_only=True):
    """What was left out before the first call that counts; the first call of all is before it.

    Attributes:
        calls: that were made.
        duration_s: that they took.
        steady: whether durations had kept their level at its end.
    """

    calls: int
    duration_s: float
    steady: bool
