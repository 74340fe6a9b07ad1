# SPDX-License-Identifier: Apache-2.0
"""What a challenger's window is told besides: calls repeated, answers compared, keys by arm.

Any number of callers count here without a lock, one thread compares, and whoever closes the
window takes what was counted since the last. Arrays come and go; only counts stay.
"""

import itertools
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.challenge import Challenge, Disagreement, OutputDisagreement, merged
from insight_edge.stats.disagreement import Compared, compare, differing_rows

Tensors = Mapping[str, NDArray[Any]]

MAX_AGAINST = 16
"""Bundles that served in one window. More swaps than that are not compared within it."""


class Ticks:
    """A count that any number of threads raise without a lock: `next` of it is atomic."""

    def __init__(self) -> None:
        self._ticks = itertools.count()
        self._taken = 0
        self._looks = 0

    def add(self) -> None:
        """Count one."""
        next(self._ticks)

    def take(self) -> int:
        """Return how many were counted since the last time; one thread at a time."""
        counted = next(self._ticks) - self._looks
        self._looks += 1
        since, self._taken = counted - self._taken, counted
        return since

    def peek(self) -> int:
        """Return what `take` would, and leave it there; one thread at a time."""
        counted = next(self._ticks) - self._looks
        self._looks += 1
        return counted - self._taken


class Account:
    """What happened to a challenger since its last window.

    Args:
        ranked: whether (n, k) numbers are scores of classes.
        share: of calls with a key that it answers.

    Attributes:
        dropped, keyed_served, keyed_challenged, fell_back: as in `Challenge`.
    """

    def __init__(self, *, ranked: bool, share: float) -> None:
        self._ranked, self._share = ranked, share
        self.dropped, self._failed = Ticks(), Ticks()
        self.keyed_served, self.keyed_challenged, self.fell_back = Ticks(), Ticks(), Ticks()
        self._compared = self._spent_ns = self._cpu_ns = 0
        self._parts: dict[str, Disagreement] = {}
        self._lock = threading.Lock()

    def compared(self, against: str, expected: Tensors, found: Tensors) -> None:
        """Count the rows of a call that was repeated.

        Raises:
            ValueError: the answers cannot be compared; count it as failed.
        """
        names = [name for name in expected if name in found]
        if not names:
            raise ValueError("the two have no output in common")
        outputs = {n: compare(expected[n], found[n], ranked=self._ranked) for n in names}
        part = _disagreement(against, outputs)
        with self._lock:
            if against not in self._parts and len(self._parts) >= MAX_AGAINST:
                self.dropped.add()
                return
            before = self._parts.get(against)
            self._parts[against] = part if before is None else merged([before, part])[0]
            self._compared += 1

    def failed(self) -> None:
        """Count a call that could not be repeated or compared."""
        self._failed.add()

    def spent(self, clock_ns: int, cpu_ns: int) -> None:
        """Count what repeating one call took."""
        with self._lock:
            self._spent_ns += clock_ns
            self._cpu_ns += cpu_ns

    def has_news(self) -> bool:
        """Return whether there is anything to take."""
        with self._lock:
            ticks = (self.dropped, self._failed, self.keyed_served, self.keyed_challenged)
            return self._compared > 0 or any(each.peek() for each in ticks)

    def take(self) -> Challenge:
        """Return what was counted since the last time, to be reported once."""
        with self._lock:
            found = Challenge(
                compared=self._compared,
                dropped=self.dropped.take(),
                failed=self._failed.take(),
                spent_ns=self._spent_ns,
                cpu_ns=self._cpu_ns,
                share=self._share,
                keyed_challenged=self.keyed_challenged.take(),
                fell_back=self.fell_back.take(),
                keyed_served=self.keyed_served.take(),
                disagreements=tuple(self._parts.values()),
            )
            self._compared = self._spent_ns = self._cpu_ns = 0
            self._parts = {}
        return found


def _disagreement(against: str, outputs: Mapping[str, Compared]) -> Disagreement:
    differing = differing_rows(list(outputs.values()))
    odd = np.any([each.odd for each in outputs.values()], axis=0)
    return Disagreement(
        against=against,
        rows=len(differing),
        differing=int(differing.sum()),
        odd=int(odd.sum()),
        outputs=tuple(_output(name, compared) for name, compared in outputs.items()),
    )


def _output(name: str, compared: Compared) -> OutputDisagreement:
    steps: dict[str, int] = {}
    if compared.buckets is not None:
        values, rows = np.unique(compared.buckets, return_counts=True)
        steps = {str(v): n for v, n in zip(values.tolist(), rows.tolist(), strict=True)}
    return OutputDisagreement(name=name, differing=int(compared.differing.sum()), decibels=steps)
