# SPDX-License-Identifier: Apache-2.0
"""What `protocol.advance` asks for; doing one twice is the same as doing it once.

At most one action other than `CancelFetch` and `ReportState` is under way. Each
has one or two events that end it; what ends without one (a killed agent, a lost
host) is asked for again after `Restarted` or `HostCame`.
"""

import msgspec

from insight_edge.documents.desired import Challenging


class Action(msgspec.Struct, frozen=True):
    """Something is to be done."""


class FetchBundle(Action, frozen=True):
    """Check the manifest and fetch what is missing; ends in `Fetched` or `FetchFailed`."""

    bundle: str


class StageBundle(Action, frozen=True):
    """Fill the idle slot; ends in `Staged` or `StageFailed`."""

    bundle: str


class ActivateSlot(Action, frozen=True):
    """Let the host swap; ends in `Activated`, `ActivationRefused` or `HostLeft`."""

    slot: str


class CommitSlot(Action, frozen=True):
    """Serve this slot after a restart; ends in `Committed` or `CommitFailed`."""

    slot: str


class RestoreSlot(Action, frozen=True):
    """Let the host swap back to the committed slot; ends as `ActivateSlot`."""

    slot: str


class ChallengeHost(Action, frozen=True):
    """Let the host compare what is in the challenger's slot, or end that; no update asks for it."""

    wanted: Challenging | None


class CancelFetch(Action, frozen=True):
    """Let a fetch or staging under way stop as soon as it can; nothing is heard of it."""


class ReportState(Action, frozen=True):
    """`deployment_state` has changed."""
