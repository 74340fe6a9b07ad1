# SPDX-License-Identifier: Apache-2.0
"""What may happen to the update of one deployment, as `protocol.advance` is told it.

Events about a bundle name it: one that was superseded may still be heard of, and
is then not listened to.
"""

import msgspec

from insight_edge.documents.host import Health, SwapRecord


class Event(msgspec.Struct, frozen=True):
    """Something happened."""


class Wanted(Event, frozen=True):
    """An accepted `Desired` names this deployment; may be told again and again.

    Attributes:
        bundle: digest of the manifest.
        revision: of the `Desired`.
        expires_s: later nothing new is begun; None for never.
    """

    bundle: str
    revision: int
    expires_s: float | None = None


class Unwanted(Event, frozen=True):
    """An accepted `Desired` does not name this deployment: what serves stays."""


class ManifestAccepted(Event, frozen=True):
    """The trust check accepts the manifest; its files are fetched now."""

    bundle: str


class Fetched(Event, frozen=True):
    """Every file is here and has its digest."""

    bundle: str


class FetchFailed(Event, frozen=True):
    """The manifest was refused, or files could not be fetched.

    Attributes:
        kind: name of the error's class.
        final: trying again at the same revision would not help.
        gained_bytes: fetched since the last attempt.
    """

    bundle: str
    kind: str
    reason: str
    final: bool
    gained_bytes: int = 0


class Staged(Event, frozen=True):
    """A slot holds the bundle."""

    bundle: str
    slot: str


class StageFailed(Event, frozen=True):
    """The slot could not be filled, and is empty."""

    bundle: str
    kind: str
    reason: str
    final: bool = False


class Activated(Event, frozen=True):
    """The host has swapped."""

    record: SwapRecord


class ActivationRefused(Event, frozen=True):
    """The host has not swapped; what served serves on.

    Attributes:
        phase, kind, reason: as the host said.
    """

    phase: str
    kind: str
    reason: str


class Committed(Event, frozen=True):
    """The slot is served after a restart."""

    slot: str


class CommitFailed(Event, frozen=True):
    """The commit could not be written."""

    kind: str
    reason: str


class HostCame(Event, frozen=True):
    """A runtime host is attached.

    Attributes:
        serving: digest of the manifest that it serves.
    """

    serving: str | None


class HostLeft(Event, frozen=True):
    """The connection to the host is lost; so is the answer to what was asked of it."""


class HealthSeen(Event, frozen=True):
    """The host told how its open window is going."""

    health: Health


class Held(Event, frozen=True):
    """The device's owner stops updates: none is begun."""


class Released(Event, frozen=True):
    """The device's owner lets updates begin again."""


class Restarted(Event, frozen=True):
    """The agent has begun again: nothing it had under way goes on by itself.

    Attributes:
        committed: the committed slot on disk, None before the first commit.
        slots: digest of the manifest in each slot that holds a whole bundle.
    """

    committed: str | None
    slots: dict[str, str]


class Tick(Event, frozen=True):
    """Time has passed; told every few seconds."""
