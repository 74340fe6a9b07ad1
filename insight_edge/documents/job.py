# SPDX-License-Identifier: Apache-2.0
"""Jobs: what a device is asked to do once, and what came of it (rules J1 to J6).

The rules are in docs/formats/fleet.md. A `Job` travels as the payload of an `Envelope`,
signed as `Desired` is. This module signs, checks and runs nothing.
"""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.result import BenchResult

MAX_JOBS = 8
"""That a device keeps at a time; more are refused."""


class Bench(Document, frozen=True, kw_only=True):
    """Time the variants of a bundle in turn.

    Attributes:
        bundle: digest of its manifest, which the device's update repository must list.
        variants: by name; all whose engine the device has, where none is named.
        threads: of the engine; as many as the agent may use for None.
        rounds: in each of which every variant is timed once.
        iterations: timed inferences of each variant; rounds of a fixed duration for None.
        seed: of the order within rounds.
    """

    bundle: str
    variants: tuple[str, ...] = ()
    threads: int | None = None
    rounds: int = 20
    iterations: int | None = None
    seed: int = 0


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
