# SPDX-License-Identifier: Apache-2.0
"""Reports as arrays, and those left out that no rows or durations can have made.

They are looked at together; only where something is wrong, smaller parts are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.heads import ReportHead
from insight_cloud.telemetry.reading import Message, refused
from insight_cloud.telemetry.reported import batch_of, latencies_of
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.tables import REFUSED
from insight_edge.errors import DocumentError
from insight_edge.stats.latencies import Latencies


class Checked(NamedTuple):
    """Reports of one bundle.

    Attributes:
        good: places of those that are good.
        batch: what they say, in this order; None where there is none.
        refused: why the others are, by place.
    """

    good: Sequence[int]
    batch: Batch | None
    refused: Mapping[int, DocumentError]


class Counted(NamedTuple):
    """What one report says: one place of a batch."""

    batch: Batch
    place: int


def check_all(messages: Sequence[Message]) -> tuple[list[Message], dict[str, Counted]]:
    """Return messages with what no rows can have made refused, and what the others say.

    What they say is found by the digest of the message; reports of unknown bundles are looked at
    when their bundle is known, but for their latency. Of one that is refused the row stays: it is
    not missing. The rows of the others are completed.
    """
    checked = [*messages]
    counted: dict[str, Counted] = {}
    for known, indices, reports in _by_bundle(messages):
        good, batch, bad = check(reports, known)
        if batch is not None:
            _complete([messages[indices[at]] for at in good], batch.latency)
            counted |= {
                messages[indices[at]].digest: Counted(batch, n) for n, at in enumerate(good)
            }
        for at, error in bad.items():
            checked[indices[at]] = _kept(messages[indices[at]], error)
    for index, message in enumerate(messages):
        if message.known is None and message.report is not None:
            try:
                _complete([message], latencies_of([message.report.latency]))
            except DocumentError as error:
                checked[index] = _kept(message, error)
    return checked, counted


def _by_bundle(
    messages: Sequence[Message],
) -> Iterable[tuple[KnownBundle, list[int], list[ReportHead]]]:
    """Return bundle, places and reports, by known bundle."""
    groups: dict[str, tuple[KnownBundle, list[int], list[ReportHead]]] = {}
    for index, message in enumerate(messages):
        if message.known is not None and message.report is not None:
            group = groups.setdefault(message.report.bundle, (message.known, [], []))
            group[1].append(index)
            group[2].append(message.report)
    return groups.values()


def _complete(messages: Sequence[Message], latency: Latencies) -> None:
    """Fill in what is found of many reports together."""
    quantiles = latency.quantile(0.99).tolist()
    for message, count, p99_ns in zip(messages, latency.count.tolist(), quantiles, strict=True):
        message.rows[0]["p99_ns"] = p99_ns if count else None


def _kept(message: Message, error: DocumentError) -> Message:
    """Return a report that is refused, with its row."""
    row = message.rows[0] | {"state": REFUSED}
    return replace(refused(message, error), rows=[row])


def check(reports: Sequence[ReportHead], known: KnownBundle) -> Checked:
    """Return what reports of one bundle say."""
    return _check(reports, range(len(reports)), known)


def _check(reports: Sequence[ReportHead], places: Sequence[int], known: KnownBundle) -> Checked:
    if not places:
        return Checked((), None, {})
    try:
        batch = batch_of([reports[place] for place in places], known)
    except DocumentError as error:
        if len(places) == 1:
            return Checked((), None, {places[0]: error})
        half = len(places) // 2
        early, late = (_check(reports, part, known) for part in (places[:half], places[half:]))
        return _joined(early, late)
    faults = batch.faults()
    if not faults:
        return Checked(places, batch, {})
    good = [index for index in range(len(places)) if index not in faults]
    return Checked(
        [places[index] for index in good],
        batch.taken(good) if good else None,
        {places[index]: DocumentError(reason) for index, reason in faults.items()},
    )


def _joined(early: Checked, late: Checked) -> Checked:
    batches = [part.batch for part in (early, late) if part.batch is not None]
    return Checked(
        [*early.good, *late.good],
        stacked(batches) if batches else None,
        {**early.refused, **late.refused},
    )
