# SPDX-License-Identifier: Apache-2.0
"""Turn messages into rows, or into the reason why not. Nothing is stored here.

It runs before the transaction, so that no other process waits for decoding.
"""

import math
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from insight_cloud.telemetry.classes import labelled_class, predicted_class
from insight_cloud.telemetry.heads import (
    OutcomeHead,
    PredictionsHead,
    ReportHead,
    SampleHead,
)
from insight_cloud.telemetry.rules import (
    FindBundle,
    KnownBundle,
    check_report,
    check_speaker,
    hour_of,
    placed_s,
)
from insight_cloud.telemetry.tables import NEW, WAITING
from insight_cloud.telemetry.wire import Reader
from insight_edge.documents.codec import digest
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import DocumentError, InsightEdgeError

Values = dict[str, Any]

MAX_KNOWN = 256
"""Bundles remembered; a grid of 64 features is 270 KB."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that was read.

    Attributes:
        rows: what is stored of it.
        report: it, where it is one.
        known: its bundle, where it is a report of a known one.
        fault: why it is quarantined, and the class of the error.
    """

    topic: Topic
    payload: bytes
    digest: str
    rows: list[Values] = []
    report: ReportHead | None = None
    known: KnownBundle | None = None
    fault: tuple[str, str] | None = None


class Reading:
    """Reads messages; threads may share it."""

    def __init__(self, find_bundle: FindBundle) -> None:
        self._reader = Reader()
        self._find_bundle = find_bundle
        self._lock = threading.Lock()
        self._known: dict[str, KnownBundle] = {}
        self._readers = {
            Kind.REPORT: self._report,
            Kind.PREDICTION: self._predictions,
            Kind.SAMPLE: self._sample,
            Kind.OUTCOME: self._outcome,
        }

    def read(self, topic: Topic, payload: bytes, arrived_s: float) -> Message:
        """Return a message as rows, or with its fault.

        Raises:
            ValueError: the topic is none of telemetry.
        """
        read = self._readers.get(topic.kind)
        if read is None:
            raise ValueError(f"{topic} is none of telemetry")
        came = Message(topic=topic, payload=payload, digest=digest(payload))
        try:
            return read(came, arrived_s)
        except InsightEdgeError as error:
            return refused(came, error)

    def bundle(self, name: str) -> KnownBundle | None:
        """Return what is known of a bundle."""
        found = self._known.get(name)
        if found is None:
            found = self._find_bundle(name)
            if found is not None:
                self._remember(name, found)
        return found

    def _remember(self, name: str, bundle: KnownBundle) -> None:
        with self._lock:
            while len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[name] = bundle

    def _report(self, came: Message, arrived_s: float) -> Message:
        unpacked = self._reader.unpack(came.payload)
        head = self._reader.decode(ReportHead, unpacked)
        bundle = self.bundle(head.bundle)
        check_report(came.topic, head, bundle)
        row = _report_row(came.topic.tenant, head, arrived_s)
        row["state"] = WAITING if bundle is None else NEW
        row["digest"] = digest(unpacked)
        row["length_bytes"] = len(came.payload)
        return Message(
            topic=came.topic,
            payload=came.payload,
            digest=came.digest,
            rows=[row],
            report=head,
            known=bundle,
        )

    def _predictions(self, came: Message, arrived_s: float) -> Message:
        batch, topic = self._reader.read(PredictionsHead, came.payload), came.topic
        check_speaker(topic, batch.device, batch.deployment)
        _check_columns(batch)
        origin = f"{batch.device}/{batch.deployment}"
        rows = [
            _prediction(topic.tenant, origin, batch, index, arrived_s)
            for index in range(len(batch.counters))
        ]
        return replace(came, rows=rows)

    def _sample(self, came: Message, arrived_s: float) -> Message:
        offer, topic = self._reader.read(SampleHead, came.payload), came.topic
        check_speaker(topic, offer.device, offer.deployment)
        _check_result(topic, offer.id)
        if not (math.isfinite(offer.score) and math.isfinite(offer.at_s)):
            raise DocumentError("sample: its score or time is no number")
        row = {
            "tenant": topic.tenant,
            "device": offer.device,
            "digest": offer.digest,
            "deployment": offer.deployment,
            "result": offer.id,
            "bundle": offer.bundle,
            "length_bytes": offer.length_bytes,
            "reason": offer.reason,
            "score": offer.score,
            "outputs": msgspec.json.encode(offer.outputs).decode(),
            "at_s": offer.at_s,
            "arrived_s": arrived_s,
        }
        return replace(came, rows=[row])

    def _outcome(self, came: Message, arrived_s: float) -> Message:
        outcome = self._reader.read(OutcomeHead, came.payload)
        return replace(came, rows=[outcome_row(came.topic, outcome, came.digest, arrived_s)])


