# SPDX-License-Identifier: Apache-2.0
"""The binomial distribution, for counts that need not be whole.

Its tail is the regularised incomplete beta function, which interpolates between
whole counts; so a bound at scaled counts moves without jumps. Nothing is drawn.
"""

import math

_STEPS = 10_000
_SMALLEST = 1e-300
_CLOSE = 1e-14


def binomial_tail(successes: float, total: float, share: float) -> float:
    """Return the probability of at most `successes` among `total`, each with chance `share`.

    DLMF 8.17.5: it is I(total - successes, successes + 1) at 1 - share.
    """
    if successes >= total or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    a, b = total - successes, successes + 1
    # The continued fraction converges fast on one side of the mean only.
    if share > (b + 1) / (a + b + 2):
        return _incomplete_beta(a, b, 1 - share)
    return 1 - _incomplete_beta(b, a, share)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return I(a, b) at x, for x below the mean (DLMF 8.17.22, evaluated after Lentz)."""
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return front * fraction


def _nonzero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
