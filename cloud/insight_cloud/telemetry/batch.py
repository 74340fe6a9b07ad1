# SPDX-License-Identifier: Apache-2.0
"""Many totals of one bundle as arrays, and their sums. Pure.

A report is the total of one report. Thousands are added in the time that a few
`Totals.merge` take, and to the same last bit; `Totals` is how one of them is
handed out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import COUNTS, Totals
from insight_edge.documents.report import Counts
from insight_edge.errors import DocumentError
from insight_edge.stats import columns as summaries
from insight_edge.stats import latencies
from insight_edge.stats.columns import summary_at
from insight_edge.stats.grid import Grid
from insight_edge.stats.latencies import Latencies
from insight_edge.stats.summary import Columns, Summary, impossible

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """What was counted of inputs, or of outputs.

    Attributes:
        counted: b1[n], whether anything was; a summary of no rows stands for what was not.
    """

    grid: Grid
    counted: NDArray[np.bool_]
    columns: Columns

    @classmethod
    def spread(cls, grid: Grid, counted: NDArray[np.bool_], columns: Columns | None) -> Self:
        """Return summaries of no rows, and those of `columns` where something was counted."""
        if columns is not None and counted.all():
            return cls(grid=grid, counted=counted, columns=columns)
        zero = Summary.zero(grid).columns()
        spread = summaries.taken(zero, np.zeros(len(counted), np.int64))
        if columns is not None:
            for name in Columns.__struct_fields__:
                getattr(spread, name)[counted] = getattr(columns, name)
        return cls(grid=grid, counted=counted, columns=spread)

    def summary(self, index: int) -> Summary | None:
        """Return one of the summaries."""
        return summary_at(self.columns, index, self.grid) if self.counted[index] else None

    def taken(self, rows: Integers | slice) -> "Side":
        """Return some of them, in the order asked for."""
        columns = summaries.taken(self.columns, rows)
        return Side(grid=self.grid, counted=self.counted[rows], columns=columns)

    def add_groups(self, starts: Integers) -> "Side":
        """Return one for each group of consecutive ones; raises as `columns.add_groups`."""
        return Side(
            grid=self.grid,
            counted=np.logical_or.reduceat(self.counted, starts),
            columns=summaries.add_groups(self.columns, starts),
        )

    def plus(self, other: "Side") -> "Side":
        """Return sums, each with the other's at its place; raises as `columns.plus`."""
        return Side(
            grid=self.grid,
            counted=self.counted | other.counted,
            columns=summaries.plus(self.columns, other.columns),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Totals of one bundle; the first index of each is the total's.

    Attributes:
        reports: i8[n].
        counts: i8[n, `COUNTS`].
        inputs, outputs: None where the bundle counts nothing there.
    """

    known: KnownBundle
    reports: Integers
    counts: Integers
    latency: Latencies
    inputs: Side | None
    outputs: Side | None

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def rows(self) -> Integers:
        """Return i8[n], rows observed: of the inputs, or of the outputs where there are none."""
        counted, rows = np.zeros(len(self), np.bool_), np.zeros(len(self), np.int64)
        for side in (self.inputs, self.outputs):
            if side is not None:
                rows = np.where(counted, rows, side.columns.count)
                counted |= side.counted
        return rows

    def faults(self) -> dict[int, str]:
        """Return what no rows or durations can have made, by index."""
        found: dict[int, str] = {}
        for side in (self.inputs, self.outputs):
            for reason, broken in () if side is None else impossible(side.columns):
                for index in np.flatnonzero(broken).tolist():
                    found.setdefault(index, f"summary: {reason}")
        for index in np.flatnonzero(self.latency.impossible()).tolist():
            found.setdefault(index, "latency: no durations in these buckets have these figures")
        return found

    def taken(self, rows: Sequence[int] | Integers | slice) -> Self:
        """Return some of the totals, in the order asked for."""
        chosen = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        return type(self)(
            known=self.known,
            reports=self.reports[chosen],
            counts=self.counts[chosen],
            latency=self.latency.taken(chosen),
            inputs=self.inputs and self.inputs.taken(chosen),
            outputs=self.outputs and self.outputs.taken(chosen),
        )

    def add_groups(self, starts: Sequence[int] | Integers) -> Self:
        """Return a total for each group of consecutive ones.

        Args:
            starts: where each begins: the first at 0, rising.

        Raises:
            DocumentError: more was counted than is ever added up.
        """
        begins = np.asarray(starts, np.int64)
        try:
            return type(self)(
                known=self.known,
                reports=np.add.reduceat(self.reports, begins),
                counts=np.add.reduceat(self.counts, begins, axis=0),
                latency=self.latency.add_groups(begins),
                inputs=self.inputs and self.inputs.add_groups(begins),
                outputs=self.outputs and self.outputs.add_groups(begins),
            )
        except (OverflowError, ValueError) as error:
            raise DocumentError(f"does not add up: {error}") from error

    def plus(self, other: "Batch") -> Self:
        """Return sums, each with the other's at its place.

        Raises:
            DocumentError: more was counted than is ever added up.
        """
        try:
            return type(self)(
                known=self.known,
                reports=self.reports + other.reports,
                counts=self.counts + other.counts,
                latency=self.latency.plus(other.latency),
                inputs=self.inputs and other.inputs and self.inputs.plus(other.inputs),
                outputs=self.outputs and other.outputs and self.outputs.plus(other.outputs),
            )
        except (OverflowError, ValueError) as error:
            raise DocumentError(f"does not add up: {error}") from error

    def totals(self, index: int) -> Totals:
        """Return one of the totals."""
        counts = dict(zip(COUNTS, self.counts[index].tolist(), strict=True))
        return Totals(
            reports=int(self.reports[index]),
            counts=Counts(**counts),
            latency=self.latency.histogram(index),
            inputs=None if self.inputs is None else self.inputs.summary(index),
            outputs=None if self.outputs is None else self.outputs.summary(index),
        )


def stacked(parts: Sequence[Batch]) -> Batch:
    """Return the totals of all parts, at least one, one after the other; all of one bundle."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        known=parts[0].known,
        reports=np.concatenate([part.reports for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        latency=latencies.stacked([part.latency for part in parts]),
        inputs=_stacked_sides([part.inputs for part in parts]),
        outputs=_stacked_sides([part.outputs for part in parts]),
    )


def _stacked_sides(sides: Sequence[Side | None]) -> Side | None:
    present = [side for side in sides if side is not None]
    if not present:
        return None
    return Side(
        grid=present[0].grid,
        counted=np.concatenate([side.counted for side in present]),
        columns=summaries.stacked([side.columns for side in present]),
    )
