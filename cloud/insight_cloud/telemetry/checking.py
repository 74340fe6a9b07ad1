# SPDX-License-Identifier: Apache-2.0
"""Reports as arrays, and those left out that no rows or durations can have made.

They are looked at together; only where something is wrong, smaller parts are.
"""

from collections.abc import Sequence
from typing import NamedTuple

from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.reported import Statistics, batch_of, read_statistics
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.tables import ReportRow
from insight_cloud.telemetry.wire import Reader
from insight_edge.errors import DocumentError

TOGETHER = 128
"""Reports that are unpacked at a time: the lists of many more would be searched for garbage."""


class Pending(NamedTuple):
    """What is needed of a stored report to add it up."""

    tenant: str
    device: str
    deployment: str
    boot: int
    sequence: int
    bundle: str
    hour: int
    opened_s: float
    closed_s: float
    arrived_s: float
    payload: bytes | None
    asked: int
    answered: int
    failed: int
    observed: int
    flagged: int
    broken: int

    @property
    def counts(self) -> tuple[int, ...]:
        """One report, and its counts."""
        return 1, self.asked, self.answered, self.failed, self.observed, self.flagged, self.broken


PENDING = tuple(getattr(ReportRow, name) for name in Pending._fields)

Refused = tuple[Pending, DocumentError]


class Checked(NamedTuple):
    """Reports of one bundle.

    Attributes:
        reports: those that are good.
        batch: what they say, in their order; None where there is none.
        refused: the others.
    """

    reports: Sequence[Pending]
    batch: Batch | None
    refused: Sequence[Refused]


def check(reader: Reader, reports: Sequence[Pending], known: KnownBundle) -> Checked:
    """Return what reports of one bundle say."""
    parts = [
        _read(reader, reports[begin : begin + TOGETHER], known)
        for begin in range(0, len(reports), TOGETHER)
    ]
    return _joined(parts)


def _read(reader: Reader, reports: Sequence[Pending], known: KnownBundle) -> Checked:
    read: list[tuple[Pending, Statistics]] = []
    refused: list[Refused] = []
    for report in reports:
        try:
            read.append((report, read_statistics(reader.unpack(report.payload or b""))))
        except DocumentError as error:
            refused.append((report, error))
    return _joined([Checked((), None, refused), *([_check(read, known)] if read else [])])


def _check(read: Sequence[tuple[Pending, Statistics]], known: KnownBundle) -> Checked:
    reports = [report for report, _ in read]
    try:
        batch = batch_of(
            [statistics for _, statistics in read], [each.counts for each in reports], known
        )
    except DocumentError as error:
        if len(read) == 1:
            return Checked((), None, [(reports[0], error)])
        half = len(read) // 2
        return _joined([_check(read[:half], known), _check(read[half:], known)])
    faults = batch.faults()
    if not faults:
        return Checked(reports, batch, ())
    good = [index for index in range(len(reports)) if index not in faults]
    return Checked(
        [reports[index] for index in good],
        batch.taken(good) if good else None,
        [(reports[index], DocumentError(reason)) for index, reason in sorted(faults.items())],
    )


def _joined(parts: Sequence[Checked]) -> Checked:
    batches = [part.batch for part in parts if part.batch is not None]
    return Checked(
        [report for part in parts for report in part.reports],
        stacked(batches) if batches else None,
        [each for part in parts for each in part.refused],
    )
