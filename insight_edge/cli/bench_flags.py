# SPDX-License-Identifier: Apache-2.0
"""Flags of `bench` as a person writes them, and what is wrong with them in one line."""

from insight_edge.errors import ConfigurationError


def percents_from(text: str | None) -> tuple[float, ...]:
    """Return the percentiles that a flag names, `90,99,99.9`, in rising order; none for None.

    Raises:
        ConfigurationError: one is no number between 0 and 100.
    """
    if text is None:
        return ()
    return tuple(sorted({_percent(word) for word in text.split(",")}))


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
