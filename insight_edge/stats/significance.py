# SPDX-License-Identifier: Apache-2.0
"""How surprising a difference of counts is, to rank features for people. No alarm hangs on it.

The p-values take rows as independent, which those of a sensor are not: they put
features in an order, they do not keep a budget (`threshold` does).
"""

import math

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.distance import Counts

Values = NDArray[np.float64]


def homogeneity(reference: Counts, observed: Counts) -> Values:
    """Return the p-value of each feature's chi-square test that both sides have equal shares.

    Counts are i8[features, cells]; cells empty on both sides are left out. The distribution is
    taken as E. B. Wilson and M. M. Hilferty's cube of a normal one (PNAS 17, 1931), whose error
    of some percent of a small p changes no ranking.
    """
    totals = reference.sum(-1, keepdims=True), observed.sum(-1, keepdims=True)
    both = reference + observed
    with np.errstate(all="ignore"):
        share = both / (totals[0] + totals[1])
        distance = np.zeros(both.shape[:-1])
        for counts, total in zip((reference, observed), totals, strict=True):
            expected = total * share
            distance += np.where(both > 0, (counts - expected) ** 2 / expected, 0.0).sum(-1)
        free = (both > 0).sum(-1) - 1
        spread = 2 / (9 * free)
        z = (np.cbrt(distance / free) - (1 - spread)) / np.sqrt(spread)
    return np.array([0.5 * math.erfc(one / math.sqrt(2)) for one in np.where(free > 0, z, -9.0)])


def adjust(p_values: Values) -> Values:
    """Return the least rate of false discoveries at which each would be one.

    Y. Benjamini and Y. Hochberg, Journal of the Royal Statistical Society B 57 (1995).
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted
