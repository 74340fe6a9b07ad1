# SPDX-License-Identifier: Apache-2.0
"""What is believed of a message, and when it happened. Pure.

A report that arrives is checked here as far as its head goes; whether rows can
have its statistics is asked of many together (`checking`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from insight_cloud.telemetry.heads import ReportHead, SummaryHead
from insight_edge.documents.manifest import Manifest, Reference
from insight_edge.documents.statistics import GridDocument, grid_from_document
from insight_edge.documents.steps import Feature
from insight_edge.documents.topics import Topic, check_name
from insight_edge.errors import DocumentError, WrongDeviceError
from insight_edge.stats.grid import Grid

HOUR_S = 3600
DAY_HOURS = 24

MAX_AHEAD_S = 300.0
"""A device's clock that is further ahead of ours is not believed."""

MAX_LATE_S = 45 * 86_400.0
"""Nor one further behind: a device that was away for a month delivers what it has counted."""


class Fate(StrEnum):
    """What became of a message; whichever it is, the device may forget it."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message that is committed.

    Attributes:
        digest: of its bytes, which the device waits to see in an `Ack`.
        reason: why it was quarantined.
    """

    digest: str
    fate: Fate
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class KnownBundle:
    """What must be known of a bundle to understand what its devices count.

    Attributes:
        inputs, outputs: what they count over; None where nothing is counted.
        classes: names by index.
    """

    inputs: Grid | None = None
    outputs: Grid | None = None
    classes: tuple[str, ...] = ()


FindBundle = Callable[[str], KnownBundle | None]
"""Gives what is known of the bundle with a digest, None where that is nothing."""


def known_bundle(manifest: Manifest) -> KnownBundle:
    """Return what is needed of a manifest.

    Raises:
        DocumentError: it observes a feature that its reference lacks.
    """
    asked, reference = manifest.observe, manifest.reference
    return KnownBundle(
        inputs=_grid(asked.inputs, reference),
        outputs=_grid(asked.outputs, reference),
        classes=manifest.model.classes,
    )


def check_report(topic: Topic, head: ReportHead, bundle: KnownBundle | None) -> None:
    """Refuse a report that cannot be meant.

    Args:
        topic: that it came on.
        head: what is read of it.
        bundle: the one it names; None while that is not known.

    Raises:
        WrongDeviceError: it speaks of another device than its topic.
        DocumentError: a name is none, a time no number, or a summary over another grid.
    """
    check_speaker(topic, head.device, head.deployment)
    window = head.window
    if not (math.isfinite(window.opened_s) and math.isfinite(window.closed_s)):
        raise DocumentError("window: a time is no number")
    if bundle is not None:
        _check_grid("inputs", head.inputs, bundle.inputs)
        _check_grid("outputs", head.outputs, bundle.outputs)


def check_speaker(topic: Topic, device: str, deployment: str) -> None:
    """Refuse what a device says of another, or of a deployment that cannot be.

    Raises:
        WrongDeviceError: the document speaks of another device than its topic.
        DocumentError: the name of the deployment is none.
    """
    if device != topic.device:
        raise WrongDeviceError(f"'{topic.device}' speaks of '{device[:63]}'")
    check_name("deployment", deployment)


def placed_s(device_s: float, arrived_s: float) -> float:
    """Return when something happened: the device's word, or its arrival where that cannot be."""
    late_s = arrived_s - device_s
    return device_s if -MAX_AHEAD_S <= late_s <= MAX_LATE_S else arrived_s


def hour_of(moment_s: float) -> int:
    """Return the hour since the epoch that a moment is in."""
    return math.floor(moment_s / HOUR_S)


def _grid(features: Sequence[Feature], reference: Reference | None) -> Grid | None:
    """Return the part of a reference's grid that belongs to some features, in their order."""
    if reference is None or not features:
        return None
    columns = {column.name: column for column in reference.grid.columns}
    missing = [feature.name for feature in features if feature.name not in columns]
    if missing:
        raise DocumentError(f"observe: '{missing[0]}' is not in the reference's grid")
    chosen = tuple(columns[feature.name] for feature in features)
    return grid_from_document(GridDocument(cells=reference.grid.cells, columns=chosen))


def _check_grid(side: str, summary: SummaryHead | None, grid: Grid | None) -> None:
    if summary is not None and (grid is None or summary.grid != grid.digest):
        raise DocumentError(f"{side}: counted over another grid than the bundle's")
