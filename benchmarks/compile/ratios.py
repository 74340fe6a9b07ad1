# SPDX-License-Identifier: Apache-2.0
"""Ratios over many models, and when one says slower: pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Verdict
from insight_edge.bench.verdict import MIN_ROUNDS
from insight_edge.stats.interval import Estimate

Blocks = Sequence[NDArray[np.int64]]
Pair = tuple[Blocks, Blocks]

MAX_RATIO_SHARE = 0.10
"""A ratio known to no better than this that does not exclude 1 says nothing."""

DRAWS = 2000
TAIL = 0.025
"""Of either side of a 95 % interval."""


def geometric_mean(pairs: Sequence[Pair], seed: int = 0) -> Estimate:
    """Return the geometric mean over models of latency over the peer's, and its interval.

    Of each model it is the median over rounds of the ratio of medians; what is resampled is the
    rounds of every model by itself. The models are those there are: no interval speaks of others.

    Raises:
        ValueError: there is no model, or one whose sides have different numbers of rounds.
    """
    if not pairs:
        raise ValueError("no model to take a mean over")
    random = np.random.default_rng(seed)
    value, drawn = 0.0, np.zeros(DRAWS)
    for own, other in pairs:
        logs = np.log([np.median(a) / np.median(b) for a, b in zip(own, other, strict=True)])
        value += float(np.median(logs))
        chosen = random.integers(0, len(logs), (DRAWS, len(logs)))
        drawn += np.median(logs[chosen], axis=1)
    low, high = np.exp(np.quantile(drawn / len(pairs), (TAIL, 1 - TAIL)))
    return float(np.exp(value / len(pairs))), float(low), float(high)


def not_slower(estimate: Estimate, rounds: int) -> Verdict:
    """Return OVER where the whole interval says slower, WITHIN where it is narrow or says not.

    Two that are equally fast have an interval around 1, on whichever side its middle is: that is
    not slower. One too wide to tell is NOISY.
    """
    _, low, high = estimate
    if rounds < MIN_ROUNDS:
        return "NOISY"
    if low > 1:
        return "OVER"
    return "WITHIN" if high <= 1 or high - low <= MAX_RATIO_SHARE else "NOISY"
