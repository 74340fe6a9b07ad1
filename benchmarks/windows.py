# SPDX-License-Identifier: Apache-2.0
"""Which calls fall into which window of time: pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]


class Window(NamedTuple):
    """From when to when, in ns of the clock that the calls were timed by."""

    opened_ns: int
    closed_ns: int


def split(
    started_ns: Times, finished_ns: Times, windows: Sequence[Window]
) -> tuple[list[Times], list[Times]]:
    """Return the durations of the calls during each window, and before it.

    A call that overlaps a window at all is during it. Before it are those that began after the
    window before had closed and ended before this one opened.

    Args:
        started_ns: of each call, in any order.
        finished_ns: of the same calls.
        windows: in order, none overlapping another.
    """
    during, before = [], []
    free_from = np.iinfo(np.int64).min
    for window in windows:
        inside = (finished_ns >= window.opened_ns) & (started_ns <= window.closed_ns)
        ahead = (started_ns > free_from) & (finished_ns < window.opened_ns)
        during.append((finished_ns - started_ns)[inside])
        before.append((finished_ns - started_ns)[ahead])
        free_from = window.closed_ns
    return during, before
