# SPDX-License-Identifier: Apache-2.0
"""Messages that devices send, counted over grids of a bundle that the cloud knows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import msgspec
import numpy as np

from insight_cloud.telemetry.batch import Batch
from insight_cloud.telemetry.heads import ReportHead
from insight_cloud.telemetry.reported import batch_of
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import NOTHING, Totals, totals_from_report
from insight_edge.documents.codec import Versioned, encode_wire, to_plain
from insight_edge.documents.delivery import Outcome, Predictions, SampleOffer
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.statistics import document_from_latency, document_from_summary
from insight_edge.documents.topics import TENANT, Kind, Topic
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.tally import Tally

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
NOW_S = NOW.timestamp()
HOUR = int(NOW_S // 3600)
BUNDLE = "sha256:" + "b" * 64
OTHER = "sha256:" + "c" * 64
UNKNOWN = "sha256:" + "0" * 64
SAMPLE = "sha256:" + "d" * 64

_REFERENCE = np.random.default_rng(1).normal(size=(200, 3))
INPUTS = grid_from_rows(["a", "b"], _REFERENCE[:, :2], bins=4, cells=16)
OUTPUTS = grid_from_rows(["p"], _REFERENCE[:, 2:], bins=4, cells=16)
KNOWN = KnownBundle(inputs=INPUTS, outputs=OUTPUTS, classes=("cat", "dog"))

Message = tuple[Topic, bytes]


def find_bundle(name: str) -> KnownBundle | None:
    return KNOWN if name in {BUNDLE, OTHER} else None


def report(sequence: int = 0, *, rows: int = 5, seed: int | None = None, **changes: Any) -> Report:
    """Return a report of some rows, which are the same for the same seed."""
    random = np.random.default_rng(sequence if seed is None else seed)
    latency = LatencyHistogram()
    latency.observe_ns(random.integers(10**5, 10**7, rows))
    sides = {
        side: document_from_summary(_counted(grid, random.normal(size=(rows, len(grid.names)))))
        for side, grid in (("inputs", INPUTS), ("outputs", OUTPUTS))
    }
    fields: dict[str, Any] = {
        "device": "camera-1",
        "boot": 1,
        "sequence": sequence,
        "bundle": BUNDLE,
        "variant": "onnxruntime-fp32",
        "signed": True,
        "window": Window(opened_s=NOW_S - 60, closed_s=NOW_S),
        "counts": Counts(asked=rows, answered=rows, observed=rows),
        "latency": document_from_latency(latency),
        **sides,
        **changes,
    }
    return Report(**fields)


def predictions(counters: tuple[int, ...], scores: Any = None, **changes: Any) -> Predictions:
    """Return results of two classes; without scores they say `cat`."""
    fields: dict[str, Any] = {
        "device": "camera-1",
        "deployment": "default",
        "boot": 1,
        "counters": counters,
        "keys": tuple(f"order-{counter}" for counter in counters),
        "bundles": (BUNDLE,),
        "bundle": (0,) * len(counters),
        "at_s": (NOW_S,) * len(counters),
        "outputs": {"scores": tuple(scores or [(0.9, 0.1)] * len(counters))},
        **changes,
    }
    return Predictions(**fields)


def outcome(counter: int, label: float | str, **changes: Any) -> Outcome:
    fields = {"id": f"camera-1/default/1/{counter}", "label": label, "at_s": NOW_S, **changes}
    return Outcome(**fields)


def offer(name: str = SAMPLE, **changes: Any) -> SampleOffer:
    fields: dict[str, Any] = {
        "device": "camera-1",
        "deployment": "default",
        "id": "camera-1/default/1/7",
        "bundle": BUNDLE,
        "digest": name,
        "length_bytes": 1000,
        "reason": "uncertain",
        "score": 0.5,
        "at_s": NOW_S,
        **changes,
    }
    return SampleOffer(**fields)


KINDS: dict[type[Versioned], Kind] = {
    Report: Kind.REPORT,
    Predictions: Kind.PREDICTION,
    SampleOffer: Kind.SAMPLE,
    Outcome: Kind.OUTCOME,
}


def message(document: Versioned, *, device: str | None = None) -> Message:
    """Return a document as it arrives."""
    named = device or str(getattr(document, "device", "camera-1"))
    return Topic(TENANT, named, KINDS[type(document)]), encode_wire(document)


def sum_of(reports: Sequence[Report]) -> Totals:
    """Return what reports say together, added one by one."""
    return merged([totals_from_report(each, KNOWN) for each in reports])


def merged(several: Sequence[Totals]) -> Totals:
    """Return totals together, added one by one."""
    return reduce(Totals.merge, several, NOTHING)


def batch(reports: Sequence[Report]) -> Batch:
    """Return reports as arrays."""
    payloads = [msgspec.msgpack.encode(to_plain(each)) for each in reports]
    heads = [msgspec.msgpack.decode(payload, type=ReportHead) for payload in payloads]
    return batch_of(heads, KNOWN)


def _counted(grid: Grid, rows: Any) -> Any:
    tally = Tally(grid)
    tally.observe(rows)
    return tally.summary()
