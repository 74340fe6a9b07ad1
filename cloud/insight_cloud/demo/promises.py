# SPDX-License-Identifier: Apache-2.0
"""What the demo promises, and whether it happened: pure, over recorded figures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_cloud.demo.recording import Recording
from insight_edge.errors import InsightEdgeError

SAME_ANSWER = 1e-3
"""Largest difference of a probability from the claimed bundle's own answer, which was computed
in another batch; two versions of the model differ by hundreds of times as much."""

DROP_BUDGET_PP = 2.0
TIME_BUDGET_S = 240.0


class BrokenPromiseError(InsightEdgeError):
    """Something that the demo promises did not happen."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency of some answers in milliseconds."""

    answers: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One thing that was promised, and the figure that shows it."""

    name: str
    kept: bool
    figure: str


def mixed_answers(
    recording: Recording, own_answers: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return which answers are not those of the bundle they claim to be from.

    Args:
        recording: the answers.
        own_answers: (images, classes) of every bundle, asked by itself, by digest.
    """
    mixed = np.zeros(len(recording.image), np.bool_)
    for digest in np.unique(recording.bundle):
        mine = recording.bundle == digest
        expected = own_answers[str(digest)][recording.image[mine]]
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


def in_window(recording: Recording, began_ns: int, ended_ns: int) -> NDArray[np.bool_]:
    """Return which answers were asked for or answered between two instants."""
    answered_ns = recording.started_ns + recording.latency_ns
    return (answered_ns >= began_ns) & (recording.started_ns <= ended_ns)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened, in figures.

    Attributes:
        bundles: written for version 1, one a profile.
        engines: with at least one proven trial.
        accuracy: of the served bundles of both versions on the final split, 0 to 1.
        drop_pp: points that each loses there to its source model.
        mixed: answers that were not those of the bundle they claimed.
        answered_by: answers from the old and from the new bundle.
        reported: calls that the closed windows speak of.
        wall_s: from the start to now.
    """

    bundles: int
    engines: int
    accuracy: tuple[float, float]
    drop_pp: tuple[float, float]
    recording: Recording
    mixed: int
    answered_by: tuple[int, int]
    reported: int
    wall_s: float


def promises(outcome: Outcome) -> tuple[Promise, ...]:
    """Return every promise of the demo with its figure."""
    recording, (old, new) = outcome.recording, outcome.answered_by
    first, second = outcome.accuracy
    return (
        _promise("compiled for three machines", outcome.bundles == 3, f"{outcome.bundles} bundles"),
        _promise("proven on both engines", outcome.engines >= 2, f"{outcome.engines} engines"),
        _promise(
            "version 2 is better on the final split", second > first, f"{first:.1%} → {second:.1%}"
        ),
        _promise(
            f"each bundle loses at most {DROP_BUDGET_PP:g} pp there to its source",
            max(outcome.drop_pp) <= DROP_BUDGET_PP,
            ", ".join(f"{drop:.2f} pp" for drop in outcome.drop_pp),
        ),
        _promise("both versions answered", old > 0 and new > 0, f"{old} then {new}"),
        _promise(
            "no inference dropped",
            recording.dropped == 0 and not recording.failures,
            f"{recording.asked} asked, {recording.dropped} dropped",
        ),
        _promise("no answer of mixed versions", outcome.mixed == 0, f"{outcome.mixed} mixed"),
        _promise(
            "every inference is in a report",
            outcome.reported == recording.asked,
            f"{outcome.reported} of {recording.asked}",
        ),
        _promise(
            f"under {TIME_BUDGET_S:g} s", outcome.wall_s < TIME_BUDGET_S, f"{outcome.wall_s:.0f} s"
        ),
    )


def _promise(name: str, kept: bool, figure: str) -> Promise:
    return Promise(name=name, kept=kept, figure=figure)
