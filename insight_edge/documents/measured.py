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


class Load(Document, frozen=True, kw_only=True):
    """What came of queries that were due at a rate, whether those before were answered or not.

    Attributes:
        rate_per_s: that was asked for.
        offered: queries that were due, by chance more or fewer than the rate would have.
        offered_per_s: the same, a second.
        answered, dropped: what became of them.
        achieved_per_s: answers a second, from the beginning of a round to its last answer.
        busy_share: of the time that answering all of them takes; from 1 on a queue only grows.
        deadline_ms: from when a query is due; None where there was none.
        misses: those that were answered later or dropped; None where there was no deadline.
        waiting: queries that could wait; one more was dropped.
        woke_late_ms: by how much the measuring process asked too late, the median.
    """

    rate_per_s: float
    offered: int
    offered_per_s: float
    answered: int
    dropped: int
    achieved_per_s: float
    busy_share: float
    deadline_ms: float | None = None
    misses: int | None = None
    waiting: int
    woke_late_ms: float


class Mode(Document, frozen=True, kw_only=True):
    """One of two latencies around which the others gather.

    Attributes:
        at_ms: the median of those that belong to it.
        share: of all, that belong to it.
    """

    at_ms: float
    share: float


class Sustained(Document, frozen=True, kw_only=True):
    """How a long run, after the rounds and alone, kept its speed.

    Attributes:
        duration_s: of the run.
        iterations: queries in it.
        first_ms, last_ms: median latency of its first and its last fifth.
        ratio: of the last to the first, with a two-sided 95 % interval.
        clock_drop, throttles, temperature_rise_c: in the run, as in `Noise`.
    """

    duration_s: float
    iterations: int
    first_ms: float
    last_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    clock_drop: float | None = None
    throttles: int | None = None
    temperature_rise_c: float | None = None


class Energy(Document, frozen=True, kw_only=True):
    """What inferences took of one source, which says what it covers.

    Attributes:
        source: its name.
        mj_per_inference: of a row, in millijoules; what the machine takes idle is subtracted.
        idle_w, busy_w: power before the run and in it.
        duration_s, inferences: of the run.
    """

    source: str
    mj_per_inference: float
    idle_w: float
    busy_w: float
    duration_s: float
    inferences: int
