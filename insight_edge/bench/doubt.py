# SPDX-License-Identifier: Apache-2.0
"""Why a measurement may not be used as it is, and what verdict follows: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from insight_edge.documents.evidence import MeasurementVerdict

_GRAVEST_FIRST: tuple[MeasurementVerdict, ...] = ("INVALID", "THROTTLED", "NOISY")


@dataclass(frozen=True)
class Doubt:
    """One reason against a measurement, and the verdict that it makes."""

    verdict: MeasurementVerdict
    reason: str


def settled(doubts: Iterable[Doubt]) -> tuple[MeasurementVerdict, tuple[str, ...]]:
    """Return the gravest verdict that a doubt makes, and every reason for that one."""
    held = tuple(doubts)
    for verdict in _GRAVEST_FIRST:
        reasons = tuple(one.reason for one in held if one.verdict == verdict)
        if reasons:
            return verdict, reasons
    return "VALID", ()
