# SPDX-License-Identifier: Apache-2.0
"""Flags of `bench` as a person writes them, and what is wrong with them in one line."""

import math

from insight_edge.bench.exchange import WarmingUp
from insight_edge.bench.warming import CAP_S
from insight_edge.errors import ConfigurationError

MAX_S = 86_400.0
"""A day: longer is a mistake of units."""


def percents_from(text: str | None) -> tuple[float, ...]:
    """Return the percentiles that a flag names, `90,99,99.9`, in rising order; none for None.

    Raises:
        ConfigurationError: one is no number between 0 and 100.
    """
    if text is None:
        return ()
    return tuple(sorted({_percent(word) for word in text.split(",")}))


def warming_up_from(text: str) -> WarmingUp:
    """Return how long subjects are warmed up: `auto`, or for so many seconds.

    Raises:
        ConfigurationError: it is neither.
    """
    if text == "auto":
        return WarmingUp(most_s=CAP_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_S:
        raise ConfigurationError(
            f"--warmup is '{text}', seconds are needed, or auto",
            hint=f"auto goes on until durations keep their level, for {CAP_S:g} s at most",
        )
    return WarmingUp(most_s=seconds, whole=True)


def _percent(word: str) -> float:
    try:
        percent = float(word)
    except ValueError:
        percent = -1.0
    if not 0 < percent < 100:
        raise ConfigurationError(
            f"--percentile has '{word.strip()}', a number between 0 and 100 is needed",
            hint="for example --percentile 90,99,99.9",
        )
    return percent
