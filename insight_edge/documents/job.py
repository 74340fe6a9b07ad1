# SPDX-License-Identifier: Apache-2.0
"""Jobs: what a device is asked to do once, and what came of it (rules J1 to J6).

The rules are in docs/formats/fleet.md. A `Job` travels as the payload of an `Envelope`,
signed as `Desired` is. This module signs, checks and runs nothing.
"""

import math
from typing import Final, Literal

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.result import BenchResult

MAX_JOBS = 8
"""That a device keeps at a time; more are refused."""

SCENARIOS: Final = ("single-stream", "multi-stream", "offline", "server", "sensor")

MAX_STREAMS: Final = 65_536
"""Rows that are asked at a time."""

_PARTS: Final = {
    "streams": ("multi-stream", "offline"),
    "rate_per_s": ("server",),
    "period_ms": ("sensor",),
    "deadline_ms": ("server", "sensor"),
}
"""Of which scenarios a figure is."""

_NEEDED: Final = {"server": "rate_per_s", "sensor": "period_ms"}


class Bench(Document, frozen=True, kw_only=True):
    """Time the variants of a bundle in turn.

    Attributes:
        bundle: digest of its manifest, which the device's update repository must list.
        variants: by name; all whose engine the device has, where none is named.
        threads: of the engine; as many as the agent may use for None.
        rounds: in each of which every variant is timed once.
        iterations: timed inferences of each variant; rounds of a fixed duration for None.
        seed: of the order within rounds.
        scenario: how rows are asked, one of `SCENARIOS`; a text, so that a device can refuse one
            that it does not know.
        streams: rows at a time, of multi-stream and offline; the usual number for None.
        rate_per_s: at which rows come, of a server, by chance.
        period_ms: between rows, of a sensor.
        deadline_ms: from when a row comes, of both; by default a sensor's is its period.
        duration_s: that each variant is timed, all rounds together; as usual for None.
    """

    bundle: str
    variants: tuple[str, ...] = ()
    threads: int | None = None
    rounds: int = 20
    iterations: int | None = None
    seed: int = 0
    scenario: str = "single-stream"
    streams: int | None = None
    rate_per_s: float | None = None
    period_ms: float | None = None
    deadline_ms: float | None = None
    duration_s: float | None = None


def scenario_fault(bench: Bench) -> str | None:
    """Return why rows cannot be asked as a job says, in one clause; None where they can."""
    name = bench.scenario
    if name not in SCENARIOS:
        return f"there is no scenario '{name[:40]}', only {', '.join(SCENARIOS)}"
    needed = _NEEDED.get(name)
    if needed is not None and getattr(bench, needed) is None:
        return f"scenario {name} needs {needed}"
    for part, scenarios in _PARTS.items():
        value = getattr(bench, part)
        if value is not None and name not in scenarios:
            return f"{part} is not of scenario {name}, it is of {' and '.join(scenarios)}"
        if value is not None and not 0 < value < math.inf:
            return f"{part} is {value:g}, more than 0 is needed"
    if bench.streams is not None and bench.streams > MAX_STREAMS:
        return f"streams is {bench.streams}, at most {MAX_STREAMS} rows are asked at once"
    return None


class Job(Versioned, frozen=True, kw_only=True):
    """What one device is asked to do once.

    Attributes:
        id: never used again for anything else on any device of the tenant.
        expires_s: seconds since the epoch; it is not begun later.
        limit_s: the longest that it may run.
        when: `idle` waits until nothing is updated and the processors have little to do; `now`
            waits for updates alone.
        withdrawn: it is not to be done any more; what is under way ends.
    """

    tenant: str
    device: str
    id: str
    expires_s: float
    limit_s: float = 900.0
    when: Literal["idle", "now"] = "idle"
    withdrawn: bool = False
    bench: Bench


class JobState(Document, frozen=True, kw_only=True):
    """How far a job is that a device has accepted.

    Attributes:
        why: it waits, in words; empty where it does not.
    """

    id: str
    phase: Literal["waiting", "fetching", "measuring"]
    why: str = ""


class JobResult(Versioned, frozen=True, kw_only=True):
    """What came of a job; the last word on it.

    Attributes:
        status: `done` where there are results; `refused` where the device does not do it at all;
            `failed` where it tried.
        kind: name of the error's class; empty where it is done.
        reason: one line for people; empty where it is done.
        results: of one run.
        left_out: variants that were not timed, by name, and why.
    """

    device: str
    id: str
    status: Literal["done", "refused", "failed", "expired", "withdrawn"]
    kind: str = ""
    reason: str = ""
    results: tuple[BenchResult, ...] = ()
    left_out: dict[str, str] = {}
    at_s: float
