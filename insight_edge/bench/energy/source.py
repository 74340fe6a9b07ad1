# SPDX-License-Identifier: Apache-2.0
"""The seam of what energy is read from, and the two kinds there are: counters and power."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Absent:
    """A source that is not there, with the reason."""

    name: str
    reason: str


class Source(Protocol):
    """Something that energy is read from."""

    @property
    def name(self) -> str:
        """What it is and what it covers, for people."""
        ...

    def joules(self, now_s: float) -> float:
        """Return the energy since the first call, which returns 0; to be called often."""
        ...


class Counter:
    """Energy that hardware adds up, in a register that begins anew when it is full.

    Args:
        name: of the source.
        read_j: the register now.
        range_j: what it holds before it begins anew; None where it does not.
    """

    def __init__(
        self, name: str, read_j: Callable[[], float], range_j: float | None = None
    ) -> None:
        self.name = name
        self._read_j, self._range_j = read_j, range_j
        self._last_j: float | None = None
        self._sum_j = 0.0

    def joules(self, now_s: float) -> float:  # noqa: ARG002 (hardware has its own clock)
        """Return the energy since the first call, if it began anew at most once between two."""
        value_j = self._read_j()
        if self._last_j is not None:
            step_j = value_j - self._last_j
            if step_j < 0:
                step_j = 0.0 if self._range_j is None else step_j + self._range_j
            self._sum_j += step_j
        self._last_j = value_j
        return self._sum_j


class Power:
    """Power that is read now and then, added up by trapezoids.

    Args:
        name: of the source.
        read_w: the power now.
    """

    def __init__(self, name: str, read_w: Callable[[], float]) -> None:
        self.name = name
        self._read_w = read_w
        self._last: tuple[float, float] | None = None
        self._sum_j = 0.0

    def joules(self, now_s: float) -> float:
        """Return the energy since the first call."""
        power_w = self._read_w()
        if self._last is not None:
            before_s, before_w = self._last
            self._sum_j += (now_s - before_s) * (before_w + power_w) / 2
        self._last = now_s, power_w
        return self._sum_j
