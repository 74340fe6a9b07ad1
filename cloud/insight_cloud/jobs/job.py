# SPDX-License-Identifier: Apache-2.0
"""What a job is to the other rooms. Values only."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from insight_cloud.devices.selection import Selection
from insight_edge.documents.codec import decode_json
from insight_edge.documents.result import BenchResult

BENCH = "bench"
"""The one kind of job so far: time the variants of a bundle."""


class State(StrEnum):
    """How a job stands.

    Attributes:
        WAITING: no device was told yet.
        DONE, FAILED: it is over, with results and without any.
        WITHDRAWN: devices that were told may not have stopped yet.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class MemberState(StrEnum):
    """How a device stands in a job.

    Attributes:
        WAITING: it was not told yet.
        TOLD: it has not said that it knows.
        ACCEPTED: it says how far it is.
        DONE, REFUSED, FAILED: its last word.
        EXPIRED, WITHDRAWN: its last word, or the cloud's where it said nothing in time.
    """

    WAITING = "waiting"
    TOLD = "told"
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


OPEN = (MemberState.WAITING, MemberState.TOLD, MemberState.ACCEPTED)
"""States that another follows."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a bundle is timed, on how many devices, and how long that may take.

    Attributes:
        variants: by name; all whose engine a device has, where none is named.
        threads: of the engine; as many as the agent may use for None.
        rounds: in each of which every variant is timed once.
        iterations: timed inferences of each variant; rounds of a fixed duration for None.
        seed: of the order within rounds.
        limit_s: the longest that it may run on a device.
        lifetime_s: it is not begun later than that after it was asked for.
        when: `idle` waits until a device has little to do; `now` for updates alone.
        devices: asked at most; for None all that are named, or `rules.AT_MOST` of a group.
        scenario, streams, rate_per_s, period_ms, deadline_ms, duration_s: how rows are asked, as
            in `documents.job.Bench`.
    """

    variants: tuple[str, ...] = ()
    threads: int | None = None
    rounds: int = 20
    iterations: int | None = None
    seed: int = 0
    limit_s: float = 900.0
    lifetime_s: float = 86_400.0
    when: Literal["idle", "now"] = "idle"
    devices: int | None = None
    scenario: str = "single-stream"
    streams: int | None = None
    rate_per_s: float | None = None
    period_ms: float | None = None
    deadline_ms: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that some devices are asked to do once.

    Attributes:
        id: a name, random: it is never used again.
        model, version, profile: of the bundle.
        artifacts: digest of the files of each variant of the bundle, by its name.
        targets: token of the target of each, by its name.
        left_out: why devices that were meant are not asked, by name.
        spare: devices that could have been asked as well.
        reason: how far it is, in one line.
        expires: it is begun on no device later.
        withdrawn: when somebody took it back.
        ended: when the last device had; None while one is expected to say something.
    """

    tenant: str
    id: str
    kind: str
    bundle: str
    model: str
    version: int
    profile: str
    artifacts: dict[str, str]
    targets: dict[str, str]
    selection: Selection
    terms: Terms
    left_out: dict[str, str]
    spare: int
    state: State
    reason: str
    by: str
    created: datetime
    expires: datetime
    withdrawn: datetime | None
    ended: datetime | None

    @property
    def label(self) -> str:
        """`digits:3`, as people write it."""
        return f"{self.model}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device in a job.

    Attributes:
        phase: that it tells of while it has accepted the job: `waiting`, `fetching`, `measuring`.
        why: what it waits for, or why there is no result, in one line.
        said: when it was told last; `told` is when it was first.
        left_out: variants that it did not time, by name, and why.
        ended: when its last word came, or was given up.
        heard: digest of the message with its last word; None where the cloud has spoken for it.
    """

    device: str
    state: MemberState = MemberState.WAITING
    phase: str = ""
    why: str = ""
    told: datetime | None = None
    said: datetime | None = None
    accepted: datetime | None = None
    ended: datetime | None = None
    heard: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measurement as it is kept.

    Attributes:
        number: 1 for the first of a tenant, then more each.
        document: canonical JSON of a `BenchResult`.
    """

    number: int
    job: str
    document: str

    @property
    def result(self) -> BenchResult:
        """The document, read."""
        return decode_json(BenchResult, self.document.encode())


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which measurements are asked for; what is None does not matter.

    Attributes:
        bundle: digest of its manifest.
        artifact: digest of its files, the same in every bundle that has them.
        target: token, such as `openvino:int8`.
    """

    model: str | None = None
    version: int | None = None
    profile: str | None = None
    bundle: str | None = None
    artifact: str | None = None
    device: str | None = None
    target: str | None = None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A message that is dealt with.

    Attributes:
        digest: of its bytes, which the device waits to see in an `Ack`.
        fault: class of the error and reason, where it is not believed.
    """

    digest: str
    fault: tuple[str, str] | None = None
