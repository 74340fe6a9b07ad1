# SPDX-License-Identifier: Apache-2.0
"""How long a row takes where rows come at random and wait for one another.

One server, arrivals at random (M/G/1). With utilisation u = rate x service, a row waits
u x service x (1 + c2) / (2 (1 - u)) on average (Pollaczek and Khinchine; L. Kleinrock,
Queueing Systems I, 1975, 5.7), with probability u at all, and how long then is taken to be
exponential (J. F. C. Kingman, Proc. Cambridge Phil. Soc. 57, 1961), so that

    P(wait > t) = u exp(-2 (1 - u) t / (service (1 + c2)))

Service is its mean and c2 its squared coefficient of variation, where these were measured;
else the median and 0, as if inference took the same every time. The percentile of both
together is taken as the sum of theirs, which is rather too long than too short.
"""

from collections.abc import Mapping
from math import inf, log

from insight_edge.selection.latency import Latency


def response_ms(latency: Latency, percent: float, rate_per_s: float | None) -> float:
    """Return the percentile of waiting and service; infinite where rows come faster than they go.

    Args:
        latency: of one inference.
        percent: 0 to 100, both excluded.
        rate_per_s: at which rows come; None for one after the other.
    """
    service_ms = latency.p50_ms * tail_of(latency, percent)
    mean_ms = latency.p50_ms * latency.mean
    used = 0.0 if rate_per_s is None else rate_per_s * mean_ms / 1e3
    if used >= 1:
        return inf
    rare = 1 - percent / 100
    if used <= rare:
        return service_ms
    return service_ms + log(used / rare) * mean_ms * (1 + latency.scatter) / (2 * (1 - used))


def tail_of(latency: Latency, percent: float) -> float:
    """Return a percentile over the median: measured, between those that were, else 1."""
    known: Mapping[float, float] = {50.0: 1.0} | dict(latency.tail or {})
    above = [value for at, value in known.items() if at >= percent]
    return max(1.0, min(above) if above else max(known.values())) if percent > 50 else 1.0
