# SPDX-License-Identifier: Apache-2.0
"""Reports as devices with a classifier of digits send them: a minute at a row a second.

Six features of the image, four of the class probabilities, 16 bins each.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_cloud.telemetry.rules import KnownBundle
from insight_edge.documents.codec import encode_wire
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.statistics import (
    SummaryDocument,
    document_from_latency,
    document_from_summary,
)
from insight_edge.documents.topics import TENANT, Kind, Topic
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import IMAGE_MEASURES, PROBABILITY_MEASURES

BUNDLE = "sha256:" + "b" * 64
ROWS = 60
WINDOW_S = 60.0
LATENCY_NS = (200_000, 900_000)
KINDS = 200
"""Reports of different content; they come again under other numbers."""


def known_bundle() -> KnownBundle:
    """Return what is counted over."""
    random = np.random.default_rng(0)
    inputs, outputs = (
        [f"{tensor}.{name}" for name in names]
        for tensor, names in (("image", IMAGE_MEASURES), ("probabilities", PROBABILITY_MEASURES))
    )
    return KnownBundle(
        inputs=grid_from_rows(inputs, random.normal(size=(700, len(inputs)))),
        outputs=grid_from_rows(outputs, random.random(size=(700, len(outputs)))),
        classes=tuple("0123456789"),
    )


def messages(devices: int) -> Iterator[tuple[Topic, bytes]]:
    """Yield reports as they arrive, without end: one of each device, in any order, and again."""
    known = known_bundle()
    kinds = [_report(known, seed) for seed in range(KINDS)]
    for sequence in count():
        for number in np.random.default_rng(sequence).permutation(devices).tolist():
            device = f"camera-{number}"
            report = msgspec.structs.replace(
                kinds[(sequence * devices + number) % KINDS], device=device, sequence=sequence
            )
            yield Topic(TENANT, device, Kind.REPORT), encode_wire(report)


def _report(known: KnownBundle, seed: int) -> Report:
    random = np.random.default_rng(seed)
    now_s = datetime.now(UTC).timestamp()
    latency = LatencyHistogram()
    latency.observe_ns(random.integers(*LATENCY_NS, ROWS))
    return Report(
        boot=1,
        sequence=0,
        bundle=BUNDLE,
        variant="onnxruntime:int8",
        signed=True,
        window=Window(opened_s=now_s - WINDOW_S, closed_s=now_s),
        counts=Counts(asked=ROWS, answered=ROWS, observed=ROWS),
        latency=document_from_latency(latency),
        inputs=_counted(known.inputs, random.normal),
        outputs=_counted(known.outputs, random.random),
    )


def _counted(grid: Grid | None, draw: Callable[..., NDArray[np.float64]]) -> SummaryDocument | None:
    if grid is None:
        return None
    tally = Tally(grid)
    tally.observe(draw(size=(ROWS, len(grid.names))))
    return document_from_summary(tally.summary())
