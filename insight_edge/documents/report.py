# SPDX-License-Identifier: Apache-2.0
"""A report: the telemetry of one window of one deployment, and nothing else."""

from insight_edge.documents.challenge import Challenge
from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.counted import LatencyDocument, SummaryDocument
from insight_edge.documents.desired import Role


class Window(Document, frozen=True, kw_only=True):
    """When the window was open, in seconds since the epoch by the device's clock."""

    opened_s: float
    closed_s: float


class Counts(Document, frozen=True, kw_only=True):
    """What happened in the window.

    Attributes:
        asked: calls of `infer` with a checked input.
        answered: those that returned.
        failed: those in which the engine failed.
        observed: rows that the statistics have seen; less than asked where it had to sample.
        flagged: rows with NaN or out-of-range input, seen by the flush.
        broken: failures of the observer itself, which never reach a caller.
    """

    asked: int = 0
    answered: int = 0
    failed: int = 0
    observed: int = 0
    flagged: int = 0
    broken: int = 0


class Report(Versioned, frozen=True, kw_only=True):
    """One window; (device, deployment, boot, sequence) identifies it for ever.

    Attributes:
        device: `local` before enrolment.
        boot: grows by one each time the host starts.
        sequence: grows by one a window within a boot.
        bundle: digest of the manifest that served.
        signed: whether that manifest was signed and checked.
        recovered: the window was found open after a crash.
        role: of the bundle. What a challenger repeated behind callers' backs is counted too,
            its latency at low priority.
        challenge: what a challenger did besides; None of a bundle that serves, and where the
            window was recovered.
    """

    device: str = "local"
    deployment: str = "default"
    boot: int
    sequence: int
    bundle: str
    variant: str
    signed: bool = False
    recovered: bool = False
    window: Window
    counts: Counts
    latency: LatencyDocument
    inputs: SummaryDocument | None = None
    outputs: SummaryDocument | None = None
    role: Role = "serve"
    challenge: Challenge | None = None
    threads: int = 0
