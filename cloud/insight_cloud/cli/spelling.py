# SPDX-License-Identifier: Apache-2.0
"""How people write durations and model versions on a command line. Pure."""

import re

from insight_edge.errors import ConfigurationError

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float:
    """Return the seconds that a duration such as `10m` means.

    Raises:
        ConfigurationError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"'{text[:40]}' is no duration", hint="such as 30s, 10m, 24h, 7d")
    return float(found[1]) * _UNITS_S[found[2]]


def model_version(what: str) -> tuple[str, int | str]:
    """Return a model and its version, or alias, that `MODEL:VERSION` names.

    Raises:
        ConfigurationError: it names none.
    """
    model, colon, version = what.rpartition(":")
    if not colon or not model or not version:
        raise ConfigurationError(f"'{what[:80]}' names no version", hint="MODEL:VERSION: digits:2")
    return model, int(version) if version.isdecimal() else version
