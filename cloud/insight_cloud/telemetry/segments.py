# SPDX-License-Identifier: Apache-2.0
"""Segments: consecutive reports of one bundle, added up until they hold enough rows. Pure.

Whoever watches a bundle compares stretches with as many rows as it needs, however
long each device's windows are. How a segment is kept is the business of
`segmenting`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from insight_cloud.platform.settings import Settings
from insight_cloud.telemetry import batch as batches
from insight_cloud.telemetry.batch import Batch
from insight_cloud.telemetry.totals import Totals
from insight_edge.errors import DocumentError

SEGMENT_ROWS = Settings.segment_rows
"""Where nobody says otherwise."""

MAX_AGE_S = 86_400.0
"""A segment that was begun so long ago is complete, however few its rows are."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive reports of a bundle, added up: complete, so that it never changes again.

    Attributes:
        number: 1, 2, … of its bundle.
        opened_s, closed_s: from the first window's begin to the last one's end, as far as the
            cloud believes them.
        rows: observed; of the outputs where no inputs are counted.
        devices: rows by device.
    """

    tenant: str
    bundle: str
    number: int
    opened_s: float
    closed_s: float
    rows: int
    devices: Mapping[str, int]
    totals: Totals


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretches:
    """Reports, or sums of consecutive ones; the first index of each is the stretch's.

    Attributes:
        opened_s, closed_s: f8[n].
        devices: rows by device.
    """

    opened_s: NDArray[np.float64]
    closed_s: NDArray[np.float64]
    devices: Sequence[Mapping[str, int]]
    batch: Batch

    def add_groups(self, starts: Sequence[int]) -> "Stretches":
        """Return a stretch for each group of consecutive ones; raises as `Batch.add_groups`."""
        return Stretches(
            opened_s=np.minimum.reduceat(self.opened_s, starts),
            closed_s=np.maximum.reduceat(self.closed_s, starts),
            devices=[
                _sum(self.devices[begin:end]) for begin, end in pairwise([*starts, len(self.batch)])
            ],
            batch=self.batch.add_groups(starts),
        )

    def taken(self, rows: slice) -> "Stretches":
        """Return some of the stretches."""
        return Stretches(
            opened_s=self.opened_s[rows],
            closed_s=self.closed_s[rows],
            devices=self.devices[rows],
            batch=self.batch.taken(rows),
        )


def stacked(parts: Sequence[Stretches]) -> Stretches:
    """Return the stretches of all parts, at least one, one after the other."""
    return Stretches(
        opened_s=np.concatenate([part.opened_s for part in parts]),
        closed_s=np.concatenate([part.closed_s for part in parts]),
        devices=[each for part in parts for each in part.devices],
        batch=batches.stacked([part.batch for part in parts]),
    )


def grow(held: Stretches | None, added: Stretches, segment_rows: int) -> tuple[Stretches, bool]:
    """Return the segments that reports make of the open one, and whether the last is complete.

    Each is complete as soon as it has `segment_rows`, and where it cannot be counted further.
    """
    pieces = added if held is None else stacked([held, added])
    try:
        grown = pieces.add_groups(cut(pieces.batch.rows.tolist(), segment_rows))
    except DocumentError:
        grown = pieces.add_groups(_cut_early(pieces, segment_rows))
    return grown, bool(grown.batch.rows[-1] >= segment_rows)


def cut(rows: Sequence[int], segment_rows: int) -> list[int]:
    """Return where segments begin that all have enough rows, and none a report more."""
    starts: list[int] = []
    held = segment_rows
    for index, own in enumerate(rows):
        if held >= segment_rows:
            starts.append(index)
            held = 0
        held += own
    return starts


def _cut_early(pieces: Stretches, segment_rows: int) -> list[int]:
    """Return where segments begin if one cannot be counted further."""
    starts, held = [0], pieces.taken(slice(0, 1))
    for index in range(1, len(pieces.batch)):
        piece = pieces.taken(slice(index, index + 1))
        try:
            longer = stacked([held, piece]).add_groups([0])
        except DocumentError:
            longer = None
        if longer is None or held.batch.rows[0] >= segment_rows:
            starts.append(index)
        held = piece if starts[-1] == index or longer is None else longer
    return starts


def _sum(devices: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    held: dict[str, int] = {}
    for each in devices:
        for name, rows in each.items():
            held[name] = held.get(name, 0) + rows
    return held
