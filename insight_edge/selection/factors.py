# SPDX-License-Identifier: Apache-2.0
"""How many times its least each kind of cost really takes: factors, fitted on what was measured.

Time is a sum of costs, each times a positive factor. Their logarithms are fitted to the
logarithms of measured times by ridge regression towards the factors that are known
already, linearised again and again (Gauss-Newton): what is regressed on is the share
of the time that each kind takes. Residuals beyond `ROBUST` count less (P. J. Huber, Annals
of Mathematical Statistics 35, 1964). Few measurements move the factors little.
Pure; the same measurements give the same factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.selection.costs import KINDS

Values = NDArray[np.float64]

RIDGE = 0.3
"""What a factor that is e times another than before weighs, against a residual of 1."""

ROBUST = 0.5
ITERATIONS = 60
LONGEST_STEP = 1.0
ENOUGH = 1e-6

OFFSET_RIDGE = 2.0
"""Measurements of a device that are as good as knowing nothing of its offset."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What each of `costs.KINDS` is multiplied by.

    Attributes:
        values: positive, in the order of `KINDS`.
    """

    values: tuple[float, ...]

    def seconds(self, costs: Values) -> Values:
        """Return the time of each row of costs; of one row for float64[kinds]."""
        times: Values = costs @ np.array(self.values)
        return times


def fit_factors(costs: Values, seconds: Values, known: Factors) -> Factors:
    """Return factors that measured times speak for.

    Args:
        costs: float64[n, kinds].
        seconds: float64[n], measured and positive.
        known: what they are drawn to.
    """
    start = np.log(np.array(known.values))
    logs, wanted = start.copy(), np.log(seconds)
    for _ in range(ITERATIONS if len(seconds) else 0):
        parts = costs * np.exp(logs)
        total = parts.sum(axis=1)
        residuals = wanted - np.log(total)
        weights = np.minimum(1.0, ROBUST / np.maximum(np.abs(residuals), 1e-12))
        shares = parts / total[:, None]
        weighed = shares * weights[:, None]
        gradient = weighed.T @ residuals - RIDGE * (logs - start)
        step = np.linalg.solve(weighed.T @ shares + RIDGE * np.eye(len(KINDS)), gradient)
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))
        logs += step
        if float(np.abs(step).max()) < ENOUGH:
            break
    return Factors(values=tuple(np.exp(logs).tolist()))


def offset(residuals: Sequence[float]) -> float:
    """Return by what logarithm a device is slower than its figures say, drawn to none."""
    if not residuals:
        return 0.0
    count = len(residuals)
    return float(np.median(residuals)) * count / (count + OFFSET_RIDGE)
