# SPDX-License-Identifier: Apache-2.0
"""What is read of messages when they arrive, and within which bounds.

They are views of the documents in `insight_edge.documents`: fewer fields, and
nothing a device could say to fill a table, overflow a column or stop a merge;
for the arrays of reports `reported` and `checking` see to that. What a newer
device has added is passed over.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from insight_edge.documents.delivery import MAX_SAMPLE_BYTES
from insight_edge.stats.tally import MAX_ROWS

MAX_CALLS = 2**32
"""In one window: a million a second for an hour."""

MAX_NUMBER = 2**53
"""Of boots, sequences and counters: what any of the databases and languages can hold."""

MAX_LATENCY_NS = 2**53
"""Of all calls in one window together, 104 days."""

MAX_VARIANT_LENGTH = 100
MAX_RESULTS = 4096
"""In one batch of predictions; an agent takes 256 at a time from a host."""

MAX_OUTPUTS = 64
MAX_AGAINST = 16
"""Bundles that one window of a challenger is compared with."""

MAX_KEY_LENGTH = 256
MAX_LABEL_LENGTH = 200

# PostgreSQL has no text with the character 0.
_TEXT = "^[^\\x00]*\\Z"

Calls = Annotated[int, Meta(ge=0, le=MAX_CALLS)]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Nanoseconds = Annotated[int, Meta(ge=0, le=MAX_LATENCY_NS)]
Step = Annotated[str, Meta(pattern="^(1?[0-9]|20)\\Z")]
"""Six decibels each, up to 120."""

Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}\\Z")]
Key = Annotated[str, Meta(max_length=MAX_KEY_LENGTH, pattern=_TEXT)]
Label = Annotated[str, Meta(max_length=MAX_LABEL_LENGTH, pattern=_TEXT)]
Value = bool | float | int | str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of any message: the part that is needed when it arrives."""

    format: Annotated[int, Meta(ge=1)] = 1


class WindowHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When a window was open, by the device's clock."""

    opened_s: float
    closed_s: float


class CountsHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What happened in a window, within bounds."""

    asked: Calls = 0
    answered: Calls = 0
    failed: Calls = 0
    observed: Calls = 0
    flagged: Calls = 0
    broken: Calls = 0


class LatencyHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The latency histogram of a window, within bounds but for its buckets."""

    buckets: msgspec.Raw
    count: Calls
    total_ns: Annotated[int, Meta(ge=0, le=MAX_LATENCY_NS)]
    max_ns: Annotated[int, Meta(ge=0, le=MAX_LATENCY_NS)]


class SummaryHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A summary; its arrays are read, and believed, of many together."""

    grid: str
    names: msgspec.Raw
    count: Annotated[int, Meta(ge=0, le=MAX_ROWS)]
    missing: msgspec.Raw
    below: msgspec.Raw
    above: msgspec.Raw
    bins: msgspec.Raw
    sums: msgspec.Raw
    squares: msgspec.Raw
    minimum: msgspec.Raw
    maximum: msgspec.Raw


class OutputDisagreementHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often one output was another, within bounds."""

    name: Key
    differing: Calls
    decibels: dict[Step, Calls] = {}


class DisagreementHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often a challenger answered otherwise than one bundle, within bounds."""

    against: Digest
    rows: Calls
    differing: Calls
    odd: Calls = 0
    outputs: Annotated[tuple[OutputDisagreementHead, ...], Meta(max_length=MAX_OUTPUTS)] = ()


class ChallengeHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a challenger did in a window, within bounds."""

    compared: Calls = 0
    dropped: Calls = 0
    failed: Calls = 0
    spent_ns: Nanoseconds = 0
    cpu_ns: Nanoseconds = 0
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    keyed_served: Calls = 0
    keyed_challenged: Calls = 0
    fell_back: Calls = 0
    disagreements: Annotated[tuple[DisagreementHead, ...], Meta(max_length=MAX_AGAINST)] = ()


class ReportHead(Head, frozen=True, kw_only=True, gc=False):
    """What is read of a report when it arrives."""

    device: str
    deployment: str = "default"
    boot: Number
    sequence: Number
    bundle: Digest
    variant: Annotated[str, Meta(max_length=MAX_VARIANT_LENGTH)]
    window: WindowHead
    counts: CountsHead
    latency: LatencyHead
    inputs: SummaryHead | None = None
    outputs: SummaryHead | None = None
    challenge: ChallengeHead | None = None


class PredictionsHead(Head, frozen=True, kw_only=True):
    """Sampled results, within bounds."""

    device: str
    deployment: str
    boot: Number
    counters: Annotated[tuple[Number, ...], Meta(max_length=MAX_RESULTS)]
    keys: tuple[Key | None, ...]
    bundles: tuple[Digest, ...]
    bundle: tuple[Number, ...]
    at_s: tuple[float, ...]
    outputs: Annotated[
        dict[str, tuple[tuple[Value, ...] | None, ...]], Meta(max_length=MAX_OUTPUTS)
    ] = {}


class SampleHead(Head, frozen=True, kw_only=True):
    """An input that was kept, within bounds."""

    device: str
    deployment: str
    id: Key
    bundle: Digest
    digest: Digest
    length_bytes: Annotated[int, Meta(ge=1, le=MAX_SAMPLE_BYTES)]
    reason: Literal["uncertain", "out-of-range", "random"]
    score: float
    at_s: float
    outputs: Annotated[dict[str, tuple[Value, ...]], Meta(max_length=MAX_OUTPUTS)] = {}


class OutcomeHead(Head, frozen=True, kw_only=True):
    """What turned out to be true, within bounds."""

    id: Key | None = None
    key: Key | None = None
    deployment: str | None = None
    label: int | float | Label
    at_s: float
    source: Label = "device"
