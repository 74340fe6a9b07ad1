# SPDX-License-Identifier: Apache-2.0
"""The host protocol: what the agent and the runtime host say over their Unix socket.

Every frame is a 4-byte big-endian length and one msgpack message. The host
serves; the agent asks; every request has exactly one answer, in order.
Rules H1 to H7 are in docs/formats/host.md. This module opens no socket.
"""

from typing import Literal

from insight_edge.documents.codec import Document
from insight_edge.documents.desired import Challenging
from insight_edge.documents.facts import EngineFacts
from insight_edge.documents.report import Report

PROTOCOL_VERSION = 1
SOCKET_NAME = "host.sock"
"""In the state directory of a deployment."""

MAX_FRAME_BYTES = 4 * 1024 * 1024


class Message(Document, frozen=True, kw_only=True, tag_field="type"):
    """What all messages share: the `type` tag."""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of either side; the host answers with its own.

    Attributes:
        serving: digest of the manifest that the host serves.
        leaving: the host serves nothing more, and stays a moment for what it has counted.
    """

    protocol: int = PROTOCOL_VERSION
    pid: int = 0
    engines: dict[str, EngineFacts] = {}
    serving: str | None = None
    leaving: bool = False


class Activate(Message, frozen=True, kw_only=True, tag="activate"):
    """Swap to the bundle in this slot."""

    slot: str


class Activated(Message, frozen=True, kw_only=True, tag="activated"):
    """The swap happened; `record` tells how."""

    slot: str
    record: "SwapRecord"


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """The request was not carried out; the old model, if any, keeps serving.

    Attributes:
        phase: `request`, or the phase of the swap that failed.
        kind: the error's class name.
    """

    phase: str
    kind: str
    reason: str


class Compare(Message, frozen=True, kw_only=True, tag="compare"):
    """Compare the bundle in the challenger's slot with the one that serves, or end that.

    Attributes:
        wanted: what is to lie in the slot, and how it is compared; None ends it.
    """

    wanted: Challenging | None = None


class Compared(Message, frozen=True, kw_only=True, tag="compared"):
    """Answer to `Compare`: the digest of what challenges now; None for nothing."""

    bundle: str | None = None


class AskHealth(Message, frozen=True, kw_only=True, tag="health"):
    """How is it going?"""


class Health(Message, frozen=True, kw_only=True, tag="health-is"):
    """Answer to `AskHealth`, over the open window.

    Attributes:
        window: number of that window in its boot; counts of another one begin at 0.
        challenger: digest of what challenges the serving bundle because of a `Compare`; None for
            nothing, or something of the application's own.
    """

    window: int = 0
    serving: str | None
    asked: int
    answered: int
    failed: int
    p99_ms: float | None
    rss_bytes: int
    challenger: str | None = None


class TakeWindow(Message, frozen=True, kw_only=True, tag="window"):
    """Close the open window and hand its report over."""


class TakenWindow(Message, frozen=True, kw_only=True, tag="window-is"):
    """Answer to `TakeWindow`; None where nothing was asked since the last."""

    report: Report | None


class TakePredictions(Message, frozen=True, kw_only=True, tag="predictions"):
    """Hand over the sampled predictions kept since the last time."""

    limit: int = 256


class TakenPredictions(Message, frozen=True, kw_only=True, tag="predictions-are"):
    """Answer to `TakePredictions`: results as plain rows."""

    rows: tuple["PredictionRow", ...]


class PredictionRow(Document, frozen=True, kw_only=True):
    """One sampled result, its outputs as plain lists."""

    id: str
    key: str | None
    bundle: str
    at_s: float
    outputs: dict[str, list[bool | float | int | str]]


class TakeOutcomes(Message, frozen=True, kw_only=True, tag="outcomes"):
    """Hand over what turned out to be true, as far as it is not handed over yet."""

    limit: int = 256


class TakenOutcomes(Message, frozen=True, kw_only=True, tag="outcomes-are"):
    """Answer to `TakeOutcomes`.

    Attributes:
        boot: of the host.
        dropped: in this boot so far, that came when there was no room.
    """

    rows: tuple["OutcomeRow", ...]
    boot: int = 0
    dropped: int = 0


class OutcomeRow(Document, frozen=True, kw_only=True):
    """What turned out to be true of one result; `documents.delivery.Outcome` says the rest."""

    id: str | None = None
    key: str | None = None
    label: int | float | str
    at_s: float


class Retire(Message, frozen=True, kw_only=True, tag="retire"):
    """Unload what is not serving and forget it."""


class Retired(Message, frozen=True, kw_only=True, tag="retired"):
    """Answer to `Retire`."""


class SwapRecord(Document, frozen=True, kw_only=True):
    """How one swap went; durations in milliseconds.

    Attributes:
        origin, target: manifest digests; origin is None for the first activation.
        mode: `beside` (both loaded) or `stop-then-load` (memory did not allow two).
        flip_ms: during which no caller could be between the two; the pause of a caller.
        in_flight: calls on the old session when the flip happened, all answered by it.
    """

    origin: str | None
    target: str
    mode: Literal["beside", "stop-then-load"] = "beside"
    stage_ms: float
    verify_ms: float
    warm_ms: float
    flip_ms: float
    drain_ms: float
    retire_ms: float
    in_flight: int


AnyMessage = (
    Hello
    | Activate
    | Activated
    | Refused
    | Compare
    | Compared
    | AskHealth
    | Health
    | TakeWindow
    | TakenWindow
    | TakePredictions
    | TakenPredictions
    | TakeOutcomes
    | TakenOutcomes
    | Retire
    | Retired
)
