# SPDX-License-Identifier: Apache-2.0
"""What came out of the demo, in figures: pure, over recordings and what the cloud has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_cloud.demo.recording import Recording
from insight_edge.documents.host import SwapRecord
from insight_edge.stats.interval import wilson

SAME_ANSWER = 1e-3
"""Largest difference of a probability from the claimed bundle's own answer, which was computed
in another batch; two versions of the model differ by hundreds of times as much."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How many of some answers were right, with a 95 % interval."""

    right: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1; NaN of nothing."""
        return self.right / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share."""
        return wilson(self.right, self.total) if self.total else (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency of some answers in milliseconds."""

    answers: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, kw_only=True)
class Device:
    """What happened on one device.

    Attributes:
        before, under, after: on images that nobody ever labelled: version 1 before the shift,
            version 1 under it, version 2 under it.
        windows_to_alarm: assessed after the shift until its alarm; None without one.
        early_alarms: opened before the shift.
        asked, answered, failed: calls of the application; those that a kill cut off are neither.
        mixed: answers that were not those of the bundle they claimed.
        swap: latency of the calls that a swap touched.
        bundle_bytes: of version 2; None without it.
        fetched_bytes: of these, not in version 1 already.
        reported: calls that the cloud knows of.
        reports, report_bytes: how many, and how long one is on average.
        lost: reports that are missing in the cloud.
    """

    name: str
    profile: str
    before: Accuracy
    under: Accuracy
    after: Accuracy
    windows_to_alarm: int | None
    early_alarms: int
    asked: int
    answered: int
    failed: int
    mixed: int
    swap: Latency
    bundle_bytes: int | None
    fetched_bytes: int | None
    reported: int
    reports: int
    report_bytes: float
    lost: int


def accuracy_of(
    recording: Recording, labels: NDArray[np.int64], counts: NDArray[np.bool_]
) -> Accuracy:
    """Return how many answers were right.

    Args:
        recording: the answers.
        labels: what each image shows.
        counts: (answers,) which of them count.
    """
    predicted = recording.probabilities[counts].argmax(axis=1) if counts.any() else np.empty(0)
    right = predicted == labels[recording.image[counts]]
    return Accuracy(right=int(right.sum()), total=int(counts.sum()))


def mixed_answers(
    recording: Recording, own_answers: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return which answers are not those of the bundle they claim to be from.

    Args:
        recording: the answers.
        own_answers: (worlds, images, classes) of every bundle, asked by itself, by digest.
    """
    mixed = np.zeros(len(recording.image), np.bool_)
    for digest in np.unique(recording.bundle):
        mine = recording.bundle == digest
        if str(digest) not in own_answers:
            mixed |= mine
            continue
        expected = own_answers[str(digest)][recording.world[mine], recording.image[mine]]
        difference = np.abs(recording.probabilities[mine] - expected).max(axis=1)
        mixed[mine] = difference > SAME_ANSWER
    return mixed


def latency_of(latency_ns: NDArray[np.int64]) -> Latency:
    """Return the latency of some answers; zeros where there are none."""
    if not len(latency_ns):
        return Latency(answers=0, p50_ms=0.0, p99_ms=0.0, max_ms=0.0)
    p50, p99 = np.percentile(latency_ns, (50, 99)) / 1e6
    return Latency(
        answers=len(latency_ns),
        p50_ms=float(p50),
        p99_ms=float(p99),
        max_ms=float(latency_ns.max()) / 1e6,
    )


def in_swap(recording: Recording, swap: SwapRecord | None) -> NDArray[np.bool_]:
    """Return which calls a swap may have touched: from its first phase to its last.

    The flip is where the new bundle answered first.
    """
    if swap is None or not (recording.bundle == swap.target).any():
        return np.zeros(len(recording.image), np.bool_)
    flip_ns = recording.started_ns[recording.bundle == swap.target].min()
    before_ms = swap.stage_ms + swap.verify_ms + swap.warm_ms + swap.flip_ms
    after_ms = swap.drain_ms + swap.retire_ms
    began_ns, ended_ns = flip_ns - before_ms * 1e6, flip_ns + after_ms * 1e6
    answered_ns = recording.started_ns + recording.latency_ns
    touched: NDArray[np.bool_] = (answered_ns >= began_ns) & (recording.started_ns <= ended_ns)
    return touched


def windows_to_alarm(
    assessments: Sequence[Mapping[str, float]], shifted_s: float, alarm_segment: int | None
) -> int | None:
    """Return how many windows it took from the shift to an alarm.

    Args:
        assessments: of a bundle, with `number` and `closed_s` of their segments.
        shifted_s: when the world changed.
        alarm_segment: number of the segment that opened it; None without one.
    """
    if alarm_segment is None:
        return None
    return sum(
        1 for one in assessments
        if one["closed_s"] > shifted_s and one["number"] <= alarm_segment
    )  # fmt: skip