def refused(message: Message, error: InsightEdgeError) -> Message:
    """Return a message with why nothing of it is stored."""
    return replace(message, rows=[], fault=(type(error).__name__, str(error)))


def _report_row(tenant: str, head: ReportHead, arrived_s: float) -> Values:
    counts = head.counts
    return {
        "tenant": tenant,
        "device": head.device,
        "deployment": head.deployment,
        "boot": head.boot,
        "sequence": head.sequence,
        "bundle": head.bundle,
        "hour": hour_of(placed_s(head.window.closed_s, arrived_s)),
        "opened_s": head.window.opened_s,
        "closed_s": head.window.closed_s,
        "arrived_s": arrived_s,
        "asked": counts.asked,
        "answered": counts.answered,
        "failed": counts.failed,
        "observed": counts.observed,
        "flagged": counts.flagged,
        "broken": counts.broken,
        "p99_ns": None,
    }


def outcome_row(topic: Topic, outcome: OutcomeHead, name: str, arrived_s: float) -> Values:
    """Return an outcome as a row.

    Raises:
        WrongDeviceError: it is about a result of another device.
        DocumentError: it names no result, or its label or time is no number.
    """
    label = outcome.label
    if not math.isfinite(outcome.at_s) or (isinstance(label, float) and not math.isfinite(label)):
        raise DocumentError("outcome: its label or time is no number")
    index, text = labelled_class(label)
    is_class = (index, text) != (None, None)
    return {
        "tenant": topic.tenant,
        "subject": _subject(topic, outcome),
        "digest": name,
        "class_index": index,
        "class_name": text,
        "number": None if is_class or isinstance(label, str) else float(label),
        "at_s": outcome.at_s,
        "arrived_s": arrived_s,
        "source": outcome.source,
    }


def key_subject(device: str, deployment: str, key: str) -> str:
    """Return how an outcome names a result by its caller's key; no id has a colon there."""
    return f"{device}/{deployment}:{key}"


def _subject(topic: Topic, outcome: OutcomeHead) -> str:
    if outcome.id is not None:
        _check_result(topic, outcome.id)
        return outcome.id
    if outcome.key is None or outcome.deployment is None:
        raise DocumentError("outcome: it names no result by id, nor by deployment and key")
    check_speaker(topic, topic.device, outcome.deployment)
    return key_subject(topic.device, outcome.deployment, outcome.key)


def _check_result(topic: Topic, result: str) -> None:
    parts = result.split("/")
    if len(parts) != 4 or not (parts[2].isdecimal() and parts[3].isdecimal()):
        raise DocumentError(f"'{result[:80]}' is not the id of a result")
    check_speaker(topic, parts[0], parts[1])


def _check_columns(batch: PredictionsHead) -> None:
    length = len(batch.counters)
    columns = [batch.keys, batch.bundle, batch.at_s, *batch.outputs.values()]
    if any(len(column) != length for column in columns):
        raise DocumentError("predictions: columns of unlike lengths")
    if any(index >= len(batch.bundles) for index in batch.bundle):
        raise DocumentError("predictions: a result of no bundle")
    if not all(map(math.isfinite, batch.at_s)):
        raise DocumentError("predictions: a time is no number")


def _prediction(
    tenant: str, origin: str, batch: PredictionsHead, index: int, arrived_s: float
) -> Values:
    outputs: Mapping[str, Any] = {name: column[index] for name, column in batch.outputs.items()}
    class_index, class_name = predicted_class(outputs)
    key = batch.keys[index]
    at_s = batch.at_s[index]
    return {
        "tenant": tenant,
        "id": f"{origin}/{batch.boot}/{batch.counters[index]}",
        "device": batch.device,
        "deployment": batch.deployment,
        "bundle": batch.bundles[batch.bundle[index]],
        "key_subject": None if key is None else key_subject(batch.device, batch.deployment, key),
        "hour": hour_of(placed_s(at_s, arrived_s)),
        "at_s": at_s,
        "arrived_s": arrived_s,
        "class_index": class_index,
        "class_name": class_name,
        "outputs": msgspec.json.encode(outputs).decode(),
        "logged": False,
        "file": None,
    }
