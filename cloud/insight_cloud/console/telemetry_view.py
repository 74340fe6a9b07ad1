# SPDX-License-Identifier: Apache-2.0
"""Figures of windows as charts are drawn from them. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from insight_cloud.telemetry.windows import WindowFigures


def window_chart(windows: Sequence[WindowFigures]) -> dict[str, Any]:
    """Return calls, failures and p99 of windows, the newest of which comes first here."""
    ordered = list(reversed(windows))
    return {
        "kind": "lines",
        "labels": [clock_text(one.arrived_s) for one in ordered],
        "axes": ["calls", "p99 ms"],
        "floor": [0, 0],
        "series": [
            {
                "name": "asked",
                "bars": True,
                "colour": "accent",
                "values": [one.counts.asked for one in ordered],
            },
            {
                "name": "failed",
                "bars": True,
                "colour": "bad",
                "values": [one.counts.failed for one in ordered],
            },
            {
                "name": "p99",
                "axis": 1,
                "colour": "warn",
                "values": [
                    None if one.p99_ns is None else round(one.p99_ns / 1e6, 4) for one in ordered
                ],
            },
        ],
    }


def clock_text(at_s: float) -> str:
    """Return the time of day of a moment, in UTC; empty where there is no such moment."""
    try:
        return f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return ""
