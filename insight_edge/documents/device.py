# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself: born, dead, and the state of its deployments."""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.facts import Facts
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.job import JobState

Phase = Literal["idle", "fetching", "staging", "activating", "probation"]


class Birth(Versioned, frozen=True, kw_only=True):
    """First words of a device in every session.

    Attributes:
        session: random, one a connection; the will of the same session names it too.
        agent: version of this distribution.
        profile: id of the hardware profile the device was enrolled for.
        deployments: names.
        at_s: by the device's clock.
    """

    tenant: str
    device: str
    session: str
    agent: str
    profile: str
    facts: Facts
    deployments: tuple[str, ...] = ()
    at_s: float


class Death(Versioned, frozen=True, kw_only=True):
    """The will of a session, published by the broker when the device is lost.

    Attributes:
        reason: `lost`, or `stopped` where the agent said goodbye itself.
    """

    device: str
    session: str
    reason: Literal["lost", "stopped"] = "lost"


class Refusal(Document, frozen=True, kw_only=True):
    """Something was not done.

    Attributes:
        kind: name of the error's class; for what attacks look like, one of
            `UnsignedError`, `TamperedError`, `ExpiredError`, `RolledBackError`,
            `WrongProfileError`, `WrongDeviceError`, `RevokedError`.
        reason: one line for people.
        phase: of the update in which it happened.
        bundle: that was wanted; None where it is not known.
    """

    kind: str
    reason: str
    phase: str
    bundle: str | None = None
    at_s: float


class ChallengerState(Document, frozen=True, kw_only=True):
    """How the challenger of a deployment stands.

    Attributes:
        bundle: digest of what is wanted.
        phase: `running` where the host compares it, `refused` where it will not.
        refusal: why it is not there yet, or not at all; None where nothing is wrong.
    """

    bundle: str
    phase: Literal["waiting", "fetching", "running", "refused"] = "waiting"
    refusal: Refusal | None = None


class DeploymentState(Document, frozen=True, kw_only=True):
    """How one deployment stands.

    Attributes:
        serving: digest of the manifest that answers; None where nothing does.
        committed: digest of the manifest that is served after a restart.
        target: digest that an update is under way to; None in phase `idle`.
        attached: whether a runtime host is there.
        probation_ends_s: by the device's clock.
        swap: of the last activation.
        refusal: the last; kept until an update succeeds.
        restored_from: digest that the last probation gave up.
        challenger: that is wanted beside what serves; None for none.
    """

    phase: Phase = "idle"
    serving: str | None = None
    committed: str | None = None
    target: str | None = None
    attached: bool = False
    probation_ends_s: float | None = None
    progress_bytes: int = 0
    total_bytes: int = 0
    swap: SwapRecord | None = None
    refusal: Refusal | None = None
    restored_from: str | None = None
    challenger: ChallengerState | None = None


class Reported(Versioned, frozen=True, kw_only=True):
    """The state of a device.

    Attributes:
        revision: of the `Desired` that was accepted last, 0 before the first.
        held: the device's owner has stopped updates.
        lost: messages that were given up for lack of room since enrolment, by kind.
        refusal: of the last `Desired` that was refused; None after one was accepted.
        jobs: that it has accepted and not done yet, in the order in which they are done.
    """

    tenant: str
    device: str
    revision: int
    at_s: float
    held: bool = False
    lost: dict[str, int] = {}
    refusal: Refusal | None = None
    deployments: dict[str, DeploymentState] = {}
    jobs: tuple[JobState, ...] = ()
