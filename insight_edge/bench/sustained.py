# SPDX-License-Identifier: Apache-2.0
"""Whether a subject keeps its speed: the last fifth of a long run against the first (pure)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.doubt import Doubt
from insight_edge.documents.evidence import Noise
from insight_edge.documents.measured import Sustained
from insight_edge.stats.interval import ratio_interval

Blocks = Sequence[NDArray[np.int64]]

PARTS: Final = 5
"""The first of five parts is over before most devices are hot, and the last is what they keep."""

PIECES: Final = 10
LEAST_PIECES: Final = 5
"""Of a part, whose medians are resampled; fewer make no interval."""

MAX_CHANGE: Final = 0.05
"""As the tolerance of a steady state: less would not change what is decided."""

MIN_CLOCK_DROP: Final = 0.05
"""A clock that fell by this much explains a run that became slower by as much."""


def sustained_of(blocks: Blocks, duration_s: float, noise: Noise) -> Sustained | None:
    """Return how the last part compares with the first; None where there are too few blocks.

    Args:
        blocks: latencies in ns, in the order in which they were taken.
        duration_s: of the run.
        noise: of the run.
    """
    pieces = min(PIECES, len(blocks) // PARTS)
    if pieces < LEAST_PIECES:
        return None
    size = len(blocks) // PARTS
    first, last = _pieces(blocks[:size], pieces), _pieces(blocks[-size:], pieces)
    ratio, low, high = ratio_interval(last, first)
    return Sustained(
        duration_s=duration_s,
        iterations=sum(len(block) for block in blocks),
        first_ms=float(np.median(np.concatenate(first))) / 1e6,
        last_ms=float(np.median(np.concatenate(last))) / 1e6,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        clock_drop=noise.clock_drop,
        throttles=noise.throttles,
        temperature_rise_c=noise.temperature_rise_c,
    )


def sustained_doubts(found: Sustained | None) -> tuple[Doubt, ...]:
    """Return the doubt about a run that did not keep its speed, or was too short to tell."""
    if found is None:
        return (Doubt("NOISY", "the sustained run was too short to compare its parts"),)
    slower, faster = found.ratio_low > 1, found.ratio_high < 1
    if not (slower or faster) or abs(found.ratio - 1) <= MAX_CHANGE:
        return ()
    word = "slower" if slower else "faster"
    told = f"{abs(found.ratio - 1):.0%} {word} at the end of {found.duration_s:.3g} s"
    why = _heat(found) if slower else ""
    if why:
        return (Doubt("THROTTLED", f"{told}: {why}"),)
    return (Doubt("NOISY", f"drifts: {told}, and neither clock nor throttle says why"),)


def _heat(found: Sustained) -> str:
    """Return what slowed it down, in words; empty where nothing is known to have."""
    reasons = []
    if found.clock_drop is not None and found.clock_drop >= MIN_CLOCK_DROP:
        reasons.append(f"the clock fell by {found.clock_drop:.0%}")
    if found.throttles:
        reasons.append(f"processors were throttled {found.throttles} times")
    if reasons and found.temperature_rise_c is not None:
        reasons.append(f"it became {found.temperature_rise_c:.0f} °C hotter")
    return ", ".join(reasons)


def _pieces(part: Blocks, count: int) -> list[NDArray[np.int64]]:
    starts = [len(part) * piece // count for piece in range(count + 1)]
    return [np.concatenate(part[a:b]) for a, b in pairwise(starts)]
